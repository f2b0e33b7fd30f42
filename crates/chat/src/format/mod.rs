//! How an answer is written: what marks thoughts and calls of functions.
//!
//! A [`Format`] is data. Those of known models are listed in [`known`]; all others are found by
//! rendering messages with the model's template ([`probe`]).

pub(crate) mod known;
pub(crate) mod probe;

/// How a model writes its answers.
///
/// White space in markers stands for any white space, or none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Format {
    /// What the format is called.
    pub name: &'static str,
    pub reasoning: Option<Reasoning>,
    pub calls: Option<Calls>,
    /// The answer is a row of messages with headers.
    pub channels: Option<Channels>,
    /// Markers around content, dropped outside of calls.
    pub dropped: Vec<String>,
    /// Texts that end an answer besides the model's own tokens.
    pub stops: Vec<String>,
}

/// What marks thoughts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Reasoning {
    /// Empty where answers begin with thoughts, unmarked.
    pub open: String,
    pub close: String,
    /// Thoughts may also follow content.
    pub anywhere: bool,
    /// A call ends thoughts, too: some models do not close them before.
    pub ended_by_calls: bool,
}

/// How calls are written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Calls {
    /// Around all calls; may be empty.
    pub open: String,
    pub close: String,
    /// Around each call; may be empty.
    pub call_open: String,
    pub call_close: String,
    /// Stands for `open` and `call_open` where a model leaves some of them out.
    pub alternative: String,
    pub shape: Shape,
}

/// What stands between the markers of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shape {
    /// An object with the function's name and its arguments.
    Object(Object),
    /// The name, then the arguments.
    Named(Named),
    /// `[name(key=value), …]`.
    Pythonic,
}

/// The keys of an object that is a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object {
    /// Empty where the name is itself the key of the arguments.
    pub name: String,
    pub arguments: String,
    /// The key of the call's id, and whether it stands before the others.
    pub id: Option<(String, bool)>,
    /// The key of an object around name and arguments.
    pub wrapper: Option<String>,
    /// The objects are items of a list.
    pub list: bool,
}

impl Default for Shape {
    fn default() -> Self {
        Self::Object(Object::default())
    }
}

impl Default for Object {
    fn default() -> Self {
        let [name, arguments] = ["name", "arguments"].map(str::to_owned);
        Self { name, arguments, id: None, wrapper: None, list: false }
    }
}

/// A name and arguments: `name`, `between`, the arguments, `args_close`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Named {
    /// Before the name come the call's id and this marker.
    pub before_name: String,
    /// Comes between the name and the arguments.
    pub between: String,
    /// Begins a text that may come between name and `between`.
    pub after_name: Option<AfterName>,
    pub args: Args,
    /// Comes after the arguments.
    pub args_close: String,
}

/// What may follow a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AfterName {
    /// This marker and the call's id.
    Id(String),
    /// `:` and a number; all of it, with what stands before the name, is the id.
    Index,
    /// More attributes.
    Attributes,
}

/// How arguments are written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Args {
    /// A JSON object.
    #[default]
    Json,
    /// Keys and values in tags.
    Tagged(Tagged),
    /// `{key:<|"|>text<|"|>,other:1}`.
    Gemma,
}

/// Keys and values in tags: `key_open`, the key, `key_close`, `value_open`, the value, `value_close`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Tagged {
    pub key_open: String,
    /// The key ends at a `"`; attributes follow.
    pub attributes: bool,
    pub key_close: String,
    pub value_open: String,
    pub value_close: String,
    /// Values may be `<![CDATA[…]]>`.
    pub cdata: bool,
    /// Each tag is the key; objects and lists are tags within the value. This begins every tag.
    pub elements: Option<String>,
}

/// Messages with headers: `start`, the header, `message`, the body, one of `ends`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Channels {
    pub start: String,
    pub message: String,
    pub ends: Vec<String>,
    pub kind: ChannelKind,
}

/// How headers tell what a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum ChannelKind {
    /// `<|channel|>analysis` is thought, ` to=functions.NAME` a call with JSON arguments.
    #[default]
    Harmony,
    /// ` to=self` is thought, ` to=user` content, anything else calls in tags.
    Recipient,
}

impl Calls {
    /// The texts that begin calls; empty where only the place tells.
    pub(crate) fn openers(&self) -> Vec<&str> {
        let mut openers: Vec<&str> = [&self.open, &self.call_open, &self.alternative]
            .into_iter()
            .filter_map(|marker| marker.split_whitespace().next())
            .collect();
        // With a marker around all calls, one around each may be an ordinary text such as `{`.
        if openers.len() > 1 && self.call_open == self.alternative {
            openers.pop();
        }
        openers.dedup();
        openers
    }
}

impl Format {
    /// All markers: where they are tokens, these must be decoded as text.
    pub(crate) fn markers(&self) -> Vec<String> {
        let mut all: Vec<&str> = Vec::new();
        if let Some(reasoning) = &self.reasoning {
            all.extend([&*reasoning.open, &reasoning.close]);
        }
        if let Some(calls) = &self.calls {
            all.extend([&*calls.open, &calls.close, &calls.call_open, &calls.call_close]);
            all.push(&calls.alternative);
            if let Shape::Named(named) = &calls.shape {
                all.extend([&*named.before_name, &named.between, &named.args_close]);
                if let Some(AfterName::Id(marker)) = &named.after_name {
                    all.push(marker);
                }
                match &named.args {
                    Args::Json => {}
                    Args::Gemma => all.push("<|\"|>"),
                    Args::Tagged(tagged) => {
                        all.extend([&*tagged.key_open, &tagged.key_close]);
                        all.extend([&*tagged.value_open, &tagged.value_close]);
                        all.extend(tagged.elements.as_deref());
                    }
                }
            }
        }
        if let Some(channels) = &self.channels {
            all.extend([&*channels.start, &channels.message]);
            all.extend(channels.ends.iter().map(String::as_str));
        }
        all.extend(self.dropped.iter().map(String::as_str));
        let mut tokens: Vec<String> = all.into_iter().flat_map(tokens).collect();
        tokens.sort();
        tokens.dedup();
        tokens
    }
}

/// The parts of a marker that may be tokens of their own: `<…>`, `[…]`, and the whole.
fn tokens(marker: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    for (open, close) in [('<', '>'), ('[', ']')] {
        let mut rest = marker;
        while let Some(start) = rest.find(open) {
            let Some(length) = rest[start..].find(close) else { break };
            tokens.push(rest[start..=start + length].to_owned());
            rest = &rest[start + length + 1..];
        }
    }
    tokens.push(marker.trim().to_owned());
    let is_word = |token: &String| token.contains(char::is_alphanumeric);
    tokens.retain(|token| is_word(token) && !token.contains(char::is_whitespace));
    tokens
}
