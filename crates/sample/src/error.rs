/// Why no token could be chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SampleError {
    /// There were no logits at all.
    #[error("no logits to sample from: expected one per vocabulary token")]
    Empty,
    /// A logit was NaN or positive infinity; the model's output is broken.
    #[error("logit of token {token} is {value}: expected a finite number or -inf")]
    Invalid {
        /// Token whose logit is broken.
        token: u32,
        /// The logit as text.
        value: String,
    },
    /// Every logit was negative infinity, so every token is forbidden.
    #[error("every token is forbidden: all {0} logits are -inf")]
    AllMasked(usize),
    /// A parameter is not to be computed with.
    #[error("{name} is {value}: expected {expected}")]
    Param {
        /// Field of [`crate::Params`].
        name: &'static str,
        /// Its value as text.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
}
