//! What memory stores, and how much.

use backend::{Mask, PAGE};

/// Snapshots of its states that a sequence keeps.
pub(super) const SNAPSHOTS: usize = 4;

/// What one layer stores per position; layers without attention have no heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvShape {
    /// Key/value heads.
    pub n_head_kv: usize,
    /// Width of a key head.
    pub head_dim: usize,
    /// Width of a value head.
    pub head_dim_v: usize,
    /// Positions that a query sees at most, up to its own; `None` for all.
    pub window: Option<usize>,
}

impl KvShape {
    /// Nothing.
    pub const NONE: Self = Self { n_head_kv: 0, head_dim: 0, head_dim_v: 0, window: None };

    /// The same for queries that see what the mask shows.
    pub fn with_mask(self, mask: Mask) -> Self {
        Self { window: mask.reach(), ..self }
    }
}

/// What one layer caches: a row for each block of positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheShape {
    /// Values per row.
    pub width: usize,
    /// Positions per row.
    pub stride: usize,
}

impl CacheShape {
    /// A row for each position.
    pub fn of_positions(width: usize) -> Self {
        Self { width, stride: 1 }
    }
}

/// How much memory has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Positions of one sequence.
    pub n_ctx: usize,
    /// Positions of all sequences, and of what is kept of earlier ones.
    pub n_positions: usize,
    /// Sequences at the same time.
    pub n_sequences: usize,
    /// Positions that are evaluated at once, of all sequences together.
    pub n_batch: usize,
    /// Whether layers on sliding windows keep all positions, as others do.
    pub full_windows: bool,
}

impl Capacity {
    /// For sequences with `n_ctx` positions together, which may be evaluated at once.
    pub fn of(n_ctx: usize, n_sequences: usize) -> Self {
        Self { n_ctx, n_positions: n_ctx, n_sequences, n_batch: n_ctx, full_windows: false }
    }

    /// Every sequence may leave its last page unfilled.
    pub(super) fn n_pages(&self) -> usize {
        let spare = self.n_sequences.saturating_sub(1);
        self.n_positions.max(self.n_ctx).div_ceil(PAGE).saturating_add(spare)
    }
}

/// Slots for the states of sequences and their snapshots, each of the values of [`Shape::states`].
pub fn n_slots(n_sequences: usize) -> usize {
    n_sequences.saturating_mul(1 + SNAPSHOTS)
}
