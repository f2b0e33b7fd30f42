//! What the tests pack: stand-ins for engines, and bytes in place of a model.
#![allow(dead_code)] // Each test file uses a part of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use pack::{Contents, Engine, Form, Source, Target};

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

/// The stand-ins, those for Unix to be stored together. In place of unpackers they have stand-ins.
pub fn engines() -> Vec<Engine> {
    let with_unpacker = |engine: Engine| match engine.target() {
        Target::WINDOWS => engine,
        target => {
            let unpacker = engine.executable().to_vec();
            engine.with_unpacker(target.name(), unpacker).unwrap()
        }
    };
    alone().into_iter().map(with_unpacker).collect()
}

/// The same, with the true unpacker for this machine.
pub fn engines_that_start() -> Vec<Engine> {
    static UNPACKER: OnceLock<Vec<Engine>> = OnceLock::new();
    let host = Target::host().unwrap();
    let complete = |engine: Engine| match engine.target() == host {
        true => {
            let unpacker = fs::read(env!("CARGO_BIN_EXE_llamafile-unpack")).unwrap();
            engine.with_unpacker("llamafile-unpack", unpacker).unwrap()
        }
        false => engine,
    };
    // Compressing it takes a moment.
    UNPACKER.get_or_init(|| engines().into_iter().map(complete).collect()).clone()
}

/// The stand-ins, each to be stored alone.
pub fn alone() -> Vec<Engine> {
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
    let total =
        engines.iter().map(|engine| engine.executable().len() as u64).sum::<u64>() + 370_001;
    assert_eq!(last, (total, total));
    assert_eq!(fs::metadata(&output).unwrap().len(), size);
    output
}
