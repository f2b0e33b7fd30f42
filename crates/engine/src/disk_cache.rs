//! What was seen, kept in files, so that it is known after a restart too.
//!
//! A folder has a file for each page of a text, others for its keys and values of layers on sliding
//! windows and for the states after it where they are kept, named by the hash of the model, its
//! settings and all tokens up to there. Several processes may share it: files appear whole, by renaming,
//! and any of them may vanish. What is damaged is as if it were not there.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use backend::PAGE;
use model::Context;

use crate::Error;
use crate::record::{Key, Kind, Label};

/// Bytes that may wait to be written, beside one page.
const MOST_WAITING: u64 = 64 << 20;
/// Texts that may wait to be written.
const MOST_TEXTS: usize = 256;
/// Age at which unfinished files are nobody's any more.
const ABANDONED: Duration = Duration::from_secs(3600);

/// Where a disk cache is, and how much it may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskCacheOptions {
    /// The folder; it is made where it doesn't exist. It has what users wrote, in a form that those
    /// who can read it may read.
    pub dir: PathBuf,
    /// Bytes of all files together; what was not used for the longest time is deleted.
    pub max_bytes: u64,
}

/// What a disk cache has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskCacheTotals {
    /// Pages read.
    pub pages_read: u64,
    /// Bytes read.
    pub bytes_read: u64,
    /// Time for them.
    pub read_time: Duration,
    /// Files that were damaged.
    pub damaged: u64,
    /// Pages handed over to be written.
    pub pages_written: u64,
    /// Texts of which pages were not written, as too many waited.
    pub skipped: u64,
}

/// A disk cache for one context.
pub struct DiskCache {
    folder: Arc<Folder>,
    root: Key,
    /// Texts to be written, and how many of their pages are.
    texts: VecDeque<(Vec<u32>, usize)>,
    orders: Option<Sender<Order>>,
    writer: Option<JoinHandle<()>>,
    totals: DiskCacheTotals,
}

struct Folder {
    path: PathBuf,
    max_bytes: u64,
    /// Bytes that wait to be written.
    waiting: AtomicU64,
}

enum Order {
    Write {
        kind: Kind,
        key: Key,
        tokens: Vec<u32>,
        payload: Vec<u8>,
    },
    /// Marks as used, from the last to the first.
    Use(Vec<Key>),
}

impl DiskCache {
    /// Opens the folder; `root` names the model and its settings.
    ///
    /// # Errors
    /// A folder that can't be made, and no more threads.
    pub fn open(options: &DiskCacheOptions, root: Key) -> Result<Self, Error> {
        let DiskCacheOptions { dir, max_bytes } = options.clone();
        make_folder(&dir).map_err(|error| Error::DiskCache { dir: dir.clone(), error })?;
        let folder = Arc::new(Folder { path: dir, max_bytes, waiting: AtomicU64::new(0) });
        let (orders, inbox) = mpsc::channel();
        let of_writer = folder.clone();
        let writer = std::thread::Builder::new().name("disk cache".into());
        let writer = writer.spawn(move || of_writer.work(&inbox)).map_err(Error::Thread)?;
        let (orders, writer) = (Some(orders), Some(writer));
        Ok(Self { folder, root, texts: VecDeque::new(), orders, writer, totals: <_>::default() })
    }

    /// What it has done.
    pub fn totals(&self) -> DiskCacheTotals {
        self.totals
    }

    /// A text has ended that memory still holds: it shall be written.
    pub fn note(&mut self, tokens: &[u32]) {
        let whole = tokens.len() / PAGE * PAGE;
        if whole == 0 || self.texts.iter().any(|(text, _)| text[..] == tokens[..whole]) {
            return;
        }
        if self.texts.len() == MOST_TEXTS {
            self.texts.pop_front();
            self.totals.skipped += 1;
        }
        self.texts.push_back((tokens[..whole].to_vec(), 0));
    }

    /// Hands over what is to be written, as far as there is room; returns whether there is more.
    pub fn write_some(&mut self, context: &Context) -> bool {
        while let Some((tokens, done)) = self.texts.pop_front() {
            let keys = self.root.pages(&tokens);
            for (page, &key) in keys.iter().enumerate().skip(done) {
                if self.folder.waiting.load(Ordering::Relaxed) > MOST_WAITING {
                    self.texts.push_front((tokens, page));
                    return true;
                }
                if !self.write_page(context, key, &tokens[..(page + 1) * PAGE]) {
                    break;
                }
            }
            self.order(Order::Use(keys));
        }
        false
    }

