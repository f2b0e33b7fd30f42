//! What a GBNF grammar consists of.

/// Number of a rule, and place in [`Syntax::rules`].
pub(crate) type RuleId = usize;

/// A part of a rule.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    /// Characters in a row; none for nothing.
    Text(String),
    /// One character of these ranges, ascending and apart.
    Class(Vec<(char, char)>),
    /// What a rule says.
    Rule(RuleId),
    /// A token, or any but it.
    Token { token: TokenRef, negated: bool },
    /// One after the other.
    Sequence(Vec<Node>),
    /// One of these.
    Choice(Vec<Node>),
    /// At least `min`, at most `max` times.
    Repeat { node: Box<Node>, min: u32, max: Option<u32> },
}

/// How a grammar names a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TokenRef {
    /// By its id.
    Id(u32),
    /// By its text, with the angle brackets.
    Text(String),
}

/// A grammar as it is written.
#[derive(Debug, Clone)]
pub(crate) struct Syntax {
    /// Names and meanings of the rules.
    pub(crate) rules: Vec<(String, Node)>,
    /// The rule that the whole text follows.
    pub(crate) root: RuleId,
}

impl Node {
    /// Nothing at all.
    pub(crate) fn empty() -> Self {
        Self::Text(String::new())
    }

    /// The parts.
    pub(crate) fn children(&self) -> &[Node] {
        match self {
            Self::Sequence(nodes) | Self::Choice(nodes) => nodes,
            Self::Repeat { node, .. } => std::slice::from_ref(node),
            _ => &[],
        }
    }
}

/// The characters of `ranges`, or all but them, as ranges that ascend and don't touch. Code points
/// that are no characters match nothing.
pub(crate) fn class(ranges: &[(u32, u32)], negated: bool) -> Vec<(char, char)> {
    let mut sorted: Vec<(u32, u32)> = ranges.iter().copied().filter(|(a, b)| a <= b).collect();
    sorted.sort_unstable();
    let mut merged: Vec<(u32, u32)> = Vec::new();
    for (low, high) in sorted {
        match merged.last_mut() {
            Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
            _ => merged.push((low, high)),
        }
    }
    let ranges = if negated { complement(&merged) } else { merged };
    ranges.into_iter().flat_map(characters).collect()
}

fn complement(ranges: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let mut out = Vec::new();
    let mut next = 0;
    for &(low, high) in ranges {
        if low > next {
            out.push((next, low - 1));
        }
        next = high.saturating_add(1);
    }
    out.push((next, u32::MAX));
    out
}

/// The characters among the code points from `low` to `high`: surrogates are none.
fn characters((low, high): (u32, u32)) -> impl Iterator<Item = (char, char)> {
    let part = move |from: u32, to: u32| {
        let (low, high) = (low.max(from), high.min(to));
        (low <= high).then_some(())?;
        char::from_u32(low).zip(char::from_u32(high))
    };
    [part(0, 0xd7ff), part(0xe000, 0x10_ffff)].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_merged_and_turned_around() {
        assert_eq!(class(&[(98, 100), (97, 97), (120, 122)], false), [('a', 'd'), ('x', 'z')]);
        let rest = [('\0', '`'), ('e', '\u{d7ff}'), ('\u{e000}', '\u{10ffff}')];
        assert_eq!(class(&[(97, 100)], true), rest);
        assert_eq!(class(&[(0xd800, 0xdfff), (0x11_0000, u32::MAX)], false), []);
        assert_eq!(class(&[(122, 97)], false), []);
    }
}
