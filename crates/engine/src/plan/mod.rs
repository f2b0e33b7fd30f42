//! What memory a model takes, known before it runs.

mod ruler;

use std::fmt;

use backend::{Backend, BackendError, KvTypes, PAGE, Span};
use model::{Capacity, Forward, Memory, Model, Spans};

use crate::{Error, Options};
use ruler::Ruler;

/// Bytes of buffers of a thread, about.
const THREAD: u64 = 1 << 20;

/// Part of the available memory that is left to others where the context is not asked for.
const SPARE: u64 = 16;

/// Positions beyond which a batch takes no more memory: all that can be chosen of them is.
const MOST_SEEN: usize = 1 << 18;

/// Positions that nobody's texts have.
const LONGEST: usize = 1 << 30;

/// The memory that a model takes at most, in bytes, and the context that this is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Positions that a text may have.
    pub n_ctx: usize,
    /// Why there are as many.
    pub reason: Reason,
    /// Positions that are remembered of all texts.
    pub n_positions: usize,
    /// Texts at once.
    pub n_sequences: usize,
    /// Tokens that are evaluated at once: where they see later ones, a whole text.
    pub n_batch: usize,
    /// Whether layers on sliding windows keep all positions.
    pub full_windows: bool,
    /// The tensors of the mapped file.
    pub weights: u64,
    /// Keys and values and other rows of the positions.
    pub positions: u64,
    /// Recurrent states and their snapshots.
    pub states: u64,
    /// What a batch is computed in.
    pub work: u64,
    /// Values of a batch's tensors, part of `work`.
    pub(crate) batch_values: usize,
    /// What there is for all of it, where the system tells.
    pub available: Option<u64>,
}

/// Why a context is as long as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It was asked for.
    Asked,
    /// The model was trained for it.
    Trained,
    /// There is no memory for more.
    Memory,
}

impl Plan {
    /// Plans for a model whose tensors have `weights` bytes, with `available` bytes of memory if that is
    /// known.
    ///
    /// # Errors
    /// [`Error::TooLarge`] where there is too little, unless [`Options::overcommit`] says that this
    /// doesn't matter, and formats of keys and values that don't suit the model.
    pub fn new(
        model: &dyn Model,
        weights: u64,
        options: &Options,
        available: Option<u64>,
    ) -> Result<Self, Error> {
        let planner = Planner { model, weights, options, available };
        let asked = options.n_ctx.filter(|&n| n > 0);
        let n_ctx = asked.unwrap_or(model.shape().n_ctx_train);
        if n_ctx == 0 {
            return Err(Error::EmptyContext);
        }
        let reason = if asked.is_some() { Reason::Asked } else { Reason::Trained };
        let plan = planner.plan(n_ctx, reason);
        let Some(available) = available else { return plan };
        let limit = if asked.is_some() { available } else { available - available / SPARE };
        match plan {
            Ok(plan) if plan.total() <= limit || options.overcommit => return Ok(plan),
            Err(error) if !is_too_large(&error) => return Err(error),
            _ => {}
        }
        let longest = Self::longest(model, weights, options, available)?;
        // Nothing is left to others where that leaves no context.
        let shorter = Self::longest(model, weights, options, limit)?;
        let shorter = shorter.max(longest.min(PAGE)).min(n_ctx);
        if asked.is_none() && options.n_positions.is_none_or(|n| n <= shorter) && shorter > 0 {
            return planner.plan(shorter, Reason::Memory);
        }
        let (needed, n_positions) = (plan.ok().map(|plan| plan.total()), options.n_positions);
        let n_ctx = n_positions.unwrap_or(0).max(n_ctx);
        Err(Error::TooLarge { n_ctx, needed, weights, available, longest })
    }

    /// Positions of the longest text that fits with these options, in whole pages; 0 where none does.
    ///
    /// # Errors
    /// As [`Plan::new`], of formats.
    pub fn longest(
        model: &dyn Model,
        weights: u64,
        options: &Options,
        available: u64,
    ) -> Result<usize, Error> {
        let options = &Options { n_positions: None, ..options.clone() };
        Planner { model, weights, options, available: None }.longest(available)
    }

    /// What this is for.
    pub(crate) fn capacity(&self) -> Capacity {
        let Self { n_ctx, n_positions, n_sequences, n_batch, full_windows, .. } = *self;
        Capacity { n_ctx, n_positions, n_sequences, n_batch, full_windows }
    }

