//! What a model refuses, and how it says so.

use backend::KvType;
use bytes::Bytes;
use fixtures::Fixture;
use gguf::{Gguf, Writer};
use model::{Context, Error, Outputs};
use reference::Reference;

fn context(file: Vec<u8>, n_ctx: usize) -> Result<Context, Error> {
    let gguf = Gguf::parse(Bytes::from(file)).expect("a valid file");
    Context::new(model::load(&gguf)?, Box::new(Reference::new()), n_ctx, KvType::F32)
}

/// The fixture's file with metadata and tensors passed through `keep`, which may change them.
fn rewritten(
    name: &str,
    keep_key: impl Fn(&str) -> bool,
    keep_tensor: impl Fn(&str) -> bool,
) -> Vec<u8> {
    let gguf = Fixture::named(name).model();
    let mut writer = Writer::new();
    for (key, value) in gguf.metadata().iter().filter(|(key, _)| keep_key(key)) {
        writer.put(key, value).expect("a new key");
    }
    for tensor in gguf.tensors().iter().filter(|tensor| keep_tensor(&tensor.name)) {
        let data = gguf.data(tensor);
        writer
            .tensor(&tensor.name, tensor.ty, &tensor.shape, move |out| out.write_all(&data))
            .expect("a new tensor");
    }
    let mut file = Vec::new();
    writer.finish(&mut file).expect("memory");
    file
}

fn refusal(file: Vec<u8>) -> String {
    context(file, 64).err().expect("an error").to_string()
}

#[test]
fn a_missing_tensor_is_named() {
    let file = rewritten("llama", |_| true, |name| name != "blk.1.ffn_norm.weight");
    assert_eq!(refusal(file), "tensor blk.1.ffn_norm.weight is missing");
}

#[test]
fn a_missing_key_is_named() {
    let file = rewritten("llama", |key| key != "llama.block_count", |_| true);
    assert!(refusal(file).contains("llama.block_count"));
}

#[test]
fn a_tensor_of_another_shape_is_named() {
    let file = rewritten("llama", |key| key != "llama.attention.head_count_kv", |_| true);
    let mut model = Fixture::named("llama-gqa").file();
    assert!(context(file, 64).is_ok(), "key/value heads are query heads unless the file says");
    // `llama-gqa` with its 2 key/value heads turned into 4.
    let key = b"llama.attention.head_count_kv";
    let at = model.windows(key.len()).position(|bytes| bytes == key).expect("the key");
    model[at + key.len() + 4] = 4;
    assert_eq!(
        refusal(model),
        "tensor blk.0.attn_k.weight has shape [256, 96]; expected [256, 192, 1]"
    );
}

#[test]
fn experts_must_be_counted() {
    for key in ["qwen3moe.expert_count", "qwen3moe.expert_used_count"] {
        assert!(refusal(rewritten("qwen3moe", |k| k != key, |_| true)).contains(key), "{key}");
    }
}

#[test]
fn experts_are_as_wide_as_their_tensors() {
    let file = rewritten("qwen3moe", |k| k != "qwen3moe.expert_feed_forward_length", |_| true);
    assert!(context(file, 64).is_ok());
    let without_up = rewritten("qwen3moe", |_| true, |name| name != "blk.0.ffn_up_exps.weight");
    assert_eq!(refusal(without_up), "tensor blk.0.ffn_up_exps.weight is missing");
}

#[test]
fn weights_that_are_not_numbers_give_an_error_not_an_answer() {
    let mut file = Fixture::named("llama-linear-tied").file();
    let end = file.len();
    file[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    let mut context = context(file, 64).expect("it loads");
    assert!(matches!(context.decode(&[3, 4, 5], Outputs::Last), Err(Error::NotFinite)));
}

/// Whatever number stands in the place of another: an error, or some model.
#[test]
fn no_number_in_the_metadata_makes_a_model_panic() {
    let mut n_loaded = 0;
    for fixture in Fixture::every() {
        let file = fixture.file();
        let gguf = Gguf::parse(Bytes::from(file.clone())).expect("a valid file");
        let arch = gguf.metadata().str("general.architecture").expect("a name").to_owned();
        let numbers = gguf
            .metadata()
            .iter()
            .filter(|(key, value)| key.starts_with(&arch) && matches!(value, gguf::Value::U32(_)));
        for (key, _) in numbers {
            // With its length before it, which no longer key that begins so has.
            let key = [&(key.len() as u64).to_le_bytes()[..], key.as_bytes()].concat();
            let at = file.windows(key.len()).position(|bytes| bytes == key).expect("the key");
            for value in [0u32, 3, u32::MAX] {
                let mut file = file.clone();
                // Between key and value there is the value's type.
                file[at + key.len() + 4..][..4].copy_from_slice(&value.to_le_bytes());
                if let Ok(mut context) = context(file, 8) {
                    let _ = context.encode(0, &[5, 6]);
                    let _ = context.embed(&[5, 6, 7], None);
                    let _ = context.decode(&[5, 6, 7], Outputs::Last);
                    n_loaded += 1;
                }
            }
        }
    }
    assert!(n_loaded > 0, "some numbers don't matter");
}

#[test]
fn tokens_and_positions_out_of_range_are_refused() {
    let mut context = context(Fixture::named("llama-gqa").file(), 10).expect("it loads");
    let unknown = context.decode(&[5, 128], Outputs::Last);
    assert!(matches!(unknown, Err(Error::Token { id: 128, n_vocab: 128 })));
    assert_eq!(context.len(), 0);
    context.decode(&[5; 8], Outputs::None).expect("room for 8");
    let full = context.decode(&[5; 3], Outputs::Last);
    assert!(matches!(full, Err(Error::ContextFull { needed: 11, n_ctx: 10 })));
    assert_eq!(context.len(), 8);
    context.decode(&[5; 2], Outputs::Last).expect("room for 2");
}
