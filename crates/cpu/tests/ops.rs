//! Every operation against the `reference` backend, on every instruction set of this machine and
//! several numbers of threads.

mod common;

use backend::{
    Activation, AttentionParams, Backend, DistanceBias, ExpertGate, ExpertLinear, Experts, Glu,
    KvSpec, KvType, KvTypes, Linear, Mask, PAGE, RopeLayout, Routing, Span, TensorType, Vector,
    Weight,
};
use common::{Random, compare, download, is_emulated};
use cpu::isa::Isa;
use cpu::{Cpu, CpuOptions};
use reference::Reference;

/// Odd shapes, and one that is given to several threads.
const SHAPES: [(usize, usize); 6] = [(1, 1), (1, 576), (3, 17), (5, 64), (2, 100), (67, 1031)];

#[test]
fn elementwise_of_dense_and_strided_operands() {
    for (rows, cols) in SHAPES {
        let mut random = Random::new(7 + cols as u64);
        let a = random.values(rows * (cols + 3));
        let b = random.values(rows * (cols + 5));
        let factors = random.values(rows);
        compare(&format!("elementwise {rows}x{cols}"), 1, [1e-6, 1e-9], |backend| {
            let a = backend.upload(&a, cols + 3);
            let b = backend.upload(&b, cols + 5);
            let (inner, other) = (a.columns(1..cols + 1), b.columns(4..cols + 4));
            backend.add_assign(inner, other);
            let mut out = download(backend, a);
            backend.mul_assign(inner, other);
            out.extend(download(backend, a));
            backend.mul_assign(other, inner.row_range(rows - 1..rows));
            out.extend(download(backend, b));
            backend.mul_assign(inner, inner);
            backend.add_assign(other, other);
            backend.scale(other, 0.3);
            backend.scale_rows(inner, &factors);
            backend.assign(b.columns(0..1), a.columns(1..2));
            out.extend(download(backend, a));
            out.extend(download(backend, b));
            // Columns of one tensor.
            let half = cols / 2;
            backend.add_assign(a.columns(0..half), a.columns(half..2 * half));
            backend.mul_assign(b.columns(half..2 * half), b.columns(0..half));
            out.extend(download(backend, a));
            out.extend(download(backend, b));
            out
        });
    }
}

#[test]
fn activations_and_gated_units() {
    let xielu = Activation::Xielu { alpha_p: 0.8, alpha_n: 0.6, beta: 0.5, eps: -1e-6 };
    let kinds = [
        Activation::Silu,
        Activation::GeluTanh,
        Activation::Relu,
        Activation::ReluSquared,
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Exp,
        Activation::Softplus,
        xielu,
    ];
    let clamped = [
        Glu::ClampedSilu { limit: 0.7 },
        Glu::SiluClamped { limit: 0.7 },
        Glu::ClampedSwish { alpha: 1.702, limit: 2.0 },
        Glu::Situ { beta: 4.0, up_beta: 25.0 },
        Glu::Situ { beta: 0.5, up_beta: 0.0 },
    ];
    for (rows, cols) in SHAPES {
        let mut random = Random::new(cols as u64 + 1);
        let x: Vec<f32> = random.values(rows * 2 * cols).iter().map(|v| v * v * v).collect();
        let largest = x.iter().fold(0f32, |largest, v| largest.max(v.abs()));
        for kind in kinds {
            // GELU is rounded to half floats: an error beyond the last bit may cost one of theirs,
            // 2^-10 or at least 2^-24, times the other factor.
            let limits = match kind {
                Activation::GeluTanh => [2f32.powi(-10), largest * 2f32.powi(-24)],
                // Its terms may cancel.
                Activation::Xielu { .. } => [2e-6, largest * 2e-7],
                _ => [2e-6, 1e-9],
            };
            compare(&format!("{kind:?} {rows}x{cols}"), 1, limits, |backend| {
                let x = backend.upload(&x, 2 * cols);
                let (gate, up) = (x.columns(0..cols), x.columns(cols..2 * cols));
                let y = backend.glu(gate, up, kind.into());
                backend.activate(up, kind);
                let mut out = download(backend, x);
                out.extend(download(backend, y));
                out
            });
        }
        for kind in clamped {
            compare(&format!("{kind:?} {rows}x{cols}"), 1, [2e-6, 1e-9], |backend| {
                let x = backend.upload(&x, 2 * cols);
                let y = backend.glu(x.columns(0..cols), x.columns(cols..2 * cols), kind);
                download(backend, y)
            });
        }
        compare(&format!("limits {rows}x{cols}"), 1, [1e-6, 1e-9], |backend| {
            let x = backend.upload(&x, 2 * cols);
            backend.softcap(x.columns(1..cols + 1), 3.0);
            backend.clamp(x.columns(0..cols), 0.6);
            download(backend, x)
        });
    }
}

