//! `expect ..`: what must come.

use super::{
    Broken,
    fields::{self, Below},
    words::{Words, number},
};
use crate::conformance::{
    block::text,
    script::{Answer, Expect, Pattern, Stream, Wanted},
    wire::{self, flag, kind},
};

/// What follows the word `expect`. An error at line 0 is of this line.
pub(super) fn parse(rest: &str, below: &mut Below<'_>) -> Result<Expect, Broken> {
    let here = |what: String| (0, what);
    if let Some(said) = rest.strip_prefix("text ") {
        return text(said, "").map(Expect::Text).map_err(here);
    }
    let mut words = Words::new(rest);
    let name = words.word().unwrap_or_default();
    let expected = match wire::kind_of(name) {
        Some(kind) => {
            let carries = matches!(kind, kind::HEADERS | kind::PUSH_PROMISE);
            let fields = if carries { fields::wanted(below)? } else { Vec::new() };
            Expect::Frame(pattern(kind, &mut words, fields).map_err(here)?)
        }
        None => other(name, &mut words).map_err(here)?,
    };
    words.end().map_err(here)?;
    Ok(expected)
}

fn other(name: &str, words: &mut Words<'_>) -> Result<Expect, String> {
    Ok(match name {
        "closed" => Expect::Closed,
        "alive" => Expect::Alive,
        "preface" => Expect::Preface,
        "nothing" => Expect::Nothing(words.stream()),
        "error" | "error-or-nothing" => {
            let stream = words.stream().unwrap_or(Stream::Id(0));
            let codes = words.codes();
            if codes.is_empty() {
                return Err("the error code is missing".into());
            }
            Expect::Error { stream, codes, or_nothing: name == "error-or-nothing" }
        }
        "call" => Expect::Call(words.on()?, words.has("open")),
        "reply" => Expect::Reply(words.on()?, answer(words)?),
        "end" => Expect::End(words.on()?, answer(words)?),
        "body" => Expect::Body {
            stream: words.on()?,
            length: words.number("length")?.ok_or("length= is missing")?,
            ended: words.has("END_STREAM"),
        },
        "window" => Expect::Window(words.on()?, number(words.word().ok_or("a number is missing")?)?),
        _ => return Err(format!("nothing is called {name:?}")),
    })
}

/// `[status=0|1] [reason=a|b] [http=415|431] [length=N]`
fn answer(words: &mut Words<'_>) -> Result<Answer, String> {
    let http: Vec<String> = words.value("http").unwrap_or("200").split('|').map(Into::into).collect();
    let statuses = words.value("status").unwrap_or(if http == ["200"] { "0" } else { "" });
    let statuses = statuses.split('|').filter(|status| !status.is_empty());
    let statuses = statuses.map(|status| status.parse().map_err(|_not_one| format!("status={status} is no number")));
    let reasons = words.value("reason").map_or_else(Vec::new, |reasons| reasons.split('|').map(Into::into).collect());
    Ok(Answer { statuses: statuses.collect::<Result<_, _>>()?, reasons, http, length: words.number("length")? })
}

fn pattern(kind: u8, words: &mut Words<'_>, fields: Vec<Wanted>) -> Result<Pattern, String> {
    let stream = words.stream().unwrap_or(Stream::Id(0));
    let (mut with, mut without) = (0, 0);
    for (name, no, bit) in [
        ("ACK", "-ACK", flag::ACK),
        ("END_STREAM", "-END_STREAM", flag::END_STREAM),
        ("END_HEADERS", "-END_HEADERS", flag::END_HEADERS),
    ] {
        with |= if words.has(name) { bit } else { 0 };
        without |= if words.has(no) { bit } else { 0 };
    }
    if kind == kind::SETTINGS && with == 0 {
        without = flag::ACK;
    }
    Ok(Pattern {
        kind,
        stream,
        with,
        without,
        codes: words.codes(),
        octets: words.hex("hex")?,
        length: words.number("length")?,
        at_least: words.plain("at-least")?,
        last: words.number("last")?,
        increment: words.number("increment")?,
        ordered: words.has("ordered"),
        settings: if kind == kind::SETTINGS { words.settings()? } else { Vec::new() },
        fields,
    })
}
