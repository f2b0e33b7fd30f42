//! Formats of known models, told by texts that only their templates have.

use super::{
    AfterName, Args, Calls, ChannelKind, Channels, Format, Named, Object, Reasoning, Shape, Tagged,
};

/// Tells a template by its source.
type Test = fn(&str) -> bool;

/// Makes the format of a template by its source.
type Make = fn(&str) -> Format;

/// The table of all known formats; the first that fits counts.
const KNOWN: [(Test, Make); 19] = [
    (
        |s| has(s, &["[SYSTEM_PROMPT]", "[TOOL_CALLS]", "[ARGS]"]) && !s.contains("[CALL_ID]"),
        ministral,
    ),
    (|s| s.contains("<|channel|>"), harmony),
    (|s| has(s, &["<atem:function_calls>", "<|eom|>"]), muse),
    (|s| has(s, &[">>>all", ">>>${recipient}"]), functionary),
    (|s| has(s, &["<|tool_calls_section_begin|>", "<|tool_call_begin|>"]), kimi_k2),
    (|s| has(s, &["<|open|>", "<|close|>", "<|end_of_msg|>"]), kimi_k3),
    (|s| has(s, &["<role>ASSISTANT</role>", "<arg_key>"]), ling),
    (|s| s.contains("<|START_ACTION|>"), cohere),
    (|s| has(s, &["<|tool_list_start|>"]) || s.contains("List of tools: ["), lfm),
    (
        |s| has(s, &["<|role_sep|>", "<|message_sep|>"]) && !s.contains("<|function_call|>"),
        gigachat,
    ),
    (|s| has(s, &["]<]minimax[>[", "<tool_call>", "<invoke name="]), minimax_m3),
    (|s| has(s, &["dsml_token", "DSML"]), deepseek_markup),
    (|s| s.contains("'<|tool_call>call:'"), gemma),
    (|s| has(s, &["Tool usage guidelines:", "<function name=\"", "<param name=\""]), minicpm),
    (
        |s| {
            has(s, &["<tool_call>", "<function=", "<parameter="])
                && !s.contains("'<tool_call><function=' ~")
        },
        qwen_coder,
    ),
    (|s| has(s, &["<SPECIAL_12>", "<TOOLCALL>"]), nemotron),
    (|s| s.contains("<|tool_call|> followed by a JSON list"), granite),
    (|s| s.contains("functools["), firefunction),
    (|s| has(s, &["directly-answer", "Action:"]), command_r),
];

/// The format of a known template.
pub(crate) fn find(source: &str) -> Option<Format> {
    let (_, format) = KNOWN.iter().find(|(test, _)| test(source))?;
    Some(format(source))
}

fn has(source: &str, texts: &[&str]) -> bool {
    texts.iter().all(|text| source.contains(text))
}

fn thoughts(open: &str, close: &str) -> Option<Reasoning> {
    Some(Reasoning { open: open.into(), close: close.into(), ..Reasoning::default() })
}

/// `<think>` where the template knows of it.
fn think(source: &str) -> Option<Reasoning> {
    thoughts("<think>", "</think>").filter(|_| source.contains("<think>"))
}

fn ended_by_calls(reasoning: Option<Reasoning>) -> Option<Reasoning> {
    reasoning.map(|reasoning| Reasoning { ended_by_calls: true, ..reasoning })
}

fn texts<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}

/// Names and arguments in tags.
fn tags(between: &str, tagged: Tagged) -> Shape {
    Shape::Named(Named { between: between.into(), args: Args::Tagged(tagged), ..Named::default() })
}

/// A name and a JSON object.
fn name_and_json(between: &str) -> Shape {
    Shape::Named(Named { between: between.into(), ..Named::default() })
}

/// `[THINK]…[/THINK]…[TOOL_CALLS]name[ARGS]{…}`.
fn ministral(_: &str) -> Format {
    let shape = name_and_json("[ARGS]");
    Format {
        name: "ministral",
        reasoning: thoughts("[THINK]", "[/THINK]"),
        calls: Some(Calls { call_open: "[TOOL_CALLS]".into(), shape, ..Calls::default() }),
        ..Format::default()
    }
}

