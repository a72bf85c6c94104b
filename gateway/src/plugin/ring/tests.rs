//! What is recorded comes back as it was, and no more of it is kept than may be.

use std::time::Duration;

use symgate_sdk::{extract, select::Candidates};

use super::*;
use crate::{
    config::{self, Builtin},
    plugin::{Host, replay::replay},
};

fn plugin(builtin: Builtin) -> Plugin {
    let of_file = config::Plugin::of_file(builtin.name().as_ref(), "{}".into());
    let plugin = config::Plugin { path: None, builtin: Some(builtin), ..of_file };
    Host::builtin(&plugin).expect("a built-in")
}

fn symbol(text: &str) -> Result<Extracted, Failure> {
    Ok(Extracted { outcome: extract::Outcome::Symbol(text.into()), remembered: false })
}

/// Records that an extractor was given this and answered with a symbol.
fn record(ring: &mut Ring, value: &[u8], message: Option<&[u8]>, answer: &str) {
    let call = Call { path: "/pb.K/Get", metadata: &[Some(value)], message };
    ring.record_extracted(0, &plugin(Builtin::MetadataKey), &call, &symbol(answer));
}

#[test]
fn the_last_ones_are_there_in_their_order() {
    let mut ring = Ring::new(3, false);
    for number in 0..5 {
        record(&mut ring, b"v", None, &number.to_string());
    }
    let said = |(decisions, next): (Vec<Decision>, u64)| {
        let said = decisions.into_iter().map(|decision| match decision.outcome {
            Outcome::Symbol(symbol) => symbol,
            other => panic!("{other:?}"),
        });
        (said.collect::<Vec<_>>().join(" "), next)
    };
    assert_eq!(said(ring.from(0, 10)), ("2 3 4".into(), 5));
    assert_eq!(said(ring.from(0, 2)), ("2 3".into(), 4));
    assert_eq!(said(ring.from(4, 2)), ("4".into(), 5));
    assert_eq!(said(ring.from(5, 2)), (String::new(), 5));
    assert_eq!(ring.slots.len(), 3);
}

#[test]
fn without_a_limit_above_zero_nothing_is_kept() {
    let mut ring = Ring::new(0, true);
    record(&mut ring, b"v", Some(b"m"), "s");
    assert_eq!((ring.from(0, 10), ring.count(), ring.slots.capacity()), ((Vec::new(), 0), 0, 0));
}

#[test]
fn a_choice_comes_back_with_all_its_inputs_and_can_be_made_again() {
    let (plugin, mut ring) = (plugin(Builtin::Primary), Ring::new(10, false));
    let wanted = plugin.select_inputs().cloned().expect("a selector");
    assert!(wanted.ids && wanted.orders, "{wanted:?}");
    let numbers = [1, 2, 3, 50, 9, 4, 5, 6, 60, 7];
    let question = Question {
        call: Call { path: "/pb.K/Get", ..Call::default() },
        symbol: "BTC",
        candidates: Candidates::new(&wanted, &numbers, &[]),
        random: u64::MAX,
    };
    ring.record_selected(0, &plugin, &question, &Ok(select::Outcome::Candidate(1)));
    ring.record_selected(0, &plugin, &question, &Ok(select::Outcome::Candidate(0)));
    let (decisions, _) = ring.from(0, 10);
    let row = |weight, id, order| Row {
        weight,
        in_flight: weight + 1,
        latency_us: weight + 2,
        id: Some(id),
        order: Some(order),
        labels: Vec::new(),
    };
    let asked = Asked::Select {
        symbol: "BTC".into(),
        labels: Vec::new(),
        candidates: vec![row(1, 50, 9), row(4, 60, 7)],
        random: u64::MAX,
    };
    assert_eq!((&decisions[0].asked, &decisions[0].outcome), (&asked, &Outcome::Candidate(1)));
    let tally = replay(&plugin, &decisions, 10, Duration::MAX);
    assert_eq!((tally.decisions, tally.changed, tally.unknown), (2, 1, 0), "the oldest is candidate 1");
    assert_eq!(tally.examples, [(1, Outcome::Candidate(1))]);
}

#[test]
fn messages_are_kept_when_they_may_be_and_are_short() {
    let message = |messages: bool, message: &[u8]| {
        let mut ring = Ring::new(1, messages);
        record(&mut ring, b"v", Some(message), "s");
        match ring.from(0, 1).0.remove(0).asked {
            Asked::Extract { message, .. } => message,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(message(false, b"abc"), Some(Message::WithheldBytes(3)));
    assert_eq!(message(true, b"abc"), Some(Message::Hex(b"abc".to_vec())));
    let long = vec![7; LONGEST / 2 + 1];
    assert_eq!(message(true, &long), Some(Message::WithheldBytes(long.len())));
}

#[test]
fn inputs_that_are_too_long_are_left_out_and_stay_unknown() {
    let mut ring = Ring::new(2, true);
    record(&mut ring, &vec![b'x'; LONGEST], Some(b"m"), "s");
    record(&mut ring, b"s", None, "s");
    let (decisions, _) = ring.from(0, 10);
    let cut = &decisions[0];
    assert!(cut.too_long && cut.metadata.is_empty() && cut.path == "/pb.K/Get", "{cut:?}");
    assert_eq!(cut.outcome, Outcome::Symbol("s".into()));
    assert!(ring.slots.iter().all(|slot| slot.bytes.len() < LONGEST));
    let tally = replay(&plugin(Builtin::MetadataKey), &decisions, 1, Duration::MAX);
    assert_eq!((tally.decisions, tally.changed, tally.unknown), (2, 0, 1));
    assert!((tally.not_proven() - 0.5).abs() < f64::EPSILON);
    let tally = replay(&plugin(Builtin::MetadataKey), &decisions, 1, Duration::ZERO);
    assert_eq!((tally.changed, tally.unknown), (0, 2), "there was no time");
}
