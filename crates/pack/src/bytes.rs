//! Little-endian numbers in a buffer, without panics.

/// Bytes read by offset; `None` is beyond the end.
#[derive(Clone, Copy)]
pub struct View<'a>(pub &'a [u8]);

impl<'a> View<'a> {
    /// `len` bytes at `at`.
    pub fn bytes(self, at: u64, len: u64) -> Option<&'a [u8]> {
        let start = usize::try_from(at).ok()?;
        let end = start.checked_add(usize::try_from(len).ok()?)?;
        self.0.get(start..end)
    }

    /// The number at `at`.
    pub fn u16(self, at: u64) -> Option<u16> {
        self.bytes(at, 2)?.try_into().ok().map(u16::from_le_bytes)
    }

    /// The number at `at`.
    pub fn u32(self, at: u64) -> Option<u32> {
        self.bytes(at, 4)?.try_into().ok().map(u32::from_le_bytes)
    }

    /// The number at `at`.
    pub fn u64(self, at: u64) -> Option<u64> {
        self.bytes(at, 8)?.try_into().ok().map(u64::from_le_bytes)
    }

    /// The number at `at`, most significant byte first.
    pub fn u32_be(self, at: u64) -> Option<u32> {
        self.bytes(at, 4)?.try_into().ok().map(u32::from_be_bytes)
    }
}

/// Writes a number at `at`; `None` if it does not fit there.
pub fn put_u16(bytes: &mut [u8], at: u64, value: u16) -> Option<()> {
    put(bytes, at, &value.to_le_bytes())
}

/// Writes a number at `at`; `None` if it does not fit there.
pub fn put_u32(bytes: &mut [u8], at: u64, value: u32) -> Option<()> {
    put(bytes, at, &value.to_le_bytes())
}

/// Writes a number at `at`; `None` if it does not fit there.
pub fn put_u64(bytes: &mut [u8], at: u64, value: u64) -> Option<()> {
    put(bytes, at, &value.to_le_bytes())
}

fn put(bytes: &mut [u8], at: u64, value: &[u8]) -> Option<()> {
    let start = usize::try_from(at).ok()?;
    bytes.get_mut(start..start.checked_add(value.len())?)?.copy_from_slice(value);
    Some(())
}
