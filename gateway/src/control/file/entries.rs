//! Reads the keys and values of a registry file.

use std::fmt;

use serde_json::{Map, Number, Value as Json};
use toml::{Table, Value};

#[cfg(test)]
mod tests;

/// Why a file is refused, where, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken {
    line: usize,
    column: usize,
    problem: String,
}

/// The entries in the order of the file. Text is a value as it stands; anything else becomes JSON, and it is up to
/// whoever reads the entry whether it announces an instance.
pub(super) fn parse(content: &[u8]) -> Result<Vec<(String, Vec<u8>)>, Broken> {
    let text =
        str::from_utf8(content).map_err(|error| Broken::at(content, error.valid_up_to(), "is not UTF-8 text"))?;
    if text.trim().is_empty() {
        // Far more often a file that is about to be written than one that announces nothing.
        return Err(Broken::at(content, 0, "the file is empty; if no instance is meant, leave a comment in it"));
    }
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        Broken::at(content, error.span().map_or(0, |span| span.start), error.message())
    })?;
    Ok(table.into_iter().map(|(key, value)| (key, bytes(value))).collect())
}

fn bytes(value: Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.into_bytes(),
        value => json(value).to_string().into_bytes(),
    }
}

fn json(value: Value) -> Json {
    match value {
        Value::String(text) => Json::String(text),
        Value::Integer(number) => number.into(),
        Value::Float(number) => Number::from_f64(number).map_or(Json::Null, Json::Number),
        Value::Boolean(truth) => truth.into(),
        Value::Datetime(time) => time.to_string().into(),
        Value::Array(values) => values.into_iter().map(json).collect(),
        Value::Table(table) => {
            Json::Object(table.into_iter().map(|(key, value)| (key, json(value))).collect::<Map<_, _>>())
        }
    }
}

impl Broken {
    fn at(content: &[u8], offset: usize, problem: &str) -> Self {
        let before = content.get(..offset).unwrap_or(content);
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        let column = String::from_utf8_lossy(before.get(line_start..).unwrap_or_default()).chars().count() + 1;
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        // The parser's advice may span lines; a reason is one.
        Self { line, column, problem: problem.lines().collect::<Vec<_>>().join("; ") }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, problem } = self;
        write!(out, "{line}:{column}: {problem}; correct it, it is read again when it changes")
    }
}
