//! Selectors: which of the symbol's instances gets the call?

use crate::call::{Call, Rejection};

/// The most candidates that a selector is ever given.
pub const MAX_CANDIDATES: usize = 64;

/// Numbers that every candidate has: weight, calls in flight, latency.
const FIGURES: usize = 3;

/// The inputs that a selector asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Whether the path is wanted.
    pub path: bool,
    /// Whether the symbol is wanted.
    pub symbol: bool,
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

/// The instances to choose from, at least one and at most [`MAX_CANDIDATES`].
///
/// ```
/// use symgate_sdk::select::{Candidates, Inputs};
///
/// // What a selector is given that asked for the label `zone`: weight, calls in flight and latency of two instances.
/// let inputs = Inputs { labels: vec!["zone".into()], ..Inputs::default() };
/// let candidates = Candidates::new(&inputs, &[1, 4, 900, 2, 0, 1_100], &[Some("east"), None]);
/// let near = candidates.iter().position(|candidate| candidate.label(0) == Some("east"));
/// assert_eq!(near, Some(0));
/// assert_eq!(candidates.candidate(1).map(|candidate| candidate.weight), Some(2));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Candidates<'a> {
    numbers: &'a [u64],
    labels: &'a [Option<&'a str>],
    /// Labels per candidate.
    wide: usize,
    ids: bool,
    orders: bool,
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
    /// From what a selector is given that asked for `inputs`. `numbers`: for each candidate its weight, its calls in
    /// flight and its latency in microseconds (0: not known yet), then its id and its order if asked for. `labels`: for
    /// each candidate one entry per label asked for.
    #[must_use]
    pub fn new(inputs: &Inputs, numbers: &'a [u64], labels: &'a [Option<&'a str>]) -> Self {
        Self { numbers, labels, wide: inputs.labels.len(), ids: inputs.ids, orders: inputs.orders }
    }

    /// The numbers that it was made from.
    #[must_use]
    pub fn numbers(&self) -> &'a [u64] {
        self.numbers
    }

    /// The labels that it was made from.
    #[must_use]
    pub fn labels(&self) -> &'a [Option<&'a str>] {
        self.labels
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.numbers.len() / self.row()
    }

    /// Whether there are none; the gateway never asks about none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The candidate at `index`; `None` beyond the last.
    #[must_use]
    pub fn candidate(&self, index: usize) -> Option<Candidate<'a>> {
        let row = self.row();
        let numbers = self.numbers.get(index.checked_mul(row)?..)?.get(..row)?;
        let (&[weight, in_flight, latency_us], more) = numbers.split_first_chunk::<FIGURES>()?;
        let mut more = more.iter().copied();
        Some(Candidate {
            weight: narrow(weight),
            in_flight: narrow(in_flight),
            latency_us: narrow(latency_us),
            id: if self.ids { more.next() } else { None },
            order: if self.orders { more.next() } else { None },
            labels: self.labels.get(index * self.wide..(index + 1) * self.wide).unwrap_or_default(),
        })
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Candidate<'a>> + Clone {
        let all = *self;
        (0..self.len()).filter_map(move |index| all.candidate(index))
    }

    /// Their weights, in order.
    pub fn weights(&self) -> impl Iterator<Item = u32> + Clone {
        self.numbers.iter().step_by(self.row()).map(|weight| narrow(*weight))
    }

    /// Numbers per candidate.
    fn row(&self) -> usize {
        FIGURES + usize::from(self.ids) + usize::from(self.orders)
    }
}

/// A number that the contract keeps below 2^32.
fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
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
///
/// ```
/// use symgate_sdk::{Call, Selector, select::{Candidates, Inputs, Outcome}, testkit::{Instance, Instances, Request}};
///
/// /// The instance with the fewest calls under way.
/// struct LeastCalls;
///
/// impl Selector for LeastCalls {
///     fn new(_config: &str) -> Result<(Self, Inputs), String> {
///         Ok((Self, Inputs { skip_single: true, ..Inputs::default() }))
///     }
///
///     fn select(&self, _call: &Call<'_>, _symbol: &str, candidates: &Candidates<'_>, _random: u64) -> Outcome {
///         let least = candidates.iter().enumerate().min_by_key(|(_, candidate)| candidate.in_flight);
///         Outcome::candidate(least.map_or(0, |(index, _)| index))
///     }
/// }
///
/// let instances = Instances::new().with(Instance::new(1).in_flight(4)).with(Instance::new(2).in_flight(1));
/// let outcome = Request::to("/a.A/B").select::<LeastCalls>("{}", "BTC_USDT", &instances, 7);
/// assert_eq!(outcome, Outcome::Candidate(1));
/// ```
///
/// A method with another signature does not compile:
///
/// ```compile_fail,E0053
/// # use symgate_sdk::{Call, Selector, select::{Candidates, Inputs, Outcome}};
/// # struct Wrong;
/// impl Selector for Wrong {
///     fn new(_config: &str) -> Result<(Self, Inputs), String> {
///         Ok((Self, Inputs::default()))
///     }
///
///     fn select(&self, _: &Call<'_>, _: &str, _: &Candidates<'_>, _: u64) -> usize {
///         0
///     }
/// }
/// ```
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
    use super::{Candidate, Candidates, Inputs};

    #[test]
    fn rows_are_read_as_candidates() {
        let inputs = Inputs { ids: true, labels: vec!["zone".into(), "rack".into()], ..Inputs::default() };
        let labels = [Some("a"), None, None, Some("b")];
        let candidates = Candidates::new(&inputs, &[1, 2, 3, 7, 4, 5, 6, 8], &labels);
        let labels: &[_] = &[None, Some("b")];
        let second = Candidate { weight: 4, in_flight: 5, latency_us: 6, id: Some(8), order: None, labels };
        assert_eq!(candidates.candidate(1), Some(second));
        assert_eq!(second.label(1), Some("b"));
        assert_eq!(second.label(2), None);
        assert_eq!(candidates.candidate(2), None);
        assert_eq!(candidates.candidate(usize::MAX), None);
        assert_eq!(candidates.iter().map(|candidate| candidate.weight).collect::<Vec<_>>(), [1, 4]);
        assert_eq!(candidates.weights().collect::<Vec<_>>(), [1, 4]);
        let both = Inputs { ids: true, orders: true, ..Inputs::default() };
        let both = Candidates::new(&both, &[1, 2, 3, 7, 9], &[]).candidate(0);
        assert_eq!(both.map(|it| (it.id, it.order)), Some((Some(7), Some(9))));
        let orders = Inputs { orders: true, ..Inputs::default() };
        let orders = Candidates::new(&orders, &[1, 2, 3, 9], &[]).candidate(0);
        assert_eq!(orders.map(|it| (it.id, it.order)), Some((None, Some(9))));
        assert!(Candidates::default().is_empty());
        assert_eq!(Candidates::default().candidate(0), None);
    }
}
