//! The tokens of a text, printed as llama.cpp's `llama-tokenize` does.

use std::io::{self, Write};

use tokenizer::Tokenizer;

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Format {
    /// Ids alone, as a list.
    pub ids: bool,
    /// How many there are, at the end.
    pub count: bool,
}

/// Prints tokens.
///
/// # Errors
/// Those of `out`.
pub fn print(
    out: &mut dyn Write,
    tokenizer: &Tokenizer,
    tokens: &[u32],
    format: Format,
) -> io::Result<()> {
    if format.ids {
        let ids: Vec<String> = tokens.iter().map(u32::to_string).collect();
        writeln!(out, "[{}]", ids.join(", "))?;
    } else {
        for &id in tokens {
            let piece = tokenizer.token_bytes(id).unwrap_or_default();
            // Pieces end at a zero byte in llama.cpp.
            let end = piece.iter().position(|&byte| byte == 0).unwrap_or(piece.len());
            write!(out, "{id:6} -> '")?;
            out.write_all(&piece[..end])?;
            out.write_all(b"'\n")?;
        }
    }
    if format.count {
        writeln!(out, "Total number of tokens: {}", tokens.len())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use fixtures::Fixture;

    use super::*;

    #[test]
    fn tokens_as_llama_tokenize_prints_them() {
        let model = Fixture::named("llama-gqa").model();
        let tokenizer = Tokenizer::from_metadata(model.metadata()).expect("a tokenizer");
        let printed = |format| {
            let mut out = Vec::new();
            print(&mut out, &tokenizer, &[1, 0], format).expect("memory");
            String::from_utf8(out).expect("text")
        };
        let piece = |id| {
            let piece = tokenizer.token_bytes(id).expect("a token");
            String::from_utf8(piece.into_owned()).expect("text")
        };
        let lines = format!("     1 -> '{}'\n     0 -> '{}'\n", piece(1), piece(0));
        assert_eq!(printed(Format::default()), lines);
        let all = Format { ids: true, count: true };
        assert_eq!(printed(all), "[1, 0]\nTotal number of tokens: 2\n");
    }
}