/// gpt-oss: `<|channel|>commentary to=functions.name <|constrain|>json<|message|>{…}<|call|>`.
fn harmony(_: &str) -> Format {
    Format {
        name: "harmony",
        calls: Some(Calls {
            shape: name_and_json(" <|constrain|>json<|message|>"),
            ..Calls::default()
        }),
        channels: Some(Channels {
            start: "<|start|>assistant".into(),
            message: "<|message|>".into(),
            ends: texts(["<|end|>", "<|return|>", "<|call|>"]),
            kind: ChannelKind::Harmony,
        }),
        ..Format::default()
    }
}

/// Muse Glimmer: ` to=self<|message|>thoughts<|eom|>`, calls to a function's name.
fn muse(_: &str) -> Format {
    let tagged = Tagged {
        key_open: "<atem:parameter name=\"".into(),
        key_close: "\">".into(),
        value_close: "</atem:parameter>".into(),
        ..Tagged::default()
    };
    Format {
        name: "muse",
        calls: Some(Calls {
            open: "<atem:function_calls>\n".into(),
            close: "</atem:function_calls>".into(),
            call_open: "<atem:invoke name=\"".into(),
            call_close: "</atem:invoke>\n".into(),
            shape: tags("\">\n", tagged),
            ..Calls::default()
        }),
        channels: Some(Channels {
            start: "<|start|>assistant".into(),
            message: "<|message|>".into(),
            ends: texts(["<|eom|>", "<|eot|>"]),
            kind: ChannelKind::Recipient,
        }),
        ..Format::default()
    }
}

/// Functionary v3.2: `>>>all\n…>>>name\n{…}`.
fn functionary(_: &str) -> Format {
    Format {
        name: "functionary",
        calls: Some(Calls {
            call_open: ">>>".into(),
            shape: name_and_json("\n"),
            ..Calls::default()
        }),
        dropped: texts([">>>all\n"]),
        ..Format::default()
    }
}

/// `<|tool_call_begin|>functions.name:0<|tool_call_argument_begin|>{…}<|tool_call_end|>`.
fn kimi_k2(_: &str) -> Format {
    Format {
        name: "kimi-k2",
        reasoning: ended_by_calls(thoughts("<think>", "</think>")),
        calls: Some(Calls {
            open: "<|tool_calls_section_begin|>".into(),
            close: "<|tool_calls_section_end|>".into(),
            call_open: "<|tool_call_begin|>".into(),
            call_close: "<|tool_call_end|>".into(),
            shape: Shape::Named(Named {
                between: "<|tool_call_argument_begin|>".into(),
                after_name: Some(AfterName::Index),
                ..Named::default()
            }),
            ..Calls::default()
        }),
        ..Format::default()
    }
}

/// `<|open|>call tool="name" index="0"<|sep|>…<|close|>call<|sep|>`.
fn kimi_k3(_: &str) -> Format {
    let tagged = Tagged {
        key_open: "<|open|>argument key=\"".into(),
        attributes: true,
        key_close: "<|sep|>".into(),
        value_close: "<|close|>argument<|sep|>".into(),
        ..Tagged::default()
    };
    Format {
        name: "kimi-k3",
        reasoning: thoughts("<|open|>think<|sep|>", "<|close|>think<|sep|>"),
        calls: Some(Calls {
            open: "<|open|>tools<|sep|>".into(),
            close: "<|close|>tools<|sep|>".into(),
            call_open: "<|open|>call tool=\"".into(),
            call_close: "<|close|>call<|sep|>".into(),
            shape: Shape::Named(Named {
                between: "<|sep|>".into(),
                after_name: Some(AfterName::Attributes),
                args: Args::Tagged(tagged),
                ..Named::default()
            }),
            ..Calls::default()
        }),
        dropped: texts([
            "<|open|>response<|sep|>",
            "<|close|>response<|sep|>",
            "<|close|>message<|sep|>",
            "<|end_of_msg|>",
        ]),
        ..Format::default()
    }
}

