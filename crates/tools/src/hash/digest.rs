//! A hash that is being computed.

use sha1::{Digest as _, Sha1};
use sha2::Sha256;
use xxhash_rust::xxh64::Xxh64;

use super::{Algorithm, Hash};

/// llama.cpp's name space of UUIDs: ef001206-dadc-5f6d-a15f-3359e577d4e5.
const NAMESPACE: u128 = 0xef00_1206_dadc_5f6d_a15f_3359_e577_d4e5;

/// A hash that is being computed.
pub(super) struct Digest {
    algorithm: Algorithm,
    state: State,
}

enum State {
    Xxh64(Box<Xxh64>),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Digest {
    /// Of nothing yet.
    pub(super) fn new(algorithm: Algorithm) -> Self {
        let state = match algorithm {
            Algorithm::Xxh64 => State::Xxh64(Box::new(Xxh64::new(0))),
            Algorithm::Sha1 => State::Sha1(Sha1::new()),
            Algorithm::Sha256 => State::Sha256(Sha256::new()),
            Algorithm::Uuid => State::Sha1(Sha1::new_with_prefix(NAMESPACE.to_be_bytes())),
        };
        Self { algorithm, state }
    }

    /// Takes in more bytes.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Xxh64(state) => state.update(bytes),
            State::Sha1(state) => state.update(bytes),
            State::Sha256(state) => state.update(bytes),
        }
    }

    /// The hash, of this tensor or of a model.
    pub(super) fn finish(self, tensor: Option<&str>) -> Hash {
        let text = match self.state {
            State::Xxh64(state) => format!("{:016x}", state.digest()),
            State::Sha1(state) if self.algorithm == Algorithm::Uuid => uuid(&state.finalize()),
            State::Sha1(state) => hex(&state.finalize()),
            State::Sha256(state) => hex(&state.finalize()),
        };
        Hash { algorithm: self.algorithm, text, tensor: tensor.map(str::to_owned) }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Version 5 of RFC 9562, 5.5: the first 16 bytes, with version and variant.
fn uuid(sha1: &[u8]) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&sha1[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x50;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let parts = [0..4, 4..6, 6..8, 8..10, 10..16].map(|range| hex(&bytes[range]));
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_known_texts() {
        let hash = |algorithm, parts: &[&str]| {
            let mut digest = Digest::new(algorithm);
            parts.iter().for_each(|part| digest.update(part.as_bytes()));
            digest.finish(None).text
        };
        // Test vectors of FIPS 180 and of xxHash.
        assert_eq!(hash(Algorithm::Xxh64, &[]), "ef46db3751d8e999");
        assert_eq!(hash(Algorithm::Xxh64, &["ab", "c"]), "44bc2cf5ad770999");
        assert_eq!(hash(Algorithm::Sha1, &["abc"]), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(
            hash(Algorithm::Sha256, &["a", "bc"]),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        let id = hash(Algorithm::Uuid, &["abc"]);
        assert!(id.len() == 36 && id.as_bytes()[14] == b'5', "{id}");
    }
}
