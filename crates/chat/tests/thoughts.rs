//! Thoughts and what ends them.

mod common;

use chat::{Answer, ReasoningFormat, Request};
use common::answers::{chat, request};
use common::templates;

fn parse(template: &str, request: &Request, text: &str) -> Answer {
    let prompt = chat(&templates()[template]).prompt(request).expect("a prompt");
    prompt.parser.parse(text)
}

#[test]
fn what_looks_like_a_call_in_closed_thoughts_is_thought() {
    for (template, thoughts, call) in [
        (
            "mistralai-Ministral-3-14B-Reasoning-2512",
            ("[THINK]", "[/THINK]"),
            "[TOOL_CALLS]get_weather[ARGS]{\"city\": \"Oslo\"}",
        ),
        (
            "LFM2.5-8B-A1B",
            ("<think>", "</think>"),
            "<|tool_call_start|>[get_weather(city=\"Oslo\")]<|tool_call_end|>",
        ),
        (
            "Qwen-Qwen3-0.6B",
            ("<think>", "</think>"),
            "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Oslo\"}}\n</tool_call>",
        ),
        (
            "muse-glimmer",
            (" to=self<|message|>", "<|eom|><|start|>assistant to=user<|message|>"),
            "<atem:function_calls>\n<atem:invoke name=\"get_weather\">\n\
             <atem:parameter name=\"city\">Oslo</atem:parameter>\n</atem:invoke>\n</atem:function_calls>",
        ),
    ] {
        let text = format!("{}Not {call} yet.{}Done.", thoughts.0, thoughts.1);
        let answer = parse(template, &request(), &text);
        assert_eq!(answer.reasoning, format!("Not {call} yet."), "{template}");
        assert_eq!((answer.content.as_str(), answer.tool_calls.len()), ("Done.", 0), "{template}");
    }
}

#[test]
fn some_models_call_without_closing_their_thoughts() {
    let call = "<tool_call>\n<function=get_weather>\n<parameter=city>\nOslo\n</parameter>\n\
                </function>\n</tool_call>";
    let answer = parse("Qwen3.5-4B", &request(), &format!("It may rain.\n{call}"));
    assert_eq!((answer.reasoning.as_str(), answer.content.as_str()), ("It may rain.", ""));
    assert_eq!(answer.tool_calls[0].function.arguments, "{\"city\": \"Oslo\"}");
}

#[test]
fn thoughts_in_the_content_have_the_tags_of_the_prompt_but_no_other_markers() {
    let request = Request { reasoning_format: ReasoningFormat::InContent, ..request() };
    for (template, text, expected) in [
        // The prompt ends with the tag.
        ("Qwen3.5-4B", "Hm.\n</think>\n\nHi.", "<think>\nHm.\n</think>\n\nHi."),
        // Nor do markers of content or headers of the prompt belong to it.
        (
            "Cohere2MoE",
            "Hm.<|END_THINKING|><|START_TEXT|>Hi.<|END_TEXT|>",
            "<|START_THINKING|>Hm.<|END_THINKING|>Hi.",
        ),
        (
            "openai-gpt-oss-120b",
            "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Hi.",
            "<|channel|>analysis<|message|>Hm.<|end|>Hi.",
        ),
    ] {
        assert_eq!(parse(template, &request, text).content, expected, "{template}");
    }
}
