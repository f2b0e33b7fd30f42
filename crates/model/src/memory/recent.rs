//! Pages of layers that see only the last positions.

use backend::PAGE;

use super::pool::Pool;

/// Stands for a page that was given back.
pub(super) const NO_PAGE: u32 = u32::MAX;
/// Positions that a sequence keeps before its window, so that cutting a few costs nothing.
const MARGIN: usize = PAGE;

/// The pages, and how far back layers see.
#[derive(Debug)]
pub(super) struct Recent {
    /// Positions that a query sees at most, its own among them.
    window: usize,
    pub pages: Pool,
}

impl Recent {
    /// Pages for the windows of `n_sequences`, a batch of `n_batch` positions and what is kept of
    /// earlier texts, but no more than `most`.
    pub fn new(window: usize, n_sequences: usize, n_batch: usize, most: usize) -> Self {
        let of_window = window.div_ceil(PAGE);
        // The margin, a part of a page at either end, one that is copied.
        let of_sequence = of_window.saturating_add(MARGIN / PAGE + 3);
        let kept = of_window.saturating_mul(n_sequences.max(2));
        let n_pages = of_sequence
            .saturating_mul(n_sequences)
            .saturating_add(n_batch.div_ceil(PAGE))
            .saturating_add(kept);
        Self { window: window.max(1), pages: Pool::new(n_pages.min(most)) }
    }

    /// The first page that a query at position `pos` or later may see.
    pub fn first(&self, pos: usize) -> usize {
        (pos + 1).saturating_sub(self.window) / PAGE
    }

    /// The first page that a sequence of `len` positions keeps.
    pub fn first_kept(&self, len: usize) -> usize {
        self.first(len.saturating_sub(MARGIN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_before_the_window_go() {
        let recent = Recent::new(100, 1, 1, usize::MAX);
        // Position 99 sees 0 to 99, position 100 sees 1 to 100.
        assert_eq!([0, 99, 100, 162, 163].map(|pos| recent.first(pos)), [0, 0, 0, 0, 1]);
        assert_eq!([163, 226, 227].map(|len| recent.first_kept(len)), [0, 0, 1]);
        assert_eq!(recent.pages.len(), (2 + 4) + 1 + 2 * 2);
        assert_eq!(Recent::new(100, 4, 512, 20).pages.len(), 20);
        assert_eq!(Recent::new(usize::MAX, usize::MAX, usize::MAX, 20).pages.len(), 20);
    }
}
