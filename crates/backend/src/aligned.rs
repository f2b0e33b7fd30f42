//! Vectors that start at a cache line.

use std::ops::{Deref, DerefMut};

/// Bytes of a cache line, and of the widest register.
const LINE: usize = 64;

/// A vector whose first element lies at the start of a cache line: a load of 64 bytes that crosses
/// lines takes twice as long.
#[derive(Debug)]
pub struct AlignedVec<T> {
    /// Some elements to skip, then those of the vector.
    data: Vec<T>,
    skipped: usize,
}

impl<T> Default for AlignedVec<T> {
    fn default() -> Self {
        Self { data: Vec::new(), skipped: 0 }
    }
}

impl<T: Copy> AlignedVec<T> {
    /// Makes the vector at least `len` elements long; new ones are `value`.
    pub fn grow(&mut self, len: usize, value: T) {
        let old = self.len();
        if len <= old {
            return;
        }
        if self.skipped + len > self.data.capacity() {
            self.reserve(len.max(2 * old), value);
        }
        self.data.resize(self.skipped + len, value);
    }

    /// Makes room for `len` elements; those that are skipped before them become `value`.
    pub fn reserve(&mut self, len: usize, value: T) {
        if self.skipped + len <= self.data.capacity() {
            return;
        }
        const { assert!(LINE.is_multiple_of(size_of::<T>())) };
        let line = LINE / size_of::<T>();
        let mut data = Vec::<T>::with_capacity(len + line - 1);
        let skipped = data.as_ptr().align_offset(LINE);
        data.resize(skipped, value);
        data.extend_from_slice(self);
        *self = Self { data, skipped };
    }
}

impl<T> Deref for AlignedVec<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.data[self.skipped..]
    }
}

impl<T> DerefMut for AlignedVec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.data[self.skipped..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_kept() {
        let mut numbers = AlignedVec::<f32>::default();
        numbers.reserve(1000, 0.0);
        assert_eq!(numbers.len(), 0);
        numbers.grow(1, 3.0);
        let start = numbers.as_ptr();
        numbers.grow(1000, 4.0);
        assert_eq!((numbers.as_ptr(), numbers[0], numbers[999]), (start, 3.0, 4.0));
    }

    #[test]
    fn growing_keeps_values_and_alignment() {
        let mut bytes = AlignedVec::<i8>::default();
        let mut pairs = AlignedVec::<[f32; 2]>::default();
        for len in [0, 1, 5, 64, 63, 1000, 100_000] {
            bytes.grow(len, 7);
            pairs.grow(len, [1.0, 2.0]);
            if len > 0 {
                assert!(bytes.as_ptr().addr().is_multiple_of(LINE));
                assert!(pairs.as_ptr().addr().is_multiple_of(LINE));
                assert_eq!(pairs[len - 1], [1.0, 2.0]);
                bytes[len - 1] = 9;
            }
            assert!(bytes.len() >= len && pairs.len() == bytes.len());
        }
        assert_eq!([bytes[0], bytes[4], bytes[5], bytes[62], bytes[999]], [9, 9, 7, 9, 9]);
    }
}
