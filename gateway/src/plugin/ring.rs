//! The decisions that one worker made last, with their exact inputs. Bounded, and written in place: once it is full, a
//! decision costs the copying of its inputs and no memory. Looks at no clock and asks nobody.

use std::{iter, rc::Rc, sync::Arc};

use symgate_sdk::{Call, Rejection, StatusCode, select};

use super::{
    Extracted, Failure, Plugin, Question,
    decision::{Asked, Bytes, Decision, Entry, Message, Outcome, Row},
    remembered::{self, Kind},
};

/// Bytes of inputs of one decision that are kept; of a longer one only its path and what came out.
const LONGEST: usize = 16 << 10;

/// The last decisions of one worker.
pub struct Ring {
    limit: usize,
    /// Whether first messages are kept, too.
    messages: bool,
    slots: Vec<Slot>,
    /// How many decisions there were.
    count: u64,
    /// Who was asked last, by the plugin's place in the snapshot.
    asked: Vec<Option<Rc<Who>>>,
}

/// A plugin version, without its code: what is remembered must not keep it alive.
struct Who {
    plugin: Arc<str>,
    version: Arc<str>,
    /// Metadata keys that it asked for as an extractor.
    extracts: Vec<String>,
    /// What it asked for as a selector.
    selects: select::Inputs,
}

struct Slot {
    who: Rc<Who>,
    was: Was,
    said: Said,
    /// Path, metadata, then the message, or symbol and labels; then the text of the outcome; each with its length before.
    bytes: Vec<u8>,
    /// The candidates' numbers.
    numbers: Vec<u64>,
    too_long: bool,
}

/// What was asked.
#[derive(Clone, Copy)]
enum Was {
    Extract { message: Given, remembered: bool },
    Select { random: u64 },
}

/// What became of the first message.
#[derive(Clone, Copy)]
enum Given {
    NotAsked,
    Kept,
    Withheld(usize),
}

/// An outcome without its text.
#[derive(Clone, Copy)]
enum Said {
    Extract(Kind),
    Candidate(u32),
    Reject(StatusCode),
    Failed(&'static str),
}

impl Ring {
    /// Of so many decisions; none at all: nothing is recorded. `messages`: whether first messages are.
    pub fn new(limit: usize, messages: bool) -> Self {
        Self { limit, messages, slots: Vec::new(), count: 0, asked: Vec::new() }
    }

    /// An extractor, the plugin at place `at` of the snapshot, was given this and answered so.
    pub fn record_extracted(
        &mut self,
        at: usize,
        plugin: &Plugin,
        call: &Call<'_>,
        answer: &Result<Extracted, Failure>,
    ) {
        if self.limit == 0 {
            return;
        }
        let kept = call.message.filter(|message| self.messages && message.len() <= LONGEST / 2);
        let message = match call.message {
            None => Given::NotAsked,
            Some(_) if kept.is_some() => Given::Kept,
            Some(message) => Given::Withheld(message.len()),
        };
        let remembered = answer.as_ref().is_ok_and(|extracted| extracted.remembered);
        let inputs = call.metadata.iter().copied().chain(iter::once(kept));
        let Some(slot) = self.slot(at, plugin, Was::Extract { message, remembered }) else { return };
        slot.put(call.path, inputs);
        match answer {
            Ok(Extracted { outcome, .. }) => {
                let (kind, text) = remembered::split(outcome);
                slot.says(Said::Extract(kind), text);
            }
            Err(failure) => slot.fails(failure),
        }
    }

    /// A selector, the plugin at place `at` of the snapshot, was given this and answered so.
    pub fn record_selected(
        &mut self,
        at: usize,
        plugin: &Plugin,
        question: &Question<'_>,
        answer: &Result<select::Outcome, Failure>,
    ) {
        if self.limit == 0 {
            return;
        }
        let Question { call, symbol, candidates, random } = question;
        let labels = candidates.labels().iter().map(|label| label.map(str::as_bytes));
        let inputs = call.metadata.iter().copied().chain(iter::once(Some(symbol.as_bytes()))).chain(labels);
        let Some(slot) = self.slot(at, plugin, Was::Select { random: *random }) else { return };
        slot.put(call.path, inputs);
        slot.numbers.extend_from_slice(candidates.numbers());
        match answer {
            Ok(select::Outcome::Candidate(index)) => slot.says(Said::Candidate(*index), ""),
            Ok(select::Outcome::Reject(rejection)) => slot.says(Said::Reject(rejection.code), &rejection.message),
            Err(failure) => slot.fails(failure),
        }
    }

    /// How many decisions there were since the start.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// At most `limit` decisions from the one of that number on, the oldest first, and the number after the last of
    /// them. Those that are not there any more are left out.
    pub fn from(&self, number: u64, limit: usize) -> (Vec<Decision>, u64) {
        let oldest = self.count.saturating_sub(self.slots.len() as u64);
        let first = number.max(oldest);
        let end = self.count.min(first.saturating_add(limit as u64));
        let found = (first..end).filter_map(|number| self.slots.get(self.place(number))).map(Slot::decision);
        (found.collect(), end)
    }

    fn place(&self, number: u64) -> usize {
        (number % self.limit.max(1) as u64) as usize
    }

