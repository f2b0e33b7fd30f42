//! Products of every type on every instruction set against plain `f64` arithmetic.

use quant::TensorType::{self, *};

use super::activation::{Block, Quantized, quantize_row};
use super::kernels::{CodeKernels, FloatKernels, Kernels, TypeKernels};
use super::linear::Rows;
use super::method::Method;
#[cfg(target_arch = "x86_64")]
use super::panel::Panel;
use super::product::{Job, Matrix, Scratch, run};
use crate::isa::Isa;
use crate::pool::Pool;

/// All types of weights.
fn types() -> impl Iterator<Item = TensorType> {
    TensorType::all().filter(|ty| ty.info().decode.is_some())
}

/// The instruction set, with kernels chosen by the number of columns.
fn fastest(isa: Isa) -> Method {
    Method::new(isa, false)
}

/// The instruction set, with results that don't depend on the number of columns.
fn invariant(isa: Isa) -> Method {
    Method::new(isa, true)
}

/// Deterministic noise (splitmix64).
struct Noise(u64);

impl Noise {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Between -1 and 1.
    fn value(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    /// A half float of magnitude 1/64 to 1/8, of any sign.
    fn half(&mut self) -> [u8; 2] {
        let bits = self.bits() as u16;
        ((0x2400 + (bits & 0x0bff)) | (bits & 0x8000)).to_le_bytes()
    }
}

/// Offsets of half-float scales in a block.
fn half_offsets(ty: TensorType) -> &'static [usize] {
    match ty {
        Q4_0 | Q5_0 | Q8_0 | IQ4_NL | IQ4_XS | Q1_0 | Q2_0 => &[0],
        IQ1_S | IQ2_XXS | IQ2_XS | IQ2_S | IQ3_XXS | IQ3_S => &[0],
        Q4_1 | Q5_1 | Q4_K | Q5_K => &[0, 2],
        Q2_K => &[80, 82],
        Q3_K => &[108],
        Q6_K => &[208],
        TQ1_0 => &[52],
        TQ2_0 => &[64],
        _ => &[],
    }
}

/// Puts sane scales into a block of a type that has them in another form.
fn other_scales(noise: &mut Noise, ty: TensorType, block: &mut [u8]) {
    match ty {
        MXFP4 => block[0] = 120 + block[0] % 8,
        // Exponents up to 7, of any fraction.
        NVFP4 => block[..4].iter_mut().for_each(|scale| *scale &= 0x3f),
        // A quarter of the scale on top of each of four words.
        IQ1_M => {
            let [low, high] = noise.half();
            for (i, quarter) in [low & 15, low >> 4, high & 15, high >> 4].into_iter().enumerate() {
                let byte = &mut block[49 + 2 * i];
                *byte = *byte & 15 | quarter << 4;
            }
        }
        _ => {}
    }
}

/// Random rows: any codes, sane scales.
fn weights(noise: &mut Noise, ty: TensorType, rows: usize, cols: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..rows * cols / ty.block_len() {
        match ty {
            F32 => bytes.extend(noise.value().to_le_bytes()),
            F16 => bytes.extend(noise.half()),
            BF16 => bytes.extend(&noise.value().to_le_bytes()[2..]),
            _ => {
                let start = bytes.len();
                bytes.extend((0..ty.block_bytes()).map(|_| noise.bits() as u8));
                for at in half_offsets(ty) {
                    bytes[start + at..start + at + 2].copy_from_slice(&noise.half());
                }
                other_scales(noise, ty, &mut bytes[start..]);
            }
        }
    }
    bytes
}

/// What kernels of a level see of a row of activations, one of `m`.
fn rounded(ty: TensorType, isa: Isa, m: usize, x: &[f32]) -> Vec<f64> {
    let block = match ty {
        BF16 if isa == Isa::Avx512Bf16 && m > 1 => {
            return x.iter().map(|&v| rounded_to_bf16(v)).collect();
        }
        F32 | F16 | BF16 => return x.iter().map(|&v| f64::from(v)).collect(),
        _ if ty.block_len() == 256 => Block::B256,
        _ => Block::B32,
    };
    let mut q = Quantized::default();
    quantize_row(x, block, q.resize(1, x.len()));
    let row = q.rows(0, 1);
    let value = |(k, &code): (usize, &i8)| f64::from(row.pairs[k / 32][0]) * f64::from(code);
    row.codes.iter().enumerate().map(value).collect()
}

