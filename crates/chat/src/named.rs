//! Templates by name, for files that bring none: those of `--chat-template` in llama.cpp.

/// A template that writes message after message.
struct Simple {
    name: &'static str,
    system: &'static str,
    user: &'static str,
    assistant: &'static str,
    /// For all other roles.
    other: &'static str,
    /// What makes the model answer.
    generation: &'static str,
}

// `{c}` is the content, `{t}` the content without white space around, `{r}` the role and `{R}` the
// role in capitals, `HUMAN` for the user.

const fn same(name: &'static str, message: &'static str, generation: &'static str) -> Simple {
    Simple { name, system: message, user: message, assistant: message, other: message, generation }
}

const fn three(
    name: &'static str,
    system: &'static str,
    user: &'static str,
    assistant: &'static str,
    generation: &'static str,
) -> Simple {
    Simple { name, system, user, assistant, other: "", generation }
}

const fn with_other(simple: Simple, other: &'static str) -> Simple {
    Simple { other, ..simple }
}

const BAILING: &str = "<role>{R}</role>{c}";
const GRANITE: &str = "<|start_of_role|>{r}<|end_of_role|>{c}<|end_of_text|>\n";
const GRANITE_ASSISTANT: &str = "<|start_of_role|>assistant<|end_of_role|>";
const GRANITE_4: Simple = same("granite-4.0", GRANITE_4_MESSAGE, GRANITE_ASSISTANT);
const GRANITE_4_MESSAGE: &str = "{% if message.role == 'assistant_tool_call' %}\
    <|start_of_role|>assistant<|end_of_role|><|tool_call|>{% else %}\
    <|start_of_role|>{r}<|end_of_role|>{% endif %}{c}<|end_of_text|>\n";

