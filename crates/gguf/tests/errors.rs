//! Each refusal has its own message.

mod common;

use bytes::Bytes;
use common::Raw;
use gguf::{FileKind, Gguf, Header};

fn refusal(bytes: impl Into<Bytes>) -> String {
    Gguf::parse(bytes.into()).unwrap_err().to_string()
}

#[track_caller]
fn assert_refused(raw: &Raw, expected: &str) {
    let message = refusal(raw.done());
    assert!(message.contains(expected), "{message:?} lacks {expected:?}");
}

#[test]
fn files_that_are_not_there_or_not_files() {
    let folder = common::folder("errors");
    let open = |name: &str| Gguf::open(&folder.join(name)).unwrap_err().to_string();

    let missing = open("missing.gguf");
    assert!(missing.starts_with("can't open ") && missing.contains("missing.gguf: "), "{missing}");
    assert!(open(".").ends_with("is a directory; name a .gguf file in it"));
    std::fs::write(folder.join("empty.gguf"), "").unwrap();
    assert!(open("empty.gguf").ends_with("empty.gguf: the file is empty; download it again"));
    std::fs::write(folder.join("page.gguf"), "<!DOCTYPE html>").unwrap();
    assert!(open("page.gguf").contains("page.gguf: not a GGUF file: it is an HTML page"));
    assert_eq!(refusal(""), "the file is empty; download it again");
}