    /// All of it.
    pub fn total(&self) -> u64 {
        self.weights
            .saturating_add(self.positions)
            .saturating_add(self.states)
            .saturating_add(self.work)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self.reason {
            Reason::Asked => "as asked for",
            Reason::Trained => "the length of texts in training",
            Reason::Memory => "what memory has room for",
        };
        write!(
            f,
            "context of {} tokens ({reason}); memory: {} weights + {} context + {} states + {} work",
            self.n_ctx,
            Bytes(self.weights),
            Bytes(self.positions),
            Bytes(self.states),
            Bytes(self.work),
        )?;
        let total = Bytes(self.total());
        match self.available {
            Some(available) => write!(f, " = {total} of {} available", Bytes(available)),
            None => write!(f, " = {total}"),
        }
    }
}

/// A number of bytes, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0..0x400 => write!(f, "{} B", self.0),
            0x400..0x10_0000 => write!(f, "{:.1} KiB", self.0 as f64 / 1024.0),
            0x10_0000..0x4000_0000 => write!(f, "{:.1} MiB", self.0 as f64 / (1 << 20) as f64),
            _ => write!(f, "{:.2} GiB", self.0 as f64 / (1 << 30) as f64),
        }
    }
}

/// Whether more is asked for than can be addressed.
fn is_too_large(error: &Error) -> bool {
    let model = match error {
        Error::Model(model) => model,
        _ => return false,
    };
    matches!(model, model::Error::Backend(BackendError::OutOfMemory { .. }))
}

/// Bytes that states may take in any case, see [`Options::fewer_for_states`].
const STATES: u64 = 1 << 30;
/// Texts at once that there are room for in any case, where they are asked for.
const FEWEST: usize = 4;

/// What plans are made from.
struct Planner<'a> {
    model: &'a dyn Model,
    weights: u64,
    options: &'a Options,
    available: Option<u64>,
}

impl Planner<'_> {
    fn capacity(&self, n_ctx: usize) -> Capacity {
        let Options { n_positions, n_batch, causal, full_windows, .. } = *self.options;
        let n_positions = n_positions.unwrap_or(n_ctx).max(n_ctx);
        let is_causal = causal.unwrap_or(self.model.is_causal());
        let n_batch = if is_causal { n_batch } else { n_batch.max(n_ctx) };
        let n_sequences = self.n_sequences();
        Capacity { n_ctx, n_positions, n_sequences, n_batch, full_windows }
    }

    fn n_sequences(&self) -> usize {
        let parallel = self.options.parallel.max(1);
        let values: usize = self.model.shape().states.iter().flatten().sum();
        let each = (values * size_of::<f32>() * model::n_slots(1)) as u64;
        let most = (self.weights / 4).max(STATES).checked_div(each);
        match most.and_then(|most| usize::try_from(most).ok()) {
            Some(most) if self.options.fewer_for_states => parallel.min(most.max(FEWEST)),
            _ => parallel,
        }
    }

    fn plan(&self, n_ctx: usize, reason: Reason) -> Result<Plan, Error> {
        let capacity = self.capacity(n_ctx);
        let Options { kv_types, threads, .. } = *self.options;
        let mut ruler = Ruler::default();
        run(&mut ruler, self.model, capacity, kv_types)?;
        let threads = threads.unwrap_or_else(cpu::topology::default_threads);
        let outputs = capacity.n_sequences * self.model.shape().output_width();
        let floats = (ruler.most_values() + outputs) * size_of::<f32>();
        Ok(Plan {
            n_ctx,
            reason,
            n_positions: capacity.n_positions,
            n_sequences: capacity.n_sequences,
            n_batch: capacity.n_batch,
            full_windows: capacity.full_windows,
            weights: self.weights,
            positions: ruler.page_bytes().map_err(model::Error::from)?,
            states: ruler.state_bytes().map_err(model::Error::from)?,
            work: floats as u64 + ruler.work_bytes() + THREAD * threads as u64,
            batch_values: ruler.most_values(),
            available: self.available,
        })
    }

    /// See [`Plan::longest`]. A batch takes more memory in a longer context, too.
    fn longest(&self, limit: u64) -> Result<usize, Error> {
        let fits = |n_pages: usize| match self.plan(n_pages * PAGE, Reason::Asked) {
            Ok(plan) => Ok(plan.total() <= limit),
            Err(error) if is_too_large(&error) => Ok(false),
            Err(error) => Err(error),
        };
        let (mut fitting, mut too_many) = (0, LONGEST / PAGE + 1);
        while fitting + 1 < too_many {
            let middle = fitting.midpoint(too_many);
            if fits(middle)? {
                fitting = middle;
            } else {
                too_many = middle;
            }
        }
        Ok(fitting * PAGE)
    }
}

