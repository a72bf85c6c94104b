//! The indented lines below a frame with a field block: `name: value`, what HPACK makes of it, and templates.

use super::{
    Broken,
    words::{Words, hex},
};
use crate::conformance::{
    block::text,
    script::{Change, Line, Template, Wanted},
};

/// Lines below a step, each with its number; who understands them empties the list.
pub(super) type Below<'a> = Vec<(usize, &'a str)>;

/// The literals without, with and never with indexing (RFC 7541 section 6.2).
const LITERALS: [(&str, u8); 2] = [("[incremental] ", 0x40), ("[never] ", 0x10)];

/// The lines of a block that is sent.
pub(super) fn lines(below: &mut Below<'_>) -> Result<Vec<Line>, Broken> {
    below.drain(..).map(|(number, text)| line(text).map_err(|what| (number, what))).collect()
}

fn line(text: &str) -> Result<Line, String> {
    for (mark, literal) in LITERALS {
        if let Some(field) = text.strip_prefix(mark) {
            return field_of(field).map(|(name, value)| Line::Field(literal, name, value));
        }
    }
    if let Some(inner) = text.strip_prefix('[') {
        let (what, value) = inner.strip_suffix(']').and_then(|inner| inner.split_once(' ')).ok_or("no [word value]")?;
        let number = || value.parse().map_err(|_not_one| format!("{value:?} is no number"));
        return match what {
            "index" => number().map(Line::Index),
            "size" => number().map(Line::Size),
            "hex" => hex(value).map(Line::Hex),
            "repeat" => repeated(value).map(Line::Hex),
            _ => Err(format!("{what:?} is neither incremental, never, index, size, hex nor repeat")),
        };
    }
    let mut words = Words::new(text);
    match words.next_as(template) {
        Some(template) => Ok(Line::Template(template, changes(&mut words)?)),
        None => field_of(text).map(|(name, value)| Line::Field(0, name, value)),
    }
}

/// `100 be`: these octets a hundred times.
fn repeated(text: &str) -> Result<Vec<u8>, String> {
    let (times, octets) = text.split_once(' ').ok_or("no octets to repeat")?;
    let times = times.parse().map_err(|_not_one| format!("{times:?} is no number"))?;
    Ok(hex(octets)?.repeat(times))
}

fn template(word: &str) -> Option<Template> {
    match word {
        "call" => Some(Template::Call),
        "reply" => Some(Template::Reply),
        "trailers" => Some(Template::Trailers),
        _ => None,
    }
}

/// All words that are left: `name=value` replaces or adds a field, `-name` leaves it out.
pub(super) fn changes(words: &mut Words<'_>) -> Result<Vec<Change>, String> {
    let mut changes = Vec::new();
    while let Some(word) = words.word() {
        changes.push(match (word.strip_prefix('-'), word.split_once('=')) {
            (Some(name), _) => Change::Without(name.into()),
            (None, Some((name, value))) => Change::Set(name.into(), value.into()),
            (None, None) => return Err(format!("{word:?} is neither name=value nor -name")),
        });
    }
    Ok(changes)
}

/// `name: value`; the escapes of both are understood.
fn field_of(line: &str) -> Result<(String, String), String> {
    let from = usize::from(line.starts_with(':'));
    let colon = line[from..].find(':').ok_or_else(|| format!("{line:?} is no field"))? + from;
    let (name, value) = (line[..colon].to_owned(), line[colon + 1..].trim_start().to_owned());
    text(&name, "")?;
    text(&value, "")?;
    Ok((name, value))
}

/// The fields that a block must have: `name: value`, `name: *` or `!name`.
pub(super) fn wanted(below: &mut Below<'_>) -> Result<Vec<Wanted>, Broken> {
    let wanted = |text: &str| match text.strip_prefix('!') {
        Some(name) => Ok(Wanted::Absent(name.into())),
        None => field_of(text).map(|(name, value)| match value.as_str() {
            "*" => Wanted::Present(name),
            _ => Wanted::Is(name, value),
        }),
    };
    below.drain(..).map(|(number, text)| wanted(text).map_err(|what| (number, what))).collect()
}
