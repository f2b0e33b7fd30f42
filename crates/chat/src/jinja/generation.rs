/// Makes `{% generation %}` and `{% endgeneration %}` blocks that always hold.
///
/// Hugging Face's extension marks the tokens to train on; for a prompt the
/// block is its body.
pub(crate) fn plain_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("{%") {
        let (before, tag) = rest.split_at(at + 2);
        out.push_str(before);
        rest = tag;
        let name_at = tag.len() - tag.trim_start_matches(['-', '+']).trim_start().len();
        let name = &tag[name_at..];
        for (word, plain) in [("generation", "if true"), ("endgeneration", "endif")] {
            let Some(after) = name.strip_prefix(word) else { continue };
            if after.trim_start().trim_start_matches(['-', '+']).starts_with("%}") {
                out.push_str(&tag[..name_at]);
                out.push_str(plain);
                rest = after;
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::plain_generation_tags;

    #[test]
    fn only_these_tags_change() {
        for (source, expected) in [
            ("a{% generation %}b{% endgeneration %}c", "a{% if true %}b{% endif %}c"),
            ("{%- generation -%}b{%-endgeneration+%}", "{%- if true -%}b{%-endif+%}"),
            (
                "{% generations %}{{ generation }}{% if generation %}{%",
                "{% generations %}{{ generation }}{% if generation %}{%",
            ),
        ] {
            assert_eq!(plain_generation_tags(source), expected);
        }
    }
}