/// To eight bits, to nearest even.
fn rounded_to_bf16(v: f32) -> f64 {
    let bits = v.to_bits();
    f64::from(f32::from_bits((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000))
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

struct Case {
    ty: TensorType,
    rows: usize,
    cols: usize,
    weights: Vec<u8>,
    /// `[m][stride]`.
    x: Vec<f32>,
    m: usize,
    stride: usize,
}

impl Case {
    fn new(ty: TensorType, rows: usize, cols: usize, m: usize) -> Self {
        let mut noise = Noise((ty as u64) << 32 ^ (rows * 7 + cols * 3 + m) as u64);
        let stride = cols + 5;
        let weights = weights(&mut noise, ty, rows, cols);
        let x = (0..m * stride).map(|_| noise.value() * 3.0).collect();
        Self { ty, rows, cols, weights, x, m, stride }
    }

    fn input(&self) -> Rows<'_> {
        Rows { data: &self.x, rows: self.m, cols: self.cols, stride: self.stride }
    }

    fn matrix(&self) -> Matrix<'_> {
        Matrix { ty: self.ty, rows: self.rows, cols: self.cols, bytes: &self.weights }
    }

    fn product(&self, pool: &Pool, method: &Method) -> Vec<f32> {
        self.product_of(self.input(), pool, method)
    }

    /// The product with some of the columns.
    fn product_of(&self, x: Rows<'_>, pool: &Pool, method: &Method) -> Vec<f32> {
        let job = Job {
            matrix: self.matrix(),
            x_row: 0,
            n: x.rows,
            out_row: 0,
            out_col: 0,
            scale: 1.0,
            bias: None,
        };
        let mut out = vec![f32::NAN; x.rows * self.rows];
        run(pool, method, &mut Scratch::default(), x, &[job], &mut out, self.rows);
        out
    }

    /// Checks that the product of each column is the same bits by itself, beside others, and with any
    /// of the pools.
    fn check_invariance(&self, pools: &[Pool]) {
        let Case { ty, rows, cols, m, .. } = *self;
        for isa in Isa::available() {
            let one_by_one: Vec<f32> = (0..m)
                .flat_map(|t| {
                    let x = Rows { data: self.input().row(t), rows: 1, ..self.input() };
                    self.product_of(x, &pools[0], &invariant(isa))
                })
                .collect();
            for pool in pools {
                let together = self.product(pool, &invariant(isa));
                let threads = pool.threads();
                let what = format!("{ty} {rows}x{cols} by {m} on {isa}, {threads} threads");
                assert_eq!(bits(&one_by_one), bits(&together), "{what}");
            }
        }
    }

    /// The product with the rounded activations, the exact one, and the terms' sums of magnitudes and
    /// of squares.
    fn expected(&self, isa: Isa) -> Vec<[f64; 4]> {
        let mut w = vec![0.0; self.rows * self.cols];
        self.ty.info().decode.unwrap()(&self.weights, &mut w);
        let mut out = Vec::new();
        for t in 0..self.m {
            let x = self.input().row(t);
            let rounded = rounded(self.ty, isa, self.m, x);
            for w in w.chunks(self.cols) {
                let mut sums = [0.0; 4];
                for k in 0..self.cols {
                    let w = f64::from(w[k]);
                    sums[0] += w * rounded[k];
                    sums[1] += w * f64::from(x[k]);
                    sums[2] += (w * rounded[k]).abs();
                    sums[3] += (w * rounded[k]).powi(2);
                }
                out.push(sums);
            }
        }
        out
    }

    fn check(&self, pools: &[Pool]) {
        let Case { ty, rows, cols, m, .. } = *self;
        let mut expected = self.expected(Isa::Scalar);
        for isa in Isa::available() {
            if isa == Isa::Avx512Bf16 {
                expected = self.expected(isa);
            }
            let mut first: Option<Vec<f32>> = None;
            for pool in pools {
                let out = self.product(pool, &fastest(isa));
                let (mut error, mut squares) = (0.0, 0.0);
                for (i, (&y, &[rounded, exact, magnitude, square])) in
                    out.iter().zip(&expected).enumerate()
                {
                    let y = f64::from(y);
                    assert!(
                        (y - rounded).abs() <= 2e-6 * magnitude + 1e-30,
                        "{ty} {rows}x{cols} by {m} on {isa}: value {i} is {y}, not {rounded}"
                    );
                    error += (y - exact).powi(2);
                    squares += square;
                }
                assert!(error <= 1e-3 * squares, "{ty} {rows}x{cols}: {}", error / squares);
                let same = first.get_or_insert_with(|| out.clone());
                assert_eq!(bits(same), bits(&out), "{ty} on {isa} with {} threads", pool.threads());
            }
        }
    }
}

