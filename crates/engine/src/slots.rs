//! Slots: what sequences hold, saved to files and restored.
//!
//! A file has a record of the text, one of each of its pages, for models with sliding windows one of
//! each page that they show at the end and, for models with states, one of these after the text; see
//! [`crate::record`].

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backend::PAGE;

use crate::disk_cache::write_whole;
use crate::record::{self, Key, Kind, Label};
use crate::scheduler::Scheduler;
use crate::{Error, Worker};

/// What was saved or restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotFile {
    /// Tokens of the text.
    pub tokens: usize,
    /// Bytes of the file.
    pub bytes: u64,
    /// Time that it took.
    pub time: Duration,
}

impl Worker {
    /// Writes what a slot holds, or has left in memory, to a file. Requests go on meanwhile.
    ///
    /// # Errors
    /// [`Error::NoSlot`], [`Error::SlotLost`], and files that can't be written.
    pub fn save_slot(&self, id: usize, path: &Path) -> Result<SlotFile, Error> {
        let begin = Instant::now();
        let (root, tokens, first_recent, has_states) = self.ask(move |scheduler| {
            let (tokens, _) = scheduler.slot_text(id)?;
            let known = scheduler.context().known(&tokens);
            if known == 0 && !tokens.is_empty() {
                return Err(Error::SlotLost { id });
            }
            let context = scheduler.context();
            let has_states = context.states_bytes() > 0;
            let first_recent = context.first_recent_page(known);
            Ok::<_, Error>((scheduler.root(), tokens[..known].to_vec(), first_recent, has_states))
        })??;
        let text: Arc<[u32]> = tokens.into();
        let mut lost = None;
        let written = write_whole(path, |file| {
            Label { kind: Kind::Text, key: root, tokens: &text }.write(&[], file)?;
            let pages = pages_of(root, &text);
            for &(ref page, key) in &pages {
                let (all, end, tokens) = (text.clone(), page.end, &text[page.clone()]);
                let page = self.ask(move |scheduler| scheduler.context().export_page(&all[..end]));
                let Some(page) = found(page, &mut lost, id) else { return Ok(()) };
                Label { kind: Kind::Page, key, tokens }.write(&page, file)?;
            }
            for &(ref page, key) in &pages[first_recent.unwrap_or(pages.len())..] {
                let (all, end) = (text.clone(), page.end);
                let page =
                    self.ask(move |scheduler| scheduler.context().export_recent(&all[..end]));
                let Some(page) = found(page, &mut lost, id) else { return Ok(()) };
                Label { kind: Kind::Recent, key, tokens: &[] }.write(&page, file)?;
            }
            if has_states && let Some(&(_, key)) = pages.last() {
                let all = text.clone();
                let states = self.ask(move |scheduler| scheduler.context().export_states(&all));
                let Some(states) = found(states, &mut lost, id) else { return Ok(()) };
                Label { kind: Kind::States, key, tokens: &[] }.write(&states, file)?;
            }
            Ok(())
        });
        let failed = |error| Error::SlotFile { path: path.to_owned(), error };
        written.map_err(failed)?;
        if let Some(error) = lost {
            let _ = fs::remove_file(path);
            return Err(error);
        }
        let bytes = fs::metadata(path).map_err(failed)?.len();
        Ok(SlotFile { tokens: text.len(), bytes, time: begin.elapsed() })
    }

