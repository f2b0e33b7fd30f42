//! `/openapi.json`: what this server's routes take and give, as OpenAPI 3.1 has it.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use crate::routes::Routes;

/// The document, a part for each API: their paths and schemas belong together.
const PARTS: [&str; 5] = [
    include_str!("openapi/base.json"),
    include_str!("openapi/openai.json"),
    include_str!("openapi/anthropic.json"),
    include_str!("openapi/llama.json"),
    include_str!("openapi/ollama.json"),
];

static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    // Tests check that all parts are JSON.
    let parts = PARTS.iter().map(|part| serde_json::from_str(part).unwrap_or_default());
    parts.reduce(merge).unwrap_or_default().to_string()
});

/// Its route.
pub fn routes() -> Routes {
    Routes::default().get("/openapi.json", document)
}

async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str()).into_response()
}

/// Objects with the fields of both.
fn merge(mut all: Value, part: Value) -> Value {
    match (&mut all, part) {
        (Value::Object(all), Value::Object(part)) => {
            for (name, value) in part {
                let old = all.remove(&name).unwrap_or_default();
                all.insert(name, merge(old, value));
            }
        }
        (all, part) => *all = part,
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Value {
        for part in PARTS {
            serde_json::from_str::<Value>(part).expect("JSON");
        }
        serde_json::from_str(&DOCUMENT).expect("JSON")
    }

    #[test]
    fn every_route_is_described_and_every_description_is_a_route() {
        let document = document();
        let mut described: Vec<(String, String)> = Vec::new();
        for (path, item) in document["paths"].as_object().expect("paths") {
            for method in item.as_object().expect("methods").keys() {
                described.push((method.clone(), path.replace("{name}", "{*name}")));
            }
        }
        let routes = crate::routes().list.into_iter();
        let mut routes: Vec<(String, String)> =
            routes.map(|(method, path)| (method.to_owned(), path.to_owned())).collect();
        described.sort();
        routes.sort();
        assert_eq!(described, routes);
    }

    #[test]
    fn all_references_lead_somewhere() {
        fn check(value: &Value, document: &Value) {
            match value {
                Value::Object(fields) => {
                    if let Some(Value::String(to)) = fields.get("$ref") {
                        let to = to.trim_start_matches('#');
                        assert!(document.pointer(to).is_some(), "{to}");
                    }
                    fields.values().for_each(|value| check(value, document));
                }
                Value::Array(items) => items.iter().for_each(|value| check(value, document)),
                _ => {}
            }
        }
        let document = document();
        check(&document, &document);
    }
}