fn pools() -> [Pool; 3] {
    [1, 2, 3].map(Pool::new)
}

#[test]
fn every_type_by_rows_and_columns() {
    let pools = pools();
    for ty in types() {
        let cols = 96usize.next_multiple_of(ty.block_len());
        for rows in [1, 2, 3, 7, 16, 17, 33, 70] {
            for m in [1, 2, 3, 4, 5, 7, 8, 13, 33] {
                Case::new(ty, rows, cols, m).check(&pools);
            }
        }
    }
}

#[test]
fn batch_invariant_results_are_the_same_bits_for_any_number_of_columns() {
    let pools = pools();
    for ty in types() {
        let shapes: &[(usize, usize)] = match ty.block_len() {
            1 => &[(1, 1), (7, 33), (33, 301)],
            32 => &[(1, 32), (7, 96), (33, 352)],
            _ => &[(1, 256), (7, 512), (33, 768)],
        };
        for &(rows, cols) in shapes {
            for m in (1..=13).chain([33]) {
                Case::new(ty, rows, cols.next_multiple_of(ty.block_len()), m)
                    .check_invariance(&pools);
            }
        }
    }
}

#[test]
fn batch_invariant_results_are_near_the_exact_ones() {
    let pool = Pool::new(2);
    for ty in types() {
        let case = Case::new(ty, 19, 256, 2);
        for isa in Isa::available() {
            let out = case.product(&pool, &invariant(isa));
            for (y, [rounded, _, magnitude, _]) in out.iter().zip(case.expected(isa)) {
                let error = (f64::from(*y) - rounded).abs();
                assert!(error <= 2e-6 * magnitude, "{ty} on {isa}: {y}, not {rounded}");
            }
        }
    }
}

#[test]
fn every_type_of_weights_is_supported() {
    assert!(TensorType::all().all(|ty| super::supports(ty) == ty.info().decode.is_some()));
}

/// Where kernels of a type are: those of tiles, then direct ones.
fn addresses(kernels: TypeKernels) -> Vec<usize> {
    match kernels {
        TypeKernels::Codes(CodeKernels { tile, direct, .. }) => {
            tile.iter().map(|&f| f as usize).chain(direct.iter().map(|&f| f as usize)).collect()
        }
        TypeKernels::Floats(FloatKernels { tile, direct, .. }) => {
            tile.iter().map(|&f| f as usize).chain(direct.iter().map(|&f| f as usize)).collect()
        }
    }
}

#[test]
fn every_level_has_kernels_of_its_own_for_every_type() {
    for isa in Isa::available().filter(|&isa| isa != Isa::Scalar) {
        for ty in types() {
            let own = Kernels::of(isa).get(ty).unwrap_or_else(|| panic!("no {ty} on {isa}"));
            let plain = addresses(Kernels::of(Isa::Scalar).get(ty).unwrap());
            let own = addresses(own);
            assert!(own.iter().zip(plain).all(|(own, plain)| *own != plain), "{ty} on {isa}");
        }
    }
}

#[test]
fn every_type_by_length() {
    let pools = pools();
    for ty in types() {
        let all: &[usize] = if ty.block_len() == 1 {
            &[1, 7, 8, 33, 576, 1536, 6007]
        } else {
            &[32, 64, 128, 160, 192, 256, 288, 384, 512, 576, 768, 1536, 2048, 6144]
        };
        for &cols in all.iter().filter(|&cols| cols.is_multiple_of(ty.block_len())) {
            for m in [1, 3, 9] {
                Case::new(ty, 19, cols, m).check(&pools);
            }
        }
    }
}

#[test]
fn columns_are_split_where_rows_are_few() {
    let pools = [Pool::new(1), Pool::new(8)];
    for ty in [Q4_1, Q6_K, F16] {
        Case::new(ty, 5, 256, 300).check(&pools);
    }
}