/// Runs the largest batch that there may be: a long text goes on while all others take a step, at
/// the end of their contexts.
fn run(
    backend: &mut dyn Backend,
    model: &dyn Model,
    capacity: Capacity,
    types: KvTypes,
) -> Result<(), model::Error> {
    let memory = Memory::new(model, backend, capacity, types)?;
    if !model.target_layers().is_empty() {
        // It runs within what its target takes.
        return Ok(());
    }
    let (n_ctx, n_sequences) = (capacity.n_ctx.min(MOST_SEEN), capacity.n_sequences);
    let n_prompt = capacity.n_batch.clamp(1, n_ctx);
    let n_rows = n_prompt + n_sequences - 1;
    let pages_of = |sequence: u32| -> Vec<u32> {
        let n_pages = n_ctx.div_ceil(PAGE) as u32;
        // They have in common what they don't write to.
        (0..n_pages - 1).chain([n_pages - 1 + sequence]).collect()
    };
    let pages: Vec<Vec<u32>> = (0..n_sequences as u32).map(pages_of).collect();
    let n_recent = memory.n_recent_pages().max(1) as u32;
    let recent = |pages: &Vec<u32>| pages.iter().map(|page| page % n_recent).collect();
    let recent: Vec<Vec<u32>> = pages.iter().map(recent).collect();
    let rows_of = |sequence: usize| match sequence {
        0 => 0..n_prompt,
        _ => n_prompt + sequence - 1..n_prompt + sequence,
    };
    let mut spans = Spans::default();
    for (sequence, (pages, recent)) in pages.iter().zip(&recent).enumerate() {
        let rows = rows_of(sequence);
        let span = Span { pos: n_ctx - rows.len(), rows, pages, slot: sequence as u32 };
        spans.recent.push(Span { pages: recent, ..span.clone() });
        spans.all.push(span);
    }
    let outputs: Vec<usize> = spans.all.iter().map(|span| span.rows.end - 1).collect();
    let tokens = vec![0; n_rows];
    let mark = backend.mark();
    if let (Some(encoder), Some(memory)) = (model.encoder(), memory.encoder()) {
        let text = Span { rows: 0..n_prompt, pos: 0, pages: &pages[0], slot: 0 };
        let text = Spans { all: vec![text.clone()], recent: vec![text] };
        encoder.forward(&mut Forward::new(backend, memory, &tokens[..n_prompt], &text, &[]));
        backend.release(mark);
    }
    let encoded = (0..if model.encoder().is_some() { n_rows } else { 0 }).map(|row| Span {
        rows: row..row + 1,
        pos: n_prompt - 1,
        pages: &pages[0],
        slot: 0,
    });
    let encoded: Vec<Span<'_>> = encoded.collect();
    let mut cx = Forward::new(backend, &memory, &tokens, &spans, &outputs).with_encoded(&encoded);
    model.forward(&mut cx);
    backend.release(mark);
    Ok(())
}

#[cfg(test)]
mod tests {
    use cpu::{Cpu, CpuOptions};
    use fixtures::Fixture;

    use super::*;

    fn options() -> Options {
        Options { parallel: 3, n_batch: 40, threads: Some(1), ..<_>::default() }
    }

    /// The ruler finds what the processor needs, for every architecture.
    #[test]
    fn tensors_take_what_was_counted() {
        let types = backend::KvType::F32.into();
        let mut n_models = 0;
        for fixture in Fixture::all() {
            let model = model::load(&fixture.model()).expect("the fixture loads");
            let capacity = Capacity { n_batch: 10, ..Capacity::of(80, 3) };
            let mut ruler = Ruler::default();
            run(&mut ruler, &*model, capacity, types).expect("it counts");
            if model.shape().output != model::OutputKind::Logits || !model.is_causal() {
                continue;
            }
            let mut cpu = Cpu::new(CpuOptions { threads: Some(1), ..<_>::default() });
            run(&mut cpu, &*model, capacity, types).expect("it computes");
            assert_eq!(ruler.most_values(), cpu.most_values(), "{}", fixture.name);
            n_models += 1;
        }
        assert!(n_models > 50);
    }

