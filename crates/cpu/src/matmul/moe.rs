//! The operation `moe`: rows grouped by expert, so that an expert's weights are read once for all
//! of its rows.

use backend::{ExpertGate, ExpertLinear, Experts};

use super::linear::Rows;
use super::method::Method;
use super::product::{Job, Matrix, Scratch, run};
use crate::pool::Pool;

/// Buffers of `moe`. A slot is a pair of row and expert, numbered as in the routing: the row's best
/// expert first. Places number the slots by expert.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    /// Place of each slot.
    places: Vec<usize>,
    /// First place of each expert, and the number of places.
    starts: Vec<usize>,
    /// `[place][n_embd]`: inputs.
    x: Vec<f32>,
    /// `[place][gate | up]`.
    hidden: Vec<f32>,
    /// `[place][n_embd]`: outputs.
    y: Vec<f32>,
}

/// Mixture of experts, see `Backend::moe`: `out`, dense, gets a row for each row of `x`.
///
/// The experts of each row, best first, and their weights are `slots`. `activate(gate, up)` is to
/// `gate = glu(gate, up)`, or `gate = act(gate)` without `up`.
///
/// # Panics
/// Where shapes don't fit or a weight's type isn't [supported](super::supports).
pub fn moe(
    pool: &Pool,
    method: &Method,
    scratch: &mut Scratch,
    x: Rows<'_>,
    slots: &[(usize, f32)],
    weigh_input: bool,
    experts: &Experts,
    activate: impl Fn(&mut [f32], Option<&[f32]>) + Sync,
    out: &mut [f32],
) {
    let n_embd = experts.down.weight.rows();
    let gate = match &experts.gate {
        ExpertGate::Gated(gate, _) => Some(gate),
        ExpertGate::Plain(_) => None,
    };
    assert_eq!(out.len(), x.rows * n_embd, "length of the result");
    assert!(slots.len().is_multiple_of(x.rows.max(1)), "{} slots of {} rows", slots.len(), x.rows);
    let biased = experts.up.bias.is_some() || gate.is_some_and(|gate| gate.bias.is_some());
    assert!(!(weigh_input && biased), "weighed inputs of experts with biases");
    if x.rows == 0 {
        return;
    }
    // Taken out, since products need the rest of the scratch.
    let mut buffers = std::mem::take(&mut scratch.experts);
    buffers.group(slots, experts.up.weight.count());
    let Buffers { places, starts, x: gathered, hidden, y } = &mut buffers;
    let (n_slots, n_used) = (slots.len(), slots.len() / x.rows);
    let input = if x.rows == 1 { x } else { gather(x, places, n_used, gathered) };

    let n_ff = experts.up.weight.rows();
    let width = if gate.is_some() { 2 * n_ff } else { n_ff };
    hidden.resize(n_slots * width, 0.0);
    let products = gate.map(|gate| (gate, 0)).into_iter().chain([(&experts.up, width - n_ff)]);
    let jobs = jobs(starts, products, x.rows == 1);
    run(pool, method, scratch, input, &jobs, hidden, width);

    let weights = by_place(slots, places);
    pool.for_each_mut(hidden, width, |place, row| {
        if weigh_input {
            row.iter_mut().for_each(|v| *v *= weights[place]);
        }
        let (gate, up) = row.split_at_mut(n_ff);
        activate(gate, (width > n_ff).then_some(&*up));
    });

    y.resize(n_slots * n_embd, 0.0);
    let input = Rows { data: hidden, rows: n_slots, cols: n_ff, stride: width };
    let jobs = self::jobs(starts, [(&experts.down, 0)].into_iter(), false);
    run(pool, method, scratch, input, &jobs, y, n_embd);

    let y = &*y;
    pool.for_each_mut(out, n_embd, |row, out| {
        for (i, slot) in (row * n_used..(row + 1) * n_used).enumerate() {
            let weight = if weigh_input { 1.0 } else { slots[slot].1 };
            let y = &y[places[slot] * n_embd..][..n_embd];
            if i == 0 {
                out.iter_mut().zip(y).for_each(|(out, y)| *out = weight * y);
            } else {
                out.iter_mut().zip(y).for_each(|(out, y)| *out += weight * y);
            }
        }
    });
    scratch.experts = buffers;
}

impl Buffers {
    /// Sorts the slots by expert, keeping the order of rows.
    fn group(&mut self, slots: &[(usize, f32)], n_expert: usize) {
        self.starts.clear();
        self.starts.resize(n_expert + 1, 0);
        for &(expert, _) in slots {
            self.starts[expert + 1] += 1;
        }
        for expert in 0..n_expert {
            self.starts[expert + 1] += self.starts[expert];
        }
        let mut next = self.starts.clone();
        self.places.clear();
        self.places.extend(slots.iter().map(|&(expert, _)| {
            next[expert] += 1;
            next[expert] - 1
        }));
    }
}

/// The weights of slots by place.
fn by_place(slots: &[(usize, f32)], places: &[usize]) -> Vec<f32> {
    let mut weights = vec![0.0; slots.len()];
    for (&(_, weight), &place) in slots.iter().zip(places) {
        weights[place] = weight;
    }
    weights
}

/// Copies each slot's row of `x` to its place.
fn gather<'a>(x: Rows<'_>, places: &[usize], n_used: usize, out: &'a mut Vec<f32>) -> Rows<'a> {
    out.resize(places.len() * x.cols, 0.0);
    for (slot, &place) in places.iter().enumerate() {
        out[place * x.cols..][..x.cols].copy_from_slice(x.row(slot / n_used));
    }
    Rows { data: out, rows: places.len(), cols: x.cols, stride: x.cols }
}

/// The products of all experts that have places, each with the first column of its result. All
/// read the only row of the input where `one_row`.
fn jobs<'a>(
    starts: &[usize],
    products: impl Iterator<Item = (&'a ExpertLinear, usize)> + Clone,
    one_row: bool,
) -> Vec<Job<'a>> {
    let used = starts.windows(2).enumerate().filter(|(_, range)| range[0] < range[1]);
    used.flat_map(|(expert, range)| {
        let (first, n) = (range[0], range[1] - range[0]);
        products.clone().map(move |(linear, out_col)| Job {
            matrix: Matrix::of(&linear.weight, expert),
            x_row: if one_row { 0 } else { first },
            n,
            out_row: first,
            out_col,
            scale: linear.scale_of(expert),
            bias: linear.bias_of(expert),
        })
    })
    .collect()
}