    /// Puts back into memory what [`Worker::save_slot`] has written: requests that begin with its
    /// text find it, whatever slot they get.
    ///
    /// # Errors
    /// [`Error::NoSlot`], [`Error::SlotBusy`], [`Error::SlotLost`], and files that can't be read or
    /// are damaged or of another model.
    pub fn restore_slot(&self, id: usize, path: &Path) -> Result<SlotFile, Error> {
        let begin = Instant::now();
        let (root, [page_bytes, recent_bytes, states_bytes], n_ctx) =
            self.ask(move |scheduler| {
                idle_slot(scheduler, id)?;
                let root = scheduler.root();
                let context = scheduler.context();
                let sizes = [context.page_bytes(), context.recent_bytes(), context.states_bytes()];
                Ok::<_, Error>((root, sizes, context.n_ctx()))
            })??;
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof => {
                Error::NoSlotFile { path: path.to_owned() }
            }
            _ => Error::SlotFile { path: path.to_owned(), error },
        };
        let file = File::open(path).map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        let mut file = BufReader::new(file);
        let text: Arc<[u32]> = record::read_text(root, n_ctx, &mut file).map_err(failed)?.into();
        let pages = pages_of(root, &text);
        for &(ref page, key) in &pages {
            let label = Label { kind: Kind::Page, key, tokens: &text[page.clone()] };
            let bytes = label.read(page_bytes, &mut file).map_err(failed)?;
            let (all, end) = (text.clone(), page.end);
            let put = move |s: &mut Scheduler| s.context().import_page(&all[..end], &bytes);
            if !self.ask(put)? {
                return Err(Error::SlotLost { id });
            }
        }
        let n_tokens = text.len();
        let first_recent = self.ask(move |s| s.context().first_recent_page(n_tokens))?;
        for &(ref page, key) in &pages[first_recent.unwrap_or(pages.len())..] {
            let label = Label { kind: Kind::Recent, key, tokens: &[] };
            let bytes = label.read(recent_bytes, &mut file).map_err(failed)?;
            let (all, end) = (text.clone(), page.end);
            let put = move |s: &mut Scheduler| s.context().import_recent(&all[..end], &bytes);
            if !self.ask(put)? {
                return Err(Error::SlotLost { id });
            }
        }
        if states_bytes > 0
            && let Some(&(_, key)) = pages.last()
        {
            let label = Label { kind: Kind::States, key, tokens: &[] };
            let states = label.read(states_bytes, &mut file).map_err(failed)?;
            let all = text.clone();
            let put = move |s: &mut Scheduler| s.context().import_states(&all, &states);
            if !self.ask(put)? {
                return Err(Error::SlotLost { id });
            }
        }
        if file.read(&mut [0]).map_err(failed)? > 0 {
            return Err(Error::NoSlotFile { path: path.to_owned() });
        }
        self.ask(move |scheduler| {
            idle_slot(scheduler, id)?;
            scheduler.set_slot_text(id, text.to_vec());
            Ok::<_, Error>(())
        })??;
        Ok(SlotFile { tokens: n_tokens, bytes, time: begin.elapsed() })
    }

    /// Forgets what a slot has left in memory, as far as no other text begins with it; returns how
    /// many tokens it had.
    ///
    /// # Errors
    /// [`Error::NoSlot`] and [`Error::SlotBusy`].
    pub fn erase_slot(&self, id: usize) -> Result<usize, Error> {
        self.ask(move |scheduler| {
            let tokens = idle_slot(scheduler, id)?;
            scheduler.context().forget(&tokens);
            scheduler.set_slot_text(id, Vec::new());
            Ok(tokens.len())
        })?
    }
}

/// The pages of a text, each with the name of the text up to its end.
fn pages_of(root: Key, text: &[u32]) -> Vec<(Range<usize>, Key)> {
    let starts = (0..text.len()).step_by(PAGE);
    let pages = starts.scan(root, |key, start| {
        let page = start..text.len().min(start + PAGE);
        *key = key.after(&text[page.clone()]);
        Some((page, *key))
    });
    pages.collect()
}

/// The tokens that a slot has left.
fn idle_slot(scheduler: &mut Scheduler, id: usize) -> Result<Vec<u32>, Error> {
    match scheduler.slot_text(id)? {
        (_, true) => Err(Error::SlotBusy { id }),
        (tokens, false) => Ok(tokens),
    }
}

/// What was asked for, or why it is not to be had.
fn found<T>(answer: Result<Option<T>, Error>, lost: &mut Option<Error>, id: usize) -> Option<T> {
    match answer {
        Ok(Some(found)) => return Some(found),
        Ok(None) => *lost = Some(Error::SlotLost { id }),
        Err(error) => *lost = Some(error),
    }
    None
}
