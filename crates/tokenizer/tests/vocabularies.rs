//! Cuts of published vocabularies against what llama.cpp makes of them.

mod common;

use common::{BPE, OTHERS, SPM, build, read, tokenizer};
use serde_json::{Value, json};
use tokenizer::Error;

#[test]
fn ids_equal_those_of_llama_cpp() {
    for name in BPE.into_iter().chain(SPM).chain(OTHERS) {
        let file = read(name);
        let tokenizer = tokenizer(name);
        let cases = file["cases"].as_array().expect("cases");
        assert!(cases.len() >= 61);
        for case in cases {
            let text = case["text"].as_str().expect("a text");
            for (key, special, parse) in
                [("ids", false, true), ("special", true, true), ("plain", false, false)]
            {
                let ids: Value = json!(tokenizer.encode(text, special, parse));
                assert_eq!(ids, case[key], "{name}, {key} of {text:?}");
            }
        }
    }
}

#[test]
fn texts_equal_those_of_llama_cpp() {
    for name in OTHERS {
        let file = read(name);
        let tokenizer = tokenizer(name);
        for case in file["cases"].as_array().expect("cases") {
            let text = case["text"].as_str().expect("a text");
            let ids = tokenizer.encode(text, true, true);
            let shown = tokenizer.detokenize(&ids, false, true);
            assert_eq!(shown, case["shown"], "{name}, {text:?}");
            let detokenized = tokenizer.detokenize(&ids, true, false);
            assert_eq!(detokenized, case["detokenized"], "{name}, {text:?}");
        }
    }
}

#[test]
fn pre_tokenizers_cut_as_llama_cpp_does() {
    let cases = read("pre");
    let mut names = 0;
    for group in cases["groups"].as_array().expect("groups") {
        let file = read(group["vocab"].as_str().expect("a name"));
        for pre in group["pre"].as_array().expect("names") {
            names += 1;
            let pre = pre.as_str().expect("a name");
            let tokenizer = build(&file, |parts| (parts.model, parts.pre) = ("gpt2", pre));
            let tokenizer = tokenizer.unwrap_or_else(|error| panic!("{pre}: {error}"));
            let ids = group["ids"].as_array().expect("ids");
            for (text, ids) in cases["texts"].as_array().expect("texts").iter().zip(ids) {
                let text = text.as_str().expect("a text");
                assert_eq!(json!(tokenizer.encode(text, true, true)), *ids, "{pre}, {text:?}");
            }
        }
    }
    assert_eq!(names, 91 + 4, "all but whitespace, and those over characters twice");
}

#[test]
fn special_tokens_are_found() {
    let file = read("smollm");
    let smollm = tokenizer("smollm");
    let im_end = smollm.find("<|im_end|>").expect("in the cut");
    assert_eq!((smollm.bos(), smollm.eos()), (smollm.find("<|im_start|>"), Some(im_end)));
    assert!(smollm.is_eog(im_end) && smollm.is_control(im_end));
    assert!(!smollm.add_bos() && !smollm.add_eos());
    let ends: Vec<_> = smollm.eog_tokens().iter().filter_map(|id| smollm.token_text(*id)).collect();
    assert_eq!(ends, ["<|endoftext|>", "<|im_end|>", "<reponame>"]);
    assert_eq!(smollm.special().eot, Some(im_end));
    assert_eq!(smollm.n_vocab(), file["tokens"].as_array().expect("tokens").len());

    let llama = tokenizer("llama-bpe");
    assert!(llama.add_bos(), "the pre-tokenizer says so");
    assert!(llama.is_eog(llama.find("<|eot_id|>").expect("in the cut")));
    assert!(tokenizer("llama-spm").add_bos());
}

#[test]
fn control_tokens_show_only_on_demand() {
    let t = tokenizer("smollm");
    let ids = t.encode("<|im_start|>user\nHi<|im_end|>", false, true);
    assert_eq!(t.decode(&ids, true), "<|im_start|>user\nHi<|im_end|>");
    assert_eq!(t.decode(&ids, false), "user\nHi");
}

