//! Compresses the files of `assets/` and writes the table of them that `src/lib.rs` includes.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=assets");
    println!("cargo::rerun-if-changed=content-security-policy.txt");
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let out = PathBuf::from(variable("OUT_DIR"));

    let policy = fs::read_to_string(root.join("content-security-policy.txt"))?;
    fs::write(out.join("policy.txt"), policy.lines().collect::<Vec<_>>().join("; "))?;

    let assets = root.join("assets");
    let mut files = Vec::new();
    collect(&assets, &mut files)?;
    // As strings, for the binary search: paths sort by component.
    files.sort_by_key(|file| name(&assets, file));
    let mut table = String::from("&[\n");
    for (number, file) in files.iter().enumerate() {
        let stored = out.join(format!("asset-{number}"));
        let entry = embed(&assets, file, &stored)?;
        writeln!(table, "{entry},").map_err(io::Error::other)?;
    }
    table.push(']');
    fs::write(out.join("assets.rs"), table)
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("cargo sets {name} for build scripts"))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { collect(&path, files)? } else { files.push(path) }
    }
    Ok(())
}

/// The path below `assets`, as in addresses.
fn name(assets: &Path, file: &Path) -> String {
    file.strip_prefix(assets).unwrap_or(file).to_string_lossy().replace('\\', "/")
}

/// Writes `file`, compressed where that pays, to `stored`, and gives its entry in the table.
fn embed(assets: &Path, file: &Path, stored: &Path) -> io::Result<String> {
    let name = name(assets, file);
    let bytes = fs::read(file)?;
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let (content_type, compress) = content_type(extension)
        .ok_or_else(|| io::Error::other(format!("no content type is known for {name}")))?;
    let etag: String = Sha256::digest(&bytes)[..16].iter().map(|b| format!("{b:02x}")).collect();
    fs::write(stored, if compress { gzip(&bytes)? } else { bytes })?;
    let encoding = if compress { "Some(\"gzip\")" } else { "None" };
    Ok(format!(
        "({name:?}, Asset {{ bytes: include_bytes!({stored:?}), content_type: {content_type:?}, \
         etag: \"\\\"{etag}\\\"\", encoding: {encoding} }})"
    ))
}

/// The content type of an extension, and whether such files shrink when compressed.
fn content_type(extension: &str) -> Option<(&'static str, bool)> {
    Some(match extension {
        "html" => ("text/html; charset=utf-8", true),
        "css" => ("text/css; charset=utf-8", true),
        "js" => ("text/javascript; charset=utf-8", true),
        "svg" => ("image/svg+xml", true),
        "txt" | "md" => ("text/plain; charset=utf-8", true),
        "woff2" => ("font/woff2", false),
        _ => return None,
    })
}

/// Gzip without a time or a name, so that every build gives the same bytes.
fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}