#[test]
fn jobs_side_by_side_with_scale_and_bias() {
    let pool = Pool::new(2);
    let a = Case::new(Q8_0, 40, 256, 5);
    let b = Case { x: a.x.clone(), ..Case::new(Q4_K, 21, 256, 5) };
    let bias: Vec<f32> = (0..21).map(|i| i as f32).collect();
    let of = |case: &Case| case.product(&pool, &fastest(Isa::detect()));
    let (a_out, b_out) = (of(&a), of(&b));
    let job =
        Job { matrix: a.matrix(), x_row: 0, n: 5, out_row: 0, out_col: 0, scale: 1.0, bias: None };
    let jobs = [job, Job { matrix: b.matrix(), out_col: 40, scale: 0.5, bias: Some(&bias), ..job }];
    let mut out = vec![0.0; 5 * 61];
    run(&pool, &fastest(Isa::detect()), &mut Scratch::default(), a.input(), &jobs, &mut out, 61);
    for (t, row) in out.chunks(61).enumerate() {
        assert_eq!(row[..40], a_out[t * 40..][..40]);
        for r in 0..21 {
            assert_eq!(row[40 + r], b_out[t * 21 + r] * 0.5 + bias[r]);
        }
    }
}

#[test]
fn a_nan_in_the_input_reaches_the_output() {
    let pool = Pool::new(1);
    for ty in types() {
        for m in [1, 8] {
            let mut case = Case::new(ty, 4, 256, m);
            case.x[100] = f32::NAN;
            for isa in Isa::available() {
                let out = case.product(&pool, &fastest(isa));
                assert!(out[..4].iter().all(|y| y.is_nan()), "{ty} on {isa}");
                assert!(out[4..].iter().all(|y| y.is_finite()), "{ty} on {isa}");
            }
        }
    }
}

mod experts {
    use backend::{Activation, ExpertGate, ExpertLinear, Experts, Gating, Routing, Vector, Weight};

    use super::*;
    use crate::matmul::moe;

    const N_EXPERT: usize = 5;

    fn weight(noise: &mut Noise, ty: TensorType, cols: usize, rows: usize) -> Weight {
        let data = weights(noise, ty, rows * N_EXPERT, cols).into();
        Weight::new("experts", ty, [cols, rows, N_EXPERT], data).unwrap()
    }

    fn factors(noise: &mut Noise) -> Option<Vector> {
        Some(Vector::new((0..N_EXPERT).map(|_| noise.value()).collect::<Vec<_>>()))
    }

    fn relu(gate: &mut [f32], up: Option<&[f32]>) {
        for (i, gate) in gate.iter_mut().enumerate() {
            *gate = gate.max(0.0) * up.map_or(1.0, |up| up[i]);
        }
    }

    fn product(weight: &Weight, expert: usize, x: &[f64], scale: &Option<Vector>) -> Vec<f64> {
        let mut row = vec![0.0; weight.cols()];
        let scale = scale.as_ref().map_or(1.0, |scale| f64::from(scale[expert]));
        (0..weight.rows())
            .map(|r| {
                weight.decode_row(expert, r, &mut row);
                scale * row.iter().zip(x).map(|(&w, x)| f64::from(w) * x).sum::<f64>()
            })
            .collect()
    }

    /// The experts of all rows.
    fn slots(routing: &Routing, logits: &[f32]) -> Vec<(usize, f32)> {
        let choose = |logits: &[f32]| {
            let mut chosen = Vec::new();
            routing.choose(logits, &mut chosen);
            chosen
        };
        logits.chunks(N_EXPERT).flat_map(choose).collect()
    }

