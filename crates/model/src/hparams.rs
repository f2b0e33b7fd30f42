//! Hyper-parameters: metadata under the architecture's prefix.

use std::fmt::Display;

use gguf::Metadata;

use crate::error::Error;
use crate::memory::KvShape;

/// Most layers, heads or experts a file may claim; keeps sizes far from overflow.
const MAX_COUNT: usize = 1 << 16;
/// Largest width of a vector a file may claim.
const MAX_WIDTH: usize = 1 << 24;

/// Typed look-ups of `ARCH.key`.
pub struct Keys<'a> {
    metadata: &'a Metadata,
    arch: String,
}

impl<'a> Keys<'a> {
    /// The file's own architecture is the prefix.
    pub fn new(metadata: &'a Metadata) -> Result<Self, Error> {
        Ok(Self { metadata, arch: metadata.str("general.architecture")?.to_owned() })
    }

    fn full(&self, key: &str) -> String {
        format!("{}.{key}", self.arch)
    }

    fn bounded(&self, key: &str, value: usize, max: usize) -> Result<usize, Error> {
        if (1..=max).contains(&value) {
            return Ok(value);
        }
        let (key, value) = (self.full(key), value.to_string());
        Err(Error::Value { key, value, expected: format!("1 to {max}") })
    }

    /// A required count of layers, heads or experts.
    pub fn count(&self, key: &str) -> Result<usize, Error> {
        self.bounded(key, self.metadata.usize(&self.full(key))?, MAX_COUNT)
    }

    /// An optional count of layers, heads or experts.
    pub fn opt_count(&self, key: &str) -> Result<Option<usize>, Error> {
        let value = self.metadata.opt_usize(&self.full(key))?;
        value.map(|value| self.bounded(key, value, MAX_COUNT)).transpose()
    }

    /// A required width of a vector.
    pub fn width(&self, key: &str) -> Result<usize, Error> {
        self.bounded(key, self.metadata.usize(&self.full(key))?, MAX_WIDTH)
    }

    /// An optional width of a vector.
    pub fn opt_width(&self, key: &str) -> Result<Option<usize>, Error> {
        let value = self.metadata.opt_usize(&self.full(key))?;
        value.map(|value| self.bounded(key, value, MAX_WIDTH)).transpose()
    }

    /// An optional integer, as it stands.
    pub fn opt_usize(&self, key: &str) -> Result<Option<usize>, Error> {
        Ok(self.metadata.opt_usize(&self.full(key))?)
    }

    /// A required float.
    pub fn f32(&self, key: &str) -> Result<f32, Error> {
        Ok(self.metadata.f32(&self.full(key))?)
    }

    /// An optional float.
    pub fn opt_f32(&self, key: &str) -> Result<Option<f32>, Error> {
        Ok(self.metadata.opt_f32(&self.full(key))?)
    }

    /// A required flag.
    pub fn bool(&self, key: &str) -> Result<bool, Error> {
        Ok(self.metadata.bool(&self.full(key))?)
    }

    /// An optional flag.
    pub fn opt_bool(&self, key: &str) -> Result<Option<bool>, Error> {
        Ok(self.metadata.opt_bool(&self.full(key))?)
    }