#[test]
fn rms_norm_of_rows_and_groups() {
    for (rows, groups, group) in
        [(1, 1, 576), (1, 9, 64), (3, 5, 17), (2, 2, 1), (4, 3, 80), (130, 3, 128)]
    {
        let mut random = Random::new(group as u64);
        let x = random.values(rows * (groups * group + 2));
        let weight = Vector::new(random.values(group));
        for weight in [None, Some(&weight)] {
            compare(&format!("rms_norm {rows}x{groups}x{group}"), 1, [1e-6, 1e-9], |backend| {
                let x = backend.upload(&x, groups * group + 2).columns(1..groups * group + 1);
                let y = backend.rms_norm(x, group, weight, None, 1e-5);
                download(backend, y)
            });
        }
    }
}

#[test]
fn layer_norm_with_parameters_of_one_or_all_groups() {
    for (rows, groups, group) in [(1, 1, 576), (3, 5, 17), (4, 3, 80), (130, 3, 128)] {
        let mut random = Random::new(group as u64);
        let x: Vec<f32> = random.values(rows * groups * group).iter().map(|v| v + 5.0).collect();
        let one = Vector::new(random.values(group));
        let all = Vector::new(random.values(groups * group));
        for (weight, bias) in [(None, None), (Some(&one), Some(&all)), (Some(&all), None)] {
            let name = format!("layer_norm {rows}x{groups}x{group}");
            compare(&name, groups * group, [2e-6, 0.0], |backend| {
                let x = backend.upload(&x, groups * group);
                let y = backend.layer_norm(x, group, weight, bias, 1e-5);
                let z = backend.rms_norm(y, group, weight, bias, 1e-5);
                [download(backend, y), download(backend, z)].concat()
            });
        }
    }
}

#[test]
fn products_of_heads() {
    for (rows, n_head, n_in, n_out) in [(1, 1, 64, 32), (5, 4, 32, 24), (40, 3, 64, 130)] {
        let mut random = Random::new(rows as u64 + 41);
        let x = random.values(rows * (n_head * n_in + 3));
        let weight = weight(&mut random, TensorType::F32, [n_in, n_out, n_head]);
        let name = format!("products of {n_head} heads, {rows} rows");
        compare(&name, n_head * n_out, [3e-6, 0.0], |backend| {
            let x = backend.upload(&x, n_head * n_in + 3).columns(2..n_head * n_in + 2);
            let y = backend.linear_heads(x, &weight);
            download(backend, y)
        });
    }
}

#[test]
fn softmax_of_rows() {
    for (rows, cols) in SHAPES {
        let x = Random::new(31 + cols as u64).values(rows * (cols + 1));
        compare(&format!("softmax {rows}x{cols}"), cols, [2e-6, 1e-9], |backend| {
            let x = backend.upload(&x, cols + 1).columns(1..cols + 1);
            backend.scale(x, 30.0);
            backend.softmax(x);
            let dense = backend.concat(&[x]);
            download(backend, dense)
        });
    }
}

#[test]
fn scaled_addition() {
    for (rows, cols) in SHAPES {
        let mut random = Random::new(19 + cols as u64);
        let x = random.values(rows * (2 * cols + 1));
        compare(&format!("scaled addition {rows}x{cols}"), cols, [1e-6, 1e-6], |backend| {
            let x = backend.upload(&x, 2 * cols + 1);
            let (a, b) = (x.columns(0..cols), x.columns(cols + 1..2 * cols + 1));
            backend.add_scaled(a, b, -0.4);
            backend.add_scaled(b, b, 0.5);
            let dense = backend.concat(&[b]);
            backend.add_scaled(dense, a, 0.7);
            let all = backend.concat(&[x, dense]);
            download(backend, all)
        });
    }
}

