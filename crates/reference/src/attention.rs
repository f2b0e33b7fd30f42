//! Keys and values, and attention over them.

use backend::{AttentionParams, BackendError, KvSpec, KvType, PAGE, Span};

use crate::elementwise::softcap;
use crate::linear::dot;

/// Keys and values of one layer: `[page][kv head][PAGE][head_dim]`, rounded to the store's format.
#[derive(Debug)]
pub struct Store {
    spec: KvSpec,
    k: Vec<f32>,
    v: Vec<f32>,
}

impl Store {
    /// A zeroed store.
    pub fn new(spec: KvSpec) -> Result<Self, BackendError> {
        let bytes = spec.bytes()?;
        // Values take at least half a byte each, so that their number doesn't overflow.
        if bytes > usize::MAX / 2 {
            return Err(BackendError::OutOfMemory { bytes });
        }
        let zeros = |head_dim: usize| {
            let len = spec.n_pages * PAGE * spec.n_head_kv * head_dim;
            let mut values = Vec::new();
            values.try_reserve_exact(len).map_err(|_| BackendError::OutOfMemory { bytes })?;
            values.resize(len, 0.0);
            Ok(values)
        };
        Ok(Self { spec, k: zeros(spec.head_dim)?, v: zeros(spec.head_dim_v)? })
    }

    /// The store's shape.
    pub fn spec(&self) -> KvSpec {
        self.spec
    }

    /// Copies keys and values of a whole page.
    pub fn copy_page(&mut self, from: usize, to: usize) {
        let [k, v] = self.page_lens();
        self.k.copy_within(from * k..(from + 1) * k, to * k);
        self.v.copy_within(from * v..(from + 1) * v, to * v);
    }

    /// Numbers of keys and of values in a page.
    fn page_lens(&self) -> [usize; 2] {
        let KvSpec { n_head_kv, head_dim, head_dim_v, .. } = self.spec;
        [head_dim, head_dim_v].map(|head_dim| PAGE * n_head_kv * head_dim)
    }

    /// Keys and values of a page.
    pub fn page(&self, page: usize) -> [&[f32]; 2] {
        let [k, v] = self.page_lens();
        [&self.k[page * k..][..k], &self.v[page * v..][..v]]
    }

    /// Keys and values of a page, to be changed.
    pub fn page_mut(&mut self, page: usize) -> [&mut [f32]; 2] {
        let [k, v] = self.page_lens();
        [&mut self.k[page * k..][..k], &mut self.v[page * v..][..v]]
    }

    /// Stores one position's keys and values of all heads.
    pub fn write(&mut self, pages: &[u32], pos: usize, k: &[f32], v: &[f32]) {
        let KvSpec { n_head_kv, head_dim, head_dim_v, types, .. } = self.spec;
        assert_eq!((k.len(), v.len()), (n_head_kv * head_dim, n_head_kv * head_dim_v));
        for head in 0..n_head_kv {
            let at = self.cell(pages, pos, head);
            let k = &k[head * head_dim..][..head_dim];
            round(types.k, k, &mut self.k[at * head_dim..][..head_dim]);
            let v = &v[head * head_dim_v..][..head_dim_v];
            round(types.v, v, &mut self.v[at * head_dim_v..][..head_dim_v]);
        }
    }

    /// All heads of one query row at `pos`, see [`AttentionParams`].
    pub fn attend(
        &self,
        q: &[f32],
        span: &Span<'_>,
        pos: usize,
        params: &AttentionParams,
    ) -> Vec<f32> {
        let KvSpec { n_head_kv, head_dim, head_dim_v, .. } = self.spec;
        assert_eq!(q.len(), params.n_head * head_dim);
        assert!(params.n_head.is_multiple_of(n_head_kv));
        let visible = params.mask.visible(pos, span.len());
        let mut out = Vec::with_capacity(params.n_head * head_dim_v);
        for (head, q) in q.chunks_exact(head_dim).enumerate() {
            let kv_head = head / (params.n_head / n_head_kv);
            let scores: Vec<f64> = visible
                .clone()
                .map(|j| {
                    let at = self.cell(span.pages, j, kv_head) * head_dim;
                    let score = f64::from(params.scale) * dot(q, &self.k[at..at + head_dim]);
                    let score = match params.softcap > 0.0 {
                        true => f64::from(softcap(score as f32, params.softcap)),
                        false => score,
                    };
                    let slope =
                        params.slopes.as_ref().map_or(0.0, |slopes| f64::from(slopes[head]));
                    let bias = params.distance_bias.as_ref();
                    let bias = bias.map_or(0.0, |bias| f64::from(bias.get(head, pos, j)));
                    score - slope * pos.abs_diff(j) as f64 + bias
                })
                .collect();
            let sink = params.sinks.as_ref().map(|sinks| f64::from(sinks[head]));
            let values: Vec<&[f32]> = visible
                .clone()
                .map(|j| &self.v[self.cell(span.pages, j, kv_head) * head_dim_v..][..head_dim_v])
                .collect();
            out.extend(weighted_mean(&scores, sink, &values, head_dim_v));
        }
        out
    }

    /// Index of a position's vector among all of the store.
    fn cell(&self, pages: &[u32], pos: usize, head: usize) -> usize {
        let page = pages[pos / PAGE] as usize;
        (page * self.spec.n_head_kv + head) * PAGE + pos % PAGE
    }
}

/// The mean of vectors of `width` values by the softmax of their scores and that of a sink.
pub fn weighted_mean(
    scores: &[f64],
    sink: Option<f64>,
    values: &[&[f32]],
    width: usize,
) -> Vec<f32> {
    let max = scores.iter().copied().chain(sink).fold(f64::NEG_INFINITY, f64::max);
    let mut total = sink.map_or(0.0, |sink| (sink - max).exp());
    let mut sum = vec![0.0; width];
    for (score, values) in scores.iter().zip(values) {
        let p = (score - max).exp();
        total += p;
        sum.iter_mut().zip(*values).for_each(|(sum, &v)| *sum += p * f64::from(v));
    }
    sum.into_iter().map(|v| (v / total) as f32).collect()
}

/// What is left of a vector that is stored.
pub fn round(ty: KvType, values: &[f32], out: &mut [f32]) {
    let ty = ty.tensor_type();
    let (encode, decode) = (ty.info().encode, ty.info().decode);
    let mut bytes = vec![0; ty.row_bytes(values.len()).expect("whole blocks, as was checked")];
    encode.expect("a type with an encoder")(values, None, &mut bytes);
    decode.expect("a type with a decoder")(&bytes, out);
}
