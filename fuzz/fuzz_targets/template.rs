//! Any template: rendering ends, in a text or an error.
#![no_main]

use chat::{Chat, Message, Request, Tool};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

fuzz_target!(|source: &str| {
    let Ok(chat) = Chat::new(source, "<s>", "</s>") else { return };
    let mut request = Request::new(vec![
        Message::new("system", "Be brief."),
        Message::new("user", "Hi \"é\" <b>\n"),
    ]);
    let tool = json!({ "function": { "name": "f", "parameters": { "properties": { "a": {} } } } });
    request.tools = vec![serde_json::from_value::<Tool>(tool).expect("a tool")];
    if let Ok(prompt) = chat.prompt(&request) {
        if let Some(constraint) = &prompt.constraint {
            constraint.lark(&|_| None);
        }
        let _ = prompt.parser.parse("<think>a</think>b<tool_call>{\"name\": \"f\", \"arguments\": {}}");
    }
});
