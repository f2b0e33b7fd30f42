//! Templates of requests: of Go's notation, what stands for a text.

use crate::error::ApiError;

/// Puts `system` and `prompt` into a template. What comes from `{{ .Response }}` on is the answer's.
///
/// # Errors
/// Everything in braces but `.System`, `.Prompt` and `.Response`.
pub fn fill(template: &str, system: &str, prompt: &str) -> Result<String, ApiError> {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, action)) = rest.split_once("{{") {
        let closed = action.split_once("}}");
        let (action, after) =
            closed.ok_or_else(|| ApiError::invalid("'template' has '{{' without '}}'"))?;
        let trims = action.starts_with('-');
        text += if trims { before.trim_end() } else { before };
        match action.trim_matches('-').trim() {
            ".System" => text += system,
            ".Prompt" => text += prompt,
            ".Response" => return Ok(text),
            other => {
                let known = ".System, .Prompt and .Response";
                let message = format!("'template' may have {known} in braces, not '{other}'");
                return Err(ApiError::invalid(message));
            }
        }
        rest = if action.ends_with('-') { after.trim_start() } else { after };
    }
    Ok(text + rest)
}

#[cfg(test)]
mod tests {
    use super::fill;

    #[test]
    fn templates_are_filled() {
        let fill = |template| fill(template, "S", "P").ok();
        assert_eq!(fill("[{{ .System }}] {{.Prompt}}:").as_deref(), Some("[S] P:"));
        assert_eq!(fill("a \n{{- .Prompt -}} \n b").as_deref(), Some("aPb"));
        assert_eq!(fill("{{ .Prompt }} A: {{ .Response }} end").as_deref(), Some("P A: "));
        assert_eq!(fill("plain").as_deref(), Some("plain"));
        assert_eq!(fill("{{ .Prompt"), None);
        assert_eq!(fill("{{ if .System }}{{ end }}"), None);
    }
}
