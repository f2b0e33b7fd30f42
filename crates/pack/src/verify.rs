//! Proving that every byte of a file is what it was when it was packed.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};

use sha2::{Digest, Sha256};

use crate::Error;
use crate::archive::Archive;
use crate::engine::{self, hex};
use crate::front::{form, placed, room};
use crate::head;
use crate::writer::{SUMS, sums};

/// Most bytes of the list of hashes.
const MAX_TEXT: u64 = 16 << 20;

/// What was proven of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// SHA-256 of each member in hexadecimal, and whether the file itself lists it.
    pub members: Vec<(String, String, bool)>,
}

impl Archive {
    /// Reads all of the file: checksums of all members, their SHA-256 where the file lists them, and
    /// the front. `progress` hears of bytes done and of all bytes.
    ///
    /// Starting a file does not do this, as it would read all weights.
    ///
    /// # Errors
    /// Anything that differs.
    pub fn verify(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Verified, Error> {
        let text = match self.entry(SUMS) {
            Some(_) => self.read(SUMS, MAX_TEXT)?,
            None => Vec::new(),
        };
        let text = String::from_utf8_lossy(&text);
        let mut listed: HashMap<&str, &str> = sums(&text).map(|(sum, name)| (name, sum)).collect();
        let total = self.entries().iter().map(|entry| entry.size()).sum();
        let mut done = 0;
        let mut members = Vec::new();
        for entry in self.entries() {
            let mut sha = Sha256::new();
            self.stream(entry, &mut |chunk| {
                sha.update(chunk);
                done += chunk.len() as u64;
                progress(done, total);
            })?;
            let sum = hex(&sha.finalize());
            let expected = listed.remove(entry.name());
            if expected.is_some_and(|expected| expected != sum) {
                let problem = format!("{} does not have its SHA-256", entry.name());
                return Err(Error::damaged(self.path(), problem));
            }
            members.push((entry.name().to_owned(), sum, expected.is_some()));
        }
        if let Some(name) = listed.keys().min() {
            return Err(Error::damaged(self.path(), format!("{name} is missing")));
        }
        if self.entry(SUMS).is_some() {
            self.verify_front()?;
        }
        Ok(Verified { members })
    }

    /// The front must be the one that would be written now.
    fn verify_front(&self) -> Result<(), Error> {
        let engines = engine::from_archive(self)?;
        let expected = head::build(form(self.path())?, &placed(self, &engines)?)?;
        let same = File::open(self.path())
            .and_then(|file| is_front(file.take(room(self)), &expected))
            .map_err(Error::io("read", self.path()))?;
        if !same {
            return Err(Error::damaged(self.path(), "its front was changed"));
        }
        Ok(())
    }
}

/// Whether these are the bytes of a front and zeros behind it.
fn is_front(mut bytes: impl Read, front: &[u8]) -> io::Result<bool> {
    let mut found = Vec::new();
    bytes.by_ref().take(front.len() as u64).read_to_end(&mut found)?;
    if found != front {
        return Ok(false);
    }
    // There may be more of these than memory.
    let mut chunk = vec![0; 1 << 20];
    loop {
        match bytes.read(&mut chunk)? {
            0 => return Ok(true),
            n if chunk[..n].iter().any(|byte| *byte != 0) => return Ok(false),
            _ => {}
        }
    }
}