#[test]
fn other_kinds_of_files() {
    let kind = |bytes: &[u8]| match Gguf::parse(Bytes::copy_from_slice(bytes)) {
        Err(gguf::Error::NotGguf { kind }) => kind,
        other => panic!("{other:?}"),
    };
    assert_eq!(kind(b"hello, w\xc3\xb6rld\n"), FileKind::Text);
    assert_eq!(kind(b"a"), FileKind::Text);
    assert_eq!(kind(b"{\"error\": 404}"), FileKind::Text);
    assert_eq!(kind(b"\n<HTML><body>"), FileKind::Html);
    assert_eq!(kind(b"version https://git-lfs.github.com/spec/v1\n"), FileKind::LfsPointer);
    assert_eq!(kind(b"\x40\x01\0\0\0\0\0\0{\"w\":{}}"), FileKind::Safetensors);
    assert_eq!(kind(b"PK\x03\x04aaaaaaaa"), FileKind::Zip);
    assert_eq!(kind(b"PK\x03\x04aaaaaaaamodel/data.pkl"), FileKind::PyTorchZip);
    assert_eq!(kind(b"\x80\x02}q\0"), FileKind::Pickle);
    assert_eq!(kind(b"\x1f\x8b\x08\0"), FileKind::Gzip);
    assert_eq!(kind(b"MZqFpD='\n"), FileKind::Executable);
    assert_eq!(kind(b"\x7fELF\x02"), FileKind::Executable);
    assert_eq!(kind(&[0; 40]), FileKind::Zeros);
    assert_eq!(kind(b"\xde\xad\xbe\xef\x01"), FileKind::Unknown([0xde, 0xad, 0xbe, 0xef]));
    assert!(refusal(&b"\xde\xad\xbe\xef\x01"[..]).contains(r#"begins with "\xde\xad\xbe\xef""#));
}

#[test]
fn old_foreign_and_future_formats() {
    for (magic, name) in [(b"lmgg", "ggml"), (b"fmgg", "ggmf"), (b"tjgg", "ggjt")] {
        let message = refusal(magic.to_vec());
        assert!(message.contains(name) && message.contains("convert"), "{message}");
    }
    assert!(refusal(b"GGUF\0\0\0\x03".to_vec()).contains("big-endian"));
    assert!(refusal(b"GGUF\x04\0\0\0".to_vec()).contains("version 4 is not supported"));
    assert!(refusal(b"GGUF\0\0\0\0".to_vec()).contains("version 0"));
    assert!(refusal(b"GGUF\x03\0".to_vec()).contains("ends within the version: 4 bytes expected"));
    assert!(refusal(b"GGUF\x03\0\0\0\0".to_vec()).contains("within the counts"));
}

#[test]
fn metadata() {
    let mut raw = Raw::new(3, 0, u64::MAX);
    assert_refused(&raw, "claims 18446744073709551615 metadata keys, at most 0 are possible");

    raw = Raw::new(3, 0, 1);
    raw.size(1 << 60).raw(&[b'a'; 40]);
    assert_refused(&raw, "within metadata key 0: 1152921504606846976 bytes expected, 40 left");

    raw = Raw::new(3, 0, 1);
    assert_refused(raw.pair("", 0, &[0; 9]), "key number 0 is empty");

    raw = Raw::new(3, 0, 1);
    assert_refused(raw.pair(&"k".repeat(65_536), 0, &[0]), "longer than 65535 bytes");

    raw = Raw::new(3, 0, 1);
    assert_refused(raw.string(b"\xff\xff").raw(&[0; 20]), "key number 0 is not valid UTF-8");

    raw = Raw::new(3, 0, 2);
    raw.pair("same", 0, &[0]).pair("same", 0, &[1]);
    assert_refused(&raw, "metadata key same occurs twice");

    raw = Raw::new(3, 0, 1);
    assert_refused(raw.pair("k", 13, &[0; 9]), "metadata key k: unknown value type 13");

    raw = Raw::new(3, 0, 1);
    assert_refused(raw.pair("key", 10, &[0; 7]), "within the value of key: 8 bytes expected, 7");

    raw = Raw::new(3, 0, 1);
    raw.string(b"list").u32(9).u32(8).size(1 << 61).raw(&[0; 16]);
    assert_refused(&raw, "within the value of list: 18446744073709551615 bytes expected, 16 left");

    raw = Raw::new(3, 0, 1);
    raw.string(b"deep").u32(9);
    for _ in 0..1000 {
        raw.u32(9).size(1);
    }
    assert_refused(&raw, "metadata key deep: arrays are nested more than 4 deep");

    for bad in [0u32, 3, 1 << 21, u32::MAX] {
        raw = Raw::new(3, 0, 1);
        raw.pair("general.alignment", 4, &bad.to_le_bytes());
        assert_refused(&raw, &format!("at most 1048576, found {bad}"));
    }
    raw = Raw::new(3, 0, 1);
    raw.pair("general.alignment", 6, &[0; 4]);
    assert_refused(&raw, "general.alignment: expected u32, found f32");
}

#[test]
fn tensors() {
    let one = |shape: &[u64], ty, offset| {
        let mut raw = Raw::new(3, 1, 0);
        raw.tensor("w", shape, ty, offset).data(&[0; 4096]);
        raw
    };
    assert_refused(&Raw::new(3, 1 << 40, 0), "claims 1099511627776 tensors, at most 0");
    assert_refused(&one(&[1; 5], 0, 0), "tensor w: 5 dimensions, 1 to 4 are possible");
    assert_refused(&one(&[4, 0], 0, 0), "tensor w: dimension 1 is zero");
    assert_refused(&one(&[1 << 32, 1 << 32], 0, 0), "tensor w: shape [4294967296, 4294967296]");
    assert_refused(&one(&[1 << 62], 0, 0), "is too large");
    assert_refused(&one(&[1], 0, u64::MAX), "is too large");
    assert_refused(&one(&[1], 0, u64::MAX - 31), "is too large");
    assert_refused(&one(&[33], 2, 0), "rows of 33 values are not whole blocks of q4_0 (32 values)");
    assert_refused(&one(&[1], 0, 8), "tensor w: its data begins at 8, not a multiple of 32");
    assert_refused(&one(&[1], 31, 0), "tensor w: tensor type 31 (q4_0_4_4) was retired");
    assert_refused(&one(&[1], 4, 0), "requantise it from its source to q4_0");
    assert_refused(&one(&[1], 99, 0), "tensor w: tensor type 99 is unknown");

    let mut raw = Raw::new(3, 2, 0);
    raw.tensor("w", &[1], 0, 0).tensor("w", &[1], 0, 32).data(&[0; 64]);
    assert_refused(&raw, "tensor w occurs twice");

    let mut raw = Raw::new(3, 1, 0);
    raw.string(b"\xff").raw(&[0; 40]);
    assert_refused(&raw, "tensor number 0 has a name that is not valid UTF-8");

    let mut raw = Raw::new(3, 1, 0);
    raw.string(b"part").u32(2).size(4).raw(&[0; 8]);
    assert_refused(&raw, "within the description of tensor part: 4 bytes expected, 0 left");
}

#[test]
fn missing_data() {
    let mut raw = Raw::new(3, 2, 0);
    raw.tensor("a", &[8], 0, 0).tensor("b", &[8], 0, 32).data(&[0; 40]);
    let size = raw.bytes.len();
    let expected =
        format!("data of tensor b ends 24 bytes after the end of the file, which has {size};");
    assert_refused(&raw, &expected);
    assert_eq!(Header::parse(&raw.done()).unwrap().tensors().len(), 2);
    assert!(Gguf::parse(raw.raw(&[0; 24]).done()).is_ok());
}