    /// An optional string.
    pub fn opt_str(&self, key: &str) -> Result<Option<&'a str>, Error> {
        Ok(self.metadata.opt_str(&self.full(key))?)
    }

    /// A required array of token ids.
    pub fn ids(&self, key: &str) -> Result<Vec<u32>, Error> {
        let key = self.full(key);
        let missing = || gguf::Error::MissingKey { key: key.clone() };
        Ok(self.metadata.u32s(&key)?.ok_or_else(missing)?)
    }

    /// An optional array of numbers.
    pub fn numbers(&self, key: &str) -> Result<Option<Vec<u64>>, Error> {
        Ok(self.metadata.u64s(&self.full(key))?)
    }

    /// A value per layer: one number for all, or an array with one for each.
    pub fn per_layer(&self, key: &str, n_layer: usize) -> Result<Option<Vec<usize>>, Error> {
        let full = self.full(key);
        match self.metadata.get(&full) {
            None => Ok(None),
            Some(gguf::Value::Array(_)) => {
                let values = self.metadata.u32s(&full)?.unwrap_or_default();
                if values.len() < n_layer {
                    let value = format!("an array of {}", values.len());
                    let expected = format!("{n_layer} values, one per layer");
                    return Err(Error::Value { key: full, value, expected });
                }
                Ok(Some(values.into_iter().take(n_layer).map(|v| v as usize).collect()))
            }
            Some(_) => Ok(self.metadata.opt_usize(&full)?.map(|value| vec![value; n_layer])),
        }
    }

    /// A float per layer: one for all, or an array with one for each.
    pub fn floats(&self, key: &str, n_layer: usize) -> Result<Option<Vec<f32>>, Error> {
        self.floats_of(self.full(key), n_layer)
    }

    /// The same of a key without the architecture's prefix, which must be there.
    pub fn global_floats(&self, key: &str, n_layer: usize) -> Result<Vec<f32>, Error> {
        let missing = || gguf::Error::MissingKey { key: key.to_owned() };
        Ok(self.floats_of(key.to_owned(), n_layer)?.ok_or_else(missing)?)
    }

    fn floats_of(&self, key: String, n_layer: usize) -> Result<Option<Vec<f32>>, Error> {
        match self.metadata.get(&key) {
            None => Ok(None),
            Some(gguf::Value::Array(_)) => {
                let values = self.metadata.f32s(&key)?.unwrap_or_default();
                if values.len() < n_layer {
                    let value = format!("an array of {}", values.len());
                    let expected = format!("{n_layer} values, one per layer");
                    return Err(Error::Value { key, value, expected });
                }
                Ok(Some(values[..n_layer].to_vec()))
            }
            Some(_) => Ok(self.metadata.opt_f32(&key)?.map(|value| vec![value; n_layer])),
        }
    }

    /// Checks that layers `il` and `other` agree in the values of a key.
    pub fn same_per_layer<T: PartialEq + Display>(
        &self,
        key: &str,
        values: &[T],
        il: usize,
        other: usize,
    ) -> Result<(), Error> {
        if values[il] == values[other] {
            return Ok(());
        }
        Err(Error::Value {
            key: self.full(key),
            value: format!("{} in layer {il}", values[il]),
            expected: format!("{} as in layer {other}, whose keys it reads", values[other]),
        })
    }

    /// Which layers attend to a sliding window: an array of flags, or a period (0: all slide), which
    /// is `period` unless the file names one. The last layer of each period attends to everything,
    /// or the first one.
    pub fn sliding_layers(
        &self,
        n_layer: usize,
        period: usize,
        dense_first: bool,
    ) -> Result<Vec<bool>, Error> {
        let key = "attention.sliding_window_pattern";
        if let Some(flags) = self.flags(key, n_layer)? {
            return Ok(flags);
        }
        let period = self.opt_usize(key)?.unwrap_or(period);
        let slides = |il: usize| match (period, dense_first) {
            (0, _) => true,
            (_, true) => !il.is_multiple_of(period),
            (_, false) => il % period + 1 != period,
        };
        Ok((0..n_layer).map(slides).collect())
    }

    /// Which layers have a recurrent mixer: flags, or all but the last of each period, which may
    /// be the file's.
    pub fn recurrent_layers(&self, n_layer: usize, period: usize) -> Result<Vec<bool>, Error> {
        if let Some(flags) = self.flags("attention.recurrent_layers", n_layer)? {
            return Ok(flags);
        }
        let period =
            self.opt_usize("full_attention_interval")?.filter(|&n| n > 0).unwrap_or(period);
        Ok((1..=n_layer).map(|n| !n.is_multiple_of(period)).collect())
    }

    /// An array with a flag per layer, which may be stored as numbers; `None` where the key is
    /// missing or no array.
    pub fn flags(&self, key: &str, n_layer: usize) -> Result<Option<Vec<bool>>, Error> {
        let key = self.full(key);
        let Some(gguf::Value::Array(_)) = self.metadata.get(&key) else { return Ok(None) };
        let flags = match self.metadata.bools(&key) {
            Ok(flags) => flags.unwrap_or_default(),
            Err(_) => {
                self.metadata.u32s(&key)?.unwrap_or_default().iter().map(|&v| v != 0).collect()
            }
        };
        if flags.len() < n_layer {
            let value = format!("an array of {}", flags.len());
            let expected = format!("{n_layer} flags, one per layer");
            return Err(Error::Value { key, value, expected });
        }
        Ok(Some(flags[..n_layer].to_vec()))
    }
}

