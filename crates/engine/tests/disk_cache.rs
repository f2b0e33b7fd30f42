//! What was seen, known again from disk: the same answers, whatever happens to the files.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use backend::{KvType, PAGE};
use common::{folder, load, options, request, run, texts};
use engine::{DiskCacheOptions, DiskCacheTotals, Options, Scheduler};
use sha2::{Digest, Sha256};

const LIMIT: usize = 12;

fn with_cache(dir: &Path, max_bytes: u64) -> Options {
    let disk_cache = Some(DiskCacheOptions { dir: dir.to_owned(), max_bytes });
    Options { disk_cache, ..options() }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    files
}

/// The answers to all texts, how many tokens were cached, and what the cache did.
fn answers(
    test: &str,
    name: &str,
    options: &Options,
    texts: &[Vec<u32>],
) -> (Vec<Vec<u32>>, usize, DiskCacheTotals) {
    let mut scheduler = Scheduler::new(load(test, name, options)).expect("memory");
    let mut cached = 0;
    let answers = texts.iter().map(|text| {
        let (answer, outcome) = run(&mut scheduler, request(text, LIMIT));
        cached += outcome.stats.cached_tokens;
        answer
    });
    let answers = answers.collect();
    (answers, cached, scheduler.metrics().disk_cache.unwrap_or_default())
}

