//! The words of one line, taken one by one; what nobody took is an error.

use std::{collections::VecDeque, str::FromStr};

use crate::conformance::{
    script::{Number, Setting, Stream, Term},
    wire,
};

/// What is left of a line.
pub(super) struct Words<'a>(VecDeque<&'a str>);

impl<'a> Words<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self(text.split_whitespace().collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next one, whatever it is.
    pub(super) fn word(&mut self) -> Option<&'a str> {
        self.0.pop_front()
    }

    /// The next one, if this can be made of it.
    pub(super) fn next_as<T>(&mut self, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let value = read(self.0.front()?)?;
        self.0.pop_front();
        Some(value)
    }

    /// These words and no others come next.
    pub(super) fn phrase(&mut self, phrase: &str) -> Result<(), String> {
        let said = phrase.split(' ').all(|word| self.word() == Some(word));
        if said { Ok(()) } else { Err(format!("{phrase:?} is missing")) }
    }

    /// A plain number.
    pub(super) fn count<T: FromStr>(&mut self) -> Result<T, String> {
        let word = self.word().ok_or("a number is missing")?;
        word.parse().map_err(|_not_one| format!("{word:?} is no number that fits"))
    }

    /// Whether this word is there, wherever it stands.
    pub(super) fn has(&mut self, word: &str) -> bool {
        let at = self.0.iter().position(|other| *other == word);
        at.and_then(|at| self.0.remove(at)).is_some()
    }

    /// The value of `key=value`, wherever it stands.
    pub(super) fn value(&mut self, key: &str) -> Option<&'a str> {
        let value = |word: &&'a str| word.strip_prefix(key).and_then(|rest| rest.strip_prefix('='));
        let at = self.0.iter().position(|word| value(word).is_some())?;
        self.0.remove(at).as_ref().and_then(value)
    }

    /// The value of `key=value` as a plain number.
    pub(super) fn plain<T: FromStr>(&mut self, key: &str) -> Result<Option<T>, String> {
        let parse = |value: &str| value.parse().map_err(|_not_one| format!("{key}={value} is no number that fits"));
        self.value(key).map(parse).transpose()
    }

    /// The value of `key=value` as a sum.
    pub(super) fn number(&mut self, key: &str) -> Result<Option<Number>, String> {
        self.value(key).map(number).transpose()
    }

    /// The value of `key=value` as octets.
    pub(super) fn hex(&mut self, key: &str) -> Result<Option<Vec<u8>>, String> {
        self.value(key).map(hex).transpose()
    }

    /// The first word that is an error code, or several with `|` between them.
    pub(super) fn codes(&mut self) -> Vec<u32> {
        let codes = |word: &&str| word.split('|').map(wire::code_of).collect::<Option<Vec<_>>>();
        let Some(at) = self.0.iter().position(|word| codes(word).is_some()) else { return Vec::new() };
        self.0.remove(at).as_ref().and_then(codes).unwrap_or_default()
    }

    /// The stream, if the next word names one.
    pub(super) fn stream(&mut self) -> Option<Stream> {
        self.next_as(|word| match word {
            "next" => Some(Stream::Next),
            "last" => Some(Stream::Last),
            number => number.parse().ok().map(Stream::Id),
        })
    }

    /// The stream, which must be named.
    pub(super) fn on(&mut self) -> Result<Stream, String> {
        self.stream().ok_or_else(|| "the stream is missing".into())
    }

    /// All words that are left, as settings.
    pub(super) fn settings(&mut self) -> Result<Vec<Setting>, String> {
        let mut settings = Vec::new();
        while let Some(word) = self.word() {
            let (name, value) = word.split_once('=').ok_or_else(|| format!("{word:?} is no setting"))?;
            let setting = wire::setting_of(name).ok_or_else(|| format!("no setting is called {name}"))?;
            settings.push((setting, number(value)?));
        }
        Ok(settings)
    }

    /// Nothing is left.
    pub(super) fn end(mut self) -> Result<(), String> {
        self.word().map_or(Ok(()), |word| Err(format!("{word:?} is not understood here")))
    }
}

/// `STREAM_WINDOW+1`, `2^31-1`, `64KiB`
pub(super) fn number(text: &str) -> Result<Number, String> {
    let mut sum = Vec::new();
    for plus in text.split('+') {
        for (at, part) in plus.split('-').enumerate() {
            let term = term(part).ok_or_else(|| format!("{part:?} in {text:?} is no number"))?;
            sum.push((if at == 0 { 1 } else { -1 }, term));
        }
    }
    Ok(Number(sum))
}

fn term(text: &str) -> Option<Term> {
    match text {
        "STREAM_WINDOW" => return Some(Term::StreamWindow),
        "CONNECTION_WINDOW" => return Some(Term::ConnectionWindow),
        _ => {}
    }
    if let Some(exponent) = text.strip_prefix("2^") {
        return 1_i64.checked_shl(exponent.parse().ok()?).map(Term::Literal);
    }
    if let Some(kibibytes) = text.strip_suffix("KiB") {
        return kibibytes.parse::<i64>().ok()?.checked_mul(1024).map(Term::Literal);
    }
    if let Ok(number) = text.parse() {
        return Some(Term::Literal(number));
    }
    text.starts_with(|first: char| first.is_ascii_uppercase()).then(|| wire::setting_of(text).map(Term::Setting))?
}

/// `00010aff`; spaces may stand between octets.
pub(super) fn hex(text: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    let octet = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).ok();
    let octets: Option<Vec<u8>> =
        digits.chunks(2).map(|pair| if pair.len() == 2 { octet(pair) } else { None }).collect();
    octets.ok_or_else(|| format!("{text:?} is no row of octets in hex"))
}
