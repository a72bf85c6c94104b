//! What a pure extractor answered, remembered by its exact inputs: one worker's, of one plugin version. Asks nobody and
//! never guesses: inputs that differ in one byte are others.

use std::{hash::Hasher, iter, mem, ops::Range};

use rustc_hash::{FxHashMap, FxHasher};
use symgate_sdk::{Call, Rejection, StatusCode, extract::Outcome};

/// Outcomes that one of the two generations keeps.
const OUTCOMES: usize = 2_048;
/// Bytes of inputs and texts that one of the two generations keeps.
const BYTES: usize = 512 << 10;
/// Inputs that take more bytes than this hardly come again: it costs less to ask about them anew than to keep them.
const LONGEST: usize = 1 << 10;

/// Outcomes by their inputs, in two generations. A new outcome goes to the young one; when that is full it becomes the
/// old one, and what the old one held is forgotten. An outcome that is wanted while it is old is young again.
///
/// So what is in use stays, whatever passes by once, and a hit among the young writes nothing. Forgetting is one step
/// for thousands of outcomes: there is no order to keep, and no memory to free, since each generation is three buffers
/// that are used again.
pub(super) struct Remembered {
    /// Secret, so that no caller can choose inputs that all land in one place.
    seed: usize,
    young: Generation,
    old: Generation,
}

/// The place of a call's inputs.
#[derive(Clone, Copy)]
pub(super) struct Key(u64);

#[derive(Default)]
struct Generation {
    /// By the hash of the inputs. Of two inputs with the same hash the later one is kept.
    answers: FxHashMap<u64, Answer>,
    /// The inputs, one after another.
    inputs: Vec<u8>,
    /// The texts of the outcomes, one after another.
    texts: String,
}

/// An outcome, and where its inputs and its text are.
struct Answer {
    kind: Kind,
    inputs: Range<usize>,
    text: Range<usize>,
}

/// An outcome without its text.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Symbol,
    Any,
    NeedMessage,
    NoSymbol,
    Reject(StatusCode),
}

impl Remembered {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self { seed: fastrand::usize(..), young: Generation::default(), old: Generation::default() }
    }

    /// Where the outcome for this call is kept; `None`: its inputs are too long to be kept.
    pub(super) fn key(&self, call: &Call<'_>) -> Option<Key> {
        let written = |part: Option<&[u8]>| size_of::<u32>() + part.map_or(0, <[u8]>::len);
        if parts(call).map(written).sum::<usize>() > LONGEST {
            return None;
        }
        let mut hasher = FxHasher::with_seed(self.seed);
        for part in parts(call) {
            hasher.write_u32(length(part));
            hasher.write(part.unwrap_or_default());
        }
        Some(Key(hasher.finish()))
    }

    /// The outcome for the call of this key, if it is known.
    pub(super) fn recall(&mut self, key: Key, call: &Call<'_>) -> Option<Outcome> {
        if let Some(outcome) = self.young.find(key, call) {
            return Some(outcome);
        }
        let outcome = self.old.find(key, call)?;
        self.remember(key, call, &outcome);
        Some(outcome)
    }

    /// Remembers the outcome for the call of this key.
    pub(super) fn remember(&mut self, key: Key, call: &Call<'_>, outcome: &Outcome) {
        let (_, text) = split(outcome);
        if text.len() > LONGEST {
            return;
        }
        if self.young.is_full() {
            mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.keep(key, call, outcome);
    }
}

impl Generation {
    fn find(&self, Key(hash): Key, call: &Call<'_>) -> Option<Outcome> {
        let Answer { kind, inputs, text } = self.answers.get(&hash)?;
        let same = is_of(self.inputs.get(inputs.clone())?, call);
        same.then(|| self.texts.get(text.clone()).map(|text| join(*kind, text))).flatten()
    }

    fn keep(&mut self, Key(hash): Key, call: &Call<'_>, outcome: &Outcome) {
        let start = self.inputs.len();
        for part in parts(call) {
            self.inputs.extend(length(part).to_le_bytes());
            self.inputs.extend(part.unwrap_or_default());
        }
        let (kind, text) = split(outcome);
        let from = self.texts.len();
        self.texts.push_str(text);
        let answer = Answer { kind, inputs: start..self.inputs.len(), text: from..self.texts.len() };
        self.answers.insert(hash, answer);
    }

