//! What well-formed files read as.

mod common;

use std::io::Write;
use std::time::{Duration, Instant};

use common::Raw;
use gguf::{Error, Gguf, Header, Location, Metadata, Value, ValueType, Writer};
use quant::TensorType;

fn metadata(raw: &Raw) -> Metadata {
    Header::parse(&raw.done()).unwrap().metadata().clone()
}

#[test]
fn real_headers() {
    for (name, bytes) in common::headers() {
        let header = Header::parse(&bytes).unwrap();
        assert_eq!(header.version(), 3);
        assert_eq!(header.data_offset(), bytes.len(), "{name}");
        let metadata = header.metadata();
        let arch = metadata.str("general.architecture").unwrap();
        assert_eq!(metadata.u32(&format!("{arch}.context_length")).unwrap(), 256, "{name}");
        let tokens = metadata.strings("tokenizer.ggml.tokens").unwrap().unwrap();
        let scores = metadata.f32s("tokenizer.ggml.scores").unwrap().unwrap();
        assert_eq!(tokens.len(), scores.len());
        assert!(header.tensors().iter().any(|tensor| tensor.name.starts_with("blk.0.")));
        assert!(header.tensors().iter().all(|tensor| tensor.values() > 0));
    }
}

#[test]
fn all_versions_read_the_same() {
    for version in 1..=3 {
        let mut raw = Raw::new(version, 1, 2);
        raw.string(b"list").u32(9).u32(8).size(2).string(b"one").string(b"\xc3\xa9");
        raw.pair("number", 5, &(-7i32).to_le_bytes());
        raw.tensor("w", &[32, 2], 8, 0).data(&[1; 68]);
        let model = Gguf::parse(raw.done()).unwrap();
        assert_eq!(model.version(), version);
        assert_eq!(model.size(), raw.bytes.len() as u64);
        let strings = model.metadata().strings("list").unwrap().unwrap();
        assert_eq!(strings.collect::<Vec<_>>(), ["one", "é"]);
        assert_eq!(model.metadata().i64("number").unwrap(), -7);
        let tensor = model.tensor("w").unwrap();
        assert_eq!((tensor.ty, &tensor.shape[..]), (TensorType::Q8_0, &[32, 2][..]));
        assert_eq!((tensor.values(), tensor.size()), (64, 68));
        assert_eq!(model.data(tensor), vec![1; 68]);
        assert_eq!(model.tensor("v"), None);
    }
}

#[test]
fn conversions_of_values() {
    let mut raw = Raw::new(3, 0, 10);
    raw.pair("u8", 0, &[200])
        .pair("i8", 1, &[0xff])
        .pair("u64", 10, &u64::MAX.to_le_bytes())
        .pair("f32", 6, &0.5f32.to_le_bytes())
        .pair("f64", 12, &0.25f64.to_le_bytes())
        .pair("bool", 7, &[2]);
    raw.string(b"text").u32(8).string(b"abc");
    raw.string(b"raw").u32(8).string(b"\xff");
    raw.string(b"ints").u32(9).u32(3).size(2).raw(&[1, 0, 0xfe, 0xff]);
    raw.string(b"flags").u32(9).u32(7).size(3).raw(&[0, 1, 1]);
    let metadata = metadata(&raw);

    assert_eq!(metadata.usize("u8").unwrap(), 200);
    assert_eq!(metadata.i64("i8").unwrap(), -1);
    assert_eq!(metadata.f32("f32").unwrap(), 0.5);
    assert_eq!(metadata.f32("f64").unwrap(), 0.25);
    assert!(metadata.bool("bool").unwrap());
    assert_eq!(metadata.str("text").unwrap(), "abc");
    assert_eq!(metadata.get("raw"), Some(Value::Bytes(b"\xff")));
    assert_eq!(metadata.i32s("ints").unwrap(), Some(vec![1, -2]));
    assert_eq!(metadata.bools("flags").unwrap(), Some(vec![false, true, true]));

    assert_eq!(metadata.opt_u32("none").unwrap(), None);
    assert_eq!(metadata.u32s("none").unwrap(), None);
    let message = |error: Error| error.to_string();
    assert_eq!(
        message(metadata.u32("none").unwrap_err()),
        "metadata key none is missing; the model needs it, convert it again"
    );
    assert_eq!(
        message(metadata.u32("f32").unwrap_err()),
        "metadata key f32: expected u32, found f32"
    );
    assert_eq!(
        message(metadata.i64("u64").unwrap_err()),
        "metadata key u64: 18446744073709551615 is not within the range of i64"
    );
    assert_eq!(
        message(metadata.u32s("ints").unwrap_err()),
        "metadata key ints: -2 is not within the range of u32"
    );
    assert_eq!(
        message(metadata.f32s("ints").unwrap_err()),
        "metadata key ints: expected array of f32, found array of i16"
    );
    assert_eq!(
        message(metadata.strings("ints").err().unwrap()),
        "metadata key ints: expected array of string, found array of i16"
    );
    assert_eq!(
        message(metadata.strings("text").err().unwrap()),
        "metadata key text: expected array of string, found string"
    );
    assert_eq!(
        message(metadata.str("raw").unwrap_err()),
        "metadata key raw: the string is not valid UTF-8"
    );
    assert_eq!(
        message(metadata.f32("text").unwrap_err()),
        "metadata key text: expected f32, found string"
    );
}

