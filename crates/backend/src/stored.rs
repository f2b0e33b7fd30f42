//! What backends keep beyond a batch, taken out and put back.

use crate::cache::CacheId;
use crate::kv::KvId;
use crate::recurrent::StateId;

/// One page of a store, or one of its states. Its bytes lie as the backend lays them out, see
/// [`crate::Backend::layout`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// Keys and values of a page.
    Page(KvId, u32),
    /// Cached rows of a page.
    Rows(CacheId, u32),
    /// The state in a slot.
    State(StateId, u32),
}
