//! Nearly doubly stochastic matrices.

use super::RowsMut;

/// See [`backend::Backend::sinkhorn`], for one matrix per row.
pub fn sinkhorn(mut x: RowsMut<'_>, n: usize, rounds: usize, eps: f32) {
    for m in x.iter_mut() {
        for row in m.chunks_exact_mut(n) {
            let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            row.iter_mut().for_each(|v| *v = (*v - most).exp());
            let total: f32 = row.iter().sum();
            row.iter_mut().for_each(|v| *v = *v / total + eps);
        }
        divide(m, n, [n, 1], eps);
        for _ in 1..rounds {
            divide(m, n, [1, n], eps);
            divide(m, n, [n, 1], eps);
        }
    }
}

/// Divides each line by its sum plus `eps`; `step` leads along a line and from line to line.
fn divide(m: &mut [f32], n: usize, [step, to_next]: [usize; 2], eps: f32) {
    for line in 0..n {
        let at = |i: usize| line * to_next + i * step;
        let total = (0..n).map(|i| m[at(i)]).sum::<f32>() + eps;
        (0..n).for_each(|i| m[at(i)] /= total);
    }
}
