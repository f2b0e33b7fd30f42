//! No input makes the parser panic or use much memory.

mod common;

use bytes::Bytes;
use gguf::{Gguf, Header, Value};
use proptest::prelude::*;

/// Parses, and if that succeeds reads everything that there is.
fn exercise(bytes: Bytes) -> bool {
    let Ok(header) = Header::parse(&bytes) else {
        assert!(Gguf::parse(bytes).is_err());
        return false;
    };
    let mut pairs = 0;
    for (key, value) in header.metadata().iter() {
        pairs += 1;
        assert!(header.metadata().get(key).is_some());
        visit(value);
    }
    assert_eq!(pairs, header.metadata().len());
    for tensor in header.tensors() {
        assert_eq!(tensor.ty.row_bytes(tensor.values()), Some(tensor.size()));
    }
    if let Ok(model) = Gguf::parse(bytes) {
        for tensor in model.tensors() {
            assert_eq!(model.data(tensor).len(), tensor.size());
            assert_eq!(model.tensor(&tensor.name), Some(tensor));
        }
    }
    true
}

fn visit(value: Value<'_>) {
    if let Value::Array(array) = value {
        assert_eq!(array.iter().inspect(|item| visit(*item)).count(), array.len());
        if let Some(strings) = array.strings() {
            assert_eq!(strings.clone().count(), array.len());
            assert_eq!(strings.bytes().count(), array.len());
        }
    }
}

#[test]
fn every_flipped_byte_and_every_length_of_real_headers() {
    let before = peak_memory();
    for (name, header) in common::headers() {
        assert!(exercise(header.clone()), "{name}");
        for at in 0..header.len() {
            for change in [0x01, 0x80, 0xff, header[at]] {
                let mut bytes = header.to_vec();
                bytes[at] ^= change;
                exercise(bytes.into());
            }
        }
        let end = Header::parse(&header).unwrap().data_offset();
        for len in 0..header.len() {
            // Only padding may be missing.
            let parsed = exercise(header.slice(..len));
            assert!(!parsed || end - len < 32, "{name} parses with {len} of {end} bytes");
        }
    }
    let grown = peak_memory() - before;
    assert!(grown < 256 << 20, "{grown} bytes of address space more");
}

/// Most address space that the process ever had, where the system tells.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn arbitrary_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        exercise(bytes.into());
    }

    #[test]
    fn arbitrary_bytes_after_a_plausible_start(
        version in 1u32..=3,
        tensors in 0u64..4,
        keys in 0u64..4,
        body in prop::collection::vec(prop_oneof![4 => 0u8..13, 1 => any::<u8>()], 0..400),
    ) {
        exercise(common::Raw::new(version, tensors, keys).raw(&body).done());
    }

    #[test]
    fn mutations_of_real_headers(
        which in 0usize..4,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = common::headers()[which].1.to_vec();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        exercise(bytes.into());
    }
}
