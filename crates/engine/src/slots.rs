//! Slots: what sequences hold, saved to files and restored.
//!
//! A file has a record of the text, one of each of its pages and, for models with states, one of
//! these after the text; see [`crate::record`].

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backend::PAGE;

use crate::disk_cache::write_whole;
use crate::record::{self, Kind, Label};
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
        let (root, tokens, has_states) = self.ask(move |scheduler| {
            let (tokens, _) = scheduler.slot_text(id)?;
            let known = scheduler.context().known(&tokens);
            if known == 0 && !tokens.is_empty() {
                return Err(Error::SlotLost { id });
            }
            let has_states = scheduler.context().states_bytes() > 0;
            Ok::<_, Error>((scheduler.root(), tokens[..known].to_vec(), has_states))
        })??;
        let text: Arc<[u32]> = tokens.into();
        let mut lost = None;
        let written = write_whole(path, |file| {
            let mut key = root;
            Label { kind: Kind::Text, key, tokens: &text }.write(&[], file)?;
            for start in (0..text.len()).step_by(PAGE) {
                let end = text.len().min(start + PAGE);
                key = key.after(&text[start..end]);
                let tokens = &text[start..end];
                let all = text.clone();
                let page = self.ask(move |scheduler| scheduler.context().export_page(&all[..end]));
                let Some(page) = found(page, &mut lost, id) else { return Ok(()) };
                Label { kind: Kind::Page, key, tokens }.write(&page, file)?;
            }
            if has_states && !text.is_empty() {
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
        let (root, sizes, n_ctx) = self.ask(move |scheduler| {
            idle_slot(scheduler, id)?;
            let root = scheduler.root();
            let context = scheduler.context();
            let sizes = [context.page_bytes(), context.states_bytes()];
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
        let mut key = root;
        for start in (0..text.len()).step_by(PAGE) {
            let end = text.len().min(start + PAGE);
            let tokens = &text[start..end];
            key = key.after(tokens);
            let label = Label { kind: Kind::Page, key, tokens };
            let page = label.read(sizes[0], &mut file).map_err(failed)?;
            let all = text.clone();
            let put = move |s: &mut Scheduler| s.context().import_page(&all[..end], &page);
            if !self.ask(put)? {
                return Err(Error::SlotLost { id });
            }
        }
        if sizes[1] > 0 && !text.is_empty() {
            let label = Label { kind: Kind::States, key, tokens: &[] };
            let states = label.read(sizes[1], &mut file).map_err(failed)?;
            let all = text.clone();
            let put = move |s: &mut Scheduler| s.context().import_states(&all, &states);
            if !self.ask(put)? {
                return Err(Error::SlotLost { id });
            }
        }
        if file.read(&mut [0]).map_err(failed)? > 0 {
            return Err(Error::NoSlotFile { path: path.to_owned() });
        }
        let tokens = text.len();
        self.ask(move |scheduler| {
            idle_slot(scheduler, id)?;
            scheduler.set_slot_text(id, text.to_vec());
            Ok::<_, Error>(())
        })??;
        Ok(SlotFile { tokens, bytes, time: begin.elapsed() })
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
