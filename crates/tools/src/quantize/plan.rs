//! What becomes of each tensor, before anything is converted.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use quant::TensorType;

use super::metadata::Pairs;
use super::recipe::{self, Recipe, Traits, fallback};
use super::role::{self, PER_LAYER_EMBEDDING, Role};
use super::{Error, Options, Override};
use crate::weights::{Tensor, Weights};

/// What becomes of one tensor.
#[derive(Debug, Clone)]
pub struct Planned {
    /// Its name in the output.
    pub name: String,
    /// Values per dimension, the contiguous one first, without trailing dimensions of 1.
    pub shape: Vec<usize>,
    /// Its type in the input.
    pub from: TensorType,
    /// Its type in the output.
    pub to: TensorType,
    /// Bytes in the input.
    pub from_bytes: u64,
    /// Bytes in the output.
    pub to_bytes: u64,
    /// The type it would have if its rows were whole blocks of that.
    pub wanted: TensorType,
    /// It will be garbage without an importance matrix, and there is none for it.
    pub requires_importance: bool,
    /// Which tensor of the input it is.
    pub(crate) source: Tensor,
    /// Means by column, for one expert after the other.
    pub(super) importance: Option<Arc<[f32]>>,
}

impl Planned {
    /// A tensor that becomes `to`, whose blocks its rows are whole ones of, without a recipe.
    pub(crate) fn plain(source: Tensor, to: TensorType) -> Self {
        Self {
            name: source.name.clone(),
            shape: source.shape.clone(),
            from: source.ty,
            to,
            from_bytes: source.bytes(),
            to_bytes: to.row_bytes(source.values()).unwrap_or(0) as u64,
            wanted: to,
            requires_importance: false,
            importance: None,
            source,
        }
    }
}

/// Layers that stay, by their old numbers, and the numbers that they get.
pub(super) struct Layers<'a> {
    pruned: &'a BTreeSet<usize>,
    numbers: HashMap<usize, usize>,
}

impl<'a> Layers<'a> {
    fn new(pruned: &'a BTreeSet<usize>) -> Self {
        Self { pruned, numbers: HashMap::new() }
    }

    /// The new name of a tensor; `None` where its layer goes. Layers are met in ascending order.
    fn rename(&mut self, name: &str) -> Option<String> {
        let Some(old) = role::layer(name).filter(|_| !self.pruned.is_empty()) else {
            return Some(name.to_owned());
        };
        if self.pruned.contains(&old) {
            return None;
        }
        let next = old - self.pruned.range(..old).count();
        let new = *self.numbers.entry(old).or_insert(next);
        Some(name.replacen(&format!("blk.{old}."), &format!("blk.{new}."), 1))
    }

    /// How many stay.
    fn left(&self) -> usize {
        self.numbers.values().max().map_or(0, |last| last + 1)
    }
}

/// Types and names of all tensors of the output, in its order, and the number of layers where some
/// were pruned.
pub(super) fn plan(
    weights: &Weights,
    pairs: &Pairs<'_>,
    options: &Options,
) -> Result<(Vec<Planned>, Option<usize>), Error> {
    let mut sources: Vec<&Tensor> = weights.tensors.iter().collect();
    let order = |tensor: &&Tensor| (role::layer(&tensor.name), tensor.name.clone());
    sources.sort_by_cached_key(order);
    let mut layers = Layers::new(&options.prune);
    let mut named: Vec<(String, &Tensor)> = sources
        .into_iter()
        .filter_map(|source| Some((layers.rename(&source.name)?, source)))
        .collect();
    if options.keep_split {
        named.sort_by_key(|(_, source)| source.place());
    }

    let traits = Traits {
        tied: !named.iter().any(|(name, _)| Role::of(name) == Role::Output),
        n_values: named.iter().filter(|(name, _)| Role::of(name) == Role::Value).count(),
        importance: options.importance.is_some(),
        ..pairs.traits()
    };
    let mut recipe =
        options.target.file_type.map(|mix| Recipe::new(mix, options.target.base, &traits));
    let mut tensors = Vec::with_capacity(named.len());
    for (name, source) in named {
        let shape = shape(source);
        let left = options.leave_output && Role::of(&name) == Role::Output;
        let allowed = !left && role::is_quantised(&traits.architecture, &name, &shape);
        let (wanted, to) = match &mut recipe {
            Some(recipe) if allowed => choose(recipe, options, &name, &shape)?,
            _ => (source.ty, source.ty),
        };
        tensors.push(planned(name, shape, source, wanted, to, options)?);
    }
    let left = (!options.prune.is_empty()).then(|| layers.left());
    Ok((tensors, left))
}

