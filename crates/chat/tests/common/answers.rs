//! Answers as templates write them.

use chat::{
    Answer, Chat, Content, FunctionCall, Message, Prompt, Request, Template, Tool, ToolCall,
};
use serde_json::{Value, json};

use super::NOW;

pub fn chat(source: &str) -> Chat {
    Chat::from_template(Template::new(source, "<s>", "</s>").expect("valid").at_time(NOW))
}

pub fn tools() -> Vec<Tool> {
    serde_json::from_value(json!([
        { "type": "function", "function": {
            "name": "get_weather", "description": "Gets the weather.",
            "parameters": { "type": "object", "properties": {
                "city": { "type": "string", "description": "A city." },
                "days": { "type": "integer", "description": "Days from now." },
                "exact": { "type": "boolean", "description": "No guesses." },
                "where": {
                    "type": "object", "description": "A place.",
                    "properties": { "lat": { "type": "number", "description": "North." } },
                    "additionalProperties": { "type": "number" },
                },
                "tags": {
                    "type": "array", "description": "Words.", "items": { "type": "string" },
                },
            }, "required": ["city"] },
        } },
        { "type": "function", "function": {
            "name": "get_weather_now", "description": "Gets the weather now.",
            "parameters": { "type": "object", "properties": {
                "code": { "type": "string", "description": "Code." },
            } },
        } },
    ]))
    .expect("tools")
}

pub fn call(i: usize, name: &str, arguments: Value) -> ToolCall {
    ToolCall {
        id: Some(format!("call0000{i}")),
        kind: "function".into(),
        function: FunctionCall { name: name.into(), arguments },
        ..ToolCall::default()
    }
}

/// What the template writes for an answer, after the prompt for it.
pub fn written(chat: &Chat, request: &Request, answer: &Message) -> Option<(Prompt, String)> {
    let prompt = chat.prompt(request).ok()?;
    let mut whole = request.clone();
    whole.messages.push(answer.clone());
    whole.add_generation_prompt = false;
    let whole = chat.prompt(&whole).map_err(|e| eprintln!("{e}")).ok()?.text;
    let same = whole.chars().zip(prompt.text.chars()).take_while(|(a, b)| a == b);
    let mut length: usize = same.map(|(c, _)| c.len_utf8()).sum();
    // A prompt may begin thoughts that the answer then does not have.
    if length < prompt.text.len()
        && let Some(at) = whole[..length].rfind(['<', '['])
        && !whole[at..length].contains(['>', ']'])
    {
        length = at;
    }
    // Command R+ writes an instruction after the last message.
    let text = &whole[length..];
    let end = text.find("<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>").unwrap_or(text.len());
    Some((prompt, text[..end].to_owned()))
}

pub fn calls_of(answer: &Answer) -> Vec<(String, Value)> {
    let calls = answer.tool_calls.iter().map(|call| {
        let text = call.function.arguments.as_str().expect("text");
        let arguments = serde_json::from_str(text).unwrap_or_else(|_| panic!("{text} is no JSON"));
        (call.function.name.clone(), arguments)
    });
    calls.collect()
}

/// A request with tools.
pub fn request() -> Request {
    let mut request = Request::new(vec![Message::new("user", "How is the weather?")]);
    request.tools = tools();
    request
}

/// An answer that calls two functions, or one where the template takes no more.
pub fn calling(chat: &Chat) -> Message {
    let first = json!({
        "city": "Paris \"é\" <b>\n\nnew", "days": 3, "exact": true,
        "where": { "lat": 48.5 }, "tags": ["a", "b"],
    });
    let second = json!({ "code": "fn main() {\n    if a < b && c > d { }\n}" });
    let mut calls = vec![call(0, "get_weather", first), call(1, "get_weather_now", second)];
    calls.truncate(if chat.capabilities().parallel_tool_calls { 2 } else { 1 });
    let content = Content::Null;
    Message { role: "assistant".into(), content, tool_calls: Some(calls), ..Message::default() }
}

/// The names and arguments of the calls of a message.
pub fn calls_in(message: &Message) -> Vec<(String, Value)> {
    let calls = message.tool_calls.iter().flatten();
    calls.map(|c| (c.function.name.clone(), c.function.arguments.clone())).collect()
}
