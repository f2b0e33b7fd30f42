//! Files that older converters wrote.

use backend::KvType;
use bytes::Bytes;
use fixtures::Fixture;
use gguf::{Gguf, Writer};
use model::{Context, Outputs};
use reference::Reference;

fn logits(gguf: &Gguf, tokens: &[u32]) -> Vec<u32> {
    let model = model::load(gguf).expect("the model loads");
    let mut context =
        Context::new(model, Box::new(Reference::new()), 64, KvType::F32).expect("memory");
    let logits = context.decode(tokens, Outputs::All).expect("a valid batch");
    logits.iter().map(|v| v.to_bits()).collect()
}

/// The first Mixtral files have a tensor for each expert: `blk.0.ffn_gate.3.weight`.
#[test]
fn experts_may_be_tensors_of_their_own() {
    let fixture = Fixture::named("llama-moe");
    let new = fixture.model();
    let mut writer = Writer::new();
    for (key, value) in new.metadata().iter() {
        writer.put(key, value).expect("a new key");
    }
    for tensor in new.tensors() {
        let data = new.data(tensor);
        let Some(part) = tensor.name.strip_suffix("_exps.weight") else {
            let write = move |out: &mut dyn std::io::Write| out.write_all(&data);
            writer.tensor(&tensor.name, tensor.ty, &tensor.shape, write).expect("a new tensor");
            continue;
        };
        let size = data.len() / tensor.shape[2];
        for e in 0..tensor.shape[2] {
            let expert = data.slice(e * size..(e + 1) * size);
            let write = move |out: &mut dyn std::io::Write| out.write_all(&expert);
            let name = format!("{part}.{e}.weight");
            writer.tensor(&name, tensor.ty, &tensor.shape[..2], write).expect("a new tensor");
        }
    }
    let mut file = Vec::new();
    writer.finish(&mut file).expect("memory");
    let old = Gguf::parse(Bytes::from(file)).expect("a valid file");
    assert!(old.tensor("blk.0.ffn_gate.3.weight").is_some());
    let tokens = &fixture.tokens()[..20];
    assert_eq!(logits(&old, tokens), logits(&new, tokens));
}