#[test]
fn restarts_know_what_was_seen() {
    for name in ["llama-gqa", "jamba", "deepseek4-topk", "gpt-oss"] {
        let test = format!("restart-{name}");
        let dir = folder(&test);
        let cache = with_cache(&dir, 1 << 30);
        let texts = texts(name, 6);
        let (expected, in_memory, none) = answers(&test, name, &options(), &texts);
        assert_eq!(none, Default::default());
        let (first, cached, totals) = answers(&test, name, &cache, &texts);
        assert_eq!((first, cached), (expected.clone(), in_memory), "{name}");
        assert!(totals.pages_written > 6 && totals.pages_read == 0, "{totals:?}");
        assert!(files(&dir).len() as u64 >= totals.pages_written);

        let (second, cached, totals) = answers(&test, name, &cache, &texts);
        assert_eq!(second, expected, "{name}");
        let whole: usize = texts.iter().map(|text| (text.len() - 1) / PAGE * PAGE).sum();
        assert!(cached >= whole, "{name}: {cached} of {whole}");
        assert!(totals.pages_read > 6 && totals.damaged == 0, "{totals:?}");

        // Nothing is found by another model, or with other settings.
        let other = Options { kv_types: KvType::F32.into(), ..cache.clone() };
        let (_, _, totals) = answers(&test, name, &other, &texts);
        assert_eq!((totals.pages_read, totals.damaged), (0, 0), "{name}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(&files(&dir)[0]).expect("a file").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
}

/// What becomes of the file of that number.
type Damage<'a> = dyn Fn(usize, &[u8]) -> Vec<u8> + 'a;

#[test]
fn damaged_files_are_as_if_they_were_not_there() {
    for name in ["llama-gqa", "jamba", "gpt-oss"] {
        let test = format!("damage-{name}");
        let dir = folder(&test);
        let cache = with_cache(&dir, 1 << 30);
        let texts = texts(name, 3);
        let (expected, _, _) = answers(&test, name, &cache, &texts);
        let whole: Vec<(PathBuf, Vec<u8>)> = files(&dir)
            .into_iter()
            .map(|path| (path.clone(), fs::read(path).expect("a file")))
            .collect();
        let damages: [&Damage<'_>; 6] = [
            &|i, bytes| {
                let (at, mut bytes) = (i * 997 % bytes.len(), bytes.to_vec());
                bytes[at] ^= 1 << (i % 8);
                bytes
            },
            &|i, bytes| bytes[..i * 31 % bytes.len()].to_vec(),
            &|_, bytes| [bytes, &[0]].concat(),
            &|_, _| Vec::new(),
            &|i, _| whole[(i + 1) % whole.len()].1.clone(),
            &|_, bytes| vec![0xff; bytes.len()],
        ];
        for (n, damage) in damages.iter().enumerate() {
            for (i, (path, bytes)) in whole.iter().enumerate() {
                // Every other file stays whole.
                let bytes = if (i + n) % 2 == 0 { damage(i, bytes) } else { bytes.clone() };
                fs::write(path, bytes).expect("a writable folder");
            }
            let (found, _, totals) = answers(&test, name, &cache, &texts);
            assert_eq!(found, expected, "{name}: damage {n}");
            assert!(totals.damaged > 0, "{name}: damage {n}");
        }
        // What was damaged and found so is there again.
        let (found, _, _) = answers(&test, name, &cache, &texts);
        assert_eq!(found, expected);
    }
}

#[test]
fn old_files_make_way() {
    let (test, name) = ("old", "llama-gqa");
    let dir = folder(test);
    let note = dir.join("notes.page");
    fs::write(&note, "mine").expect("a writable folder");
    let texts = texts(name, 8);
    let (expected, _, _) = answers(test, name, &options(), &texts);
    answers(test, name, &with_cache(&dir, 1 << 30), &texts[..1]);
    let page = files(&dir).iter().map(|path| fs::metadata(path).expect("it").len()).max();
    let max_bytes = 7 * page.expect("a file");
    let (found, _, _) = answers(test, name, &with_cache(&dir, max_bytes), &texts);
    assert_eq!(found, expected);
    let total: u64 = files(&dir).iter().map(|path| fs::metadata(path).expect("it").len()).sum();
    assert!(total <= max_bytes + 4 && total > max_bytes / 2, "{total} of {max_bytes}");
    assert_eq!(fs::read(&note).expect("it stays"), b"mine");
    // The last text's pages are the newest.
    let (_, cached, totals) = answers(test, name, &with_cache(&dir, max_bytes), &texts[7..]);
    assert!(cached >= PAGE && totals.pages_read > 0, "{cached}");
}

#[test]
fn several_share_a_folder() {
    let (test, name) = ("shared", "jamba");
    let dir = folder(test);
    let texts = texts(name, 4);
    let (expected, _, _) = answers(test, name, &options(), &texts);
    std::thread::scope(|scope| {
        let all = (0..3)
            .map(|_| scope.spawn(|| answers(test, name, &with_cache(&dir, 1 << 30), &texts).0));
        let all: Vec<_> = all.collect();
        assert!(all.into_iter().all(|one| one.join().expect("answers") == expected));
    });
    assert!(files(&dir).iter().all(|path| is_whole(path)));
}

/// Whether a file ends with the sum of what is before.
fn is_whole(path: &Path) -> bool {
    let bytes = fs::read(path).expect("a file");
    let (content, sum) = bytes.split_at(bytes.len().saturating_sub(32));
    Sha256::digest(content)[..] == *sum
}

const CHILD: &str = "ENGINE_TEST_DISK_CACHE";

/// Not a test of its own: what is killed in the middle.
#[test]
#[ignore = "another test starts it and ends it"]
fn child_that_writes() {
    let Ok(dir) = std::env::var(CHILD) else { return };
    let (test, name) = ("killed", "jamba");
    let mut scheduler =
        Scheduler::new(load(test, name, &with_cache(Path::new(&dir), 1 << 30))).expect("memory");
    for text in (0..).flat_map(|round| {
        let mut texts = texts(name, 6);
        texts.iter_mut().for_each(|text| text[70] = round % 200);
        texts
    }) {
        run(&mut scheduler, request(&text, LIMIT));
    }
}

#[test]
fn a_killed_writer_leaves_nothing_wrong() {
    let (test, name) = ("killed", "jamba");
    let dir = folder("killed-files");
    let texts = texts(name, 6);
    let (expected, _, _) = answers(test, name, &options(), &texts);
    let start = || -> Child {
        Command::new(std::env::current_exe().expect("a name"))
            .args(["--ignored", "--exact", "child_that_writes"])
            .env(CHILD, &dir)
            .stdout(Stdio::null())
            .spawn()
            .expect("a child")
    };
    for round in 0..4 {
        let before = files(&dir).len();
        let mut child = start();
        let begin = Instant::now();
        while files(&dir).len() < before + 3 + 5 * round {
            assert!(child.try_wait().expect("a child").is_none(), "it writes on");
            assert!(begin.elapsed() < Duration::from_secs(120), "it writes");
            std::thread::sleep(Duration::from_micros(300));
        }
        child.kill().expect("a child");
        child.wait().expect("a child");
        for path in files(&dir) {
            let is_unfinished = path.extension().is_some_and(|name| name == "unfinished");
            assert!(is_unfinished || is_whole(&path), "{}", path.display());
        }
        let (found, _, totals) = answers(test, name, &with_cache(&dir, 1 << 30), &texts);
        assert_eq!((found, totals.damaged), (expected.clone(), 0));
    }
}

#[test]
fn a_folder_that_cannot_be_is_an_error() {
    let (test, name) = ("no-folder", "llama-gqa");
    let file = folder(test).join("file");
    fs::write(&file, "").expect("a writable folder");
    let engine = load(test, name, &with_cache(&file.join("dir"), 1 << 20));
    let error = Scheduler::new(engine).err().expect("no folder").to_string();
    assert!(error.contains("file"), "{error}");
}