    /// An emptied slot for one more decision.
    fn slot(&mut self, at: usize, plugin: &Plugin, was: Was) -> Option<&mut Slot> {
        let (who, place) = (self.who(at, plugin), self.place(self.count));
        self.count += 1;
        if place >= self.slots.len() {
            self.slots.push(Slot::empty(who, was));
            return self.slots.last_mut();
        }
        let slot = self.slots.get_mut(place)?;
        (slot.who, slot.was) = (who, was);
        slot.bytes.clear();
        slot.numbers.clear();
        Some(slot)
    }

    fn who(&mut self, at: usize, plugin: &Plugin) -> Rc<Who> {
        if self.asked.len() <= at {
            self.asked.resize_with(at + 1, || None);
        }
        match self.asked.get_mut(at) {
            Some(Some(who)) if Arc::ptr_eq(&who.version, &plugin.version) => who.clone(),
            Some(place) => place.insert(Rc::new(Who::new(plugin))).clone(),
            None => Rc::new(Who::new(plugin)),
        }
    }
}

impl Who {
    fn new(plugin: &Plugin) -> Self {
        let inputs = &plugin.inputs;
        Self {
            plugin: plugin.name.clone(),
            version: plugin.version.clone(),
            extracts: inputs.extract.as_ref().map(|inputs| inputs.metadata.clone()).unwrap_or_default(),
            selects: inputs.select.clone().unwrap_or_default(),
        }
    }
}

impl Slot {
    fn empty(who: Rc<Who>, was: Was) -> Self {
        Self { who, was, said: Said::Candidate(0), bytes: Vec::new(), numbers: Vec::new(), too_long: false }
    }

    fn put<'a>(&mut self, path: &str, inputs: impl Iterator<Item = Option<&'a [u8]>> + Clone) {
        let length = inputs.clone().map(|input| input.map_or(0, <[u8]>::len)).sum::<usize>() + path.len();
        self.too_long = length > LONGEST;
        if self.too_long {
            self.part(Some(path.as_bytes()).filter(|path| path.len() <= LONGEST));
            return;
        }
        self.part(Some(path.as_bytes()));
        inputs.for_each(|input| self.part(input));
    }

    fn part(&mut self, part: Option<&[u8]>) {
        self.bytes.extend_from_slice(&remembered::length(part).to_le_bytes());
        self.bytes.extend_from_slice(part.unwrap_or_default());
    }

    fn says(&mut self, said: Said, text: &str) {
        self.said = said;
        self.part(Some(text.as_bytes()));
    }

    fn fails(&mut self, failure: &Failure) {
        self.says(Said::Failed(failure.reason()), &failure.to_string());
    }

    fn decision(&self) -> Decision {
        let mut parts = Parts(&self.bytes);
        let path = parts.text();
        let keys = match self.was {
            Was::Extract { .. } => &self.who.extracts,
            Was::Select { .. } => &self.who.selects.metadata,
        };
        let keys = if self.too_long { &[][..] } else { keys };
        let metadata = keys.iter().map(|key| Entry { key: key.clone(), value: parts.bytes().map(Bytes) }).collect();
        let asked = match self.was {
            Was::Extract { message, remembered } => {
                let bytes = if self.too_long { None } else { parts.bytes() };
                let message = match message {
                    Given::NotAsked => None,
                    Given::Kept => bytes.map(Message::Hex),
                    Given::Withheld(length) => Some(Message::WithheldBytes(length)),
                };
                Asked::Extract { message, remembered }
            }
            Was::Select { random } => self.select(&mut parts, random),
        };
        let text = parts.text();
        let outcome = match self.said {
            Said::Extract(kind) => remembered::join(kind, &text).into(),
            Said::Candidate(index) => Outcome::Candidate(index),
            Said::Reject(code) => Outcome::reject(&Rejection::new(code, text)),
            Said::Failed(reason) => Outcome::Failed { reason: reason.to_owned(), text },
        };
        let (plugin, version) = (self.who.plugin.to_string(), self.who.version.to_string());
        let too_long = self.too_long;
        Decision { plugin, version, current: false, worker: 0, path, metadata, asked, outcome, too_long }
    }

    fn select(&self, parts: &mut Parts<'_>, random: u64) -> Asked {
        let labels = &self.who.selects.labels;
        if self.too_long {
            return Asked::Select { symbol: String::new(), labels: labels.clone(), candidates: Vec::new(), random };
        }
        let symbol = parts.text();
        let rows = select::Candidates::new(&self.who.selects, &self.numbers, &[]);
        let row = |row: select::Candidate<'_>| Row {
            weight: row.weight.into(),
            in_flight: row.in_flight.into(),
            latency_us: row.latency_us.into(),
            id: row.id,
            order: row.order,
            labels: labels.iter().map(|_| parts.optional_text()).collect(),
        };
        let candidates = rows.iter().map(row).collect();
        Asked::Select { symbol, labels: labels.clone(), candidates, random }
    }
}

/// What [`Slot::part`] wrote, one after another.
struct Parts<'a>(&'a [u8]);

impl Parts<'_> {
    fn bytes(&mut self) -> Option<Vec<u8>> {
        let (length, rest) = self.0.split_first_chunk()?;
        let length = u32::from_le_bytes(*length);
        // How an input is written that is not there.
        let length = if length == u32::MAX { None } else { usize::try_from(length).ok() };
        let (part, rest) = rest.split_at_checked(length.unwrap_or(0))?;
        self.0 = rest;
        length.map(|_| part.to_vec())
    }

    fn optional_text(&mut self) -> Option<String> {
        self.bytes().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    fn text(&mut self) -> String {
        self.optional_text().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
