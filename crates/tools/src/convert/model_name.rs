//! What the name of a folder tells of a model: `Llama-3.2-1B-Instruct` is of that base, version, size and
//! purpose.

/// A name and its parts.
#[derive(Debug, Default, PartialEq)]
pub struct ModelName {
    /// As a title.
    pub title: String,
    /// The model that others are made of.
    pub basename: Option<String>,
    /// What it was trained for.
    pub finetune: Option<String>,
    /// Its version, unless that is a part of the base's name.
    pub version: Option<String>,
    /// About how many weights it has.
    pub size_label: Option<String>,
}

/// What a part of a name is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Part {
    Base,
    /// A version within the name of the base, which it is not at the end of that.
    BaseOrVersion,
    Version,
    Size,
    Type,
    Finetune,
    Unknown,
}

impl ModelName {
    /// Takes a name apart. `parameters` tells sizes from numbers of other things.
    pub fn parse(name: &str, parameters: u64) -> Self {
        let title = title(name);
        if name.contains(' ') {
            return Self { title, ..Self::default() };
        }
        let mut parts: Vec<(String, Part)> = name
            .split('-')
            .filter(|part| !part.is_empty())
            .enumerate()
            .map(|(no, part)| classify(part, no > 0, parameters))
            .collect();
        let has_number = |text: &str| text.contains(|c: char| c.is_ascii_digit());
        let measured = parts.iter().any(|(text, part)| *part == Part::Size && has_number(text));
        for (text, part) in &mut parts {
            // Words such as "large" say nothing where a number does.
            if measured && *part == Part::Size && !has_number(text) {
                *part = Part::Unknown;
            }
        }
        find_base(&mut parts);
        let joined = |kinds: &[Part]| {
            let mut texts: Vec<&str> = Vec::new();
            for (text, part) in &parts {
                let again = *part == Part::Size && texts.contains(&text.as_str());
                if kinds.contains(part) && !again {
                    texts.push(text);
                }
            }
            (!texts.is_empty()).then(|| texts.join("-"))
        };
        let (size_label, finetune) = (joined(&[Part::Size]), joined(&[Part::Finetune]));
        let version = joined(&[Part::Version]);
        let is_known = size_label.is_some() || finetune.is_some() || version.is_some();
        let basename = joined(&[Part::Base, Part::BaseOrVersion]).filter(|_| is_known);
        Self { title, basename, finetune, version, size_label }
    }
}

/// Marks the parts that begin the name, up to what is neither word nor version, as the base's; what
/// is left is a purpose.
fn find_base(parts: &mut [(String, Part)]) {
    let mut at_start = true;
    for (text, part) in parts.iter_mut() {
        let is_word = text.starts_with(|c: char| c.is_alphabetic());
        match part {
            Part::Unknown if at_start && is_word => *part = Part::Base,
            Part::Version if at_start => *part = Part::BaseOrVersion,
            Part::Unknown => {
                at_start = false;
                *part = Part::Finetune;
            }
            _ => at_start = false,
        }
    }
    let trailing = parts.iter_mut().rev().take_while(|(_, part)| *part == Part::BaseOrVersion);
    trailing.for_each(|(_, part)| *part = Part::Version);
}

/// What a part is by itself, and how it is written.
fn classify(part: &str, is_later: bool, parameters: u64) -> (String, Part) {
    let lower = part.to_lowercase();
    let number = lower.strip_prefix("iter").or(lower.strip_prefix('v')).unwrap_or(&lower);
    if is_dotted_number(number) {
        return (part.to_owned(), Part::Version);
    }
    if is_type(&lower) {
        return (part.to_uppercase(), Part::Type);
    }
    if is_later && ["small", "mini", "medium", "large", "xl", "xxl"].contains(&lower.as_str()) {
        return (part.to_owned(), Part::Size);
    }
    if is_later && let Some(size) = size(part, &lower, parameters) {
        return size;
    }
    if is_later && ["chat", "instruct", "vision", "lora"].contains(&lower.as_str()) {
        return (part.to_owned(), Part::Finetune);
    }
    (part.to_owned(), Part::Unknown)
}

fn is_dotted_number(text: &str) -> bool {
    text.split('.').all(|part| !part.is_empty() && part.bytes().all(|c| c.is_ascii_digit()))
}

