//! The stores of states.

use backend::{BackendError, StateId, StateSpec};
use memmap2::MmapMut;

/// All stores.
#[derive(Default)]
pub struct States {
    stores: Vec<Store>,
}

/// States of one length.
struct Store {
    len: usize,
    /// Zeros that take no room before they are touched.
    memory: MmapMut,
}

impl States {
    /// Adds a zeroed store.
    pub fn create(&mut self, spec: StateSpec) -> Result<StateId, BackendError> {
        let bytes = spec.bytes()?;
        let memory = MmapMut::map_anon(bytes.max(1));
        let memory = memory.map_err(|_| BackendError::OutOfMemory { bytes })?;
        self.stores.push(Store { len: spec.len, memory });
        Ok(StateId(self.stores.len() - 1))
    }

    /// Copies a state.
    pub fn copy(&mut self, state: StateId, from: u32, to: u32) {
        let len = self.stores[state.0].len;
        let (from, to) = (from as usize * len, to as usize * len);
        self.values(state, len).copy_within(from..from + len, to);
    }

    /// The bytes of a state.
    pub fn bytes(&self, state: StateId, slot: u32) -> &[u8] {
        let store = &self.stores[state.0];
        let len = store.len * size_of::<f32>();
        &store.memory[slot as usize * len..][..len]
    }

    /// The bytes of a state, to be changed.
    pub fn bytes_mut(&mut self, state: StateId, slot: u32) -> &mut [u8] {
        let store = &mut self.stores[state.0];
        let len = store.len * size_of::<f32>();
        &mut store.memory[slot as usize * len..][..len]
    }

    /// All values of a store of states of that length.
    pub fn values(&mut self, state: StateId, len: usize) -> &mut [f32] {
        let store = &mut self.stores[state.0];
        assert_eq!(store.len, len, "values of a state");
        // SAFETY: any bits are a number.
        let (before, values, _) = unsafe { store.memory.align_to_mut() };
        assert!(before.is_empty(), "memory starts at a page");
        values
    }
}
