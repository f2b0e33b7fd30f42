//! Each operation on values computed by hand.

use backend::{
    DistanceBias, ExpertGate, ExpertLinear, Gating, HeadSharing, KvType, KvTypes, Mask, TensorType,
    Update,
};

use super::*;

fn download(b: &mut Reference, t: Tensor) -> Vec<f32> {
    let mut out = vec![0.0; t.rows() * t.cols()];
    b.download(t, &mut out);
    out
}

#[track_caller]
fn assert_close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (f, e) in std::iter::zip(found, expected) {
        assert!((f - e).abs() <= 1e-6 * e.abs().max(1.0), "{found:?}, expected {expected:?}");
    }
}

/// A stack of f32 matrices.
fn weight(values: &[f32], [cols, rows, count]: [usize; 3]) -> Weight {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    Weight::new("test", TensorType::F32, [cols, rows, count], bytes.into()).unwrap()
}

fn vector(values: &[f32]) -> Vector {
    Vector::new(values)
}

#[test]
fn arena_views_and_release() {
    let mut b = Reference::new();
    let mark = b.mark();
    let t = b.upload(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3);
    assert_eq!(download(&mut b, t.columns(1..3)), [2.0, 3.0, 5.0, 6.0]);
    assert_eq!(download(&mut b, t.row_range(1..2)), [4.0, 5.0, 6.0]);
    b.release(mark);
    let again = b.alloc(1, 1);
    assert_eq!(again.offset(), t.offset());
}

#[test]
fn embed_and_gather_pick_rows() {
    let mut b = Reference::new();
    let table = weight(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [2, 3, 1]);
    let t = b.embed(&table, &[2, 0, 2]);
    assert_eq!(download(&mut b, t), [5.0, 6.0, 1.0, 2.0, 5.0, 6.0]);
    let t = b.gather(t.columns(1..2), &[1, 0]);
    assert_eq!(download(&mut b, t), [2.0, 6.0]);
}

#[test]
fn elementwise_in_place() {
    let mut b = Reference::new();
    let acc = b.upload(&[1.0, 2.0, 3.0, 4.0], 2);
    let x = b.upload(&[10.0, 20.0, 30.0, 40.0], 2);
    b.add_assign(acc, x);
    assert_eq!(download(&mut b, acc), [11.0, 22.0, 33.0, 44.0]);
    b.mul_assign(acc, x.row_range(0..1));
    assert_eq!(download(&mut b, acc), [110.0, 440.0, 330.0, 880.0]);
    b.mul_assign(acc, x);
    assert_eq!(download(&mut b, acc), [1100.0, 8800.0, 9900.0, 35200.0]);
    b.scale(acc.columns(0..1), 0.5);
    assert_eq!(download(&mut b, acc), [550.0, 8800.0, 4950.0, 35200.0]);
    b.scale_rows(acc, &[2.0, 0.0]);
    assert_eq!(download(&mut b, acc), [1100.0, 17600.0, 0.0, 0.0]);
    let x = b.upload(&[0.0, 30.0, -3000.0], 3);
    b.softcap(x, 30.0);
    assert_close(&download(&mut b, x), &[0.0, 30.0 * 0.761_594_2, -30.0]);
}

#[test]
fn scaled_addition_and_products_with_parameters() {
    let mut b = Reference::new();
    let acc = b.upload(&[1.0, 2.0, 3.0, 4.0], 2);
    let x = b.upload(&[10.0, 20.0, 30.0, 40.0], 2);
    b.add_scaled(acc, x, -0.5);
    assert_eq!(download(&mut b, acc), [-4.0, -8.0, -12.0, -16.0]);
    let y = b.mul_vector(x, &vector(&[1.0, 0.5]));
    assert_eq!(download(&mut b, y), [10.0, 10.0, 30.0, 20.0]);
    assert_eq!(download(&mut b, x), [10.0, 20.0, 30.0, 40.0]);
}

