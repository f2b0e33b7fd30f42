//! A model over several files is the same model.

mod support;

use std::fs;

use fixtures::Fixture;
use gguf::{Gguf, Header, Value};
use tools::hash::{self, Algorithm, Event};
use tools::split::{self, Limit};

use support::{Folder, contents, with_keys};

fn hashes(model: &Gguf) -> Vec<String> {
    let mut lines = Vec::new();
    hash::hash(model, &Algorithm::ALL, true, &mut |event| {
        if let Event::Done(hash) = event {
            lines.push(hash.line("x"));
        }
    });
    lines
}

#[test]
fn files_have_the_same_tensors_and_join_to_the_same_file() {
    let folder = Folder::new("split");
    let model = Fixture::named("llama-gqa").model();
    let file = with_keys(&model, &[("general.name", Value::String("tiny"))]);
    let path = folder.write("whole.gguf", &file);
    let whole = Gguf::open(&path).expect("a model");
    for (limit, no_tensor_first) in
        [(Limit::Tensors(5), false), (Limit::Bytes(500_000), false), (Limit::Tensors(9), true)]
    {
        let prefix = folder.path("part");
        let shards = split::plan(&whole, &prefix, limit, no_tensor_first).expect("a plan");
        let mut last = (0, 0);
        split::split(&whole, &shards, &mut |done, total| last = (done, total)).expect("files");
        assert!(shards.len() > 2 && last.0 == last.1, "{limit:?} {last:?}");
        assert_eq!(shards[0].tensors.is_empty(), no_tensor_first);
        for shard in &shards {
            match limit {
                Limit::Tensors(most) => assert!(shard.tensors.len() <= most),
                Limit::Bytes(most) => assert!(shard.bytes <= most || shard.tensors.len() == 1),
            }
        }
        let first = &shards[0].path;
        let name = format!("part-00001-of-{:05}.gguf", shards.len());
        assert_eq!(first.file_name().and_then(|name| name.to_str()), Some(name.as_str()));
        assert_eq!(contents(first), contents(&path));
        let parts = Gguf::open(first).expect("a split model");
        assert_eq!(hashes(&parts), hashes(&whole));
        // Only the first has what is known of the model.
        let second = Header::parse(&fs::read(&shards[1].path).expect("a file").into());
        assert_eq!(second.expect("a header").metadata().len(), 3);

        let joined = folder.path("joined.gguf");
        split::merge(&parts, &joined, &mut |_, _| {}).expect("a file");
        assert!(fs::read(&joined).expect("a file") == file, "{limit:?}");
        drop(parts);
        for shard in shards {
            fs::remove_file(shard.path).expect("it is there");
        }
    }
    assert_eq!(folder.names(), ["joined.gguf", "whole.gguf"], "nothing half-written is left");
}

#[test]
fn other_weights_have_other_hashes() {
    let model = Fixture::named("llama-gqa").model();
    let changed = support::changed(&model, &[], |name, mut data| {
        data[7] ^= u8::from(name == "blk.1.ffn_up.weight");
        data
    });
    let (one, other) = (hashes(&model), hashes(&support::parsed(changed)));
    let differ: Vec<&String> =
        one.iter().zip(&other).filter(|(a, b)| a != b).map(|(a, _)| a).collect();
    // Of the tensor by three algorithms, of the model by four.
    assert_eq!(differ.len(), 7, "{differ:?}");
    assert!(differ[..3].iter().all(|line| line.ends_with("x:blk.1.ffn_up.weight")));
    assert_eq!(one.len(), 3 * model.tensors().len() + 4);
}
