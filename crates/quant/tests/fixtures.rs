//! Decoders and encoders against data that llama.cpp b11434 quantised; see `data/README.md`.

use quant::TensorType;

/// Values of a fixture: 8 rows of 512.
const VALUES: usize = 8 * 512;

/// All types with a decoder.
fn types() -> impl Iterator<Item = TensorType> {
    TensorType::all().filter(|ty| ty.info().decode.is_some())
}

/// Those of them with an encoder.
fn encodable() -> impl Iterator<Item = TensorType> {
    types().filter(|ty| ty.info().encode.is_some())
}

struct Fixture {
    source: Vec<f32>,
    /// The source as the reference encoded it.
    encoded: Vec<u8>,
    /// What the reference decoded that to.
    decoded: Vec<f32>,
}

fn fixture(ty: TensorType) -> Fixture {
    let path = format!("{}/tests/data/{ty}.bin", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(path).unwrap();
    let (source, rest) = bytes.split_at(4 * VALUES);
    let (encoded, decoded) = rest.split_at(ty.row_bytes(VALUES).unwrap());
    assert_eq!(decoded.len(), 4 * VALUES, "{ty}");
    Fixture { source: floats(source), encoded: encoded.to_vec(), decoded: floats(decoded) }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

fn decode(ty: TensorType, bytes: &[u8]) -> Vec<f32> {
    let mut values = vec![f32::NAN; bytes.len() / ty.block_bytes() * ty.block_len()];
    ty.info().decode.unwrap()(bytes, &mut values);
    values
}

fn encode(ty: TensorType, values: &[f32], importance: Option<&[f32]>) -> Vec<u8> {
    // Not zero, so that a byte that is not written shows.
    let mut bytes = vec![0xaa; ty.row_bytes(values.len()).unwrap()];
    ty.info().encode.unwrap()(values, importance, &mut bytes);
    bytes
}

#[test]
fn decoding_is_exact() {
    assert_eq!(types().count(), 28);
    for ty in types() {
        let Fixture { encoded, decoded, .. } = fixture(ty);
        for (i, (found, expected)) in decode(ty, &encoded).iter().zip(&decoded).enumerate() {
            assert_eq!(found.to_bits(), expected.to_bits(), "{ty} value {i}");
        }
    }
}

#[test]
fn encoding_reproduces_the_bytes() {
    assert_eq!(encodable().count(), 21);
    for ty in encodable() {
        let Fixture { source, encoded, .. } = fixture(ty);
        assert!(encode(ty, &source, None) == encoded, "{ty}");
    }
}

#[test]
fn encoding_with_importance_reproduces_the_bytes() {
    use TensorType::*;
    let row = (0..512).map(|i| 1.0 + (37 * i % 64) as f32 / 16.0);
    let importance: Vec<f32> = row.cycle().take(VALUES).collect();
    for ty in [Q2_K, Q3_K, Q6_K, IQ4_NL, IQ4_XS] {
        let path = format!("{}/tests/data/importance/{ty}.bin", env!("CARGO_MANIFEST_DIR"));
        let expected = std::fs::read(path).unwrap();
        assert!(encode(ty, &fixture(ty).source, Some(&importance)) == expected, "{ty}");
    }
}

#[test]
fn importance_lowers_the_weighted_error() {
    use TensorType::*;
    let importance: Vec<f32> = (0..VALUES).map(|i| if i % 7 == 3 { 100.0 } else { 1.0 }).collect();
    let error = |ty, importance_given: Option<&[f32]>| {
        let source = fixture(ty).source;
        let decoded = decode(ty, &encode(ty, &source, importance_given));
        let squares = source.iter().zip(&decoded).zip(&importance);
        squares.map(|((a, b), w)| f64::from(*w) * f64::from(a - b).powi(2)).sum::<f64>()
    };
    for ty in [Q4_0, Q4_1, Q5_0, Q5_1, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS] {
        let (with, without) = (error(ty, Some(&importance)), error(ty, None));
        assert!(with < 0.9 * without, "{ty}: {with} with importance, {without} without");
    }
}

#[test]
fn zeros_stay_zero() {
    for ty in encodable() {
        let decoded = decode(ty, &encode(ty, &[0.0; 512], None));
        assert!(decoded.iter().all(|&value| value == 0.0), "{ty}");
        let decoded = decode(ty, &encode(ty, &[0.0; 512], Some(&[1.0; 512])));
        assert!(decoded.iter().all(|&value| value == 0.0), "{ty} with importance");
    }
}

#[test]
fn any_bytes_are_decoded_without_panic() {
    for ty in types() {
        let mut state = 1u32;
        let bytes = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        let bytes: Vec<u8> = bytes.take(100 * ty.block_bytes()).collect();
        assert_eq!(decode(ty, &bytes).len(), 100 * ty.block_len());
    }
}

#[test]
fn any_input_is_encoded_without_panic() {
    let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 1e-40, -0.0];
    for ty in encodable() {
        for value in odd {
            for mixed in [false, true] {
                let mut values = vec![value; 512];
                if mixed {
                    values.iter_mut().step_by(3).for_each(|value| *value = 1.0);
                }
                let plain = encode(ty, &values, None);
                let weighted = encode(ty, &values, Some(&[1.0; 512]));
                assert_eq!(decode(ty, &plain).len(), decode(ty, &weighted).len());
            }
        }
    }
}

#[test]
#[cfg(debug_assertions)]
fn partial_blocks_break_the_contract() {
    for ty in types().filter(|ty| ty.block_len() > 1) {
        let info = ty.info();
        let mut values = vec![0.0; ty.block_len()];
        let short = vec![0; ty.block_bytes() - 1];
        let decode = || info.decode.unwrap()(&short, &mut values);
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(decode)).is_err(), "{ty}");
        let Some(encode) = info.encode else { continue };
        let mut bytes = vec![0; ty.block_bytes()];
        let short = vec![0.0; ty.block_len() - 1];
        let encode = || encode(&short, None, &mut bytes);
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(encode)).is_err(), "{ty}");
    }
}
