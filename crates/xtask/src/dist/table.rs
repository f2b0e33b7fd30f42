//! The table of what was made.

use std::fs;
use std::io;
use std::path::PathBuf;

use flate2::Compression;
use flate2::read::GzEncoder;
use sha2::{Digest, Sha256};

use crate::error::Error;

/// An executable that was made.
#[derive(Debug, Clone)]
pub struct Product {
    /// Where it is.
    pub path: PathBuf,
    /// What it is handed out as.
    pub name: String,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
    compressed: u64,
}

impl Product {
    /// Measures an executable.
    pub fn measure(name: String, path: PathBuf) -> Result<Self, Error> {
        let content = fs::read(&path).map_err(Error::file("read", &path))?;
        let mut gzip = GzEncoder::new(&content[..], Compression::best());
        let compressed =
            io::copy(&mut gzip, &mut io::sink()).map_err(Error::file("compress", &path))?;
        let digest = Sha256::digest(&content);
        let sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { path, name, sha256, bytes: content.len() as u64, compressed })
    }
}

/// Prints sizes and hashes.
pub fn print(products: &[Product]) {
    println!("\n{:28} {:>10} {:>10}  sha256", "executable", "bytes", "gzip -9");
    for product in products {
        let Product { name, bytes, compressed, sha256, .. } = product;
        println!("{name:28} {bytes:10} {compressed:10}  {sha256}");
    }
    let sum = |number: fn(&Product) -> u64| products.iter().map(number).sum::<u64>();
    println!("{:28} {:10} {:10}", "together", sum(|p| p.bytes), sum(|p| p.compressed));
}
