//! Short causal convolutions.

use std::ops::Range;

use backend::{ShortConv, Span};

use super::{Target, for_each_chunk, load, part, store};
use crate::ops::Rows;
use crate::pool::{Pool, SharedMut};
use crate::simd::{Kernel, Level, Simd};

/// Channels per chunk.
const CHUNK: usize = 512;

/// A convolution and its input.
#[derive(Clone, Copy)]
pub struct Conv<'a> {
    pub x: Rows<'a>,
    pub conv: &'a ShortConv,
}

/// Convolves, see [`ShortConv`]. `out` is dense.
pub fn short_conv(
    pool: &Pool,
    level: Level,
    inputs: Conv<'_>,
    states: &mut [f32],
    batch: &[Span<'_>],
    out: &mut [f32],
) {
    let channels = inputs.conv.channels();
    assert_eq!(inputs.x.cols, channels, "channels of the input");
    let work = out.len() * inputs.conv.kernel;
    let target = Target {
        out: SharedMut::new(out),
        cols: channels,
        states: SharedMut::new(states),
        state_len: inputs.conv.state_len(),
    };
    for_each_chunk(pool, batch, channels.div_ceil(CHUNK), work, |span, chunk| {
        let span = &batch[span];
        let channels = part(chunk, CHUNK, channels);
        level.run(Channels { inputs, span, channels, target });
    });
}

/// Some channels of a span.
struct Channels<'a> {
    inputs: Conv<'a>,
    span: &'a Span<'a>,
    channels: Range<usize>,
    target: Target<'a>,
}

impl<'a> Channels<'a> {
    /// The values that stand `back` rows before the span.
    ///
    /// # Safety
    /// The caller holds no row twice.
    #[inline(always)]
    unsafe fn held(&self, back: usize) -> &'a mut [f32] {
        let ShortConv { kernel, .. } = self.inputs.conv;
        let start = (kernel - 1 - back) * self.inputs.conv.channels();
        let values = start + self.channels.start..start + self.channels.end;
        // SAFETY: rows of the state are apart, and their channels are this chunk's.
        unsafe { self.target.state(self.span, values) }
    }

    /// The values of row `i` of the span.
    #[inline(always)]
    fn input(&self, i: usize) -> &[f32] {
        &self.inputs.x.row(self.span.rows.start + i)[self.channels.clone()]
    }

    /// Adds the products of one tap.
    #[inline(always)]
    fn add_tap<S: Simd>(s: S, x: &[f32], weight: &[f32], out: &mut [f32]) {
        let n = out.len();
        for at in (0..n).step_by(S::LANES) {
            let end = (at + S::LANES).min(n);
            let sum = load(s, &out[at..end]);
            let sum = s.mul_add(load(s, &x[at..end]), load(s, &weight[at..end]), sum);
            store(s, sum, &mut out[at..end]);
        }
    }

    /// Makes the last rows of the state and the span the state.
    fn keep_last(&self) {
        let rows = self.span.rows.len();
        for back in (1..self.inputs.conv.kernel).rev() {
            // SAFETY: two different rows of the state.
            unsafe {
                let held = self.held(back);
                match back.checked_sub(rows).filter(|&later| later > 0) {
                    Some(later) => held.copy_from_slice(self.held(later)),
                    None => held.copy_from_slice(self.input(rows - back)),
                }
            }
        }
    }
}

impl Kernel for Channels<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let ShortConv { weight, bias, kernel } = self.inputs.conv;
        let all = self.inputs.conv.channels();
        if self.span.pos == 0 {
            // SAFETY: one row at a time.
            (1..*kernel).for_each(|back| unsafe { self.held(back).fill(0.0) });
        }
        for i in 0..self.span.rows.len() {
            let row = self.span.rows.start + i;
            // SAFETY: rows of the span and channels of this chunk.
            let out = unsafe { self.target.out(row, self.channels.clone()) };
            match bias {
                Some(bias) => out.copy_from_slice(&bias[self.channels.clone()]),
                None => out.fill(0.0),
            }
            for tap in 0..*kernel {
                let back = kernel - 1 - tap;
                let weight = &weight[tap * all..][self.channels.clone()];
                if back <= i {
                    Self::add_tap(s, self.input(i - back), weight, out);
                } else {
                    // SAFETY: one row at a time.
                    Self::add_tap(s, unsafe { self.held(back - i) }, weight, out);
                }
            }
        }
        self.keep_last();
    }
}
