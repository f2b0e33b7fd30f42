//! Hyper-parameters: metadata under the architecture's prefix.

use gguf::Metadata;

use crate::error::Error;

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

    /// An optional string.
    pub fn opt_str(&self, key: &str) -> Result<Option<&'a str>, Error> {
        Ok(self.metadata.opt_str(&self.full(key))?)
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

    /// Checks that layers `il` and `other` agree in the values of a key.
    pub fn same_per_layer(
        &self,
        key: &str,
        values: &[usize],
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

    /// Which layers attend to a sliding window: an array of flags, or a period `n` of which the
    /// last layer attends to everything (0: all layers slide).
    pub fn sliding_layers(&self, n_layer: usize, period: usize) -> Result<Vec<bool>, Error> {
        let key = self.full("attention.sliding_window_pattern");
        if let Some(gguf::Value::Array(_)) = self.metadata.get(&key) {
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
            return Ok(flags[..n_layer].to_vec());
        }
        let period = self.metadata.opt_usize(&key)?.unwrap_or(period);
        Ok((0..n_layer).map(|il| period == 0 || il % period < period - 1).collect())
    }
}

/// The sizes that nearly every transformer has.
#[derive(Debug, Clone)]
pub struct Hparams {
    /// Number of layers.
    pub n_layer: usize,
    /// Width of the residual stream.
    pub n_embd: usize,
    /// Context length in training.
    pub n_ctx_train: usize,
    /// Query heads of each layer.
    pub n_head: Vec<usize>,
    /// Key/value heads of each layer.
    pub n_head_kv: Vec<usize>,
    /// Width of a query or key head.
    pub head_dim: usize,
    /// Width of a value head.
    pub head_dim_v: usize,
    /// Rotated values of a head.
    pub n_rot: usize,
    /// Width of each layer's dense feed-forward; 0 where the file names none.
    pub n_ff: Vec<usize>,
    /// Epsilon of root-mean-square norms.
    pub norm_eps: f32,
    /// Number of experts; 0 for dense models.
    pub n_expert: usize,
    /// Experts per token.
    pub n_expert_used: usize,
}

impl Hparams {
    /// Reads and checks the common keys.
    pub fn load(keys: &Keys<'_>) -> Result<Self, Error> {
        let n_layer = keys.count("block_count")?;
        let n_embd = keys.width("embedding_length")?;
        let n_head = keys.per_layer("attention.head_count", n_layer)?.unwrap_or_default();
        let n_head_kv =
            keys.per_layer("attention.head_count_kv", n_layer)?.unwrap_or_else(|| n_head.clone());
        for (&n_head, &n_head_kv) in n_head.iter().zip(&n_head_kv) {
            if n_head_kv == 0 || n_head > MAX_COUNT || n_head % n_head_kv != 0 || n_head == 0 {
                return Err(Error::Value {
                    key: keys.full("attention.head_count_kv"),
                    value: n_head_kv.to_string(),
                    expected: format!("a divisor of the {n_head} query heads"),
                });
            }
        }
        let Some(&first) = n_head.first() else {
            return Err(gguf::Error::MissingKey { key: keys.full("attention.head_count") }.into());
        };
        let head_dim = match keys.opt_width("attention.key_length")? {
            Some(width) => width,
            None => keys.bounded("embedding_length", n_embd / first, MAX_WIDTH)?,
        };
        let head_dim_v = match keys.opt_width("attention.value_length")? {
            Some(width) => width,
            None => keys.bounded("embedding_length", n_embd / first, MAX_WIDTH)?,
        };
        let n_rot = keys.opt_width("rope.dimension_count")?.unwrap_or(head_dim);
        if n_rot > head_dim || !n_rot.is_multiple_of(2) {
            return Err(Error::Value {
                key: keys.full("rope.dimension_count"),
                value: n_rot.to_string(),
                expected: format!("an even number of at most {head_dim}"),
            });
        }
        let n_expert = keys.opt_usize("expert_count")?.filter(|&n| n > 1).unwrap_or(0);
        let n_expert_used = keys.opt_usize("expert_used_count")?.unwrap_or(0);
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
            head_dim_v,
            n_rot,
            n_ff: keys.per_layer("feed_forward_length", n_layer)?.unwrap_or(vec![0; n_layer]),
            norm_eps: keys.opt_f32("attention.layer_norm_rms_epsilon")?.unwrap_or(0.0),
            n_expert,
            n_expert_used,
        })
    }
}