#[test]
fn products_with_parameters_and_concatenation() {
    for (rows, cols) in SHAPES {
        let mut random = Random::new(21 + cols as u64);
        let a = random.values(rows * (cols + 3));
        let b = random.values(rows * 2);
        let weight = Vector::new(random.values(cols));
        compare(&format!("parameters {rows}x{cols}"), 1, [1e-6, 0.0], |backend| {
            let a = backend.upload(&a, cols + 3).columns(2..cols + 2);
            let b = backend.upload(&b, 2);
            let product = backend.mul_vector(a, &weight);
            let both = backend.concat(&[product, b, a]);
            download(backend, both)
        });
    }
}

#[test]
fn streams_mixed_by_rows() {
    for (rows, width) in SHAPES {
        for (m, n) in [(4, 4), (1, 4), (4, 1), (3, 2)] {
            let mut random = Random::new((23 + width * m + n) as u64);
            let x = random.values(rows * (m * width + 1));
            let coefs = random.values(rows * (n * m + 2));
            let name = format!("{m} to {n} streams {rows}x{width}");
            compare(&name, width, [2e-6, 1e-6], |backend| {
                let x = backend.upload(&x, m * width + 1).columns(1..m * width + 1);
                let coefs = backend.upload(&coefs, n * m + 2).columns(0..n * m);
                let mixed = backend.mix_streams(x, coefs, width);
                download(backend, mixed)
            });
        }
    }
}

#[test]
fn lengths_of_groups_and_sparsity_of_rows() {
    for (rows, cols) in SHAPES {
        let mut random = Random::new(29 + cols as u64);
        let mut x = random.values(rows * (3 * cols + 1));
        x[1..cols + 1].fill(0.0);
        let target = random.values(rows * (cols + 2));
        compare(&format!("length {rows}x{cols}"), cols, [1e-6, 1e-9], |backend| {
            let x = backend.upload(&x, 3 * cols + 1).columns(1..3 * cols + 1);
            let target = backend.upload(&target, cols + 2).columns(2..cols + 2);
            backend.match_length(x, target);
            download(backend, x)
        });
        compare(&format!("sparsity {rows}x{cols}"), 3 * cols, [1e-6, 1e-6], |backend| {
            let x = backend.upload(&x, 3 * cols + 1).columns(0..3 * cols);
            backend.gaussian_top(x, 1.2);
            download(backend, x)
        });
    }
}

#[test]
fn rope_of_parts_of_heads() {
    for (rows, heads, head_dim, turned) in [
        (1, 9, 64, 64),
        (3, 2, 48, 48),
        (2, 3, 20, 10),
        (5, 1, 7, 2),
        (3, 2, 256, 256),
        (2, 1, 320, 300),
        (70, 4, 128, 128),
    ] {
        let mut random = Random::new(head_dim as u64);
        let x = random.values(rows * (heads * head_dim + 1));
        let angles: Vec<f32> = random
            .values(rows * turned / 2)
            .into_iter()
            .flat_map(|angle| [angle.cos(), angle.sin()])
            .collect();
        for layout in [RopeLayout::Norm, RopeLayout::Neox] {
            let name = format!("{layout:?} {rows}x{heads}x{head_dim}, {turned} turned");
            compare(&name, heads * head_dim + 1, [1e-6, 1e-9], |backend| {
                let table = backend.upload(&angles, turned);
                let x = backend.upload(&x, heads * head_dim + 1);
                backend.rope(x.columns(1..heads * head_dim + 1), head_dim, table, layout);
                download(backend, x)
            });
        }
    }
}

#[test]
fn embed_and_gather() {
    let mut random = Random::new(3);
    let (rows, cols) = (50, 96);
    let table = weight(&mut random, TensorType::Q8_0, [cols, rows, 1]);
    for n in [1, 7, 400] {
        let ids: Vec<u32> = (0..n).map(|_| random.below(rows) as u32).collect();
        let picks: Vec<usize> = (0..n).map(|_| random.below(n)).collect();
        compare("embed", 1, [0.0, 1e-9], |backend| {
            let x = backend.embed(&table, &ids);
            let y = backend.gather(x.columns(3..cols), &picks);
            let mut out = download(backend, x);
            out.extend(download(backend, y));
            out
        });
    }
}

