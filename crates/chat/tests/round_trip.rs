//! What a template writes for thoughts, content and calls, the parser takes apart again.

mod common;

use chat::Message;
use common::answers::{calling, calls_in, calls_of, chat, request, written};
use common::templates;

#[test]
fn calls_come_back() {
    for (name, source) in templates() {
        let chat = chat(&source);
        let message = calling(&chat);
        let (prompt, text) = written(&chat, &request(), &message).expect("a text");
        let answer = prompt.parser.clone().parse(&text);
        assert_eq!(calls_of(&answer), calls_in(&message), "{name}: {text}");
        assert_eq!(answer.diagnostic, None, "{name}: {text}");
    }
}

#[test]
fn thoughts_and_content_come_back() {
    let mut with_thoughts = 0;
    for (name, source) in templates() {
        let chat = chat(&source);
        let mut message = Message::new("assistant", "It rains.\n\nTake a coat!");
        message.reasoning_content = Some("The sky is\ngrey.".into());
        let Some((prompt, text)) = written(&chat, &request(), &message) else { continue };
        // Where the prompt begins thoughts that the answer has not, or ends those that it has.
        let has_thoughts = text.contains("The sky is");
        let lacks_marker = text.starts_with("The sky is") && !prompt.parser.is_thinking();
        if prompt.parser.is_thinking() && !has_thoughts || lacks_marker {
            continue;
        }
        let answer = prompt.parser.clone().parse(&text);
        assert!(
            answer.content.starts_with("It rains.\n\nTake a coat!"),
            "{name}: {text:?} {answer:?}"
        );
        if text.contains("The sky is") {
            assert_eq!(answer.reasoning.trim(), "The sky is\ngrey.", "{name}: {text:?}");
            with_thoughts += 1;
        }
    }
    assert!(with_thoughts > 25, "{with_thoughts}");
}