/// The shape without trailing dimensions of 1.
fn shape(tensor: &Tensor) -> Vec<usize> {
    let dims = tensor.shape.iter().rposition(|&len| len > 1).map_or(1, |last| last + 1);
    tensor.shape[..dims].to_vec()
}

/// The type that a matrix shall get, and the one that its shape allows.
fn choose(
    recipe: &mut Recipe<'_>,
    options: &Options,
    name: &str,
    shape: &[usize],
) -> Result<(TensorType, TensorType), Error> {
    let (role, base) = (Role::of(name), options.target.base);
    let by_pattern = || matching(&options.overrides, name);
    if let Some(ty) = options.embedding_type.filter(|_| role == Role::Embedding) {
        // This large table of some models may be named apart.
        if name != PER_LAYER_EMBEDDING || by_pattern().is_none() {
            return Ok((ty, ty));
        }
    }
    if let Some(ty) = options.output_type.filter(|_| role == Role::Output) {
        return Ok((ty, ty));
    }
    if matches!(base, TensorType::F32 | TensorType::F16 | TensorType::BF16) {
        return Ok((base, base));
    }
    let wanted = match by_pattern() {
        Some(ty) => ty,
        None if options.pure => base,
        None => recipe.choose(name, role, shape, options.output_type),
    };
    let row = || Error::Row { tensor: name.to_owned(), cols: shape[0], ty: wanted };
    Ok((wanted, fallback(wanted, shape[0]).ok_or_else(row)?))
}

/// The type of the first pattern that is found in the name.
fn matching(overrides: &[Override], name: &str) -> Option<TensorType> {
    overrides.iter().find(|over| over.matches(name)).map(|over| over.ty)
}

fn planned(
    name: String,
    shape: Vec<usize>,
    source: &Tensor,
    wanted: TensorType,
    to: TensorType,
    options: &Options,
) -> Result<Planned, Error> {
    let (cols, from) = (shape[0], source.ty);
    let values = source.values();
    let mut importance = None;
    let mut requires_importance = false;
    if from != to {
        let is_quantised = ![TensorType::F32, TensorType::F16, TensorType::BF16].contains(&from);
        if from.info().decode.is_none() || to.info().encode.is_none() {
            return Err(Error::Convert { tensor: name, from, to });
        }
        if is_quantised && !options.allow_requantise {
            return Err(Error::Requantise { tensor: name, ty: from });
        }
        importance = importance_of(source, &name, &shape, options)?;
        let role = Role::of(&name);
        requires_importance = recipe::requires_importance(options.target.file_type, role, to);
    }
    let Some(to_bytes) = to.row_bytes(cols).map(|row| row * (values / cols)) else {
        return Err(Error::Row { tensor: name, cols, ty: to });
    };
    Ok(Planned {
        name,
        shape,
        from,
        to,
        from_bytes: source.bytes(),
        to_bytes: to_bytes as u64,
        wanted,
        requires_importance: requires_importance && importance.is_none(),
        source: source.clone(),
        importance,
    })
}

/// The tensor's part of the importance matrix.
fn importance_of(
    source: &Tensor,
    name: &str,
    shape: &[usize],
    options: &Options,
) -> Result<Option<Arc<[f32]>>, Error> {
    let Some(means) = options.importance.as_ref().and_then(|all| all.means.get(&source.name))
    else {
        return Ok(None);
    };
    let expected = shape[0] * shape.get(2).copied().unwrap_or(1);
    match means.len() {
        found if found == expected => Ok(Some(means.clone())),
        // Rows of an embedding are looked up, not multiplied with.
        _ if Role::of(name) == Role::Embedding => Ok(None),
        found => Err(Error::Importance { tensor: name.to_owned(), found, expected }),
    }
}
