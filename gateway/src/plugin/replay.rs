//! Asks a plugin about recorded decisions once more: what would another version have said? A plugin is a pure function of
//! what it is given, so that the answer is exact. Runs wherever it is called, off the workers.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use symgate_sdk::{
    Call,
    extract::Need,
    select::{self, Candidates},
};

use super::{
    Failure, Plugin, Question, Sandboxes,
    decision::{Asked, Decision, Message, Outcome, Row},
};

/// What came of a replay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Decisions that there were.
    pub decisions: usize,
    /// Of these, the ones about which the version says something else, or nothing.
    pub changed: usize,
    /// Of these, the ones that cannot be asked again with what was recorded.
    pub unknown: usize,
    /// Why, and how often.
    pub unknown_because: BTreeMap<String, usize>,
    /// The first of those that changed: the place among the decisions, and what is said now.
    pub examples: Vec<(usize, Outcome)>,
}

/// What the version says of one decision.
enum Again {
    Same,
    Changed(Outcome),
    Unknown(String),
}

/// Asks `plugin` about these decisions, whoever made them; keeps so many examples. What it could not be asked about within
/// this time is unknown.
pub fn replay(plugin: &Plugin, decisions: &[Decision], examples: usize, time: Duration) -> Tally {
    let start = Instant::now();
    let mut sandboxes = Sandboxes::default();
    let mut tally = Tally { decisions: decisions.len(), ..Tally::default() };
    for (at, decision) in decisions.iter().enumerate() {
        let again = match start.elapsed() < time {
            true => again(plugin, &mut sandboxes, decision),
            false => Again::Unknown(format!("{time:?} were over before it was asked about all")),
        };
        match again {
            Again::Same => {}
            Again::Changed(outcome) => {
                tally.changed += 1;
                if tally.examples.len() < examples {
                    tally.examples.push((at, outcome));
                }
            }
            Again::Unknown(why) => {
                tally.unknown += 1;
                *tally.unknown_because.entry(why).or_default() += 1;
            }
        }
    }
    tally
}

impl Tally {
    /// The share, 0 to 1, of decisions that are not known to stay as they were.
    pub fn not_proven(&self) -> f64 {
        (self.changed + self.unknown) as f64 / self.decisions.max(1) as f64
    }
}

fn again(plugin: &Plugin, sandboxes: &mut Sandboxes, decision: &Decision) -> Again {
    if decision.too_long {
        return Again::Unknown("the inputs were too long to be kept".to_owned());
    }
    let asked = match &decision.asked {
        Asked::Extract { message, .. } => extract(plugin, sandboxes, decision, message.as_ref()),
        Asked::Select { .. } => select(plugin, sandboxes, decision),
    };
    match asked {
        Err(why) => Again::Unknown(why),
        Ok(outcome) => {
            if matches!(outcome, Outcome::Failed { .. }) {
                // A failure has spoiled the sandbox, and a new one would be waited for.
                *sandboxes = Sandboxes::default();
            }
            if outcome.is_as(&decision.outcome) { Again::Same } else { Again::Changed(outcome) }
        }
    }
}

fn extract(
    plugin: &Plugin,
    sandboxes: &mut Sandboxes,
    decision: &Decision,
    message: Option<&Message>,
) -> Result<Outcome, String> {
    let Some(wanted) = plugin.extract_inputs() else { return Ok((&Failure::not_an("extractor")).into()) };
    let message = match (wanted.message, message) {
        (Need::Never, _) | (Need::OnDemand, None) => None,
        (_, Some(Message::Hex(bytes))) => Some(&**bytes),
        (_, Some(Message::WithheldBytes(_))) => {
            return Err("the first message was not recorded; `messages = true` of [decisions] does".to_owned());
        }
        (Need::Always, None) => {
            return Err("it wants the first message, which this decision was made without".to_owned());
        }
    };
    let metadata = metadata(&wanted.metadata, decision)?;
    let call = Call { path: &decision.path, metadata: &metadata, message };
    Ok(match sandboxes.extract(0, plugin, &call) {
        Ok(extracted) => extracted.outcome.into(),
        Err(failure) => (&failure).into(),
    })
}

fn select(plugin: &Plugin, sandboxes: &mut Sandboxes, decision: &Decision) -> Result<Outcome, String> {
    let Some(wanted) = plugin.select_inputs() else { return Ok((&Failure::not_an("selector")).into()) };
    let Asked::Select { symbol, labels, candidates, random } = &decision.asked else {
        return Err("it is a decision of an extractor".to_owned());
    };
    let metadata = metadata(&wanted.metadata, decision)?;
    let numbers = candidates.iter().map(|row| numbers(row, wanted)).collect::<Result<Vec<_>, _>>()?.concat();
    let places = wanted.labels.iter().map(|name| place(labels, name)).collect::<Result<Vec<_>, _>>()?;
    let labels = |row| label_values(row, &places);
    let labels: Vec<_> = candidates.iter().flat_map(labels).collect();
    if wanted.skip_single && candidates.len() == 1 {
        return Ok(Outcome::Candidate(0));
    }
    let question = Question {
        call: Call { path: &decision.path, metadata: &metadata, message: None },
        symbol,
        candidates: Candidates::new(wanted, &numbers, &labels),
        random: *random,
    };
    Ok(match sandboxes.select(0, plugin, &question) {
        Ok(outcome) => outcome.into(),
        Err(failure) => (&failure).into(),
    })
}

/// The values of the keys that are wanted now.
fn metadata<'a>(wanted: &[String], decision: &'a Decision) -> Result<Vec<Option<&'a [u8]>>, String> {
    let value = |key: &String| match decision.metadata.iter().find(|entry| entry.key == *key) {
        Some(entry) => Ok(entry.value.as_ref().map(|bytes| &*bytes.0)),
        None => Err(format!("it asks for metadata {key:?}, which was not recorded")),
    };
    wanted.iter().map(value).collect()
}

fn numbers(row: &Row, wanted: &select::Inputs) -> Result<Vec<u64>, String> {
    let mut numbers = vec![row.weight, row.in_flight, row.latency_us];
    let missing = |what: &str| format!("it asks for the candidates' {what}, which were not recorded");
    if wanted.ids {
        numbers.push(row.id.ok_or_else(|| missing("ids"))?);
    }
    if wanted.orders {
        numbers.push(row.order.ok_or_else(|| missing("orders"))?);
    }
    Ok(numbers)
}

fn place(recorded: &[String], name: &str) -> Result<usize, String> {
    let place = recorded.iter().position(|recorded| recorded == name);
    place.ok_or_else(|| format!("it asks for the label {name:?}, which was not recorded"))
}

fn label_values<'a>(row: &'a Row, places: &[usize]) -> Vec<Option<&'a str>> {
    places.iter().map(|at| row.labels.get(*at).and_then(Option::as_deref)).collect()
}