static SIMPLE: [Simple; 43] = [
    same("chatml", "<|im_start|>{r}\n{c}<|im_end|>\n", "<|im_start|>assistant\n"),
    with_other(
        three(
            "mistral-v7",
            "[SYSTEM_PROMPT] {c}[/SYSTEM_PROMPT]",
            "[INST] {c}[/INST]",
            " {c}</s>",
            "",
        ),
        " {c}</s>",
    ),
    with_other(
        three(
            "mistral-v7-tekken",
            "[SYSTEM_PROMPT]{c}[/SYSTEM_PROMPT]",
            "[INST]{c}[/INST]",
            "{c}</s>",
            "",
        ),
        "{c}</s>",
    ),
    same("phi3", "<|{r}|>\n{c}<|end|>\n", "<|assistant|>\n"),
    same("phi4", "<|im_start|>{r}<|im_sep|>{c}<|im_end|>", "<|im_start|>assistant<|im_sep|>"),
    same("falcon3", "<|{r}|>\n{c}\n", "<|assistant|>\n"),
    same("zephyr", "<|{r}|>\n{c}<|endoftext|>\n", "<|assistant|>\n"),
    same("monarch", "{% if not loop.first %}<s>{% endif %}{r}\n{c}</s>\n", "<s>assistant\n"),
    with_other(
        three(
            "openchat",
            "{c}<|end_of_turn|>",
            "GPT4 Correct User: {c}<|end_of_turn|>",
            "GPT4 Correct Assistant: {c}<|end_of_turn|>",
            "GPT4 Correct Assistant:",
        ),
        "GPT4 Correct {{ message.role | capitalize }}: {c}<|end_of_turn|>",
    ),
    three("vicuna", "{c}\n\n", "USER: {c}\n", "ASSISTANT: {c}</s>\n", "ASSISTANT:"),
    three("vicuna-orca", "SYSTEM: {c}\n", "USER: {c}\n", "ASSISTANT: {c}</s>\n", "ASSISTANT:"),
    three(
        "deepseek",
        "{c}",
        "### Instruction:\n{c}\n",
        "### Response:\n{c}\n<|EOT|>\n",
        "### Response:\n",
    ),
    three(
        "deepseek2",
        "{c}\n\n",
        "User: {c}\n\n",
        "Assistant: {c}<｜end▁of▁sentence｜>",
        "Assistant:",
    ),
    three(
        "deepseek3",
        "{c}\n\n",
        "<｜User｜>{c}",
        "<｜Assistant｜>{c}<｜end▁of▁sentence｜>",
        "<｜Assistant｜>",
    ),
    same("deepseek-ocr", "{c}", ""),
    three(
        "command-r",
        "<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>{t}<|END_OF_TURN_TOKEN|>",
        "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>{t}<|END_OF_TURN_TOKEN|>",
        "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>{t}<|END_OF_TURN_TOKEN|>",
        "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
    ),
    same(
        "llama3",
        "<|start_header_id|>{r}<|end_header_id|>\n\n{t}<|eot_id|>",
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
    ),
    same("chatglm3", "{% if loop.first %}[gMASK]sop{% endif %}<|{r}|>\n {c}", "<|assistant|>"),
    same("chatglm4", "{% if loop.first %}[gMASK]<sop>{% endif %}<|{r}|>\n{c}", "<|assistant|>\n"),
    same("glmedge", "<|{r}|>\n{c}", "<|assistant|>"),
    with_other(three("minicpm", "{t}", "<用户>{t}<AI>", "{t}", ""), "{t}"),
    three(
        "exaone3",
        "[|system|]{t}[|endofturn|]\n",
        "[|user|]{t}\n",
        "[|assistant|]{t}[|endofturn|]\n",
        "[|assistant|]",
    ),
    with_other(
        three(
            "exaone4",
            "[|system|]{t}[|endofturn|]\n",
            "[|user|]{t}\n",
            "[|assistant|]{t}[|endofturn|]\n",
            "[|assistant|]",
        ),
        "{% if message.role == 'tool' %}[|tool|]{t}[|endofturn|]\n{% endif %}",
    ),
    with_other(
        three(
            "exaone-moe",
            "<|system|>\n{t}<|endofturn|>\n",
            "<|user|>\n{t}<|endofturn|>\n",
            "<|assistant|>\n{t}<|endofturn|>\n",
            "<|assistant|>\n",
        ),
        "{% if message.role == 'tool' %}<|tool|>\n{t}<|endofturn|>\n{% endif %}",
    ),
    three(
        "rwkv-world",
        "System: {t}\n\n",
        "User: {t}\n\n{% if loop.last %}Assistant:{% endif %}",
        "Assistant: {t}\n\n",
        "",
    ),
    with_other(
        same("granite", GRANITE, GRANITE_ASSISTANT),
        "<|start_of_role|>{r}<|end_of_role|>{% if message.role == 'assistant_tool_call' %}\
         <|tool_call|>{% endif %}{c}<|end_of_text|>\n",
    ),
    GRANITE_4,
    Simple { name: "granite-4.1", ..GRANITE_4 },
    three(
        "gigachat",
        "{% if loop.first %}<s>{c}<|message_sep|>{% endif %}",
        "{% if loop.first %}<s>{% endif %}user<|role_sep|>{c}<|message_sep|>\
         available functions<|role_sep|>[]<|message_sep|>",
        "{% if loop.first %}<s>{% endif %}assistant<|role_sep|>{c}<|message_sep|>",
        "assistant<|role_sep|>",
    ),
    same(
        "megrez",
        "<|role_start|>{r}<|role_end|>{c}<|turn_end|>",
        "<|role_start|>assistant<|role_end|>",
    ),
    three("yandex", "", " Пользователь: {c}\n\n", " Ассистент: {c}\n\n", " Ассистент:[SEP]"),
    same("bailing", BAILING, "<role>ASSISTANT</role>"),
    same("bailing-think", BAILING, "<role>ASSISTANT</role><think>"),
    same(
        "bailing2",
        "{% if loop.first and message.role != 'system' %}\
         <role>SYSTEM</role>detailed thinking off<|role_end|>{% endif %}<role>{R}</role>{c}<|role_end|>",
        "<role>ASSISTANT</role>",
    ),
    same(
        "llama4",
        "<|header_start|>{r}<|header_end|>\n\n{t}<|eot|>",
        "<|header_start|>assistant<|header_end|>\n\n",
    ),
    with_other(
        three(
            "smolvlm",
            "{% if loop.first %}<|im_start|>{% endif %}{c}\n\n",
            "{% if loop.first %}<|im_start|>{% endif %}User: {c}<end_of_utterance>\n",
            "{% if loop.first %}<|im_start|>{% endif %}Assistant: {c}<end_of_utterance>\n",
            "Assistant:",
        ),
        "{% if loop.first %}<|im_start|>{% endif %}Assistant: {c}<end_of_utterance>\n",
    ),
    with_other(
        three(
            "hunyuan-moe",
            "<|startoftext|>{c}<|extra_4|>",
            "<|startoftext|>{c}<|extra_0|>",
            "{c}<|eos|>",
            "",
        ),
        "<|startoftext|>{c}<|extra_0|>",
    ),
    same(
        "gpt-oss",
        "<|start|>{r}<|message|>{c}{% if message.role == 'assistant' %}<|return|>{% else %}<|end|>{% endif %}",
        "<|start|>assistant",
    ),
    three(
        "hunyuan-dense",
        "{% if loop.first %}{c}<｜hy_place▁holder▁no▁3｜>{% endif %}",
        "<｜hy_User｜>{c}<｜hy_Assistant｜>",
        "<｜hy_Assistant｜>{c}<｜hy_place▁holder▁no▁2｜>",
        "",
    ),
    three(
        "hunyuan-vl",
        "{% if loop.first %}<｜hy_begin▁of▁sentence｜>{c}<｜hy_place▁holder▁no▁3｜>{% endif %}",
        "{% if loop.first %}<｜hy_begin▁of▁sentence｜>{% endif %}{c}<｜hy_User｜>",
        "{% if loop.first %}<｜hy_begin▁of▁sentence｜>{% endif %}{c}<｜hy_Assistant｜>",
        "",
    ),
    with_other(
        three(
            "kimi-k2",
            "<|im_system|>system<|im_middle|>{c}<|im_end|>",
            "<|im_user|>user<|im_middle|>{c}<|im_end|>",
            "<|im_assistant|>assistant<|im_middle|>{c}<|im_end|>",
            "<|im_assistant|>assistant<|im_middle|>",
        ),
        "{% if message.role == 'tool' %}<|im_system|>tool<|im_middle|>{% endif %}{c}<|im_end|>",
    ),
    with_other(
        three(
            "seed_oss",
            "<seed:bos>{r}\n{c}<seed:eos>",
            "<seed:bos>{r}\n{c}<seed:eos>",
            "<seed:bos>{r}\n{t}<seed:eos>",
            "<seed:bos>assistant\n",
        ),
        "<seed:bos>{r}\n{c}<seed:eos>",
    ),
    three(
        "grok-2",
        "System: {t}<|separator|>\n\n",
        "Human: {t}<|separator|>\n\n",
        "Assistant: {c}<|separator|>\n\n",
        "Assistant:",
    ),
];

