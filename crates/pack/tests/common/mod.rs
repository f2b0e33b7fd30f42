//! What the tests pack: stand-ins for engines, and bytes in place of a model.
#![allow(dead_code)] // Each test file uses a part of it.

use std::fs;
use std::path::{Path, PathBuf};

use pack::{Contents, Engine, Form, Source};

/// An empty folder of that name for one test.
pub fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

/// The folder of stand-ins.
pub fn engine_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/engines")
}

pub fn engines() -> Vec<Engine> {
    pack::engine::from_folder(&engine_folder()).unwrap()
}

/// The stand-in for a system.
pub fn engine(name: &str) -> Vec<u8> {
    let found = engines().into_iter().find(|engine| engine.target().name() == name).unwrap();
    found.executable().to_vec()
}

/// Bytes that do not compress, different for each seed.
pub fn weights(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// What `.args` says in packed files.
pub const ARGS: &str = "-m\n/zip/a b.gguf\n...\n";

/// Packs two files of weights and arguments.
pub fn packed(folder: &Path, name: &str, form: Form) -> PathBuf {
    packed_with(folder, name, form, &engines())
}

pub fn packed_with(folder: &Path, name: &str, form: Form, engines: &[Engine]) -> PathBuf {
    let files = [("a b.gguf", 300_000, 1), ("c.gguf", 70_001, 2)].map(|(name, len, seed)| {
        let path = folder.join(name);
        fs::write(&path, weights(len, seed)).unwrap();
        Source::file(&path).unwrap()
    });
    let contents = Contents { form, engines, args: Some(ARGS.into()), members: files.to_vec() };
    let output = folder.join(name);
    let mut last = (0, 0);
    let size = pack::pack(&contents, &output, &mut |done, total| last = (done, total)).unwrap();
    assert_eq!(last, (370_001, 370_001));
    assert_eq!(fs::metadata(&output).unwrap().len(), size);
    output
}