    /// Whether one more might not fit.
    fn is_full(&self) -> bool {
        self.answers.len() >= OUTCOMES || self.bytes() + 2 * LONGEST > BYTES
    }

    fn bytes(&self) -> usize {
        self.inputs.len() + self.texts.len()
    }

    fn clear(&mut self) {
        self.answers.clear();
        self.inputs.clear();
        self.texts.clear();
    }
}

/// All that an extractor is given, in order; `None`: what the call does not carry.
fn parts<'a>(call: &Call<'a>) -> impl Iterator<Item = Option<&'a [u8]>> {
    let metadata = call.metadata.iter().copied();
    iter::once(Some(call.path.as_bytes())).chain(metadata).chain(iter::once(call.message))
}

/// What stands before a part, so that no two lists of parts are written alike.
pub(super) fn length(part: Option<&[u8]>) -> u32 {
    part.and_then(|bytes| u32::try_from(bytes.len()).ok()).unwrap_or(u32::MAX)
}

/// Whether these are the call's inputs as [`Generation::keep`] writes them.
fn is_of(mut inputs: &[u8], call: &Call<'_>) -> bool {
    for part in parts(call) {
        let Some(rest) = inputs.strip_prefix(&length(part).to_le_bytes()) else { return false };
        let Some(rest) = rest.strip_prefix(part.unwrap_or_default()) else { return false };
        inputs = rest;
    }
    inputs.is_empty()
}

pub(super) fn split(outcome: &Outcome) -> (Kind, &str) {
    match outcome {
        Outcome::Symbol(symbol) => (Kind::Symbol, symbol),
        Outcome::Any => (Kind::Any, ""),
        Outcome::NeedMessage => (Kind::NeedMessage, ""),
        Outcome::NoSymbol(why) => (Kind::NoSymbol, why),
        Outcome::Reject(Rejection { code, message }) => (Kind::Reject(*code), message),
    }
}

