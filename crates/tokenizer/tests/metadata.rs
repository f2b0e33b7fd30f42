//! Reading a tokenizer's keys from a file.

use bytes::Bytes;
use gguf::{Header, ValueType, Writer};
use tokenizer::{Error, Parts, Tokenizer};

/// The header of a file with a T5 vocabulary and what `more` adds.
fn header(more: impl FnOnce(&mut Writer) -> Result<(), gguf::Error>) -> Header {
    let write = || -> Result<Header, gguf::Error> {
        let mut writer = Writer::new();
        writer.put("tokenizer.ggml.model", "t5")?;
        let tokens = ["<pad>", "</s>", "<unk>", "\u{2581}", "a", "\u{2581}a"];
        writer.put_array("tokenizer.ggml.tokens", ValueType::String, tokens)?;
        writer.put_array("tokenizer.ggml.scores", ValueType::I32, [0, 0, 0, -3, -2, -4])?;
        writer.put_array("tokenizer.ggml.token_type", ValueType::I32, [3, 3, 2, 1, 1, 1])?;
        writer.put("tokenizer.ggml.add_space_prefix", true)?;
        writer.put_array("tokenizer.ggml.suppress_tokens", ValueType::I32, [4, -1, 99])?;
        more(&mut writer)?;
        let mut file = Vec::new();
        writer.finish(&mut file)?;
        Header::parse(&Bytes::from(file))
    };
    write().expect("a header")
}

#[test]
fn all_keys_are_read() {
    let charsmap = [&[4u8, 0, 0, 0], [0; 4].as_slice(), &[0]].concat();
    let header = header(|writer| {
        writer.put_array("tokenizer.ggml.precompiled_charsmap", ValueType::U8, charsmap.clone())
    });
    let parts = Parts::from_metadata(header.metadata()).expect("all parts");
    assert_eq!(parts.scores, [0.0, 0.0, 0.0, -3.0, -2.0, -4.0]);
    assert_eq!(parts.precompiled_charsmap, charsmap);
    let tokenizer = Tokenizer::new(&parts).expect("a tokenizer");
    assert_eq!(tokenizer.encode("a aa b", true, true), [5, 5, 4, 3, 2, 1]);
    assert_eq!(tokenizer.suppressed_tokens(), [4]);
    assert!(tokenizer.add_eos() && !tokenizer.add_bos() && !tokenizer.add_sep());
}

#[test]
fn wrong_types_are_errors() {
    let header = header(|writer| writer.put("tokenizer.ggml.precompiled_charsmap", "text"));
    let error = Tokenizer::from_metadata(header.metadata()).err().expect("an error");
    assert!(matches!(error, Error::NoBytes("tokenizer.ggml.precompiled_charsmap")), "{error}");
}
