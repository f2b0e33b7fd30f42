//! What is written reads back.

mod common;

use std::io::Write;

use gguf::{Error, Gguf, Header, Value, ValueType, Writer};
use proptest::prelude::*;
use quant::TensorType;

fn finish(writer: Writer<'_>) -> Vec<u8> {
    let mut file = Vec::new();
    writer.finish(&mut file).unwrap();
    file
}

#[test]
fn real_headers_are_reproduced_byte_by_byte() {
    for (name, bytes) in common::headers() {
        let header = Header::parse(&bytes).unwrap();
        let mut writer = Writer::new();
        for (key, value) in header.metadata().iter() {
            writer.put(key, value).unwrap();
        }
        for tensor in header.tensors() {
            let size = tensor.size() as u64;
            let data = move |mut out: &mut dyn Write| {
                std::io::copy(&mut std::io::Read::take(std::io::repeat(7), size), &mut out)?;
                Ok(())
            };
            writer.tensor(&tensor.name, tensor.ty, &tensor.shape, data).unwrap();
        }
        let file = finish(writer);
        assert!(file[..bytes.len()] == bytes[..], "{name}");
        let model = Gguf::parse(file.into()).unwrap();
        assert_eq!(model.tensors(), header.tensors());
        for tensor in model.tensors() {
            assert!(model.data(tensor).iter().all(|&byte| byte == 7), "{}", tensor.name);
        }
    }
}

#[test]
fn alignment_is_kept() {
    let mut writer = Writer::new();
    writer.put("general.alignment", 4096u32).unwrap();
    for name in ["a", "b"] {
        let data = move |out: &mut dyn Write| out.write_all(&[name.as_bytes()[0]; 34]);
        writer.tensor(name, TensorType::Q8_0, &[32], data).unwrap();
    }
    let model = Gguf::parse(finish(writer).into()).unwrap();
    assert_eq!(model.size(), 3 * 4096);
    for tensor in model.tensors() {
        assert_eq!(model.data(tensor), tensor.name.repeat(34));
    }
}

#[test]
fn faulty_uses() {
    let mut writer = Writer::new();
    writer.put("key", 1u32).unwrap();
    assert!(matches!(writer.put("key", true), Err(Error::DuplicateKey { .. })));
    assert!(matches!(writer.put("", true), Err(Error::Key { .. })));
    assert!(matches!(writer.put("general.alignment", 33u32), Err(Error::Alignment { .. })));
    let mixed = [Value::U8(1), Value::I8(1)];
    let mixed = writer.put_array("mixed", ValueType::U8, mixed);
    assert!(matches!(mixed, Err(Error::MixedArray { .. })));

    let mut add = |name, ty, shape: &[usize]| writer.tensor(name, ty, shape, |_| Ok(()));
    add("w", TensorType::F32, &[3]).unwrap();
    assert!(matches!(add("w", TensorType::F32, &[3]), Err(Error::DuplicateTensor { .. })));
    assert!(matches!(add("a", TensorType::Q8_0, &[3]), Err(Error::Row { .. })));
    assert!(matches!(add("b", TensorType::F32, &[]), Err(Error::Dimensions { .. })));
    assert!(matches!(add("c", TensorType::F32, &[1; 5]), Err(Error::Dimensions { .. })));
    assert!(matches!(add("d", TensorType::F32, &[1, 0]), Err(Error::ZeroDimension { .. })));
    assert!(matches!(add("e", TensorType::F32, &[8, usize::MAX]), Err(Error::TooLarge { .. })));

    let error = writer.finish(&mut Vec::new()).unwrap_err().to_string();
    assert_eq!(error, "tensor w: 12 bytes of data expected, 0 written");
}

/// A value to write, owned.
#[derive(Debug, Clone)]
enum Owned {
    Integer(i64),
    Float(f64),
    Bool(bool),
    Text(String),
    Bytes(Vec<u8>),
    Texts(Vec<String>),
    Numbers(Vec<u16>),
}

fn owned() -> impl Strategy<Value = Owned> {
    prop_oneof![
        any::<i64>().prop_map(Owned::Integer),
        (-1e300..1e300f64).prop_map(Owned::Float),
        any::<bool>().prop_map(Owned::Bool),
        ".{0,20}".prop_map(Owned::Text),
        prop::collection::vec(0x80u8..0xc0, 1..9).prop_map(Owned::Bytes),
        prop::collection::vec(".{0,9}", 0..9).prop_map(Owned::Texts),
        prop::collection::vec(any::<u16>(), 0..9).prop_map(Owned::Numbers),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn round_trip(
        pairs in prop::collection::btree_map("[a-z]{1,9}", owned(), 0..9),
        tensors in prop::collection::btree_map("[a-z]{1,9}", (1usize..40, 1usize..4), 0..9),
    ) {
        let mut writer = Writer::new();
        for (key, value) in &pairs {
            match value {
                Owned::Integer(value) => writer.put(key, *value),
                Owned::Float(value) => writer.put(key, *value),
                Owned::Bool(value) => writer.put(key, *value),
                Owned::Text(value) => writer.put(key, value.as_str()),
                Owned::Bytes(value) => writer.put(key, value.as_slice()),
                Owned::Texts(value) => {
                    writer.put_array(key, ValueType::String, value.iter().map(String::as_str))
                }
                Owned::Numbers(value) => {
                    writer.put_array(key, ValueType::U16, value.iter().copied())
                }
            }.unwrap();
        }
        for (name, &(cols, rows)) in &tensors {
            let data = move |out: &mut dyn Write| out.write_all(&vec![cols as u8; 2 * cols * rows]);
            writer.tensor(name, TensorType::F16, &[cols, rows], data).unwrap();
        }
        let model = Gguf::parse(finish(writer).into()).unwrap();

        let metadata = model.metadata();
        prop_assert_eq!(metadata.len(), pairs.len());
        for (key, value) in &pairs {
            match value {
                Owned::Integer(value) => prop_assert_eq!(metadata.i64(key).unwrap(), *value),
                Owned::Float(value) => prop_assert_eq!(metadata.get(key), Some(Value::F64(*value))),
                Owned::Bool(value) => prop_assert_eq!(metadata.bool(key).unwrap(), *value),
                Owned::Text(value) => prop_assert_eq!(metadata.str(key).unwrap(), value),
                Owned::Bytes(value) => {
                    prop_assert_eq!(metadata.get(key), Some(Value::Bytes(value)));
                }
                Owned::Texts(value) => {
                    prop_assert!(metadata.strings(key).unwrap().unwrap().eq(value.iter()));
                }
                Owned::Numbers(value) => {
                    let expected: Vec<u32> = value.iter().map(|&number| number.into()).collect();
                    prop_assert_eq!(metadata.u32s(key).unwrap(), Some(expected));
                }
            }
        }
        prop_assert_eq!(model.tensors().len(), tensors.len());
        for (name, &(cols, rows)) in &tensors {
            let tensor = model.tensor(name).unwrap();
            prop_assert_eq!(&tensor.shape, &[cols, rows]);
            prop_assert_eq!(model.data(tensor), vec![cols as u8; 2 * cols * rows]);
        }
    }
}