const PANGU: &str = "{% for message in messages %}\
    {% if loop.first and message.role != 'system' %}[unused9]系统：[unused10]{% endif %}\
    {% set names = {'system': '系统', 'user': '用户', 'assistant': '助手', 'tool': '工具', 'function': '方法'} %}\
    {% if message.role in names %}[unused9]{{ names[message.role] }}：{{ message.content }}[unused10]{% endif %}\
    {% endfor %}{% if add_generation_prompt %}[unused9]助手：{% endif %}";

const SOLAR_OPEN: &str = "{% for message in messages %}\
    <|begin|>{{ message.role }}<|content|>{{ message.content }}<|end|>{% endfor %}\
    {% if add_generation_prompt %}<|begin|>assistant{% endif %}";

/// Templates that join the system message with the next one.
const GEMMA: &str = "{% set ns = namespace(system='') %}{% for message in messages %}\
    {% if message.role == 'system' %}{% set ns.system = ns.system ~ message.content | trim %}\
    {% else %}{% set role = 'model' if message.role == 'assistant' else message.role %}\
    <start_of_turn>{{ role ~ '\\n' }}{% if ns.system and role != 'model' %}\
    {{ ns.system ~ '\\n\\n' }}{% set ns.system = '' %}{% endif %}\
    {{ message.content | trim }}<end_of_turn>{{ '\\n' }}{% endif %}{% endfor %}\
    {% if add_generation_prompt %}<start_of_turn>model{{ '\\n' }}{% endif %}";

