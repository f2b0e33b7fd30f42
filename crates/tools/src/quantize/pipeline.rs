//! Reading, encoding and writing side by side.
//!
//! Tensors are cut into parts of whole rows. Threads take parts in order, read and encode them; what
//! they made is written in the same order. Only a few parts are under way at any time.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Scope;

use quant::TensorType;

use super::{Error, Planned};
use crate::weights::{ReadError, Reader};

/// About how many values a part has.
const PART: usize = 1 << 18;

/// Parts under way for each thread.
const AHEAD: usize = 3;

/// Below this magnitude no scale of 16 bits overflows.
const SAFE: f32 = 16384.0;

/// Some rows of one expert of a tensor.
struct Part<'a> {
    tensor: &'a Planned,
    rows: Range<usize>,
}

/// What comes of a part: its bytes.
type Encoded = Result<Vec<u8>, Error>;

/// A part to encode, and where its bytes go.
struct Job<'a> {
    part: Part<'a>,
    result: Sender<Encoded>,
}

/// Encodes the tensors in order.
pub(crate) struct Pipeline<'a>(RefCell<State<'a>>);

struct State<'a> {
    /// Parts that no thread was given yet.
    parts: Box<dyn Iterator<Item = Part<'a>> + 'a>,
    jobs: Sender<Job<'a>>,
    /// What comes of the parts under way, in order, and whether each is the last of its tensor.
    under_way: VecDeque<(Receiver<Encoded>, bool)>,
    failure: Option<Error>,
    written: u64,
    total: u64,
    progress: &'a mut dyn FnMut(u64, u64),
}

impl<'a> Pipeline<'a> {
    /// Starts threads that begin with the first parts. `files` are those of the input.
    pub(crate) fn start<'scope, 'env>(
        scope: &'scope Scope<'scope, 'env>,
        tensors: &'a [Planned],
        files: &'a [PathBuf],
        threads: usize,
        total: u64,
        progress: &'a mut dyn FnMut(u64, u64),
    ) -> Self
    where
        'a: 'scope,
    {
        let (jobs, queue) = mpsc::channel::<Job<'a>>();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..threads {
            let queue = Arc::clone(&queue);
            scope.spawn(move || {
                let mut reader = Reader::new(files);
                loop {
                    let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(Job { part, result }) = job else { return };
                    // Nobody waits for it where something else failed.
                    let _ = result.send(encode(&part, &mut reader));
                }
            });
        }
        let mut state = State {
            parts: Box::new(tensors.iter().flat_map(parts)),
            jobs,
            under_way: VecDeque::new(),
            failure: None,
            written: 0,
            total,
            progress,
        };
        for _ in 0..AHEAD * threads {
            state.begin_next();
        }
        Self(RefCell::new(state))
    }

    /// Writes the next tensor.
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        self.0.borrow_mut().write(out)
    }

    /// Why encoding failed, if it did.
    pub(crate) fn failure(&self) -> Option<Error> {
        self.0.borrow_mut().failure.take()
    }
}

impl State<'_> {
    fn begin_next(&mut self) {
        if let Some(part) = self.parts.next() {
            let is_last = part.rows.end * part.tensor.shape[0] == part.tensor.source.values();
            let (result, receiver) = mpsc::channel();
            self.under_way.push_back((receiver, is_last));
            // The threads listen until the sender is dropped.
            let _ = self.jobs.send(Job { part, result });
        }
    }

    fn write(&mut self, out: &mut dyn Write) -> io::Result<()> {
        while let Some((result, is_last)) = self.under_way.pop_front() {
            self.begin_next();
            // A thread that ended without an answer has panicked, which its scope reports.
            let bytes = match result.recv().map_err(io::Error::other)? {
                Ok(bytes) => bytes,
                Err(error) => {
                    let message = error.to_string();
                    self.failure = Some(error);
                    return Err(io::Error::other(message));
                }
            };
            out.write_all(&bytes)?;
            self.written += bytes.len() as u64;
            (self.progress)(self.written, self.total);
            if is_last {
                break;
            }
        }
        Ok(())
    }
}

/// Parts of about [`PART`] values that lie within one expert.
fn parts(tensor: &Planned) -> impl Iterator<Item = Part<'_>> {
    let cols = tensor.shape[0];
    let rows = tensor.source.values() / cols;
    let per_expert = tensor.shape.get(1).copied().unwrap_or(1);
    let step = (PART / cols).clamp(1, per_expert);
    let starts = (0..rows).step_by(per_expert).flat_map(move |expert| {
        (expert..expert + per_expert)
            .step_by(step)
            .map(move |start| start..(start + step).min(expert + per_expert))
    });
    starts.map(move |rows| Part { tensor, rows })
}

/// The bytes of a part in its new type.
fn encode(part: &Part<'_>, reader: &mut Reader<'_>) -> Result<Vec<u8>, Error> {
    let Part { tensor, rows } = part;
    let Planned { from, to, .. } = **tensor;
    let cols = tensor.shape[0];
    let row_bytes = |ty: TensorType| ty.row_bytes(cols).unwrap_or(0);
    let bytes = reader.read(&tensor.source, rows.start * cols..rows.end * cols);
    let bytes = bytes.map_err(|ReadError { path, error }| Error::Read {
        path,
        tensor: tensor.name.clone(),
        error,
    })?;
    let Some(decode) = from.info().decode else { return Ok(bytes.to_vec()) };

    let mut values = vec![0f32; rows.len() * cols];
    decode(bytes, &mut values);
    let largest = largest(&values).ok_or_else(|| {
        let odd = values.iter().find(|value| !value.is_finite());
        Error::NotFinite { tensor: tensor.name.clone(), value: odd.copied().unwrap_or(f32::NAN) }
    })?;
    let Some(encode) = to.info().encode.filter(|_| from != to) else { return Ok(bytes.to_vec()) };

    let mut encoded = vec![0; rows.len() * row_bytes(to)];
    let expert = rows.start / tensor.shape.get(1).copied().unwrap_or(1);
    let importance = tensor.importance.as_ref().map(|means| {
        let experts = means.len() / cols;
        &means[expert % experts * cols..][..cols]
    });
    for (row, encoded) in values.chunks_exact(cols).zip(encoded.chunks_exact_mut(row_bytes(to))) {
        encode(row, importance, encoded);
    }
    if largest > SAFE && to != TensorType::F32 {
        check_range(tensor, largest, &encoded, &mut values)?;
    }
    Ok(encoded)
}

/// The largest magnitude; `None` where a value is not finite.
fn largest(values: &[f32]) -> Option<f32> {
    const INFINITY: u32 = f32::INFINITY.to_bits();
    // As integers the magnitudes are ordered, with infinity and NaN above all.
    let bits = values.iter().fold(0, |most, value| most.max(value.to_bits() & !(1 << 31)));
    (bits < INFINITY).then(|| f32::from_bits(bits))
}

/// Makes sure that no scale became infinite.
fn check_range(
    tensor: &Planned,
    largest: f32,
    encoded: &[u8],
    values: &mut [f32],
) -> Result<(), Error> {
    let ty = tensor.to;
    if let Some(decode) = ty.info().decode {
        decode(encoded, values);
    }
    match values.iter().all(|value| value.is_finite()) {
        true => Ok(()),
        false => Err(Error::TooLarge { tensor: tensor.name.clone(), largest, ty }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_value_is_found_unless_one_is_not_finite() {
        assert_eq!(largest(&[1.0, -3.0, 0.0]), Some(3.0));
        assert_eq!(largest(&[1.0, f32::NAN]), None);
        assert_eq!(largest(&[-f32::INFINITY]), None);
    }
}
