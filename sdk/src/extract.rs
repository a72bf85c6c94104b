//! Extractors: which symbol does this call belong to?

use crate::call::{Call, Rejection};

/// When an extractor wants the first request message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Need {
    /// Never: [`Outcome::NeedMessage`] is not answered.
    #[default]
    Never,
    /// Only when it answers [`Outcome::NeedMessage`].
    OnDemand,
    /// Before it is asked.
    Always,
}

/// The inputs that an extractor asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Whether the path is wanted.
    pub path: bool,
    /// Metadata keys, in lower case.
    pub metadata: Vec<String>,
    /// When the first request message is wanted.
    pub message: Need,
    /// True when the same inputs always give the same outcome.
    pub pure: bool,
}

/// What an extractor answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The call belongs to this symbol.
    Symbol(String),
    /// Every instance of the service may answer.
    Any,
    /// Ask again with the first message.
    NeedMessage,
    /// The call carries no symbol, and why.
    NoSymbol(String),
    /// The call ends here.
    Reject(Rejection),
}

/// Decides which symbol a call belongs to.
pub trait Extractor: Sized {
    /// Makes one from the plugin's configuration (JSON text) and says which inputs it wants.
    ///
    /// # Errors
    /// The text that tells the operator what is wrong with the configuration; the plugin is refused with it.
    fn new(config: &str) -> Result<(Self, Inputs), String>;

    /// Answers for one call.
    fn extract(&self, call: &Call<'_>) -> Outcome;
}