#[test]
fn decoders_never_split_a_character() {
    for name in ["smollm", "llama-spm"] {
        let t = tokenizer(name);
        let ids = t.encode("a🦙é漢", false, false);
        let mut decoder = t.decoder(false);
        let parts: Vec<String> = ids.iter().map(|id| decoder.push(*id).to_owned()).collect();
        assert!(parts.len() > 4, "the cut has no token for the llama");
        assert!(parts.iter().all(|p| !p.contains('\u{fffd}')), "{parts:?}");
        assert_eq!(parts.concat().trim_start(), "a🦙é漢");
        assert_eq!(decoder.finish(), "");

        let llama = t.encode("🦙", false, false);
        let cut = &llama[..llama.len() - 1];
        assert_eq!(t.decode(cut, false).trim_start(), "\u{fffd}");
        // A byte that can't continue the character ends it.
        let broken = [cut, &t.encode("x", false, false)].concat();
        assert_eq!(t.decode(&broken, false).replace(' ', ""), "\u{fffd}x");
    }
}

#[test]
fn broken_files_are_errors() {
    let file = read("smollm");
    let name = |error: Option<Error>| format!("{:?}", error.expect("an error"));
    let error = build(&file, |p| p.model = "unheard-of").err();
    assert!(name(error).starts_with("UnknownModel"));
    let error = build(&file, |p| p.pre = "unheard-of").err().expect("an error");
    assert!(error.to_string().contains("llama-bpe"), "{error}");
    assert!(name(build(&file, |p| p.merges = None).err()).starts_with("Missing"));
    assert!(name(build(&file, |p| p.types.truncate(9)).err()).starts_with("TooShort"));
    assert!(name(build(&file, |p| p.tokens[7] = p.tokens[8]).err()).starts_with("DuplicateToken"));
    let spm = read("llama-spm");
    assert!(name(build(&spm, |p| p.scores.truncate(9)).err()).starts_with("TooShort"));
    assert!(name(build(&spm, |p| p.scores[7] = f32::NAN).err()).starts_with("Score"));
    let t5 = read("t5");
    assert!(name(build(&t5, |p| p.scores[7] = f32::INFINITY).err()).starts_with("Score"));
    assert!(name(build(&t5, |p| p.precompiled_charsmap.truncate(9)).err()).starts_with("Charsmap"));
    let plamo2 = read("plamo2");
    assert!(name(build(&plamo2, |p| p.types[20] = 1).err()).starts_with("MissingByte"));
}

const ODD_MERGES: [&[u8]; 6] = [b"", b" ", b"  ", b"a", b"a b c", b"\xff \xfe"];

#[test]
fn odd_files_do_no_harm() {
    let texts = ["", " ", "a b", "<unk>", "🦙\n\n12 é"];
    for name in BPE.into_iter().chain(SPM).chain(OTHERS) {
        let file = read(name);
        let odd: [for<'a> fn(&mut tokenizer::Parts<'a>); 8] = [
            |p| p.ids = vec![("bos", u32::MAX), ("eos", 1 << 30)],
            |p| p.tokens.truncate(3),
            |p| p.tokens.clear(),
            |p| p.merges = p.merges.take().map(|_| ODD_MERGES.to_vec()),
            |p| p.tokens[5] = b"\xc3",
            |p| p.types.iter_mut().for_each(|t| *t = 6),
            |p| p.scores.iter_mut().for_each(|score| *score = -f32::MAX),
            |p| p.precompiled_charsmap = [&[64, 0, 0, 0], [255; 64].as_slice(), &[0]].concat(),
        ];
        for change in odd {
            // Either it is told to be unusable, or it works.
            let Ok(t) = build(&file, change) else { continue };
            for text in texts {
                let ids = t.encode(text, true, true);
                assert!(ids.iter().all(|id| (*id as usize) < t.n_vocab()));
                t.decode(&ids, true);
            }
            assert_eq!(t.decode(&[u32::MAX, 1 << 31], true), "");
        }
    }
}