const ORION: &str = "{% set ns = namespace(system='') %}{% for message in messages %}\
    {% if message.role == 'system' %}{% set ns.system = ns.system ~ message.content %}\
    {% elif message.role == 'user' %}{{ 'Human: ' }}{% if ns.system %}\
    {{ ns.system ~ '\\n\\n' }}{% set ns.system = '' %}{% endif %}\
    {{ message.content ~ '\\n\\nAssistant: </s>' }}\
    {% else %}{{ message.content ~ '</s>' }}{% endif %}{% endfor %}";

/// The Jinja text of the template of a name; see [`names`].
pub fn named(name: &str) -> Option<String> {
    if let Some(simple) = SIMPLE.iter().find(|simple| simple.name == name) {
        return Some(simple.source());
    }
    Some(match name {
        "llama2" => llama2("{c}\n", "[INST] ", "{c}"),
        "llama2-sys" => llama2(LLAMA2_SYSTEM, "[INST] ", "{c}"),
        "llama2-sys-bos" => llama2(LLAMA2_SYSTEM, "<s>[INST] ", "{c}"),
        "llama2-sys-strip" => llama2(LLAMA2_SYSTEM, "[INST] ", "{t}"),
        "mistral-v1" => mistral(" ", " ", "{c}"),
        "mistral-v3" => mistral("", " ", "{t}"),
        "mistral-v3-tekken" => mistral("", "", "{c}"),
        "gemma" => GEMMA.into(),
        "orion" => ORION.into(),
        "pangu-embedded" => PANGU.into(),
        "solar-open" => SOLAR_OPEN.into(),
        _ => return None,
    })
}

/// The names of built-in templates.
pub fn names() -> impl Iterator<Item = &'static str> {
    let others = [
        "llama2",
        "llama2-sys",
        "llama2-sys-bos",
        "llama2-sys-strip",
        "mistral-v1",
        "mistral-v3",
        "mistral-v3-tekken",
        "gemma",
        "orion",
        "pangu-embedded",
        "solar-open",
    ];
    SIMPLE.iter().map(|simple| simple.name).chain(others)
}

const LLAMA2_SYSTEM: &str = "<<SYS>>\n{c}\n<</SYS>>\n\n";

impl Simple {
    fn source(&self) -> String {
        let cases = [("system", self.system), ("user", self.user), ("assistant", self.assistant)];
        let mut body = String::new();
        for (i, (role, text)) in cases.into_iter().enumerate() {
            let word = if i == 0 { "if" } else { "elif" };
            body += &format!("{{% {word} message.role == '{role}' %}}{}", expand(text));
        }
        let Self { other, generation, .. } = self;
        let other = expand(other);
        format!(
            "{{% for message in messages %}}{body}{{% else %}}{other}{{% endif %}}{{% endfor %}}\
             {{% if add_generation_prompt %}}{generation}{{% endif %}}"
        )
    }
}

fn llama2(system: &str, next: &str, content: &str) -> String {
    let system = expand(&system.replace("{c}", content));
    let content = expand(content);
    format!(
        "{{% set ns = namespace(inside=true) %}}[INST] {{% for message in messages %}}\
         {{% if not ns.inside %}}{{% set ns.inside = true %}}{next}{{% endif %}}\
         {{% if message.role == 'system' %}}{system}\
         {{% elif message.role == 'user' %}}{content} [/INST]\
         {{% else %}}{content}</s>{{% set ns.inside = false %}}{{% endif %}}{{% endfor %}}"
    )
}

fn mistral(leading: &str, trailing: &str, answer: &str) -> String {
    let answer = expand(answer);
    let content = expand("{c}");
    format!(
        "{{% set ns = namespace(inside=false) %}}{{% for message in messages %}}\
         {{% if not ns.inside %}}{{% set ns.inside = true %}}{leading}[INST]{trailing}{{% endif %}}\
         {{% if message.role == 'system' %}}{content}\n\n\
         {{% elif message.role == 'user' %}}{content}{leading}[/INST]\
         {{% else %}}{trailing}{answer}</s>{{% set ns.inside = false %}}{{% endif %}}{{% endfor %}}"
    )
}

fn expand(text: &str) -> String {
    let capitals = "{{ 'HUMAN' if message.role == 'user' else message.role | upper }}";
    text.replace("{c}", "{{ message.content }}")
        .replace("{t}", "{{ message.content | trim }}")
        .replace("{r}", "{{ message.role }}")
        .replace("{R}", capitals)
}
