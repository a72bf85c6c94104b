//! Selectors: which of the symbol's instances gets the call?

use crate::call::{Call, Rejection};

/// The most candidates that a selector is ever given.
pub const MAX_CANDIDATES: usize = 64;

/// The inputs that a selector asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Metadata keys, in lower case.
    pub metadata: Vec<String>,
    /// Labels of the candidates.
    pub labels: Vec<String>,
    /// Whether the candidates' ids are wanted.
    pub ids: bool,
    /// Whether the candidates' orders are wanted.
    pub orders: bool,
    /// True when the selector need not be asked about a single candidate.
    pub skip_single: bool,
}

/// The instances to choose from, at least one and at most [`MAX_CANDIDATES`], as columns.
#[derive(Clone, Copy, Debug, Default)]
pub struct Candidates<'a> {
    /// Three numbers per candidate: weight, calls in flight, latency in microseconds (0: not known yet).
    pub figures: &'a [u32],
    /// A number per candidate made from its address; empty unless asked for.
    pub ids: &'a [u64],
    /// The lowest create revision per candidate; empty unless asked for.
    pub orders: &'a [u64],
    /// For each candidate one entry per label asked for; candidate 0's labels first.
    pub labels: &'a [Option<&'a str>],
}

/// What a selector answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The index of the chosen candidate.
    Candidate(u32),
    /// The call ends here.
    Reject(Rejection),
}

/// Decides which of a symbol's instances gets a call.
pub trait Selector: Sized {
    /// Makes one from the plugin's configuration (JSON text) and says which inputs it wants.
    ///
    /// # Errors
    /// The text that tells the operator what is wrong with the configuration; the plugin is refused with it.
    fn new(config: &str) -> Result<(Self, Inputs), String>;

    /// Answers for one call; `random` differs for every call.
    fn select(&self, call: &Call<'_>, symbol: &str, candidates: &Candidates<'_>, random: u64) -> Outcome;
}