/// A stack of matrices of random values.
fn weight(random: &mut Random, ty: TensorType, [cols, rows, count]: [usize; 3]) -> Weight {
    let mut bytes = vec![0; ty.row_bytes(cols).unwrap() * rows * count];
    let encode = ty.info().encode.unwrap();
    encode(&random.values(cols * rows * count), None, &mut bytes);
    Weight::new("weight", ty, [cols, rows, count], bytes.into()).unwrap()
}

#[test]
fn linear_side_by_side() {
    // Integer types also round the input, to 8 bits.
    for (ty, tolerance) in [(TensorType::F32, 1e-6), (TensorType::Q8_0, 1e-2)] {
        for (rows, cols) in [(1, 576), (3, 64), (70, 96)] {
            let mut random = Random::new(rows as u64);
            let x = random.values(rows * (cols + 1));
            let first = Linear::plain(weight(&mut random, ty, [cols, 130, 1]));
            let second = Linear {
                weight: weight(&mut random, ty, [cols, 7, 1]),
                bias: Some(Vector::new(random.values(7))),
                scale: 0.7,
            };
            compare(&format!("linear {ty} {rows}x{cols}"), 137, [tolerance, 0.0], |backend| {
                let x = backend.upload(&x, cols + 1).columns(1..cols + 1);
                let y = backend.linear(x, &[&first, &second]);
                download(backend, y)
            });
        }
    }
}

#[test]
fn mixtures_of_experts() {
    let (n_expert, n_embd, n_ff, ty) = (6, 64, 96, TensorType::F32);
    for (rows, gated, weigh_input) in
        [(1, true, false), (1, true, true), (5, false, false), (40, true, true), (40, true, false)]
    {
        let mut random = Random::new(rows as u64);
        let x = random.values(rows * n_embd);
        let logits = random.values(rows * n_expert);
        let mut linear = |n_in, n_out| {
            // Gate and up may be halves of one stack.
            let weight = weight(&mut random, ty, [n_in, 2 * n_out, n_expert]);
            ExpertLinear {
                weight: weight.slice_rows(n_out..2 * n_out),
                scale: Some(Vector::new(random.values(n_expert))),
                bias: (!weigh_input).then(|| Vector::new(random.values(n_expert * n_out))),
            }
        };
        let experts = Experts {
            gate: match gated {
                true => ExpertGate::Gated(linear(n_embd, n_ff), Activation::Silu.into()),
                false => ExpertGate::Plain(Activation::Silu),
            },
            up: linear(n_embd, n_ff),
            down: linear(n_ff, n_embd),
        };
        let routing = Routing { scale: 1.5, weigh_input, ..Routing::softmax(3) };
        let name = format!("moe {rows} rows, gated {gated}, weigh_input {weigh_input}");
        compare(&name, n_embd, [3e-6, 0.0], |backend| {
            let x = backend.upload(&x, n_embd);
            let logits = backend.upload(&logits, n_expert);
            let y = backend.moe(x, logits, &routing, &experts);
            let first_two = [(1, 0.5), (0, -0.25)].repeat(rows);
            let z = backend.moe_chosen(x, &first_two, &experts);
            [download(backend, y), download(backend, z)].concat()
        });
    }
}

/// Sequences of these lengths, of which the last rows are in the batch.
struct AttentionCase {
    lengths: Vec<(usize, usize)>,
    n_head: usize,
    n_head_kv: usize,
    head_dim: usize,
    head_dim_v: usize,
    types: KvTypes,
    params: AttentionParams,
    /// Positions are written in several batches of at most this.
    batch: usize,
}

