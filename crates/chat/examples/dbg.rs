use std::io::Read;
fn main() {
    let mut t = String::new();
    flate2::read::GzDecoder::new(
        std::fs::File::open("crates/chat/tests/data/templates.json.gz").unwrap(),
    )
    .read_to_string(&mut t)
    .unwrap();
    let t: std::collections::BTreeMap<String, String> = serde_json::from_str(&t).unwrap();
    let pat = std::env::args().nth(1).unwrap_or_default();
    for (n, s) in t {
        if n.contains(&pat) {
            let c = chat::Chat::new(&s, "<s>", "</s>").unwrap();
            println!("{n}: {} {:?}\n   {:?}", c.format_name(), c.capabilities(), c);
        }
    }
}
