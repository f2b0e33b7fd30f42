/// Makes `{% set _ = list.append(item) %}` and `{% set item = list.pop(0) %}` assignments.
///
/// Lists do not change here; Kimi's templates keep one in a namespace.
pub(crate) fn assign_mutations(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let Some(length) = rest[start..].find("%}") else { break };
        let (before, tag) = rest[..start + length + 2].split_at(start);
        out.push_str(before);
        rest = &rest[start + length + 2..];
        match assignment(tag) {
            Some(assignment) => out.push_str(&assignment),
            None => out.push_str(tag),
        }
    }
    out + rest
}

fn assignment(tag: &str) -> Option<String> {
    let body = tag.strip_prefix("{%")?.strip_suffix("%}")?;
    let inner = body.trim_matches(['-', '+']);
    let (open, close) = (
        &body[..body.len() - body.trim_start_matches(['-', '+']).len()],
        body.trim_end_matches(['-', '+']).len(),
    );
    let close = &body[close..];
    let (name, value) = inner.trim().strip_prefix("set ")?.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    let is_path = |path: &str| path.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.'));
    if let Some((list, item)) = value.split_once(".append(") {
        let item = item.strip_suffix(')').filter(|_| is_path(list))?;
        return Some(format!("{{%{open} set {list} = {list} + [{item}] {close}%}}"));
    }
    let list = value.strip_suffix(".pop(0)").filter(|list| is_path(list))?;
    Some(format!("{{%{open} set {name} = {list}[0] -%}}{{%- set {list} = {list}[1:] {close}%}}"))
}

#[cfg(test)]
mod tests {
    use super::assign_mutations;

    #[test]
    fn only_these_tags_change() {
        for (source, expected) in [
            ("a{%- set _ = ns.ids.append(f(x)) -%}b", "a{%- set ns.ids = ns.ids + [f(x)] -%}b"),
            (
                "{% set id = ns.ids.pop(0) %}",
                "{% set id = ns.ids[0] -%}{%- set ns.ids = ns.ids[1:] %}",
            ),
            (
                "{% set x = 'a.append(' %}{{ x.append(1) }}{%",
                "{% set x = 'a.append(' %}{{ x.append(1) }}{%",
            ),
        ] {
            assert_eq!(assign_mutations(source), expected);
        }
    }
}