    /// Float weights, so that the result must agree closely.
    fn check(n_rows: usize, gated: bool, weigh_input: bool) {
        let (n_embd, n_ff, n_used) = (40, 24, 3);
        let mut noise = Noise(n_rows as u64);
        let gate = weight(&mut noise, F16, n_embd, n_ff);
        let gate = ExpertLinear { weight: gate, scale: factors(&mut noise), bias: None };
        let up = weight(&mut noise, F16, n_embd, n_ff);
        let down = weight(&mut noise, F32, n_ff, n_embd);
        let experts = Experts {
            gate: match gated {
                true => ExpertGate::Gated(gate, Activation::Relu.into()),
                false => ExpertGate::Plain(Activation::Relu),
            },
            up: ExpertLinear { weight: up, scale: None, bias: None },
            down: ExpertLinear { weight: down, scale: factors(&mut noise), bias: None },
        };
        let routing = Routing {
            gating: Gating::Sigmoid,
            normalize: false,
            scale: 1.5,
            weigh_input,
            ..Routing::softmax(n_used)
        };
        let mut values = |len: usize| -> Vec<f32> { (0..len).map(|_| noise.value()).collect() };
        let (x, logits) = (values(n_rows * n_embd), values(n_rows * N_EXPERT));
        let of = |data, cols| Rows { data, rows: n_rows, cols, stride: cols };
        let mut results = Vec::new();
        for pool in pools() {
            let mut out = vec![f32::NAN; n_rows * n_embd];
            let (x, slots) = (of(&x, n_embd), slots(&routing, &logits));
            let scratch = &mut Scratch::default();
            let method = &fastest(Isa::detect());
            moe(&pool, method, scratch, x, &slots, weigh_input, &experts, relu, &mut out);
            results.push(out);
        }
        assert!(results.iter().all(|result| *result == results[0]));

        let mut chosen = Vec::new();
        for (row, out) in results[0].chunks(n_embd).enumerate() {
            routing.choose(&logits[row * N_EXPERT..][..N_EXPERT], &mut chosen);
            let mut expected = vec![0.0; n_embd];
            for &(e, w) in &chosen {
                let w = f64::from(w);
                let (before, after) = if weigh_input { (w, 1.0) } else { (1.0, w) };
                let x: Vec<f64> =
                    x[row * n_embd..][..n_embd].iter().map(|&v| f64::from(v) * before).collect();
                let mut h = product(&experts.up.weight, e, &x, &None);
                if let ExpertGate::Gated(gate, _) = &experts.gate {
                    let gate = product(&gate.weight, e, &x, &gate.scale);
                    h.iter_mut().zip(gate).for_each(|(h, g)| *h *= g.max(0.0));
                } else {
                    h.iter_mut().for_each(|h| *h = h.max(0.0));
                }
                let y = product(&experts.down.weight, e, &h, &experts.down.scale);
                expected.iter_mut().zip(y).for_each(|(out, y)| *out += after * y);
            }
            let norm = expected.iter().fold(0f64, |max, v| max.max(v.abs()));
            for (&y, expected) in out.iter().zip(expected) {
                assert!((f64::from(y) - expected).abs() <= 1e-5 * norm, "{y} is not {expected}");
            }
        }
    }

    /// Rows in any company and with any number of threads.
    #[test]
    fn batch_invariant_results_are_the_same_bits_for_any_number_of_rows() {
        let (n_rows, n_embd, n_ff) = (23, 256, 256);
        let pools = pools();
        for (ty, gated) in [(Q4_0, true), (Q8_0, false), (Q4_K, true), (Q6_K, true), (BF16, true)] {
            let mut noise = Noise(ty as u64);
            let mut linear = |n_in, n_out, scaled: bool| ExpertLinear {
                weight: weight(&mut noise, ty, n_in, n_out),
                scale: scaled.then(|| factors(&mut noise)).flatten(),
                bias: None,
            };
            let experts = Experts {
                gate: match gated {
                    true => ExpertGate::Gated(linear(n_embd, n_ff, false), Activation::Relu.into()),
                    false => ExpertGate::Plain(Activation::Relu),
                },
                up: linear(n_embd, n_ff, false),
                down: linear(n_ff, n_embd, true),
            };
            let routing = Routing::softmax(2);
            let mut values = |len: usize| -> Vec<f32> { (0..len).map(|_| noise.value()).collect() };
            let (x, logits) = (values(n_rows * n_embd), values(n_rows * N_EXPERT));
            for isa in Isa::available() {
                let run = |pool: &Pool, rows_at_once: usize| {
                    let mut scratch = Scratch::default();
                    let mut out = vec![f32::NAN; n_rows * n_embd];
                    let chunks = x
                        .chunks(rows_at_once * n_embd)
                        .zip(logits.chunks(rows_at_once * N_EXPERT))
                        .zip(out.chunks_mut(rows_at_once * n_embd));
                    for ((x, logits), out) in chunks {
                        let rows = x.len() / n_embd;
                        let x = Rows { data: x, rows, cols: n_embd, stride: n_embd };
                        let (method, slots) = (&invariant(isa), slots(&routing, logits));
                        moe(pool, method, &mut scratch, x, &slots, false, &experts, relu, out);
                    }
                    bits(&out)
                };
                let one_by_one = run(&pools[0], 1);
                for pool in &pools {
                    for rows_at_once in [1, 2, 7, n_rows] {
                        let threads = pool.threads();
                        let what = format!("{ty} on {isa}, {rows_at_once} rows, {threads} threads");
                        assert_eq!(one_by_one, run(pool, rows_at_once), "{what}");
                    }
                }
            }
        }
    }