/// `q4_k_m`, `bf16`, `fp32` and so on.
fn is_type(lower: &str) -> bool {
    let float = lower.strip_prefix('b').unwrap_or(lower).strip_prefix('f');
    let float = float.map(|rest| rest.strip_prefix('p').unwrap_or(rest));
    let quantised = lower.strip_prefix('i').unwrap_or(lower).strip_prefix('q');
    let is_quantised = quantised.is_some_and(|rest| {
        let mut letters = rest.strip_prefix(|c: char| c.is_ascii_digit()).unwrap_or("?").split('_');
        letters.next() == Some("") && letters.all(|letter| letter.chars().count() == 1)
    });
    float == Some("16") || float == Some("32") || is_quantised
}

/// `7B`, `8x7b`, `0.5B`, `A3B` or `7b1`; a size far from that of the model counts something else.
fn size(part: &str, lower: &str, parameters: u64) -> Option<(String, Part)> {
    let mut text = part.replace('_', ".");
    let digit = text.chars().last().filter(char::is_ascii_digit);
    if let Some(digit) = digit {
        let (rest, unit) = text[..text.len() - 1].split_at_checked(text.len().checked_sub(2)?)?;
        text = format!("{rest}.{digit}{unit}");
    }
    let unit = text.chars().last().filter(|unit| "kmbtKMBT".contains(*unit))?;
    text.pop();
    let count = text;
    let times = lower.split_once('x').map(|(experts, _)| experts);
    let is_times = times.is_some_and(|experts| experts.bytes().all(|c| c.is_ascii_digit()));
    let number = match times {
        Some(experts) if is_times && !experts.is_empty() => count.get(experts.len() + 1..)?,
        Some(_) => return None,
        None => count.strip_prefix(['a', 'A']).unwrap_or(&count),
    };
    if number.split('.').count() > 2 || !is_dotted_number(number) {
        return None;
    }
    let unit = unit.to_ascii_uppercase();
    if let Ok(number) = count.parse::<f64>() {
        let exponent = " KMBT".find(unit).unwrap_or(0) as i32;
        let distance = (number * 1000f64.powi(exponent) - parameters as f64).abs();
        if parameters > 0 && distance > (7 * parameters / 8) as f64 {
            let text = format!("{count}{}", unit.to_ascii_lowercase());
            return Some((text, Part::Finetune));
        }
    }
    Some((format!("{count}{unit}"), Part::Size))
}

/// Words with a capital, but for versions and those that have one.
pub fn title(name: &str) -> String {
    let word = |word: &str| {
        let has_upper = word.chars().any(char::is_uppercase);
        let version = word.strip_prefix('v').is_some_and(is_dotted_number);
        if has_upper || version || word.starts_with(|c: char| c.is_ascii_digit()) {
            return word.to_owned();
        }
        let mut before = ' ';
        let upper = |c: char| {
            let first = !before.is_alphabetic();
            before = c;
            if first { c.to_uppercase().collect::<String>() } else { c.to_string() }
        };
        word.chars().map(upper).collect()
    };
    let words: Vec<String> = name.replace('-', " ").split_whitespace().map(word).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_parts() {
        let parse = |name: &str, parameters: f64| {
            let name = ModelName::parse(name, parameters as u64);
            let text = |part: Option<String>| part.unwrap_or_default();
            let parts = [name.basename, name.size_label, name.finetune, name.version];
            (name.title, parts.map(text).join("|"))
        };
        for (name, parameters, title, parts) in [
            ("Llama-3.2-1B-Instruct", 1.2e9, "Llama 3.2 1B Instruct", "Llama-3.2|1B|Instruct|"),
            ("Mistral-7B-v0.1", 7.2e9, "Mistral 7B v0.1", "Mistral|7B||v0.1"),
            ("Mixtral-8x7B-v0.1", 46e9, "Mixtral 8x7B v0.1", "Mixtral|8x7B||v0.1"),
            ("gemma-2-2b-it", 2.6e9, "Gemma 2 2b It", "gemma-2|2B|it|"),
            ("Phi-3-mini-4k-instruct", 3.8e9, "Phi 3 Mini 4k Instruct", "Phi-3|mini|4k-instruct|"),
            ("Qwen3-30B-A3B", 30e9, "Qwen3 30B A3B", "Qwen3|30B-A3B||"),
            ("bloom-7b1", 7.1e9, "Bloom 7b1", "bloom|7.1B||"),
            ("model", 1e9, "Model", "|||"),
        ] {
            assert_eq!(parse(name, parameters), (title.into(), parts.into()), "{name}");
        }
    }
}
