//! Tensors, and what kinds of them take.

use std::collections::HashMap;

use gguf::{Gguf, TensorInfo};
use serde::Serialize;

/// A tensor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TensorFacts {
    /// Its name.
    pub name: String,
    /// Its tensor type.
    #[serde(rename = "type")]
    pub ty: &'static str,
    /// Its shape, contiguous dimension first.
    pub shape: Vec<usize>,
    /// Bytes of its data.
    pub bytes: u64,
}

/// Tensors that have something in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// What: a type, or a layer.
    pub name: String,
    /// How many there are.
    pub tensors: usize,
    /// Values of all.
    pub values: u64,
    /// Bytes of all.
    pub bytes: u64,
}

/// All tensors in the order of the file.
pub(super) fn all(gguf: &Gguf) -> Vec<TensorFacts> {
    let facts = |tensor: &TensorInfo| TensorFacts {
        name: tensor.name.clone(),
        ty: tensor.ty.name(),
        shape: tensor.shape.clone(),
        bytes: tensor.size() as u64,
    };
    gguf.tensors().iter().map(facts).collect()
}

/// By tensor type, those that take most bytes first.
pub(super) fn by_type(gguf: &Gguf) -> Vec<Group> {
    let mut groups = grouped(gguf, |tensor| tensor.ty.name());
    groups.sort_by_key(|group| std::cmp::Reverse(group.bytes));
    groups
}

/// By layer, in order; what belongs to no layer is a group for each name, before and after the
/// layers as in the file.
pub(super) fn by_layer(gguf: &Gguf) -> Vec<Group> {
    let mut groups = grouped(gguf, |tensor| layer(&tensor.name));
    // Where layers lie in another order in the file.
    let places: Vec<usize> =
        (0..groups.len()).filter(|&at| layer_number(&groups[at].name).is_some()).collect();
    let mut layers: Vec<Group> = places.iter().map(|&at| groups[at].clone()).collect();
    layers.sort_by_key(|group| {
        let (stack, number) = group.name.rsplit_once('.').unwrap_or_default();
        (stack.to_owned(), number.parse().unwrap_or(0u32))
    });
    for (at, layer) in places.into_iter().zip(layers) {
        groups[at] = layer;
    }
    groups
}

/// Groups in the order in which they occur.
fn grouped<'a>(gguf: &'a Gguf, name: impl Fn(&'a TensorInfo) -> &'a str) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut places = HashMap::new();
    for tensor in gguf.tensors() {
        let name = name(tensor);
        let place = *places.entry(name).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Group { name: name.to_owned(), tensors: 0, values: 0, bytes: 0 });
        }
        groups[place].tensors += 1;
        groups[place].values += tensor.values() as u64;
        groups[place].bytes += tensor.size() as u64;
    }
    groups
}

/// `blk.7` of `blk.7.attn_q.weight`, `token_embd` of `token_embd.weight`.
pub(super) fn layer(name: &str) -> &str {
    let number = |at: usize| {
        let digits = name[at..].bytes().take_while(u8::is_ascii_digit).count();
        (digits > 0).then_some(&name[..at + digits])
    };
    let block = name.find("blk.").filter(|&at| at == 0 || name[..at].ends_with('.'));
    block
        .and_then(|at| number(at + "blk.".len()))
        .unwrap_or_else(|| name.split('.').next().unwrap_or(name))
}

fn layer_number(name: &str) -> Option<u32> {
    let (stack, number) = name.rsplit_once('.')?;
    number.parse().ok().filter(|_| stack.ends_with("blk"))
}

#[cfg(test)]
mod tests {
    use fixtures::Fixture;

    use super::*;

    #[test]
    fn names_tell_the_layer() {
        assert_eq!(layer("blk.12.attn_q.weight"), "blk.12");
        assert_eq!(layer("enc.blk.0.ffn_up.weight"), "enc.blk.0");
        assert_eq!(layer("token_embd.weight"), "token_embd");
        assert_eq!(layer("output_norm.weight"), "output_norm");
        assert_eq!(layer("sblk.1.x"), "sblk");
    }

    #[test]
    fn groups_add_up() {
        let gguf = Fixture::named("llama-gqa").model();
        let bytes: u64 = gguf.tensors().iter().map(|tensor| tensor.size() as u64).sum();
        for groups in [by_type(&gguf), by_layer(&gguf)] {
            assert_eq!(groups.iter().map(|group| group.bytes).sum::<u64>(), bytes);
            assert_eq!(groups.iter().map(|g| g.tensors).sum::<usize>(), gguf.tensors().len());
        }
        let layers: Vec<String> = by_layer(&gguf)
            .into_iter()
            .map(|group| group.name)
            .filter(|name| name.starts_with("blk."))
            .collect();
        assert_eq!(layers[..2], ["blk.0", "blk.1"]);
    }
}