/// Ling 3: `<tool_call>name<arg_key>k</arg_key><arg_value>v</arg_value></tool_call>`.
fn ling(_: &str) -> Format {
    let tagged = Tagged {
        key_open: "<arg_key>".into(),
        key_close: "</arg_key>".into(),
        value_open: "\n<arg_value>".into(),
        value_close: "</arg_value>".into(),
        ..Tagged::default()
    };
    Format {
        name: "ling",
        reasoning: ended_by_calls(thoughts("<think>", "</think>")),
        calls: Some(Calls {
            call_open: "<tool_call>".into(),
            call_close: "</tool_call>\n".into(),
            shape: tags("\n", tagged),
            ..Calls::default()
        }),
        dropped: texts(["<|role_end|>"]),
        stops: texts(["<|role_end|>"]),
        ..Format::default()
    }
}

/// Cohere's `<|START_ACTION|>[{"tool_call_id": …, "tool_name": …, "parameters": …}]<|END_ACTION|>`.
fn cohere(_: &str) -> Format {
    Format {
        name: "cohere",
        reasoning: thoughts("<|START_THINKING|>", "<|END_THINKING|>"),
        calls: Some(Calls {
            open: "<|START_ACTION|>".into(),
            close: "<|END_ACTION|>".into(),
            shape: Shape::Object(Object {
                name: "tool_name".into(),
                arguments: "parameters".into(),
                id: Some(("tool_call_id".into(), true)),
                list: true,
                wrapper: None,
            }),
            ..Calls::default()
        }),
        dropped: texts([
            "<|START_TEXT|>",
            "<|END_TEXT|>",
            "<|START_RESPONSE|>",
            "<|END_RESPONSE|>",
            "<|END_OF_TURN_TOKEN|>",
        ]),
        ..Format::default()
    }
}

/// LFM2: `<|tool_call_start|>[name(key="value")]<|tool_call_end|>`.
fn lfm(source: &str) -> Format {
    Format {
        name: "lfm",
        reasoning: think(source),
        calls: Some(Calls {
            open: "<|tool_call_start|>".into(),
            close: "<|tool_call_end|>".into(),
            shape: Shape::Pythonic,
            ..Calls::default()
        }),
        ..Format::default()
    }
}

/// GigaChat: a message from `function call` with an object.
fn gigachat(_: &str) -> Format {
    Format {
        name: "gigachat",
        calls: Some(Calls {
            call_open: "<|message_sep|>\n\nfunction call<|role_sep|>\n".into(),
            close: "<|message_sep|>".into(),
            ..Calls::default()
        }),
        ..Format::default()
    }
}

/// MiniMax M3: arguments as elements, `<invoke name="…"><key>value</key></invoke>`, each tag after
/// a mark.
fn minimax_m3(_: &str) -> Format {
    let mark = "]<]minimax[>[";
    let tagged = Tagged {
        key_open: format!("{mark}<"),
        key_close: ">".into(),
        elements: Some(mark.into()),
        ..Tagged::default()
    };
    Format {
        name: "minimax-m3",
        reasoning: thoughts("<mm:think>", "</mm:think>"),
        calls: Some(Calls {
            open: format!("{mark}<tool_call>\n"),
            close: format!("{mark}</tool_call>"),
            call_open: format!("{mark}<invoke name=\""),
            call_close: format!("{mark}</invoke>\n"),
            shape: tags("\">", tagged),
            ..Calls::default()
        }),
        dropped: texts(["</mm:think>"]),
        ..Format::default()
    }
}

/// DeepSeek V3.2 and V4: `<｜DSML｜invoke name="…">` with typed parameters.
fn deepseek_markup(source: &str) -> Format {
    let block = if source.contains("function_calls") { "function_calls" } else { "tool_calls" };
    let tagged = Tagged {
        key_open: "<｜DSML｜parameter name=\"".into(),
        attributes: true,
        key_close: ">".into(),
        value_close: "</｜DSML｜parameter>".into(),
        ..Tagged::default()
    };
    Format {
        name: "deepseek-markup",
        reasoning: ended_by_calls(thoughts("<think>", "</think>")),
        calls: Some(Calls {
            open: format!("<｜DSML｜{block}>\n"),
            close: format!("</｜DSML｜{block}>"),
            call_open: "<｜DSML｜invoke name=\"".into(),
            call_close: "</｜DSML｜invoke>\n".into(),
            shape: tags("\">\n", tagged),
            ..Calls::default()
        }),
        ..Format::default()
    }
}