    /// Returns whether memory still holds the page.
    fn write_page(&mut self, context: &Context, key: Key, tokens: &[u32]) -> bool {
        let is_there = |kind| self.folder.file(kind, key).exists();
        if !is_there(Kind::Page) {
            let Some(payload) = context.export_page(tokens) else { return false };
            self.totals.pages_written += 1;
            self.write(Kind::Page, key, tokens, payload);
        }
        if context.recent_bytes() > 0
            && !is_there(Kind::Recent)
            && let Some(payload) = context.export_recent(tokens)
        {
            self.write(Kind::Recent, key, tokens, payload);
        }
        if context.states_bytes() > 0
            && !is_there(Kind::States)
            && let Some(payload) = context.export_states(tokens)
        {
            self.write(Kind::States, key, tokens, payload);
        }
        true
    }

    fn write(&self, kind: Kind, key: Key, tokens: &[u32], payload: Vec<u8>) {
        self.folder.waiting.fetch_add(payload.len() as u64, Ordering::Relaxed);
        let tokens = tokens[tokens.len() - PAGE..].to_vec();
        self.order(Order::Write { kind, key, tokens, payload });
    }

    fn order(&self, order: Order) {
        // The writer only ends when this goes.
        let _ = self.orders.as_ref().map(|orders| orders.send(order));
    }

    /// Reads what memory lacks of the beginning of a text, as long as that is quicker than `speed`,
    /// positions evaluated per second, and until some time after `patience`. Returns whether there
    /// is no more to be read.
    pub fn read_some(
        &mut self,
        context: &mut Context,
        tokens: &[u32],
        speed: Option<f64>,
        patience: Option<Duration>,
    ) -> bool {
        let begin = Instant::now();
        let known = context.n_known_pages(tokens);
        let keys = self.root.pages(tokens);
        let is_there = |kind, key| self.folder.file(kind, key).exists();
        let mut end = known;
        while end < keys.len() && is_there(Kind::Page, keys[end]) {
            end += 1;
        }
        // Back to where all is there to go on from.
        let first_recent = |end: usize| context.first_recent_page(end * PAGE).unwrap_or(end);
        loop {
            if context.states_bytes() > 0 {
                let with_states = (0..end).rev().find(|&page| is_there(Kind::States, keys[page]));
                end = with_states.map_or(0, |page| page + 1);
            }
            let mut recent = (first_recent(end)..end).rev();
            let Some(gap) = recent.find(|&page| !is_there(Kind::Recent, keys[page])) else { break };
            end = gap;
        }
        let first_recent = first_recent(end);
        if end * PAGE <= context.known(tokens) {
            return true;
        }
        for page in known..end {
            if !self.is_quicker(context.page_bytes(), speed) {
                return true;
            }
            let text = &tokens[..(page + 1) * PAGE];
            let Some(bytes) = self.read(Kind::Page, keys[page], text, context.page_bytes()) else {
                return true;
            };
            if !context.import_page(text, &bytes) {
                return true;
            }
            if patience.is_some_and(|patience| begin.elapsed() > patience) && page + 1 < end {
                return false;
            }
        }
        for page in first_recent..end {
            let text = &tokens[..(page + 1) * PAGE];
            let bytes = self.read(Kind::Recent, keys[page], text, context.recent_bytes());
            if bytes.is_none_or(|bytes| !context.import_recent(text, &bytes)) {
                return true;
            }
        }
        let text = &tokens[..end * PAGE];
        if context.states_bytes() > 0
            && let Some(key) = keys.get(end - 1)
            && let Some(bytes) = self.read(Kind::States, *key, text, context.states_bytes())
        {
            let _ = context.import_states(text, &bytes);
        }
        self.order(Order::Use(keys[..end].to_vec()));
        true
    }

    /// Whether a page is read sooner than evaluated, as far as is known.
    fn is_quicker(&self, page_bytes: usize, speed: Option<f64>) -> bool {
        let DiskCacheTotals { bytes_read, read_time, .. } = self.totals;
        let Some(speed) = speed.filter(|_| bytes_read > 0) else { return true };
        let read = read_time.as_secs_f64() * page_bytes as f64 / bytes_read as f64;
        read < PAGE as f64 / speed
    }