/// The sizes that nearly every transformer has.
#[derive(Debug, Clone)]
pub struct Hparams {
    /// Number of layers, without those that predict further tokens beside them.
    pub n_layer: usize,
    /// Width of the residual stream.
    pub n_embd: usize,
    /// Context length in training.
    pub n_ctx_train: usize,
    /// Query heads of each layer; none for layers without attention.
    pub n_head: Vec<usize>,
    /// Key/value heads of each layer.
    pub n_head_kv: Vec<usize>,
    /// Width of a query or key head; 0 for models without attention.
    pub head_dim: usize,
    /// Width of a value head.
    pub head_dim_v: usize,
    /// Rotated values of a head.
    pub n_rot: usize,
    /// Whether positions see only earlier ones, unless the architecture knows better.
    pub causal: bool,
    /// Number of experts; 0 for dense models.
    pub n_expert: usize,
    /// Experts per token.
    pub n_expert_used: usize,
}

impl Hparams {
    /// Reads and checks the common keys.
    pub fn load(keys: &Keys<'_>) -> Result<Self, Error> {
        let n_layer_all = keys.count("block_count")?;
        let n_next = keys.opt_usize("nextn_predict_layers")?.unwrap_or(0);
        // A draft model may have no others.
        let n_next = if n_next == n_layer_all { 0 } else { n_next };
        let n_layer = keys.bounded("block_count", n_layer_all.saturating_sub(n_next), MAX_COUNT)?;
        let n_embd = keys.width("embedding_length")?;
        let heads = keys.per_layer("attention.head_count", n_layer)?;
        let n_head = heads.unwrap_or_else(|| vec![0; n_layer]);
        let n_head_kv =
            keys.per_layer("attention.head_count_kv", n_layer)?.unwrap_or_else(|| n_head.clone());
        let usual = n_head.first().map_or(0, |&n_head| n_embd.checked_div(n_head).unwrap_or(0));
        let head_dim = keys.opt_width("attention.key_length")?.unwrap_or(usual);
        let n_rot = keys.opt_usize("rope.dimension_count")?.unwrap_or(head_dim);
        let n_expert = keys.opt_usize("expert_count")?.filter(|&n| n > 1).unwrap_or(0);
        let used = keys.per_layer("expert_used_count", n_layer)?.unwrap_or_default();
        let n_expert_used = used.into_iter().max().unwrap_or(0);
        if n_expert > 0 && !(1..=n_expert.min(MAX_COUNT)).contains(&n_expert_used) {
            return Err(Error::Value {
                key: keys.full("expert_used_count"),
                value: n_expert_used.to_string(),
                expected: format!("1 to {}", n_expert.min(MAX_COUNT)),
            });
        }
        Ok(Self {
            n_layer,
            n_embd,
            n_ctx_train: keys.width("context_length")?,
            n_head,
            n_head_kv,
            head_dim,
            head_dim_v: keys.opt_width("attention.value_length")?.unwrap_or(usual),
            n_rot,
            causal: keys.opt_bool("attention.causal")?.unwrap_or(true),
            n_expert,
            n_expert_used,
        })
    }

    /// The heads of layer `il`, of the usual widths.
    pub fn heads(&self, il: usize) -> Result<Heads, Error> {
        let heads = Heads {
            n_head: self.n_head[il],
            n_head_kv: self.n_head_kv[il],
            head_dim: self.head_dim,
            head_dim_v: self.head_dim_v,
        };
        heads.check()
    }
}

/// The heads of an attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    /// Query heads.
    pub n_head: usize,
    /// Key/value heads, of which each serves as many query heads.
    pub n_head_kv: usize,
    /// Width of a query or key head.
    pub head_dim: usize,
    /// Width of a value head.
    pub head_dim_v: usize,
}

impl Heads {
    /// The same, if they can be.
    pub fn check(self) -> Result<Self, Error> {
        let Self { n_head, n_head_kv, head_dim, head_dim_v } = self;
        let value = |key: &str, value: usize, expected: String| {
            Err(Error::Value { key: key.into(), value: value.to_string(), expected })
        };
        if !(1..=MAX_COUNT).contains(&n_head) {
            return value("attention.head_count", n_head, format!("1 to {MAX_COUNT}"));
        }
        if n_head_kv == 0 || !n_head.is_multiple_of(n_head_kv) {
            let expected = format!("a divisor of the {n_head} query heads");
            return value("attention.head_count_kv", n_head_kv, expected);
        }
        for (key, width) in [("key_length", head_dim), ("value_length", head_dim_v)] {
            if !(1..=MAX_WIDTH).contains(&width) {
                let key = format!("attention.{key}");
                return value(&key, width, format!("1 to {MAX_WIDTH}"));
            }
        }
        Ok(self)
    }

    /// What a position stores, for queries that may see all of them.
    pub fn kv(self) -> KvShape {
        let Self { n_head_kv, head_dim, head_dim_v, .. } = self;
        KvShape { n_head_kv, head_dim, head_dim_v, window: None }
    }
}
