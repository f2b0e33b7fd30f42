//! Decoders and encoders against data that llama.cpp b11434 quantised; see `data/README.md`.

use quant::TensorType;

/// Values of a fixture: 8 rows of 512.
const VALUES: usize = 8 * 512;

/// All types with a decoder.
fn types() -> impl Iterator<Item = TensorType> {
    TensorType::all().filter(|ty| ty.info().decode.is_some())
}

struct Fixture {
    source: Vec<f32>,
    /// The source as the reference encoded it.
    encoded: Vec<u8>,
    /// What the reference decoded that to.
    decoded: Vec<f32>,
    /// With what importance it encoded; none but for types that need it.
    importance: Option<Vec<f32>>,
}

fn fixture(ty: TensorType) -> Fixture {
    let path = format!("{}/tests/data/{ty}.bin", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(path).unwrap();
    let (source, rest) = bytes.split_at(4 * VALUES);
    let (encoded, rest) = rest.split_at(ty.row_bytes(VALUES).unwrap());
    let (decoded, importance) = rest.split_at(4 * VALUES);
    Fixture {
        source: floats(source),
        encoded: encoded.to_vec(),
        decoded: floats(decoded),
        importance: (!importance.is_empty()).then(|| every_row(&floats(importance))),
    }
}

/// A row's importance for all rows.
fn every_row(importance: &[f32]) -> Vec<f32> {
    assert_eq!(importance.len(), 512);
    importance.repeat(VALUES / 512)
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
    for ty in types() {
        let Fixture { source, encoded, importance, .. } = fixture(ty);
        let found = encode(ty, &source, importance.as_deref());
        let blocks = found.chunks(ty.block_bytes()).zip(encoded.chunks(ty.block_bytes()));
        let different = blocks.filter(|(found, expected)| found != expected).count();
        // The reference's first fit of IQ2_XXS takes levels below 0 for large ones.
        let allowed = if ty == TensorType::IQ2_XXS { 1 } else { 0 };
        assert!(different <= allowed, "{different} blocks of {ty} differ");
    }
}

#[test]
fn encoding_with_importance_reproduces_the_bytes() {
    use TensorType::*;
    let importance: Vec<f32> = (0..512).map(|i| 1.0 + (37 * i % 64) as f32 / 16.0).collect();
    let legacy = [Q4_0, Q4_1, Q5_0, Q5_1];
    let linear = [Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS];
    let grid = [IQ1_S, IQ1_M, IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS, IQ3_S];
    for ty in legacy.into_iter().chain(linear).chain(grid) {
        let path = format!("{}/tests/data/importance/{ty}.bin", env!("CARGO_MANIFEST_DIR"));
        let expected = std::fs::read(path).unwrap();
        let rows = fixture(ty).source;
        let found = rows.chunks(512).flat_map(|row| encode(ty, row, Some(&importance)));
        assert!(found.eq(expected), "{ty}");
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
    let unweighted = [F32, F16, BF16, Q8_0, TQ1_0, TQ2_0, MXFP4, NVFP4, Q1_0, Q2_0];
    for ty in types().filter(|ty| !unweighted.contains(ty)) {
        let (with, without) = (error(ty, Some(&importance)), error(ty, None));
        assert!(with < 0.9 * without, "{ty}: {with} with importance, {without} without");
    }
}

#[test]
fn zeros_stay_zero() {
    for ty in types() {
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
    for ty in types() {
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
        let mut bytes = vec![0; ty.block_bytes()];
        let short = vec![0.0; ty.block_len() - 1];
        let encode = || info.encode.unwrap()(&short, None, &mut bytes);
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(encode)).is_err(), "{ty}");
    }
}