    fn plan(options: &Options, available: Option<u64>) -> Result<Plan, Error> {
        let model = model::load(&Fixture::named("llama-gqa").model()).expect("the fixture loads");
        Plan::new(&*model, 1 << 20, options, available)
    }

    #[test]
    fn contexts_are_asked_for_trained_or_what_fits() {
        let whole = plan(&options(), None).expect("no limit");
        assert_eq!(whole.reason, Reason::Trained);
        let trained = whole.n_ctx;
        assert!(trained > 3 * PAGE, "{trained}");
        let plenty = plan(&options(), Some(1 << 40)).expect("room");
        assert_eq!((plenty.n_ctx, plenty.reason), (trained, Reason::Trained));

        let of = |n_ctx| Options { n_ctx: Some(n_ctx), ..options() };
        let two = plan(&of(2 * PAGE), Some(1 << 40)).expect("room");
        assert_eq!((two.n_ctx, two.reason), (2 * PAGE, Reason::Asked));
        let three = plan(&of(3 * PAGE), Some(1 << 40)).expect("room");
        let page = three.positions - two.positions;
        assert_eq!(two.positions, 4 * page, "two sequences may leave a page unfilled");
        assert_eq!(plan(&of(0), None).expect("as by default").n_ctx, trained);

        // As much as two pages of context need, and a little.
        let room = two.total() + page - 1;
        let exact = plan(&of(2 * PAGE), Some(room)).expect("it fits");
        assert_eq!(exact.total(), two.total());
        let refused = plan(&of(3 * PAGE), Some(room)).expect_err("it doesn't fit").to_string();
        assert!(refused.contains("-c 128") && refused.contains("192 tokens"), "{refused}");
        let over = Options { overcommit: true, ..of(3 * PAGE) };
        assert_eq!(plan(&over, Some(room)).expect("it may be").n_ctx, 3 * PAGE);
        let chosen = plan(&options(), Some(room + room / 15)).expect("less is chosen");
        assert_eq!((chosen.n_ctx, chosen.reason), (2 * PAGE, Reason::Memory));
        assert!(chosen.to_string().contains("what memory has room for"), "{chosen}");
        // Without anything to spare.
        let tight = plan(&options(), Some(room)).expect("less is chosen");
        assert!(tight.n_ctx <= 2 * PAGE && tight.n_ctx > 0);

        let refused = plan(&options(), Some(1 << 20)).expect_err("weights alone").to_string();
        assert!(refused.contains("no context fits"), "{refused}");
        let absurd = plan(&of(usize::MAX / 2), Some(room)).expect_err("too many").to_string();
        assert!(absurd.contains("-c 128"), "{absurd}");
    }

    #[test]
    fn large_states_are_for_fewer_texts() {
        let n_sequences = |name: &str, options: &Options| {
            let model = model::load(&Fixture::named(name).model()).expect("the fixture loads");
            Plan::new(&*model, 1 << 20, options, None).expect("no limit").n_sequences
        };
        let states = |name: &str| {
            let model = model::load(&Fixture::named(name).model()).expect("the fixture loads");
            model.shape().states.iter().flatten().sum::<usize>()
        };
        // As many as never have room.
        let many = (STATES as usize / 4 / 5).div_ceil(states("mamba")) + 1000;
        let fewer = Options { parallel: many, fewer_for_states: true, n_batch: 1, ..options() };
        assert_eq!(n_sequences("llama-gqa", &Options { parallel: 9, ..fewer.clone() }), 9);
        let found = n_sequences("mamba", &fewer);
        assert!(found < many && found * states("mamba") * 20 <= STATES as usize, "{found}");
        assert_eq!(n_sequences("mamba", &Options { parallel: 3, ..fewer }), 3);
    }

    #[test]
    fn bytes_have_units() {
        let text = [5, 1 << 11, 3 << 20, 5 << 30].map(|n| Bytes(n).to_string());
        assert_eq!(text, ["5 B", "2.0 KiB", "3.0 MiB", "5.00 GiB"]);
    }
}
