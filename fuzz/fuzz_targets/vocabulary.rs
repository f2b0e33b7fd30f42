//! Any file header: its tokenizer is an error, or works.
//!
//! Good first inputs are small GGUF files with a vocabulary.
#![no_main]

use bytes::Bytes;
use gguf::Header;
use libfuzzer_sys::fuzz_target;
use tokenizer::Tokenizer;

const TEXT: &str = "Hi, 12 <s>a</s> <dna>ACGTAC</dna>\n\n  \u{2581}é漢🦙e\u{301} <0x41> \\x41";

fuzz_target!(|file: &[u8]| {
    let Ok(header) = Header::parse(&Bytes::copy_from_slice(file)) else { return };
    let Ok(tokenizer) = Tokenizer::from_metadata(header.metadata()) else { return };
    for parse_special in [false, true] {
        let ids = tokenizer.encode(TEXT, true, parse_special);
        assert!(ids.iter().all(|id| (*id as usize) < tokenizer.n_vocab()));
        tokenizer.detokenize(&ids, parse_special, true);
    }
    for id in 0..tokenizer.n_vocab().min(1000) as u32 {
        tokenizer.token_bytes(id);
    }
});