#[test]
fn streams_concatenate_and_mix() {
    let mut b = Reference::new();
    let first = b.upload(&[1.0, 2.0, 5.0, 6.0], 2);
    let second = b.upload(&[3.0, 4.0, 7.0, 8.0], 2);
    let x = b.concat(&[first, second]);
    assert_eq!(download(&mut b, x), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    // Three streams from two; row 0: first + 10 second, second, 0; row 1: the first only.
    let coefs = b.upload(&[1.0, 10.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0], 6);
    let y = b.mix_streams(x, coefs, 2);
    assert_eq!(download(&mut b, y), [31.0, 42.0, 3.0, 4.0, 0.0, 0.0, 5.0, 6.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn lengths_follow_the_target() {
    let mut b = Reference::new();
    let x = b.upload(&[0.3, 0.4, 0.0, 0.0, 0.0, -2.0, 1.0, 0.0], 4);
    let target = b.upload(&[6.0, 8.0, 0.0, 3.0], 2);
    b.match_length(x, target);
    assert_close(&download(&mut b, x), &[6.0, 8.0, 0.0, 0.0, 0.0, -3.0, 3.0, 0.0]);
}

#[test]
fn gaussian_top_keeps_outliers() {
    let mut b = Reference::new();
    // Mean 2, squares sum to 12: a standard deviation of 2.
    let x = b.upload(&[1.0, 1.0, 1.0, 5.0], 4);
    b.gaussian_top(x, 1.25);
    assert_close(&download(&mut b, x), &[0.0, 0.0, 0.0, 0.5]);
}

#[test]
fn activations() {
    let mut b = Reference::new();
    let mut apply = |activation| {
        let x = b.upload(&[-1.0, 0.0, 2.0], 3);
        b.activate(x, activation);
        download(&mut b, x)
    };
    assert_close(&apply(Activation::Silu), &[-0.268_941_43, 0.0, 1.761_594_2]);
    assert_close(&apply(Activation::GeluTanh), &[-0.158_813_48, 0.0, 1.955_078_1]);
    assert_eq!(apply(Activation::Relu), [0.0, 0.0, 2.0]);
    assert_close(&apply(Activation::Sigmoid), &[0.268_941_43, 0.5, 0.880_797_1]);
}

#[test]
fn gelu_of_half_floats() {
    let mut b = Reference::new();
    // 1 + 2^-12 rounds to 1, and gelu(1) = 0.841192 to 0.8413086.
    let x = b.upload(&[1.0 + 2f32.powi(-12), -10.5, 10.000_01], 3);
    b.activate(x, Activation::GeluTanh);
    assert_eq!(download(&mut b, x), [0.841_308_6, 0.0, 10.000_01]);
}

#[test]
fn glu_of_two_halves() {
    let mut b = Reference::new();
    let x = b.upload(&[-1.0, 2.0, 10.0, 100.0], 4);
    let y = b.glu(x.columns(0..2), x.columns(2..4), Activation::Relu.into());
    assert_eq!(download(&mut b, y), [0.0, 200.0]);
}

#[test]
fn rms_norm_of_groups() {
    let mut b = Reference::new();
    let x = b.upload(&[3.0, 4.0, 0.0, 5.0], 4);
    let whole = b.rms_norm(x, 4, None, None, 0.0);
    let root = 12.5f32.sqrt();
    assert_close(&download(&mut b, whole), &[3.0 / root, 4.0 / root, 0.0, 5.0 / root]);
    let halves = b.rms_norm(x, 2, Some(&vector(&[1.0, 10.0])), None, 3.5);
    assert_close(&download(&mut b, halves), &[0.75, 10.0, 0.0, 12.5]);
}

#[test]
fn rope_layouts() {
    let mut b = Reference::new();
    // Angles of 90 and 180 degrees; the last value of each head of five stays.
    let table = b.upload(&[0.0, 1.0, -1.0, 0.0], 4);
    let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0];
    let x = b.upload(&values, 10);
    b.rope(x, 5, table, RopeLayout::Norm);
    assert_eq!(download(&mut b, x), [-2.0, 1.0, -3.0, -4.0, 5.0, -7.0, 6.0, -8.0, -9.0, 10.0]);
    let x = b.upload(&values, 10);
    b.rope(x, 5, table, RopeLayout::Neox);
    assert_eq!(download(&mut b, x), [-3.0, -2.0, 1.0, -4.0, 5.0, -8.0, -7.0, 6.0, -9.0, 10.0]);
}

#[test]
fn linear_side_by_side() {
    let mut b = Reference::new();
    let first = Linear::plain(weight(&[1.0, 2.0, 3.0, 4.0], [2, 2, 1]));
    let second = Linear {
        weight: weight(&[1.0, -1.0], [2, 1, 1]),
        bias: Some(vector(&[100.0])),
        scale: 10.0,
    };
    let x = b.upload(&[1.0, 1.0, 0.0, 2.0], 2);
    let y = b.linear(x, &[&first, &second]);
    assert_eq!(download(&mut b, y), [3.0, 7.0, 100.0, 4.0, 8.0, 80.0]);
}

#[test]
fn experts_sum_by_weight() {
    let mut b = Reference::new();
    let linear = |values: &[f32], shape, scale: Option<&[f32]>| ExpertLinear {
        weight: weight(values, shape),
        scale: scale.map(vector),
        bias: None,
    };
    let gate = linear(&[1.0, 1.0, 1.0, -1.0, 2.0, 0.0], [2, 1, 3], None);
    let experts = Experts {
        gate: ExpertGate::Gated(gate, Activation::Relu.into()),
        up: linear(&[1.0, 0.0, 0.0, 1.0, 1.0, 1.0], [2, 1, 3], Some(&[1.0, 1.0, 0.5])),
        down: linear(&[1.0, 0.0, 0.0, 1.0, 1.0, 1.0], [1, 2, 3], Some(&[1.0, 2.0, 4.0])),
    };
    let mut routing =
        Routing { gating: Gating::Sigmoid, normalize: false, scale: 2.0, ..Routing::softmax(2) };
    let x = b.upload(&[1.0, 3.0], 2);
    // Weights: expert 0 takes 2 · 1/2, expert 2 takes 2 · 3/4; expert 1 is last.
    let logits = b.upload(&[0.0, -9.0, 3f32.ln()], 3);
    let y = b.moe(x, logits, &routing, &experts);
    // Expert 0: relu(4) · 1 = 4 to output 0. Expert 2: relu(2) · 0.5 · 4 = 4, times 4, to both.
    assert_close(&download(&mut b, y), &[4.0 + 1.5 * 16.0, 1.5 * 16.0]);
    routing.weigh_input = true;
    let y = b.moe(x, logits, &routing, &experts);
    // The weight enters by gate and up: it is squared.
    assert_close(&download(&mut b, y), &[4.0 + 2.25 * 16.0, 2.25 * 16.0]);
}

const SPEC: KvSpec = KvSpec {
    n_head_kv: 1,
    head_dim: 1,
    head_dim_v: 2,
    n_pages: 4,
    types: KvTypes { k: KvType::F32, v: KvType::F32 },
};

fn params(mask: Mask) -> AttentionParams {
    AttentionParams { mask, ..AttentionParams::causal(2, 1.0) }
}

/// Positions 0..3 with keys 0, ln 2, ln 3 and values (1, 10), (2, 20), (3, 30), in one go.
fn three_positions(b: &mut Reference, pages: &[u32], params: &AttentionParams) -> Vec<f32> {
    let kv = b.kv_create(SPEC).unwrap();
    let k = b.upload(&[0.0, 2f32.ln(), 3f32.ln()], 1);
    let v = b.upload(&[1.0, 10.0, 2.0, 20.0, 3.0, 30.0], 2);
    // Head 0 weighs positions 1 : 2 : 3, head 1 evenly.
    let q = b.upload(&[1.0, 0.0, 1.0, 0.0, 1.0, 0.0], 2);
    let batch = [Span { rows: 0..3, pos: 0, pages, slot: 0 }];
    b.kv_write(kv, k, v, &batch);
    let out = b.attention(q, kv, &batch, params);
    download(b, out)
}

#[test]
fn attention_weighs_what_the_mask_shows() {
    let mut b = Reference::new();
    let first = |a: f32, b: f32| [a, 10.0 * a, b, 10.0 * b];
    let rows = |r: [[f32; 4]; 3]| r.concat();
    let (two, three) = (first(5.0 / 3.0, 1.5), first(14.0 / 6.0, 2.0));
    let causal = three_positions(&mut b, &[3], &params(Mask::Causal));
    assert_close(&causal, &rows([first(1.0, 1.0), two, three]));
    let full = three_positions(&mut b, &[3], &params(Mask::Full));
    assert_close(&full, &rows([three, three, three]));
    let sliding = three_positions(&mut b, &[3], &params(Mask::Sliding(2)));
    assert_close(&sliding, &rows([first(1.0, 1.0), two, first(13.0 / 5.0, 2.5)]));
    let chunked = three_positions(&mut b, &[3], &params(Mask::Chunked(2)));
    assert_close(&chunked, &rows([first(1.0, 1.0), two, first(3.0, 3.0)]));
    let around = three_positions(&mut b, &[3], &params(Mask::Around(1)));
    assert_close(&around, &rows([two, three, first(13.0 / 5.0, 2.5)]));
}

#[test]
fn biases_depend_on_distance_and_end_at_the_radius() {
    let mut b = Reference::new();
    // Head 0: a key before the query counts double, one after it triple. Head 1: none but the own.
    let hidden = f32::NEG_INFINITY;
    let values = [2f32.ln(), 0.0, 3f32.ln(), hidden, 0.0, hidden];
    let distance_bias = Some(DistanceBias::new(1, vector(&values)));
    let params = AttentionParams { distance_bias, ..params(Mask::Full) };
    let out = three_positions(&mut b, &[0], &params);
    let weighed = |w: [f32; 3]| (w[0] + 2.0 * w[1] + 3.0 * w[2]) / w.iter().sum::<f32>();
    let expected = [[1.0, 6.0, 9.0], [2.0, 2.0, 9.0], [2.0, 4.0, 3.0]];
    for (i, (row, weights)) in out.chunks(4).zip(expected).enumerate() {
        assert_close(
            row,
            &[weighed(weights), 10.0 * weighed(weights), i as f32 + 1.0, 10.0 * (i as f32 + 1.0)],
        );
    }
}

#[test]
fn sinks_take_a_share_and_caps_bound_scores() {
    let mut b = Reference::new();
    let sinks = Some(vector(&[4f32.ln(), f32::NEG_INFINITY]));
    let out = three_positions(&mut b, &[0], &AttentionParams { sinks, ..params(Mask::Full) });
    assert_close(&out[..4], &[1.4, 14.0, 2.0, 20.0]);

    let capped = AttentionParams { softcap: 1e-6, ..params(Mask::Full) };
    let out = three_positions(&mut b, &[0], &capped);
    assert!((out[0] - 2.0).abs() < 1e-5, "all scores are about equal: {out:?}");
}

#[test]
fn sequences_see_only_their_own_pages() {
    let mut b = Reference::new();
    let kv = b.kv_create(KvSpec { head_dim_v: 1, ..SPEC }).unwrap();
    let k = b.upload(&vec![0.0; 67], 1);
    let v: Vec<f32> = (0..67).map(|i| i as f32).collect();
    let v = b.upload(&v, 1);
    // Rows 0..65 cross into a second page; rows 65..67 are another sequence.
    let batch = [
        Span { rows: 0..65, pos: 0, pages: &[2, 0], slot: 0 },
        Span { rows: 65..67, pos: 0, pages: &[1], slot: 0 },
    ];
    b.kv_write(kv, k, v, &batch);
    let q = b.upload(&[0.0, 0.0], 2);
    let attend = |b: &mut Reference, pages: &[u32], pos: usize| {
        let batch = [Span { rows: 0..1, pos, pages, slot: 0 }];
        let out = b.attention(q, kv, &batch, &params(Mask::Causal));
        download(b, out)[0]
    };
    assert_close(&[attend(&mut b, &[2, 0], 64)], &[32.0]);
    assert_close(&[attend(&mut b, &[1], 1)], &[65.5]);
    b.kv_copy_page(kv, 1, 3);
    assert_close(&[attend(&mut b, &[3], 1)], &[65.5]);
}

#[test]
fn f16_stores_round() {
    let mut b = Reference::new();
    let kv = b.kv_create(KvSpec { types: KvType::F16.into(), ..SPEC }).unwrap();
    let k = b.upload(&[0.0], 1);
    let v = b.upload(&[1.0 + 2f32.powi(-11), 0.1], 2);
    let q = b.upload(&[0.0, 0.0], 2);
    let batch = [Span { rows: 0..1, pos: 0, pages: &[0], slot: 0 }];
    b.kv_write(kv, k, v, &batch);
    let out = b.attention(q, kv, &batch, &params(Mask::Causal));
    assert_eq!(download(&mut b, out)[..2], [1.0, 0.099_975_586]);
}

#[test]
fn quantised_stores_round_keys_and_values_each_to_their_type() {
    let mut b = Reference::new();
    let types = KvTypes { k: KvType::F32, v: KvType::Q8_0 };
    let kv = b.kv_create(KvSpec { head_dim_v: 32, types, ..SPEC }).unwrap();
    let k = b.upload(&[0.0], 1);
    let mut values = [0.3; 32];
    values[0] = 127.0;
    let v = b.upload(&values, 32);
    let q = b.upload(&[0.0], 1);
    let batch = [Span { rows: 0..1, pos: 0, pages: &[0], slot: 0 }];
    b.kv_write(kv, k, v, &batch);
    let params = AttentionParams { n_head: 1, ..params(Mask::Causal) };
    let out = b.attention(q, kv, &batch, &params);
    assert_eq!(download(&mut b, out)[..2], [127.0, 0.0]);
    let types = KvTypes { k: KvType::Q4_0, v: KvType::F32 };
    let refused = b.kv_create(KvSpec { types, ..SPEC });
    assert!(matches!(refused, Err(BackendError::KvBlocks { what: "keys", .. })));
}

#[test]
fn absurd_stores_are_refused() {
    let mut b = Reference::new();
    for n_pages in [usize::MAX / 2, usize::MAX / 1024] {
        let refused = b.kv_create(KvSpec { n_pages, ..SPEC });
        assert!(matches!(refused, Err(BackendError::OutOfMemory { .. })));
    }
}

#[test]
fn layer_norm_centres_and_scales_groups() {
    let mut b = Reference::new();
    let x = b.upload(&[1.0, 3.0, 10.0, 10.0], 4);
    let (weight, bias) = (vector(&[1.0, 2.0, 3.0, 4.0]), vector(&[0.5, -0.5]));
    let y = b.layer_norm(x, 2, Some(&weight), Some(&bias), 0.0);
    // The first group's mean is 2, with deviations of 1.
    let found = download(&mut b, y);
    assert_close(&found[..2], &[-1.0 + 0.5, 2.0 - 0.5]);
    let y = b.layer_norm(x, 4, None, None, 0.0);
    // Mean 6, squares 25, 9, 16, 16.
    let unit = 16.5f32.sqrt();
    assert_close(&download(&mut b, y), &[-5.0 / unit, -3.0 / unit, 4.0 / unit, 4.0 / unit]);
}

#[test]
fn heads_have_products_of_their_own() {
    let mut b = Reference::new();
    let w = weight(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1, 3, 2]);
    let x = b.upload(&[1.0, 10.0], 2);
    let y = b.linear_heads(x, &w);
    assert_eq!(download(&mut b, y), [1.0, 2.0, 3.0, 40.0, 50.0, 60.0]);
}

#[test]
fn distance_costs_by_the_slope_of_the_head() {
    let mut b = Reference::new();
    let slopes = Some(vector(&[0.0, 2f32.ln()]));
    let params = AttentionParams { slopes, scale: 0.0, ..params(Mask::Causal) };
    let out = three_positions(&mut b, &[0], &params);
    // All scores are 0 but for the second head's, where each step halves the weight: 1 : 2 : 4.
    assert_close(&out[8..], &[2.0, 20.0, 17.0 / 7.0, 170.0 / 7.0]);
}

/// Attention with a memory of one number: what it reads after each of two rows.
fn two_rows(update: Update<'_>, log_decay: f32) -> Vec<f32> {
    let mut b = Reference::new();
    let state = b.state_create(StateSpec { len: 1, n_slots: 2 }).unwrap();
    let mut upload = |values: [f32; 2]| b.upload(&values, 1);
    let attention = LinearAttention {
        q: upload([1.0, 10.0]),
        k: upload([2.0, 3.0]),
        v: upload([5.0, 7.0]),
        log_decay: upload([log_decay; 2]).row_range(0..1),
        beta: matches!(update, Update::Add | Update::Delta).then(|| upload([1.0, 0.5])),
        update,
        n_head: 1,
        n_head_k: 1,
        sharing: HeadSharing::Neighbours,
        scale: 0.1,
    };
    let span = Span { rows: 0..2, pos: 0, pages: &[], slot: 1 };
    let out = b.linear_attention(&attention, state, &[span]);
    download(&mut b, out)
}

#[test]
fn linear_attention_writes_and_reads() {
    let half = 0.5f32.ln();
    // Memory is 10, then 5 + 0.5 · 7 · 3.
    assert_close(&two_rows(Update::Add, half), &[1.0, 15.5]);
    // Each row sees its own value only by the bonus.
    let bonus = vector(&[0.1]);
    assert_close(&two_rows(Update::AddLate(&bonus), half), &[0.1, 12.1]);
    // What 5 holds for key 3 gives way: 5 + 0.5 · (7 - 15) · 3.
    assert_close(&two_rows(Update::Delta, half), &[1.0, -7.0]);
}

#[test]
fn short_convolution_goes_on_from_its_state() {
    let mut b = Reference::new();
    let weight = vector(&[1.0, 10.0, 100.0]);
    let conv = ShortConv { weight, bias: Some(vector(&[0.5])), kernel: 3 };
    let state = b.state_create(StateSpec { len: conv.state_len(), n_slots: 1 }).unwrap();
    let mut run = |values: &[f32], pos: usize| {
        let x = b.upload(values, 1);
        let span = Span { rows: 0..values.len(), pos, pages: &[], slot: 0 };
        let out = b.short_conv(x, &conv, state, &[span]);
        download(&mut b, out)
    };
    assert_close(&run(&[1.0, 2.0], 0), &[100.5, 210.5]);
    assert_close(&run(&[3.0], 2), &[321.5]);
    assert_close(&run(&[4.0], 0), &[400.5]);
}
