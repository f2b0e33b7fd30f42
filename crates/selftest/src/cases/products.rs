//! Products. Activations are such that rounding them to 8 bits, or to BF16, changes nothing: so what
//! is left is the error of sums in `f32`, some orders of magnitude below that of one wrong code.

use backend::{
    Activation, Backend, ExpertGate, ExpertLinear, Experts, Form, Linear, Routing, TensorType,
    Weight,
};
use reference::Reference;

use super::{Extent, of_extent};
use crate::case::{Case, Limit, download};
use crate::random::Random;

/// Numbers of columns that go through each of the kernels: direct ones, and tiles.
const DIRECT: [usize; 4] = [1, 2, 3, 4];
const TILES: [usize; 7] = [1, 2, 3, 4, 5, 6, 13];

pub fn product(ty: TensorType, form: Form, extent: Extent) -> Vec<Case> {
    let columns: &'static [usize] = match (form, extent) {
        (Form::Direct, _) => &DIRECT,
        (Form::Panels, Extent::Thorough) => &TILES,
        (Form::Panels, Extent::Quick) => &TILES[..6],
    };
    // More rows than a panel has, and more than one.
    let shapes = match ty.block_len() {
        1 => [(35, 77), (70, 301), (1, 1)],
        32 => [(35, 160), (70, 352), (1, 32)],
        64 => [(35, 192), (70, 320), (1, 64)],
        len => [(35, 2 * len), (70, 3 * len), (1, len)],
    };
    let shapes = of_extent(extent, &shapes).iter();
    let mut cases: Vec<Case> =
        shapes.map(|&(rows, cols)| exact_product(ty, rows, cols, columns)).collect();
    if extent == Extent::Thorough {
        cases.push(experts(ty, if form == Form::Direct { 2 } else { 9 }));
    }
    cases
}

/// Products with each of these numbers of columns.
fn exact_product(ty: TensorType, rows: usize, cols: usize, columns: &'static [usize]) -> Case {
    let mut random = Random::new((ty as usize * 7 + rows) as u64);
    let layer = Linear::plain(random.weight(ty, [cols, rows, 1]));
    let block = if ty.block_len() == 256 { 256 } else { 32 };
    let most = columns.iter().copied().max().unwrap_or(0);
    // A row after the other, so that blocks don't straddle them.
    let x: Vec<f32> = (0..most).flat_map(|_| random.exact(cols, block)).collect();

    let mut judge = Reference::new();
    let input = judge.upload(&x, cols);
    let product = judge.linear(input, &[&layer]);
    let all = download(&mut judge, product);
    let expected = columns.iter().flat_map(|n| &all[..n * rows]).copied().collect();

    let absolute = 2e-7 * cols as f32 * greatest(&layer.weight) * 127.0 * 0.0625;
    let limit = Limit { group: rows, relative: 0.0, absolute };
    Case::known(format!("{rows}x{cols} weights"), limit, expected, move |backend| {
        let x = backend.upload(&x, cols);
        let mut out = Vec::new();
        for &n in columns {
            let product = backend.linear(x.row_range(0..n), &[&layer]);
            out.extend(download(backend, product));
        }
        out
    })
}

/// The greatest magnitude of a weight's values.
fn greatest(weight: &Weight) -> f32 {
    let mut values = vec![0.0; weight.cols()];
    let of_row = |row| {
        weight.decode_row(0, row, &mut values);
        values.iter().fold(0f32, |most, v| most.max(v.abs()))
    };
    (0..weight.rows()).map(of_row).fold(0.0, f32::max)
}

/// A mixture of experts. What is between its products is multiplied by floats, so that it is not
/// rounded.
fn experts(ty: TensorType, rows: usize) -> Case {
    const N_EXPERT: usize = 3;
    let mut random = Random::new(ty as u64 + 100);
    let width = ty.block_len().max(64);
    let mut linear = |ty| ExpertLinear {
        weight: random.weight(ty, [width, width, N_EXPERT]),
        scale: None,
        bias: None,
    };
    let experts = Experts {
        gate: ExpertGate::Gated(linear(ty), Activation::Relu.into()),
        up: linear(ty),
        down: linear(TensorType::F32),
    };
    let block = if width == 256 { 256 } else { 32 };
    let x: Vec<f32> = (0..rows).flat_map(|_| random.exact(width, block)).collect();
    let logits = random.values(rows * N_EXPERT);
    let routing = Routing::softmax(2);
    let name = format!("{rows} rows for {N_EXPERT} experts");
    Case::new(name, Limit::relative(width, 5e-5), move |backend| {
        let x = backend.upload(&x, width);
        let logits = backend.upload(&logits, N_EXPERT);
        let out = backend.moe(x, logits, &routing, &experts);
        download(backend, out)
    })
}

/// Activations that are rounded, multiplied by a unit matrix; and types that take sums of them.
pub fn rounding(extent: Extent) -> Vec<Case> {
    let mut cases = vec![
        unit_product(TensorType::Q8_0, 96),
        exact_product(TensorType::Q4_1, 7, 160, &DIRECT),
        exact_product(TensorType::Q2_K, 7, 512, &DIRECT),
    ];
    if extent == Extent::Thorough {
        cases.push(unit_product(TensorType::TQ2_0, 256));
        cases.push(exact_product(TensorType::Q4_K, 7, 768, &DIRECT));
    }
    cases
}

/// The product with a unit matrix of a type that holds 0 and 1.
fn unit_product(ty: TensorType, n: usize) -> Case {
    const ROWS: usize = 5;
    let mut unit = vec![0.0; n * n];
    (0..n).for_each(|i| unit[i * n + i] = 1.0);
    let mut bytes = vec![0; n * n / ty.block_len() * ty.block_bytes()];
    if let Some(encode) = ty.info().encode {
        encode(&unit, None, &mut bytes);
    }
    let weight =
        Weight::new("unit", ty, [n, n, 1], bytes.into()).expect("a matrix of whole blocks");
    let layer = Linear::plain(weight);
    let x = Random::new(n as u64).values(ROWS * n);
    // Half a step of 127, and the rounding of scales to half floats.
    let limit = Limit::relative(ty.block_len(), 0.5 / 127.0 + 1e-3);
    Case::known(format!("{ROWS}x{n} activations"), limit, x.clone(), move |backend| {
        let x = backend.upload(&x, n);
        let product = backend.linear(x, &[&layer]);
        download(backend, product)
    })
}
