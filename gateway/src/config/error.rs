//! What is wrong with a configuration, in words for the one who wrote it. Decides nothing.

use std::{fmt::Write as _, io, ops::Range, path::Path};

/// Why a configuration is refused: one line per mistake, `file:line:column: what is wrong; how to mend it`.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

/// One mistake and the bytes of the file that it is about.
#[derive(Debug)]
pub(super) struct Mistake {
    at: Range<usize>,
    text: String,
}

impl ConfigError {
    pub(super) fn unreadable(path: &Path, error: &io::Error) -> Self {
        let fix = if error.kind() == io::ErrorKind::NotFound { "; name the configuration with --config" } else { "" };
        Self(format!("{}: cannot be read: {error}{fix}", path.display()))
    }

    pub(super) fn new(file: &str, source: &str, mut mistakes: Vec<Mistake>) -> Self {
        mistakes.sort_by_key(|mistake| mistake.at.start);
        let mut lines = String::new();
        for (index, mistake) in mistakes.iter().enumerate() {
            let (line, column) = position(source, mistake.at.start);
            let end = if index == 0 { "" } else { "\n" };
            // Writing to a String cannot fail.
            let _ = write!(lines, "{end}{file}:{line}:{column}: {}", mistake.text);
        }
        Self(lines)
    }
}

impl Mistake {
    pub(super) fn new(at: Range<usize>, text: impl Into<String>) -> Self {
        Self { at, text: text.into() }
    }
}

impl From<toml::de::Error> for Mistake {
    fn from(error: toml::de::Error) -> Self {
        Self::new(error.span().unwrap_or_default(), in_our_words(error.message()))
    }
}

/// `; did you mean "x"?`, or what there is to choose from when nothing is near.
pub(super) fn suggestion<'a>(wrong: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let near = known
        .clone()
        .map(|name| (strsim::normalized_damerau_levenshtein(wrong, name), name))
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match near {
        Some((_, name)) => format!("; did you mean {name:?}?"),
        None => format!("; known here: {}", known.collect::<Vec<_>>().join(", ")),
    }
}

/// Serde's sentences for the three mistakes that people make most say what is expected, not what to do.
fn in_our_words(message: &str) -> String {
    let message = message.trim().replace('\n', "; ");
    let mut quoted = message.split('`').skip(1).step_by(2);
    let name = quoted.next().unwrap_or_default();
    if message.starts_with("unknown field") {
        format!("unknown key {name:?}{}", suggestion(name, quoted))
    } else if message.starts_with("unknown variant") {
        format!("{name:?} is not known here{}", suggestion(name, quoted))
    } else if message.starts_with("missing field") {
        format!("the key {name:?} is missing; add it")
    } else if message == "duplicate key" {
        "this key is there twice; keep one".into()
    } else {
        message
    }
}

/// Line and column, from 1, of a byte; columns are counted in characters.
fn position(source: &str, byte: usize) -> (usize, usize) {
    let before = source.get(..byte).unwrap_or(source);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let column = before.get(line_start..).unwrap_or_default().chars().count();
    (before.matches('\n').count() + 1, column + 1)
}