impl AttentionCase {
    fn check(&self, seed: u64) {
        let Self { n_head, n_head_kv, head_dim, head_dim_v, types, ref params, .. } = *self;
        let name = format!(
            "attention {:?} {n_head}/{n_head_kv}x{head_dim}/{head_dim_v} {}/{} {:?} cap {} sinks {}",
            self.lengths,
            types.k,
            types.v,
            params.mask,
            params.softcap,
            params.sinks.is_some()
        );
        let mut random = Random::new(seed);
        let mut pages: Vec<u32> = (0..64).collect();
        (0..pages.len()).for_each(|i| pages.swap(i, i + random.below(64 - i)));
        let mut pages = pages.chunks(12);
        let sequences: Vec<_> = self
            .lengths
            .iter()
            .map(|&(len, rows)| {
                let k = random.values(len * n_head_kv * head_dim);
                let v = random.values(len * n_head_kv * head_dim_v);
                let mut q = random.values(rows * n_head * head_dim);
                // Quantised keys meet queries in 8 bits, which costs these nothing.
                q.chunks_mut(32).for_each(|block| to_grid(block, &mut random));
                (len, rows, k, v, q, pages.next().unwrap())
            })
            .collect();
        compare(&name, head_dim_v, [3e-6, 3e-7], |backend| {
            let spec = KvSpec { n_head_kv, head_dim, head_dim_v, n_pages: 65, types };
            let kv = backend.kv_create(spec).unwrap();
            for (len, _, k, v, _, pages) in &sequences {
                for pos in (0..*len).step_by(self.batch) {
                    let n = self.batch.min(len - pos);
                    let (wk, wv) = (n_head_kv * head_dim, n_head_kv * head_dim_v);
                    let k = backend.upload(&k[pos * wk..(pos + n) * wk], wk);
                    let v = backend.upload(&v[pos * wv..(pos + n) * wv], wv);
                    backend.kv_write(kv, k, v, &[Span { rows: 0..n, pos, pages, slot: 0 }]);
                }
            }
            // A copied page is as good as its origin.
            let first = sequences[0].5[0];
            backend.kv_copy_page(kv, first, 64);
            let copied: Vec<u32> =
                [64].into_iter().chain(sequences[0].5[1..].iter().copied()).collect();
            let mut row = 0;
            let mut q_values = Vec::new();
            let mut batch = Vec::new();
            for (i, (len, rows, _, _, q, pages)) in sequences.iter().enumerate() {
                let pages = if i == 0 { &copied } else { *pages };
                let pages = &pages[..len.div_ceil(PAGE)];
                batch.push(Span { rows: row..row + rows, pos: len - rows, pages, slot: 0 });
                row += rows;
                q_values.extend_from_slice(q);
            }
            let q = backend.upload(&q_values, n_head * head_dim);
            let out = backend.attention(q, kv, &batch, params);
            download(backend, out)
        });
    }
}

/// Rounds to multiples of a 127th of the greatest magnitude.
fn to_grid(block: &mut [f32], random: &mut Random) {
    block[random.below(block.len())] = 4.0;
    block.iter_mut().for_each(|v| *v = (*v * (127.0 / 4.0)).round() * (4.0 / 127.0));
}

const LENGTHS: [usize; 6] = [1, 63, 64, 65, 200, 600];

/// Formats of keys and values: each once at least.
const TYPES: [(KvType, KvType); 8] = [
    (KvType::F16, KvType::F16),
    (KvType::F32, KvType::F32),
    (KvType::Q8_0, KvType::Q8_0),
    (KvType::Q4_0, KvType::Q4_0),
    (KvType::Bf16, KvType::Q4_1),
    (KvType::Q4_1, KvType::Iq4Nl),
    (KvType::Iq4Nl, KvType::Q5_0),
    (KvType::Q5_1, KvType::Bf16),
];

#[test]
fn attention_over_shapes_masks_and_lengths() {
    let heads = [(1, 1, 64, 64), (9, 3, 64, 64), (8, 2, 128, 128), (4, 4, 48, 48), (7, 1, 96, 32)];
    let masks = [Mask::Causal, Mask::Sliding(70), Mask::Chunked(96), Mask::Full, Mask::Around(40)];
    let mut seed = 1;
    for (n_head, n_head_kv, head_dim, head_dim_v) in heads {
        for (k, v) in TYPES {
            let types = KvTypes { k, v };
            let spec = KvSpec { n_head_kv, head_dim, head_dim_v, n_pages: 1, types };
            if spec.bytes().is_err() {
                continue;
            }
            // As many queries as keys, or with several tiles of them at least.
            let many = if is_emulated() { 70 } else { 1000 };
            for rows in [1, 3, many] {
                seed += 1;
                // Every seventh still has all heads, types, numbers of rows, masks and lengths.
                if is_emulated() && seed % 7 != 0 {
                    continue;
                }
                // A different mask and length each time, alone or beside others.
                let mask = masks[seed as usize / 3 % masks.len()];
                let at = seed as usize % LENGTHS.len();
                let take = if rows == many { 1 + at % 2 } else { 3 };
                let most = if is_emulated() { 330 } else { 600 };
                let lengths =
                    LENGTHS.map(|len| len.min(most)).into_iter().cycle().skip(at).take(take);
                AttentionCase {
                    lengths: lengths.map(|len| (len, rows.min(len))).collect(),
                    n_head,
                    n_head_kv,
                    head_dim,
                    head_dim_v,
                    types,
                    params: AttentionParams {
                        mask,
                        ..AttentionParams::causal(n_head, 1.0 / (head_dim as f32).sqrt())
                    },
                    batch: 37,
                }
                .check(seed);
            }
        }
    }
}

