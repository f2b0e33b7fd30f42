/// A text as a terminal of Lark.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A text as a regular expression.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            c if c.is_alphanumeric() || matches!(c, '_' | ' ' | '"' | '\'' | ':' | ',') => {
                out.push(c)
            }
            c if c.is_ascii() => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}
