//! The embedded files: complete, small, and of the right types.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::io::Read;

use webui::{Asset, CONTENT_SECURITY_POLICY, asset, assets};

/// Of all files as they are, not compressed.
const MAX_TOTAL_BYTES: usize = 600_000;

fn content(asset: Asset) -> Vec<u8> {
    match asset.encoding {
        None => asset.bytes.to_vec(),
        Some("gzip") => {
            let mut content = Vec::new();
            flate2::read::GzDecoder::new(asset.bytes).read_to_end(&mut content).unwrap();
            content
        }
        Some(other) => panic!("unknown encoding {other}"),
    }
}

fn text(path: &str) -> String {
    let asset = asset(path).unwrap_or_else(|| panic!("{path} is missing"));
    String::from_utf8(content(asset)).unwrap()
}

/// What follows `before` in `text`, up to the next quote.
fn quoted<'t>(text: &'t str, before: &'t str) -> impl Iterator<Item = &'t str> {
    text.split(before).skip(1).filter_map(|rest| rest.split('"').next())
}

/// The path that `reference` means in the file at `from`.
fn resolve(from: &str, reference: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in reference.split('/') {
        match part {
            "." => {}
            ".." => assert!(parts.pop().is_some(), "{reference} in {from} leaves the page"),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[test]
fn paths_name_files() {
    let page = asset("index.html").unwrap();
    assert_eq!(asset("/"), Some(page));
    assert_eq!(asset(""), Some(page));
    assert_eq!(asset("/index.html"), Some(page));
    for (path, file) in assets() {
        assert_eq!(asset(path), Some(file), "{path}");
    }
    for path in ["js", "js/", "//", "../Cargo.toml", "/js/../index.html", "missing"] {
        assert_eq!(asset(path), None, "{path}");
    }
}

#[test]
fn every_reference_exists() {
    let page = text("index.html");
    let mut found = 0;
    for reference in quoted(&page, "src=\"").chain(quoted(&page, "href=\"")) {
        if !reference.starts_with('#') {
            assert!(asset(reference).is_some(), "index.html refers to {reference}");
            found += 1;
        }
    }
    assert!(found > 5, "only {found} references in index.html");
    for (path, _) in assets() {
        let references: Vec<String> = match path.rsplit_once('.') {
            Some((_, "js")) if path.starts_with("js/") => {
                quoted(&text(path), "from \"").map(|reference| resolve(path, reference)).collect()
            }
            Some((_, "css")) if path.starts_with("css/") => {
                quoted(&text(path), "url(\"").map(|reference| resolve(path, reference)).collect()
            }
            _ => continue,
        };
        for reference in references {
            assert!(asset(&reference).is_some(), "{path} refers to {reference}");
        }
    }
}

#[test]
fn every_module_is_used() {
    let mut reached = BTreeSet::new();
    let mut open = vec!["js/main.js".to_owned()];
    while let Some(path) = open.pop() {
        if reached.insert(path.clone()) && path.starts_with("js/") {
            let source = text(&path);
            open.extend(quoted(&source, "from \"").map(|reference| resolve(&path, reference)));
        }
    }
    for (path, _) in assets().filter(|(path, _)| path.starts_with("js/")) {
        assert!(path == "js/theme.js" || reached.contains(path), "nothing imports {path}");
    }
}

#[test]
fn files_are_small() {
    let total: usize = assets().map(|(_, file)| content(file).len()).sum();
    assert!(total < MAX_TOTAL_BYTES, "the page has {total} bytes");
    let sent: usize = assets().map(|(_, file)| file.bytes.len()).sum();
    println!("{total} bytes, {sent} as sent");
    assert!(sent < total / 2, "{sent} of {total} bytes are sent");
}

#[test]
fn types_follow_from_names() {
    for (path, file) in assets() {
        let expected = match path.rsplit_once('.').unwrap().1 {
            "html" => "text/html; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "svg" => "image/svg+xml",
            "woff2" => "font/woff2",
            _ => "text/plain; charset=utf-8",
        };
        assert_eq!(file.content_type, expected, "{path}");
    }
}

#[test]
fn tags_tell_contents_apart() {
    let tags: BTreeSet<&str> = assets().map(|(_, file)| file.etag).collect();
    assert_eq!(tags.len(), assets().count());
    assert!(tags.iter().all(|tag| tag.len() == 34 && tag.starts_with('"') && tag.ends_with('"')));
}

#[test]
fn policy_allows_only_own_files() {
    assert!(CONTENT_SECURITY_POLICY.starts_with("default-src 'none'; script-src 'self'; "));
    assert!(!CONTENT_SECURITY_POLICY.contains("unsafe-"));
    assert!(!CONTENT_SECURITY_POLICY.contains("http"));
    assert!(!CONTENT_SECURITY_POLICY.contains('*'));
    assert!(CONTENT_SECURITY_POLICY.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
}

/// The policy would block them; this says where they are.
#[test]
fn nothing_is_inline() {
    let page = text("index.html");
    for part in [" style=", "<style", " onload=", " onclick=", " onerror="] {
        assert!(!page.contains(part), "index.html has{part}");
    }
    assert_eq!(page.matches("<script").count(), page.matches("<script src=").count() + 1);
    assert!(page.contains("<script type=\"module\" src="));
    for (path, _) in assets().filter(|(path, _)| path.starts_with("js/")) {
        let source = text(path);
        for word in ["innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "document.write"] {
            assert!(!source.contains(word), "{path} has {word}");
        }
    }
}
