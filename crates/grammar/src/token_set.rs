/// A set of tokens: bit `t % 32` of word `t / 32` stands for token `t`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenSet(Vec<u32>);

impl TokenSet {
    /// A set of these tokens out of `n_tokens`.
    pub fn of(n_tokens: usize, tokens: &[u32]) -> Self {
        let mut set = Self(vec![0; n_tokens.div_ceil(32)]);
        tokens.iter().for_each(|token| set.set(*token, true));
        set
    }

    pub(crate) fn from_words(words: &[u32]) -> Self {
        Self(words.to_vec())
    }

    /// The words.
    pub fn words(&self) -> &[u32] {
        &self.0
    }

    /// Whether `token` is in the set.
    pub fn contains(&self, token: u32) -> bool {
        self.0.get(token as usize / 32).is_some_and(|word| word >> (token % 32) & 1 == 1)
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether there are no tokens.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// The tokens, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        let bits = |(word, base): (&u32, u32)| {
            let word = *word;
            (0..32).filter(move |bit| word >> bit & 1 == 1).map(move |bit| base + bit)
        };
        self.0.iter().zip((0u32..).step_by(32)).flat_map(bits)
    }

    pub(crate) fn set(&mut self, token: u32, member: bool) {
        if let Some(word) = self.0.get_mut(token as usize / 32) {
            let bit = 1 << (token % 32);
            *word = if member { *word | bit } else { *word & !bit };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_it_is_made_of() {
        let mut set = TokenSet::of(70, &[0, 31, 32, 69, 500]);
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 31, 32, 69]);
        assert!(set.contains(69) && !set.contains(68) && !set.contains(1000));
        set.set(31, false);
        assert_eq!((set.len(), set.is_empty()), (3, false));
    }
}
