//! A decision in lines for people: what a plugin was given, and what it said.

use crate::plugin::decision::{Asked, Bytes, Decision, Message, Outcome, Row, hex};

/// What it was given. `path`, `symbol`: whether it was given these.
pub(super) fn given(decision: &Decision, path: bool, symbol: bool) -> Vec<String> {
    let mut lines = Vec::new();
    if decision.too_long {
        lines.push(format!("  path {}; the other inputs were too long to be kept", decision.path));
        return lines;
    }
    if path {
        lines.push(format!("  path {}", decision.path));
    }
    for entry in &decision.metadata {
        let value = entry.value.as_ref().map_or_else(|| "not there".to_owned(), bytes);
        lines.push(format!("  metadata {}: {value}", entry.key));
    }
    match &decision.asked {
        Asked::Extract { message, .. } => lines.extend(message.as_ref().map(|it| format!("  message {}", text(it)))),
        Asked::Select { symbol: of, labels, candidates, random } => {
            lines.extend(symbol.then(|| format!("  symbol {of:?}")));
            let candidate = |(at, row)| format!("  candidate {at}: {}", figures(row, labels));
            lines.extend(candidates.iter().enumerate().map(candidate));
            lines.push(format!("  random {random}"));
        }
    }
    if lines.is_empty() {
        lines.push("  nothing, because it asked for nothing".to_owned());
    }
    lines
}

/// What it said.
pub(super) fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Symbol(symbol) => format!("symbol {symbol:?}"),
        Outcome::Any => "any instance of the service".to_owned(),
        Outcome::NeedMessage => "it needs the first message".to_owned(),
        Outcome::NoSymbol(why) => format!("no symbol: {why}"),
        Outcome::Candidate(index) => format!("candidate {index}"),
        Outcome::Reject { code, message } => format!("the call ends with {code}: {message}"),
        Outcome::Failed { text, .. } => format!("no answer: it {text}"),
    }
}

fn bytes(Bytes(bytes): &Bytes) -> String {
    str::from_utf8(bytes).map_or_else(|_binary| format!("hex {}", hex::write(bytes)), |text| format!("{text:?}"))
}

fn text(message: &Message) -> String {
    match message {
        Message::Hex(bytes) => format!("hex {}", hex::write(bytes)),
        Message::WithheldBytes(length) => format!("of {length} bytes, not kept"),
    }
}

fn figures(row: &Row, labels: &[String]) -> String {
    let Row { weight, in_flight, latency_us, id, order, .. } = row;
    let mut text = format!("weight {weight}, in flight {in_flight}, latency {latency_us} us");
    if let Some(id) = id {
        text += &format!(", id {id}");
    }
    if let Some(order) = order {
        text += &format!(", order {order}");
    }
    for (name, value) in labels.iter().zip(&row.labels) {
        text += &format!(", {name} {}", value.as_ref().map_or_else(|| "not there".to_owned(), |it| format!("{it:?}")));
    }
    text
}