/// Gemma 4: `<|tool_call>call:name{key:<|"|>value<|"|>}<tool_call|>`.
fn gemma(_: &str) -> Format {
    Format {
        name: "gemma",
        reasoning: Some(Reasoning {
            open: "<|channel>thought\n".into(),
            close: "<channel|>".into(),
            anywhere: true,
            ended_by_calls: false,
        }),
        calls: Some(Calls {
            call_open: "<|tool_call>call:".into(),
            call_close: "<tool_call|>".into(),
            shape: Shape::Named(Named { args: Args::Gemma, ..Named::default() }),
            ..Calls::default()
        }),
        dropped: texts(["<channel|>"]),
        ..Format::default()
    }
}

/// MiniCPM 5: `<function name="…"><param name="…">…</param></function>`.
fn minicpm(_: &str) -> Format {
    let tagged = Tagged {
        key_open: "<param name=\"".into(),
        key_close: "\">".into(),
        value_close: "</param>".into(),
        cdata: true,
        ..Tagged::default()
    };
    Format {
        name: "minicpm",
        reasoning: thoughts("<think>", "</think>"),
        calls: Some(Calls {
            call_open: "<function name=\"".into(),
            call_close: "</function>".into(),
            shape: tags("\">", tagged),
            ..Calls::default()
        }),
        ..Format::default()
    }
}

/// Qwen3 Coder: `<tool_call><function=…><parameter=…>…</parameter></function></tool_call>` in lines.
fn qwen_coder(source: &str) -> Format {
    let tagged = Tagged {
        key_open: "<parameter=".into(),
        key_close: ">".into(),
        value_close: "\n</parameter>".into(),
        ..Tagged::default()
    };
    Format {
        name: "qwen-coder",
        reasoning: ended_by_calls(think(source)),
        calls: Some(Calls {
            call_open: "<tool_call>\n<function=".into(),
            call_close: "</function>\n</tool_call>\n".into(),
            alternative: "<function=".into(),
            shape: tags(">\n", tagged),
            ..Calls::default()
        }),
        ..Format::default()
    }
}

/// Nemotron Nano v2: `<TOOLCALL>[{…}]</TOOLCALL>`.
fn nemotron(_: &str) -> Format {
    Format {
        name: "nemotron",
        reasoning: thoughts("<think>", "</think>"),
        calls: Some(Calls {
            open: "<TOOLCALL>".into(),
            close: "</TOOLCALL>".into(),
            shape: Shape::Object(Object { list: true, ..Object::default() }),
            ..Calls::default()
        }),
        ..Format::default()
    }
}

/// Granite 3: `<|tool_call|>[{…}]`, answers in tags after thoughts.
fn granite(source: &str) -> Format {
    Format {
        name: "granite",
        reasoning: think(source),
        calls: Some(Calls {
            open: "<|tool_call|>".into(),
            shape: Shape::Object(Object { list: true, ..Object::default() }),
            ..Calls::default()
        }),
        dropped: texts(["<response>", "</response>"]),
        ..Format::default()
    }
}

/// Firefunction: ` functools[{…}]`.
fn firefunction(_: &str) -> Format {
    Format {
        name: "firefunction",
        calls: Some(Calls {
            open: " functools".into(),
            shape: Shape::Object(Object { list: true, ..Object::default() }),
            ..Calls::default()
        }),
        ..Format::default()
    }
}

/// Command R+: `Action:` and a list in a block of Markdown.
fn command_r(_: &str) -> Format {
    Format {
        name: "command-r",
        calls: Some(Calls {
            open: "Action: ```json\n".into(),
            close: "\n```".into(),
            shape: Shape::Object(Object {
                name: "tool_name".into(),
                arguments: "parameters".into(),
                list: true,
                ..Object::default()
            }),
            ..Calls::default()
        }),
        dropped: texts(["<|CHATBOT_TOKEN|>", "<|END_OF_TURN_TOKEN|>"]),
        ..Format::default()
    }
}
