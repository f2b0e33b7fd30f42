//! The chat page that the server shows at `/`, as bytes inside the program.
//!
//! The page is plain HTML, CSS and ECMAScript modules in `assets/`, without a build step; only
//! compression happens at build time. It asks for `v1/chat/completions`, `v1/models`, `props` and
//! `health` relative to its own address, so it works behind a path prefix. A server sends
//! [`CONTENT_SECURITY_POLICY`] with every file and `Cache-Control: no-cache` with its [`Asset::etag`].
#![forbid(unsafe_code)]

/// A file of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asset {
    /// The body to send, already in the [`encoding`](Self::encoding).
    pub bytes: &'static [u8],
    /// Value of the header `Content-Type`.
    pub content_type: &'static str,
    /// Value of the header `ETag`: changes exactly when the content does; quotes included.
    pub etag: &'static str,
    /// Value of the header `Content-Encoding` (`gzip`, which every browser accepts), if one is needed.
    pub encoding: Option<&'static str>,
}

/// Value of the header `Content-Security-Policy`: only own files, nothing inline, and no markup
/// from strings (trusted types), so that whatever a model answers stays text.
pub const CONTENT_SECURITY_POLICY: &str = include_str!(concat!(env!("OUT_DIR"), "/policy.txt"));

/// Sorted by path.
static ASSETS: &[(&str, Asset)] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// The file at `path`, relative to the page's address, with or without a leading slash; the page
/// itself is at `/`, the empty path and `index.html`.
pub fn asset(path: &str) -> Option<Asset> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = if path.is_empty() { "index.html" } else { path };
    let index = ASSETS.binary_search_by(|(name, _)| (*name).cmp(path)).ok()?;
    Some(ASSETS[index].1)
}

/// All files by path, sorted, for servers that register routes.
pub fn assets() -> impl Iterator<Item = (&'static str, Asset)> {
    ASSETS.iter().copied()
}