#[test]
fn attention_with_caps_slopes_and_sinks() {
    let mut random = Random::new(5);
    for (n_head, n_head_kv, head_dim) in [(4, 2, 256), (3, 3, 1), (16, 1, 16), (64, 1, 20)] {
        for rows in [1, 40] {
            let sinks = Some(Vector::new(random.values(n_head)));
            let slopes: Vec<f32> = (0..n_head).map(|h| 0.5 / (h + 1) as f32).collect();
            let slopes = Some(Vector::new(slopes));
            for (softcap, sinks, slopes) in [
                (5.0, None, None),
                (0.0, sinks.clone(), None),
                (0.0, None, slopes.clone()),
                (2.0, sinks, slopes),
            ] {
                for ty in [KvType::F16, KvType::Q8_0, KvType::Q5_0] {
                    if head_dim % ty.tensor_type().block_len() != 0 {
                        continue;
                    }
                    AttentionCase {
                        lengths: vec![(150, rows), (64, rows)],
                        n_head,
                        n_head_kv,
                        head_dim,
                        head_dim_v: head_dim,
                        types: ty.into(),
                        params: AttentionParams {
                            n_head,
                            scale: 1.0 / (head_dim as f32).sqrt(),
                            softcap,
                            mask: Mask::Sliding(100),
                            slopes: slopes.clone(),
                            distance_bias: None,
                            sinks: sinks.clone(),
                        },
                        batch: 150,
                    }
                    .check(random.next());
                }
            }
        }
    }
}

#[test]
fn attention_with_biases_by_distance() {
    let mut random = Random::new(6);
    for (mask, rows) in [(Mask::Full, 150), (Mask::Causal, 1), (Mask::Around(20), 70)] {
        let (n_head, head_dim) = (4, 32);
        let bias = DistanceBias::new(30, Vector::new(random.values(n_head * 61)));
        AttentionCase {
            lengths: vec![(150, rows), (70, rows.min(70))],
            n_head,
            n_head_kv: 2,
            head_dim,
            head_dim_v: head_dim,
            types: KvType::F16.into(),
            params: AttentionParams {
                mask,
                slopes: Some(Vector::new(vec![0.1, 0.0, 0.01, 0.0])),
                distance_bias: Some(bias),
                ..AttentionParams::causal(n_head, 1.0 / (head_dim as f32).sqrt())
            },
            batch: 150,
        }
        .check(random.next());
    }
}