#[test]
fn tokens_that_are_not_utf8_keep_their_place() {
    let mut raw = Raw::new(3, 0, 1);
    raw.string(b"tokens").u32(9).u32(8).size(3).string(b"a").string(b"\xf0\x9f").string(b"b");
    let metadata = metadata(&raw);
    let tokens = metadata.strings("tokens").unwrap().unwrap();
    assert_eq!(tokens.len(), 3);
    assert_eq!(tokens.clone().collect::<Vec<_>>(), ["a", "\u{fffd}", "b"]);
    assert_eq!(tokens.bytes().collect::<Vec<_>>(), [&b"a"[..], b"\xf0\x9f", b"b"]);
}

#[test]
fn nested_arrays() {
    let mut raw = Raw::new(3, 0, 1);
    raw.string(b"nested").u32(9).u32(9).size(2);
    raw.u32(0).size(2).raw(&[1, 2]);
    raw.u32(8).size(1).string(b"x");
    let metadata = metadata(&raw);
    let Some(Value::Array(outer)) = metadata.get("nested") else { panic!("no array") };
    let inner: Vec<_> = outer
        .iter()
        .map(|item| match item {
            Value::Array(array) => (array.item_type(), array.iter().collect::<Vec<_>>()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        inner,
        [
            (ValueType::U8, vec![Value::U8(1), Value::U8(2)]),
            (ValueType::String, vec![Value::String("x")])
        ]
    );
}

#[test]
fn a_large_vocabulary_takes_milliseconds() {
    let tokens: Vec<String> = (0..131_072).map(|i| format!("token{i}")).collect();
    let mut writer = Writer::new();
    let texts = tokens.iter().map(String::as_str);
    writer.put_array("tokenizer.ggml.tokens", ValueType::String, texts).unwrap();
    let mut file = Vec::new();
    writer.finish(&mut file).unwrap();
    let file = file.into();
    let start = Instant::now();
    let header = Header::parse(&file).unwrap();
    let parsed = start.elapsed();
    let read = header.metadata().strings("tokenizer.ggml.tokens").unwrap().unwrap();
    assert!(read.eq(tokens.iter().map(String::as_str)));
    println!("parsed in {parsed:?}, read in {:?}", start.elapsed() - parsed);
    // Far above what it takes (under 1 ms), for busy machines.
    assert!(parsed < Duration::from_millis(100), "{parsed:?}");
}

/// Three shards, the metadata in the first, one tensor in each.
fn write_shards(folder: &std::path::Path, counts: [u16; 3], tensors: i32) {
    for no in 0..3u16 {
        let mut writer = Writer::new();
        if no == 0 {
            writer.put("general.architecture", "llama").unwrap();
        }
        writer.put("split.no", no).unwrap();
        writer.put("split.count", counts[usize::from(no)]).unwrap();
        writer.put("split.tensors.count", tensors).unwrap();
        let data = move |out: &mut dyn Write| out.write_all(&[no as u8; 12]);
        writer.tensor(&format!("t{no}"), TensorType::F32, &[3], data).unwrap();
        let path = folder.join(format!("m-{:05}-of-00003.gguf", no + 1));
        writer.finish(&mut std::fs::File::create(path).unwrap()).unwrap();
    }
}

#[test]
fn a_split_model_opens_from_any_shard() {
    let folder = common::folder("split");
    write_shards(&folder, [3; 3], 3);
    for no in 1..=3 {
        let model = Gguf::open(&folder.join(format!("m-{no:05}-of-00003.gguf"))).unwrap();
        assert_eq!(model.metadata().str("general.architecture").unwrap(), "llama");
        assert_eq!(model.tensors().len(), 3);
        for no in 0..3 {
            let tensor = model.tensor(&format!("t{no}")).unwrap();
            assert_eq!(model.data(tensor), vec![no; 12]);
        }
    }
}

#[test]
fn models_open_from_within_other_files() {
    let folder = common::folder("within");
    write_shards(&folder, [3; 3], 3);
    let mut container = vec![0xff; 100];
    let mut members = Vec::new();
    for no in 1..=3 {
        let name = format!("m-{no:05}-of-00003.gguf");
        let shard = std::fs::read(folder.join(&name)).unwrap();
        let start = container.len() as u64;
        members.push((name, start..start + shard.len() as u64));
        container.extend_from_slice(&shard);
        container.extend_from_slice(&[0xff; 7]);
    }
    let path = folder.join("container");
    std::fs::write(&path, &container).unwrap();

    let within =
        |members: &[_]| Location::within(&path, "m-00002-of-00003.gguf", members.iter().cloned());
    let model = within(&members).open().unwrap();
    for no in 0..3 {
        let tensor = model.tensor(&format!("t{no}")).unwrap();
        assert_eq!(model.data(tensor), vec![no; 12]);
    }

    let message = |members: &[_]| within(members).open().unwrap_err().to_string();
    assert!(message(&members[..2]).contains("container@m-00003-of-00003.gguf"));
    let mut outside = members.clone();
    outside[1].1.end = container.len() as u64 + 1;
    assert!(message(&outside).contains("can't open"), "{}", message(&outside));
    outside[1].1 = 10..10;
    assert!(message(&outside).contains("empty"));
    outside[1].1.start = u64::MAX;
    assert!(message(&outside).contains("empty"));
}

#[test]
fn faulty_splits() {
    let folder = common::folder("faulty-split");
    let first = folder.join("m-00001-of-00003.gguf");
    let message = || Gguf::open(&first).unwrap_err().to_string();

    write_shards(&folder, [3, 2, 3], 3);
    assert!(message().contains("00002-of-00003.gguf: split.count is 2, but 3 was expected"));

    write_shards(&folder, [3; 3], 4);
    assert!(message().contains("number of tensors in all shards is 3, but 4 was expected"));

    write_shards(&folder, [3; 3], 3);
    let copy = folder.join("other.gguf");
    std::fs::copy(&first, &copy).unwrap();
    let renamed = Gguf::open(&copy).unwrap_err().to_string();
    assert!(renamed.contains("not named NAME-00001-of-00003.gguf"), "{renamed}");
    let memory = Gguf::parse(std::fs::read(&first).unwrap().into()).unwrap_err();
    assert!(matches!(memory, Error::SplitInMemory { count: 3 }));

    std::fs::copy(folder.join("m-00002-of-00003.gguf"), folder.join("m-00003-of-00003.gguf"))
        .unwrap();
    assert!(message().contains("split.no is 1, but 2 was expected"));

    std::fs::remove_file(folder.join("m-00003-of-00003.gguf")).unwrap();
    let missing = message();
    assert!(missing.starts_with("shard 3 of 3 can't be opened"), "{missing}");
    assert!(missing.contains("m-00003-of-00003.gguf: "), "{missing}");
}
