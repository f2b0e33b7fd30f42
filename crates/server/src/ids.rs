//! Names for answers.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A fresh name that begins with `prefix`: 24 letters and digits that nobody can guess.
pub fn fresh(prefix: &str) -> String {
    static KEYS: LazyLock<[RandomState; 2]> = LazyLock::new(Default::default);
    static COUNT: AtomicU64 = AtomicU64::new(0);
    const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let [mut high, mut low] = [0, 1].map(|i| KEYS[i].hash_one(count));
    let mut id = prefix.to_owned();
    for _ in 0..12 {
        for half in [&mut high, &mut low] {
            id.push(char::from(DIGITS[(*half % 32) as usize]));
            *half /= 32;
        }
    }
    id
}

#[cfg(test)]
mod tests {
    #[test]
    fn ids_differ() {
        let ids: std::collections::HashSet<String> =
            (0..1000).map(|_| super::fresh("x-")).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| id.len() == 26));
    }
}
