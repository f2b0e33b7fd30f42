/// How the next token is chosen. Defaults are llama.cpp's.
#[derive(Debug, Clone, PartialEq)]
pub struct Params {
    /// Divides the logits before drawing; zero or less always takes the likeliest token.
    pub temperature: f32,
    /// Keeps the `top_k` likeliest tokens; 0 keeps all.
    pub top_k: usize,
    /// Keeps the smallest set of likeliest tokens whose probabilities reach `top_p`; 1 keeps all.
    pub top_p: f32,
    /// Keeps tokens at least `min_p` times as likely as the likeliest; 0 keeps all.
    pub min_p: f32,
    /// Divides positive logits of recent tokens, multiplies negative ones; 1 does nothing.
    pub repeat_penalty: f32,
    /// How many accepted tokens count as recent; 0 turns all penalties off.
    pub repeat_last_n: usize,
    /// Subtracted once from the logit of each recent token.
    pub presence_penalty: f32,
    /// Subtracted from the logit of a recent token once for each time it occurs.
    pub frequency_penalty: f32,
    /// Equal seeds repeat equal runs; `None` takes a fresh one.
    pub seed: Option<u32>,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            temperature: 0.8,
            top_k: 40,
            top_p: 0.95,
            min_p: 0.05,
            repeat_penalty: 1.0,
            repeat_last_n: 64,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            seed: None,
        }
    }
}