    /// The payload of a file, if it is there and whole.
    fn read(&mut self, kind: Kind, key: Key, tokens: &[u32], payload: usize) -> Option<Vec<u8>> {
        let path = self.folder.file(kind, key);
        let label = Label { kind, key, tokens: &tokens[tokens.len() - PAGE..] };
        let begin = Instant::now();
        let mut file = File::open(&path).ok()?;
        let whole = file.metadata().is_ok_and(|found| found.len() == label.record_len(payload));
        let bytes = if whole { label.read(payload, &mut file).ok() } else { None };
        match &bytes {
            Some(bytes) => {
                self.totals.pages_read += u64::from(kind == Kind::Page);
                self.totals.bytes_read += bytes.len() as u64;
                self.totals.read_time += begin.elapsed();
            }
            None => {
                self.totals.damaged += 1;
                let _ = fs::remove_file(path);
            }
        }
        bytes
    }
}

impl Drop for DiskCache {
    /// Waits until all is written that was handed over.
    fn drop(&mut self) {
        self.orders = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

impl Folder {
    fn file(&self, kind: Kind, key: Key) -> PathBuf {
        let kind = match kind {
            Kind::Page => "page",
            Kind::Recent => "recent",
            Kind::States => "states",
            Kind::Text => "text",
        };
        self.path.join(format!("{}.{kind}", key.to_hex()))
    }

    /// Writes until there will be no more to write. What fails is not written.
    fn work(&self, inbox: &Receiver<Order>) {
        let mut total = self.trim(self.max_bytes);
        let mut unseen = 0;
        for order in inbox {
            match order {
                Order::Write { kind, key, tokens, payload } => {
                    let label = Label { kind, key, tokens: &tokens };
                    let len = label.record_len(payload.len());
                    // Others may have written as much.
                    if total + len > self.max_bytes || unseen > self.max_bytes / 4 {
                        total =
                            self.trim((self.max_bytes - self.max_bytes / 10).saturating_sub(len));
                        unseen = 0;
                    }
                    if total + len <= self.max_bytes && self.write(&label, &payload).is_ok() {
                        total += len;
                        unseen += len;
                    }
                    self.waiting.fetch_sub(payload.len() as u64, Ordering::Relaxed);
                }
                Order::Use(keys) => {
                    // Later pages are of no use without earlier ones, which are to live longer.
                    for &key in keys.iter().rev() {
                        for kind in [Kind::States, Kind::Recent, Kind::Page] {
                            let file = OpenOptions::new().write(true).open(self.file(kind, key));
                            let _ = file.and_then(|file| file.set_modified(SystemTime::now()));
                        }
                    }
                }
            }
        }
    }

    /// Writes a file that is there whole or not at all.
    fn write(&self, label: &Label<'_>, payload: &[u8]) -> io::Result<()> {
        let path = self.file(label.kind, label.key);
        if path.exists() {
            return Ok(());
        }
        write_whole(&path, |file| label.write(payload, file))
    }

    /// Deletes what was not used for the longest time, until `most` bytes are left; returns how many
    /// there are. Files that are none of the cache's stay.
    fn trim(&self, most: u64) -> u64 {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            let (path, Ok(found)) = (entry.path(), entry.metadata()) else { continue };
            let Ok(used) = found.modified() else { continue };
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let is_hash =
                |name: &str| name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit());
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("page" | "states") if is_hash(&name) => files.push((used, found.len(), path)),
                Some("unfinished")
                    if is_hash(name.get(..64).unwrap_or_default())
                        && used.elapsed().is_ok_and(|age| age > ABANDONED) =>
                {
                    let _ = fs::remove_file(path);
                }
                _ => {}
            }
        }
        files.sort();
        let mut total: u64 = files.iter().map(|(_, len, _)| len).sum();
        for (_, len, path) in files {
            if total <= most {
                break;
            }
            // It may be gone already.
            let _ = fs::remove_file(path);
            total -= len;
        }
        total
    }
}

/// Makes a folder that nobody else can read.
fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Writes a file, which nobody else can read, under another name and renames it when it is whole.
pub fn write_whole(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{}-{number}.unfinished", std::process::id()));
    let unfinished = path.with_file_name(name);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&unfinished)?;
    let written = write(&mut file).and_then(|()| file.flush());
    drop(file);
    let renamed = written.and_then(|()| fs::rename(&unfinished, path));
    if renamed.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    renamed
}