pub(super) fn join(kind: Kind, text: &str) -> Outcome {
    match kind {
        Kind::Symbol => Outcome::Symbol(text.into()),
        Kind::Any => Outcome::Any,
        Kind::NeedMessage => Outcome::NeedMessage,
        Kind::NoSymbol => Outcome::NoSymbol(text.into()),
        Kind::Reject(code) => Outcome::Reject(Rejection::new(code, text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Metadata<'a> = &'a [Option<&'a [u8]>];

    fn call<'a>(path: &'a str, metadata: Metadata<'a>, message: Option<&'a [u8]>) -> Call<'a> {
        Call { path, metadata, message }
    }

    fn remember(remembered: &mut Remembered, call: &Call<'_>, outcome: &Outcome) {
        let key = remembered.key(call).expect("short inputs");
        remembered.remember(key, call, outcome);
    }

    fn recall(remembered: &mut Remembered, call: &Call<'_>) -> Option<Outcome> {
        let key = remembered.key(call)?;
        remembered.recall(key, call)
    }

    fn symbol(text: &str) -> Outcome {
        Outcome::Symbol(text.into())
    }

    #[test]
    fn every_outcome_is_remembered_as_it_was() {
        let rejection = Rejection::new(StatusCode::PermissionDenied, "not on this venue");
        let outcomes = [
            symbol("BTC"),
            Outcome::Any,
            Outcome::NeedMessage,
            Outcome::NoSymbol("none".into()),
            Outcome::Reject(rejection),
        ];
        let mut remembered = Remembered::new();
        for (at, outcome) in outcomes.iter().enumerate() {
            let path = format!("/a/{at}");
            assert_eq!(recall(&mut remembered, &call(&path, &[], None)), None);
            remember(&mut remembered, &call(&path, &[], None), outcome);
        }
        for (at, outcome) in outcomes.into_iter().enumerate() {
            assert_eq!(recall(&mut remembered, &call(&format!("/a/{at}"), &[], None)), Some(outcome));
        }
    }

    #[test]
    fn inputs_that_differ_are_others() {
        let calls: [(&str, Metadata<'_>, Option<&[u8]>); 12] = [
            ("/a/B", &[None, None], None),
            ("/a/C", &[None, None], None),
            ("/a/B", &[Some(b""), None], None),
            ("/a/B", &[None, Some(b"")], None),
            ("/a/B", &[None, None], Some(b"")),
            ("/a/B", &[Some(b"ab"), Some(b"c")], None),
            ("/a/B", &[Some(b"a"), Some(b"bc")], None),
            ("/a/B", &[Some(b"a"), Some(b"bd")], None),
            ("/a/Ba", &[Some(b""), Some(b"bc")], None),
            ("/a/B", &[Some(b"abc"), None], None),
            ("/a/B", &[None, None], Some(b"abc")),
            ("/a/B", &[None, None], Some(b"abd")),
        ];
        let mut remembered = Remembered::new();
        for (at, (path, metadata, message)) in calls.into_iter().enumerate() {
            let call = call(path, metadata, message);
            assert_eq!(recall(&mut remembered, &call), None, "{call:?} was remembered as another");
            remember(&mut remembered, &call, &symbol(&at.to_string()));
        }
        for (at, (path, metadata, message)) in calls.into_iter().enumerate() {
            assert_eq!(recall(&mut remembered, &call(path, metadata, message)), Some(symbol(&at.to_string())));
        }
    }

    #[test]
    fn inputs_of_one_hash_are_not_taken_for_each_other() {
        let (first, second) = (call("/a/B", &[], None), call("/a/C", &[], None));
        let mut remembered = Remembered::new();
        let key = Key(7);
        remembered.remember(key, &first, &symbol("first"));
        assert_eq!(remembered.recall(key, &second), None);
        remembered.remember(key, &second, &symbol("second"));
        assert_eq!(remembered.recall(key, &first), None);
        assert_eq!(remembered.recall(key, &second), Some(symbol("second")));
    }

    #[test]
    fn a_million_inputs_fit_and_push_out_none_that_is_in_use() {
        let mut remembered = Remembered::new();
        let hot = call("/hot/Path", &[Some(b"BTC_USDT")], None);
        remember(&mut remembered, &hot, &symbol("hot"));
        for passing in 0..1_000_000_u32 {
            let value = passing.to_be_bytes();
            remember(&mut remembered, &call("/a/B", &[Some(&value)], None), &symbol("passing"));
            if passing % 1_000 == 0 {
                assert_eq!(recall(&mut remembered, &hot), Some(symbol("hot")), "after {passing}");
            }
        }
        let Remembered { young, old, .. } = &remembered;
        assert!(young.answers.len() <= OUTCOMES && old.answers.len() == OUTCOMES);
        let capacity = |it: &Generation| it.inputs.capacity() + it.texts.capacity();
        assert!(capacity(young) + capacity(old) <= 2 * BYTES);
        assert_eq!(recall(&mut remembered, &call("/a/B", &[Some(&0_u32.to_be_bytes())], None)), None);
    }

    #[test]
    fn long_inputs_are_bounded_by_their_bytes() {
        let mut remembered = Remembered::new();
        for passing in 0..5_000_u32 {
            let mut message = vec![0; LONGEST - 12];
            message[..4].copy_from_slice(&passing.to_be_bytes());
            let text = "x".repeat(LONGEST);
            remember(&mut remembered, &call("/a/B", &[], Some(&message)), &symbol(&text));
            assert!(remembered.young.bytes() <= BYTES);
        }
        let longer = vec![0; LONGEST];
        assert!(remembered.key(&call("/a/B", &[], Some(&longer))).is_none(), "too long to be kept");
        let text = "x".repeat(LONGEST + 1);
        remember(&mut remembered, &call("/a/B", &[], None), &symbol(&text));
        assert_eq!(recall(&mut remembered, &call("/a/B", &[], None)), None, "a text too long to be kept");
    }
}
