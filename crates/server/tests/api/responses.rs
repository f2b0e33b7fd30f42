//! OpenAI's API of responses.

use serde_json::{Value, json};

use crate::support::SERVER;

fn body(fields: Value) -> Value {
    let mut body = json!({ "input": "hi", "max_output_tokens": 4 });
    body.as_object_mut().expect("an object").extend(fields.as_object().expect("fields").clone());
    body
}

#[test]
fn responses_are_made() {
    let body = body(json!({ "instructions": "be brief", "metadata": { "a": "b" } }));
    let response = SERVER.post("/v1/responses", &body).json();
    assert_eq!(response["object"], "response");
    assert_eq!(response["status"], "incomplete");
    assert_eq!(response["incomplete_details"]["reason"], "max_output_tokens");
    assert_eq!(response["output"][0]["type"], "message");
    assert_eq!(response["instructions"], "be brief");
    assert_eq!(response["metadata"]["a"], "b");
    assert_eq!(response["usage"]["output_tokens"], 4);
    assert_eq!(response["text"]["format"]["type"], "text");
}

#[test]
fn events_are_numbered_and_make_the_response() {
    let events = SERVER.post("/v1/responses", &body(json!({ "stream": true }))).events();
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names[..4],
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
        ]
    );
    assert_eq!(
        names[names.len() - 4..],
        [
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.incomplete",
        ]
    );
    for (i, (name, event)) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], i);
        assert_eq!(event["type"], name.as_str());
    }
    let deltas = events.iter().filter(|(name, _)| name == "response.output_text.delta");
    let text: String = deltas.filter_map(|(_, event)| event["delta"].as_str()).collect();
    let response = &events.last().expect("events").1["response"];
    assert_eq!(response["output"][0]["content"][0]["text"], text);
}

#[test]
fn refusals_say_what_is_wrong() {
    for (fields, text) in [
        (json!({ "previous_response_id": "resp_1" }), "previous_response_id"),
        (json!({ "conversation": "conv_1" }), "conversation"),
        (json!({ "background": true }), "background"),
        (json!({ "input": [] }), "input"),
        (json!({ "input": null }), "input"),
        (json!({ "max_output_tokens": -1 }), "max_output_tokens"),
        (json!({ "tools": [{ "type": "web_search" }] }), "web_search"),
        (json!({ "tools": [{ "type": "function" }] }), "name"),
        (json!({ "text": { "format": { "type": "yaml" } } }), "json_schema"),
    ] {
        let refusal = SERVER.post("/v1/responses", &body(fields.clone())).refusal(400);
        let message = refusal["error"]["message"].as_str().expect("a message").to_owned();
        assert!(message.contains(text), "{fields}: {message}");
    }
}
