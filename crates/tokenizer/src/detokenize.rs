//! Text of whole sequences, without the spaces that tokenizing added.

/// Takes spaces out of text: those before `?`, `!`, `.` and `,`, those around
/// an apostrophe, and those before `'s`, `'m`, `'re` and `'ve`.
pub(crate) fn clean_spaces(text: Vec<u8>) -> Vec<u8> {
    let text = without_spaces(&text, |rest| matches!(rest, [b'?' | b'!' | b'.' | b',', ..]));
    let text = strip_apostrophes(&text);
    without_spaces(&text, |rest| {
        matches!(rest, [b'\'', b's' | b'm', ..] | [b'\'', b'r' | b'v', b'e', ..])
    })
}

/// `text` without the spaces after which comes what is `marked`.
fn without_spaces(text: &[u8], marked: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let is_kept = |at: usize| text[at] != b' ' || !marked(&text[at + 1..]);
    (0..text.len()).filter(|at| is_kept(*at)).map(|at| text[at]).collect()
}

/// `text` with `'` for each ` ' `.
fn strip_apostrophes(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        rest = match rest {
            [b' ', b'\'', b' ', tail @ ..] => {
                out.push(b'\'');
                tail
            }
            _ => {
                out.push(*first);
                tail
            }
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_before_punctuation() {
        let clean = |text: &str| String::from_utf8(clean_spaces(text.into())).expect("UTF-8");
        assert_eq!(clean("Hi , you ! No  ? . x"), "Hi, you! No ?. x");
        assert_eq!(clean("it ' s ' ' a"), "it's'' a");
        assert_eq!(
            clean("he 's I 'm we 're they 'll 've 'd 't"),
            "he's I'm we're they 'll've 'd 't"
        );
        assert_eq!(clean(" ' "), "'");
        assert_eq!(clean(""), "");
    }
}
