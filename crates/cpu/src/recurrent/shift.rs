//! Differences to the row before.

use backend::{Span, Tensor};

/// `out[i] = x[i - 1] - x[i]`, see [`backend::Backend::token_shift`]. `below` is the arena's data
/// below the dense `out`, and `states` all states, of `x.cols()` values.
pub fn token_shift(
    below: &[f32],
    x: Tensor,
    states: &mut [f32],
    batch: &[Span<'_>],
    out: &mut [f32],
) {
    let cols = x.cols();
    let row_of = |row: usize| &below[x.offset() + row * x.stride()..][..cols];
    for span in batch {
        let Some(last) = span.rows.clone().last() else { continue };
        let state = &mut states[span.slot as usize * cols..][..cols];
        if span.pos == 0 {
            state.fill(0.0);
        }
        let mut before = &*state;
        for row in span.rows.clone() {
            let out = &mut out[row * cols..][..cols];
            for ((out, &before), &x) in out.iter_mut().zip(before).zip(row_of(row)) {
                *out = before - x;
            }
            before = row_of(row);
        }
        state.copy_from_slice(row_of(last));
    }
}
