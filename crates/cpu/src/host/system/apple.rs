//! Calls to macOS.

use std::ffi::CString;
use std::ptr;

/// The value of that name, as bytes; `None` where there is none.
pub(crate) fn value(name: &str) -> Option<Vec<u8>> {
    let name = CString::new(name).ok()?;
    let mut bytes = vec![0u8; 256];
    let mut len = bytes.len();
    // SAFETY: the name ends with NUL, `len` is the size of the buffer, and nothing is to be set.
    let result = unsafe {
        libc::sysctlbyname(name.as_ptr(), bytes.as_mut_ptr().cast(), &mut len, ptr::null_mut(), 0)
    };
    bytes.truncate(len);
    (result == 0).then_some(bytes)
}

/// The number of that name.
pub(crate) fn number(name: &str) -> Option<u64> {
    match *value(name)? {
        [a, b, c, d] => Some(u32::from_le_bytes([a, b, c, d]).into()),
        [a, b, c, d, e, f, g, h] => Some(u64::from_le_bytes([a, b, c, d, e, f, g, h])),
        _ => None,
    }
}

/// The text of that name.
pub(crate) fn text(name: &str) -> Option<String> {
    let mut bytes = value(name)?;
    bytes.truncate(bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len()));
    String::from_utf8(bytes).ok()
}
