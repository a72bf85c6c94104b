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

/// One of the instances to choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// 1 unless the registration says otherwise.
    pub weight: u32,
    /// The calls of this gateway that are under way there.
    pub in_flight: u32,
    /// The moving average of the time to its response headers in microseconds; 0: not known yet.
    pub latency_us: u32,
    /// A number made from its address, the same on every gateway; `None` unless asked for.
    pub id: Option<u64>,
    /// The lowest create revision of its registrations; `None` unless asked for.
    pub order: Option<u64>,
    /// One entry per label asked for, in the same order.
    pub labels: &'a [Option<&'a str>],
}

impl<'a> Candidates<'a> {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.figures.len() / 3
    }

    /// Whether there are none; the gateway never asks about none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The candidate at `index`; `None` beyond the last.
    #[must_use]
    pub fn candidate(&self, index: usize) -> Option<Candidate<'a>> {
        let start = index.checked_mul(3)?;
        let [weight, in_flight, latency_us] = *self.figures.get(start..)?.first_chunk()?;
        let wide = self.labels.len() / self.len();
        Some(Candidate {
            weight,
            in_flight,
            latency_us,
            id: self.ids.get(index).copied(),
            order: self.orders.get(index).copied(),
            labels: self.labels.get(index * wide..(index + 1) * wide).unwrap_or_default(),
        })
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Candidate<'a>> + Clone {
        let all = *self;
        (0..self.len()).filter_map(move |index| all.candidate(index))
    }
}

impl<'a> Candidate<'a> {
    /// The value of the `index`-th label asked for; `None` where the candidate does not carry it.
    #[must_use]
    pub fn label(&self, index: usize) -> Option<&'a str> {
        self.labels.get(index).copied().flatten()
    }
}

/// What a selector answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The index of the chosen candidate.
    Candidate(u32),
    /// The call ends here.
    Reject(Rejection),
}

impl Outcome {
    /// The candidate at `index`, which is one of at most [`MAX_CANDIDATES`].
    #[must_use]
    pub fn candidate(index: usize) -> Self {
        // An index that does not fit is out of range either way, and the gateway refuses it.
        Self::Candidate(u32::try_from(index).unwrap_or(u32::MAX))
    }
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

#[cfg(test)]
mod tests {
    use super::{Candidate, Candidates};

    #[test]
    fn columns_are_read_as_candidates() {
        let candidates = Candidates {
            figures: &[1, 2, 3, 4, 5, 6],
            ids: &[7, 8],
            orders: &[],
            labels: &[Some("a"), None, None, Some("b")],
        };
        let labels: &[_] = &[None, Some("b")];
        let second = Candidate { weight: 4, in_flight: 5, latency_us: 6, id: Some(8), order: None, labels };
        assert_eq!(candidates.candidate(1), Some(second));
        assert_eq!(second.label(1), Some("b"));
        assert_eq!(second.label(2), None);
        assert_eq!(candidates.candidate(2), None);
        assert_eq!(candidates.candidate(usize::MAX), None);
        assert_eq!(candidates.iter().map(|candidate| candidate.weight).collect::<Vec<_>>(), [1, 4]);
        assert!(Candidates::default().is_empty());
        assert_eq!(Candidates::default().candidate(0), None);
    }
}
