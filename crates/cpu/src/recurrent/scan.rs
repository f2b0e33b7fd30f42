//! The selective scan of Mamba.

use std::ops::Range;

use backend::Span;

use super::{Target, for_each_chunk, load, part, store};
use crate::ops::Rows;
use crate::pool::{Pool, SharedMut};
use crate::simd::{Kernel, Level, Simd, exp};

/// Channels per chunk.
const CHUNK: usize = 64;

/// The inputs of a [`backend::SelectiveScan`].
#[derive(Clone, Copy)]
pub struct Scan<'a> {
    pub x: Rows<'a>,
    pub dt: Rows<'a>,
    pub b: Rows<'a>,
    pub c: Rows<'a>,
    pub a: &'a [f32],
}

/// Scans, see [`backend::SelectiveScan`]. `out` is dense.
pub fn selective_scan(
    pool: &Pool,
    level: Level,
    scan: Scan<'_>,
    states: &mut [f32],
    batch: &[Span<'_>],
    out: &mut [f32],
) {
    let (channels, n) = (scan.x.cols, scan.b.cols);
    assert_eq!((scan.dt.cols, scan.c.cols), (channels, n), "columns of the inputs");
    assert_eq!(scan.a.len(), channels * n, "rates of {channels} channels");
    let work = out.len() * n;
    let target = Target {
        out: SharedMut::new(out),
        cols: channels,
        states: SharedMut::new(states),
        state_len: channels * n,
    };
    for_each_chunk(pool, batch, channels.div_ceil(CHUNK), work, |span, chunk| {
        let span = &batch[span];
        let channels = part(chunk, CHUNK, channels);
        level.run(Channels { scan, span, channels, target });
    });
}

/// Some channels of a span.
struct Channels<'a> {
    scan: Scan<'a>,
    span: &'a Span<'a>,
    channels: Range<usize>,
    target: Target<'a>,
}

impl Kernel for Channels<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Scan { x, dt, b, c, a } = self.scan;
        let n = b.cols;
        let a = &a[self.channels.start * n..];
        // SAFETY: the state of a channel is its chunk's.
        let state = unsafe {
            let values = self.channels.start * n..self.channels.end * n;
            self.target.begin(self.span, values)
        };
        for row in self.span.rows.clone() {
            let x = &x.row(row)[self.channels.clone()];
            let dt = &dt.row(row)[self.channels.clone()];
            let (b, c) = (b.row(row), c.row(row));
            // SAFETY: rows of the span and channels of this chunk.
            let out = unsafe { self.target.out(row, self.channels.clone()) };
            for (i, (h, out)) in state.chunks_exact_mut(n).zip(out).enumerate() {
                *out = step(s, h, &a[i * n..][..n], [dt[i], x[i]], b, c);
            }
        }
    }
}

/// One step of one channel; its output.
#[inline(always)]
fn step<S: Simd>(s: S, h: &mut [f32], a: &[f32], [dt, x]: [f32; 2], b: &[f32], c: &[f32]) -> f32 {
    let (input, dt) = (s.splat(dt * x), s.splat(dt));
    let mut sum = s.splat(0.0);
    for at in (0..h.len()).step_by(S::LANES) {
        let end = (at + S::LANES).min(h.len());
        let decay = exp(s, s.mul(dt, load(s, &a[at..end])));
        let held = s.mul(decay, load(s, &h[at..end]));
        let new = s.mul_add(input, load(s, &b[at..end]), held);
        sum = s.mul_add(new, load(s, &c[at..end]), sum);
        store(s, new, &mut h[at..end]);
    }
    s.reduce_add(sum)
}