/// A query's result doesn't depend on what else is in the batch, to the last bit.
#[test]
fn attention_is_the_same_in_any_batch() {
    let (n_head, n_head_kv, head_dim) = (6, 2, 64);
    let len = if is_emulated() { 210 } else { 333 };
    let mut random = Random::new(11);
    let k = random.values(len * n_head_kv * head_dim);
    let v = random.values(len * n_head_kv * head_dim);
    let q = random.values(len * n_head * head_dim);
    let pages: Vec<u32> = (0..len.div_ceil(PAGE) as u32).rev().collect();
    let masks = [Mask::Causal, Mask::Sliding(150), Mask::Chunked(200)];
    for (i, ty) in KvType::ALL.into_iter().enumerate() {
        for (j, mask) in masks.into_iter().enumerate() {
            if is_emulated() && i % masks.len() != j {
                continue;
            }
            for isa in Isa::available() {
                let attend = |batch: usize, threads: usize| {
                    let options =
                        CpuOptions { threads: Some(threads), isa: Some(isa), ..<_>::default() };
                    let mut cpu = Cpu::new(options);
                    let (n_pages, types) = (pages.len(), ty.into());
                    let head_dim_v = head_dim;
                    let spec = KvSpec { n_head_kv, head_dim, head_dim_v, n_pages, types };
                    let kv = cpu.kv_create(spec).unwrap();
                    let [k, v] = [&k, &v].map(|x| cpu.upload(x, n_head_kv * head_dim));
                    cpu.kv_write(
                        kv,
                        k,
                        v,
                        &[Span { rows: 0..len, pos: 0, pages: &pages, slot: 0 }],
                    );
                    let scale = 0.125;
                    let params = AttentionParams { mask, ..AttentionParams::causal(n_head, scale) };
                    let mut out = Vec::new();
                    for q in q.chunks(batch * n_head * head_dim) {
                        let pos = out.len() / (n_head * head_dim);
                        let q = cpu.upload(q, n_head * head_dim);
                        let batch = [Span { rows: 0..q.rows(), pos, pages: &pages, slot: 0 }];
                        let y = cpu.attention(q, kv, &batch, &params);
                        out.extend(download(&mut cpu, y));
                    }
                    out
                };
                let all = attend(len, 1);
                assert_eq!(attend(1, 2), all, "{ty}, {mask:?}, {isa}: one by one");
                assert_eq!(attend(29, 1), all, "{ty}, {mask:?}, {isa}: in batches of 29");
            }
        }
    }
}

#[test]
fn stale_cells_of_a_page_are_not_seen() {
    for (isa, ty) in Isa::available().flat_map(|isa| KvType::ALL.map(|ty| (isa, ty))) {
        let types = ty.into();
        let spec = KvSpec { n_head_kv: 1, head_dim: 32, head_dim_v: 32, n_pages: 1, types };
        let mut cpu = Cpu::new(CpuOptions { threads: Some(1), isa: Some(isa), ..<_>::default() });
        let kv = cpu.kv_create(spec).unwrap();
        let nan = cpu.upload(&[f32::NAN; 32 * 20], 32);
        cpu.kv_write(kv, nan, nan, &[Span { rows: 0..20, pos: 0, pages: &[0], slot: 0 }]);
        // Which all formats hold exactly.
        let powers: Vec<f32> = (0..32 * 3).map(|i| [-8.0, 0.0, -8.0][i % 3]).collect();
        let x = cpu.upload(&powers, 32);
        let batch = [Span { rows: 0..3, pos: 0, pages: &[0], slot: 0 }];
        cpu.kv_write(kv, x, x, &batch);
        let params = AttentionParams::causal(1, 1.0);
        let out = cpu.attention(x, kv, &batch, &params);
        assert!(download(&mut cpu, out).iter().all(|v| v.is_finite()), "{isa}, {ty}");
    }
}

#[test]
fn heads_must_be_whole_blocks() {
    let types = KvTypes { k: KvType::F16, v: KvType::Q8_0 };
    let spec = KvSpec { n_head_kv: 2, head_dim: 80, head_dim_v: 80, n_pages: 1, types };
    let refusal = "values can't be stored as q8_0: the model's heads of 80 values are not a multiple \
                   of its blocks of 32; use f16 (-ctv f16)";
    let mut cpu = Cpu::new(CpuOptions { threads: Some(1), ..<_>::default() });
    assert_eq!(cpu.kv_create(spec).unwrap_err().to_string(), refusal);
    assert_eq!(Reference::new().kv_create(spec).unwrap_err().to_string(), refusal);
}

#[test]
fn absurd_stores_are_refused() {
    let mut cpu = Cpu::new(CpuOptions { threads: Some(1), ..<_>::default() });
    for n_pages in [usize::MAX / 2, usize::MAX / 4096] {
        let spec =
            KvSpec { n_head_kv: 2, head_dim: 3, head_dim_v: 3, n_pages, types: KvType::F16.into() };
        assert!(cpu.kv_create(spec).is_err());
    }
}

#[test]
fn it_describes_itself() {
    let cpu = Cpu::new(CpuOptions { threads: Some(1), isa: Some(Isa::Scalar), ..<_>::default() });
    assert_eq!(cpu.describe(), "cpu (scalar, 1 thread)");
    let best = Cpu::new(CpuOptions { threads: Some(2), ..<_>::default() });
    assert_eq!(best.describe(), format!("cpu ({}, 2 threads)", Isa::detect()));
}