    #[test]
    fn one_row_and_many() {
        for n_rows in [1, 2, 9, 40] {
            for (gated, weigh_input) in [(true, false), (false, false), (true, true)] {
                check(n_rows, gated, weigh_input);
            }
        }
    }
}

/// The values of row `r` of a panel of `n_rows`, which are exact in 64 bits.
#[cfg(target_arch = "x86_64")]
fn panel_values(panel: &Panel, n_rows: usize, r: usize, cols: usize) -> Vec<f64> {
    let group = cols * n_rows / panel.scales.len();
    let codes = panel.elements().as_chunks::<4>().0.iter().skip(r).step_by(n_rows).flatten();
    let value = |(k, &code): (usize, &u8)| {
        let factor = |values: &[f32]| f64::from(values[k / group * n_rows + r]);
        let min_code = panel.min_codes.get(k / 32 * n_rows + r);
        let min_code = min_code.map_or(1.0, |codes| f64::from(codes[k / 16 % 2]));
        let code = f64::from(code) - f64::from(panel.zero);
        factor(&panel.scales) * code + factor(&panel.mins) * min_code
    };
    codes.take(cols).enumerate().map(value).collect()
}

/// However codes are unpacked, the results are those of portable code, to the bit; where panels have one
/// scale for a whole block, and so other codes, the values are.
#[cfg(target_arch = "x86_64")]
#[test]
fn panels_are_those_of_portable_code() {
    let mut noise = Noise(11);
    let portable = Kernels::of(Isa::Scalar).codes;
    for isa in Isa::available().filter(|isa| *isa != Isa::Scalar) {
        for (kernels, portable) in Kernels::of(isa).codes.iter().zip(portable) {
            let cols = kernels.ty.block_len() * if kernels.ty.block_len() == 256 { 2 } else { 11 };
            let row_bytes = kernels.ty.row_bytes(cols).unwrap();
            let (mut panel, mut one) = (Panel::default(), Panel::default());
            for n_rows in [kernels.panel_rows, kernels.panel_rows - 1, 1] {
                let rows = weights(&mut noise, kernels.ty, n_rows, cols);
                // SAFETY: the processor has the instruction set.
                unsafe { (kernels.unpack)(&rows, n_rows, cols, &mut panel) };
                for (r, row) in rows.chunks_exact(row_bytes).enumerate() {
                    // SAFETY: portable code.
                    unsafe { (portable.unpack)(row, 1, cols, &mut one) };
                    let codes = |panel: &Panel, n: usize, r: usize| -> Vec<[u8; 4]> {
                        let words = panel.elements().as_chunks().0.iter().skip(r).step_by(n);
                        words.copied().take(cols / 4).collect()
                    };
                    let factors = |values: &[f32], n: usize, r: usize| -> Vec<u32> {
                        values.iter().skip(r).step_by(n).map(|value| value.to_bits()).collect()
                    };
                    let (n, of_one) = (kernels.panel_rows, portable.panel_rows);
                    let about = format!("{isa} {} row {r} of {n_rows}", kernels.ty);
                    let values = panel_values(&panel, n, r, cols);
                    assert_eq!(values, panel_values(&one, of_one, 0, cols), "{about}");
                    if panel.scales.len() / n != one.scales.len() / of_one {
                        assert_eq!(panel.scales.len(), cols / 256 * n, "{about}");
                        continue;
                    }
                    assert_eq!(codes(&panel, n, r), codes(&one, of_one, 0), "{about}");
                    for (some, others) in [(&panel.scales, &one.scales), (&panel.mins, &one.mins)] {
                        assert_eq!(factors(some, n, r), factors(others, of_one, 0), "{about}");
                    }
                }
                for r in n_rows..kernels.panel_rows {
                    let values = panel_values(&panel, kernels.panel_rows, r, cols);
                    assert!(values.iter().all(|&v| v == 0.0), "{isa} {}", kernels.ty);
                }
            }
        }
    }
}
