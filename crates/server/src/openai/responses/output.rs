//! The items of an answer, and the events of their making.

use chat::Delta;
use serde_json::{Value, json};

use crate::ids;

/// An event: its name, and its data but for type and number.
pub type Event = (&'static str, Value);

/// The items of an answer so far.
#[derive(Default)]
pub struct Output {
    done: Vec<Value>,
    open: Option<Item>,
}

/// An item that is being made.
struct Item {
    kind: Kind,
    id: String,
    /// What it says, or its arguments.
    text: String,
}

enum Kind {
    Reasoning,
    Message,
    Call { call_id: String, name: String },
}

impl Output {
    /// Adds what was said; returns the events of that.
    pub fn add(&mut self, deltas: Vec<Delta>) -> Vec<Event> {
        let mut events = Vec::new();
        for delta in deltas {
            match delta {
                Delta::Reasoning(text) => {
                    if !matches!(self.open, Some(Item { kind: Kind::Reasoning, .. })) {
                        self.begin(Kind::Reasoning, "rs_", &mut events);
                    }
                    self.grow(&text, &mut events);
                }
                Delta::Content(text) => {
                    if !matches!(self.open, Some(Item { kind: Kind::Message, .. })) {
                        self.begin(Kind::Message, "msg_", &mut events);
                    }
                    self.grow(&text, &mut events);
                }
                Delta::ToolCall { id, name, .. } => {
                    let call_id = id.unwrap_or_default();
                    self.begin(Kind::Call { call_id, name }, "fc_", &mut events);
                }
                Delta::Arguments { fragment, .. } => self.grow(&fragment, &mut events),
            }
        }
        events
    }

    /// Ends the last item; returns the events of that.
    pub fn finish(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        self.end(&mut events);
        events
    }

    /// The items that are complete.
    pub fn items(&self) -> Vec<Value> {
        self.done.clone()
    }

    fn begin(&mut self, kind: Kind, prefix: &str, events: &mut Vec<Event>) {
        self.end(events);
        let item = Item { kind, id: ids::fresh(prefix), text: String::new() };
        let index = self.done.len();
        let added = json!({ "output_index": index, "item": item.json("in_progress") });
        events.push(("response.output_item.added", added));
        if !matches!(item.kind, Kind::Call { .. }) {
            let event = item.event(index, [("part", item.part())]);
            events.push(("response.content_part.added", event));
        }
        self.open = Some(item);
    }

    fn grow(&mut self, text: &str, events: &mut Vec<Event>) {
        let Some(item) = &mut self.open else { return };
        item.text += text;
        let mut event = item.event(self.done.len(), [("delta", text.into())]);
        let name = match item.kind {
            Kind::Reasoning => "response.reasoning_text.delta",
            Kind::Message => {
                event["logprobs"] = json!([]);
                "response.output_text.delta"
            }
            Kind::Call { .. } => "response.function_call_arguments.delta",
        };
        events.push((name, event));
    }

    fn end(&mut self, events: &mut Vec<Event>) {
        let Some(item) = self.open.take() else { return };
        let index = self.done.len();
        let text = Value::from(item.text.as_str());
        match &item.kind {
            Kind::Reasoning => {
                let event = item.event(index, [("text", text)]);
                events.push(("response.reasoning_text.done", event));
            }
            Kind::Message => {
                let event = item.event(index, [("text", text), ("logprobs", json!([]))]);
                events.push(("response.output_text.done", event));
            }
            Kind::Call { name, .. } => {
                let fields = [("arguments", text), ("name", name.as_str().into())];
                events.push(("response.function_call_arguments.done", item.event(index, fields)));
            }
        }
        if !matches!(item.kind, Kind::Call { .. }) {
            let event = item.event(index, [("part", item.part())]);
            events.push(("response.content_part.done", event));
        }
        let value = item.json("completed");
        let event = json!({ "output_index": index, "item": value });
        events.push(("response.output_item.done", event));
        self.done.push(value);
    }
}

impl Item {
    /// An event about this item's text.
    fn event<const N: usize>(&self, index: usize, fields: [(&str, Value); N]) -> Value {
        let mut event = json!({ "item_id": self.id, "output_index": index });
        if !matches!(self.kind, Kind::Call { .. }) {
            event["content_index"] = 0.into();
        }
        for (name, value) in fields {
            event[name] = value;
        }
        event
    }

    /// The only part of its content.
    fn part(&self) -> Value {
        match self.kind {
            Kind::Reasoning => json!({ "type": "reasoning_text", "text": self.text }),
            _ => json!({
                "type": "output_text", "text": self.text, "annotations": [], "logprobs": [],
            }),
        }
    }

    fn json(&self, status: &str) -> Value {
        let content = || if self.text.is_empty() { json!([]) } else { json!([self.part()]) };
        match &self.kind {
            Kind::Reasoning => json!({
                "id": self.id,
                "type": "reasoning",
                "status": status,
                "summary": [],
                "content": content(),
            }),
            Kind::Message => json!({
                "id": self.id,
                "type": "message",
                "status": status,
                "role": "assistant",
                "content": content(),
            }),
            Kind::Call { call_id, name } => json!({
                "id": self.id,
                "type": "function_call",
                "status": status,
                "call_id": call_id,
                "name": name,
                "arguments": self.text,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_item_is_made() {
        let mut output = Output::default();
        let call =
            |index| Delta::ToolCall { index, id: Some(format!("c{index}")), name: "f".into() };
        let mut events = output.add(vec![
            Delta::Reasoning("h".into()),
            Delta::Reasoning("m".into()),
            Delta::Content("ok".into()),
            call(0),
            Delta::Arguments { index: 0, fragment: "{".into() },
            Delta::Arguments { index: 0, fragment: "}".into() },
            call(1),
        ]);
        events.extend(output.finish());
        let items = output.items();
        let kinds: Vec<&str> = items.iter().filter_map(|item| item["type"].as_str()).collect();
        assert_eq!(kinds, ["reasoning", "message", "function_call", "function_call"]);
        assert_eq!(items[0]["content"][0]["text"], "hm");
        assert_eq!(items[2]["arguments"], "{}");
        assert_eq!(items[3]["call_id"], "c1");
        let of_done = events.iter().filter(|(name, _)| *name == "response.output_item.done");
        let done: Vec<&Value> = of_done.map(|(_, event)| &event["item"]).collect();
        assert_eq!(done, items.iter().collect::<Vec<_>>());
        let indices = events.iter().filter_map(|(_, event)| event["output_index"].as_u64());
        assert!(indices.is_sorted());
    }
}
