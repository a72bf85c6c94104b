//! `send ..`: frames word by word, and calls and replies, which are several.

use std::cell::OnceCell;

use super::{
    Broken,
    fields::{self, Below},
    words::Words,
};
use crate::conformance::{
    block::text,
    script::{Block, Change, Content, Frame, Line, Message, Number, Octets, Padding, Priority, Send, Stream, Template},
    wire::{self, flag, kind},
};

/// What follows the word `send`. An error at line 0 is of this line.
pub(super) fn parse(rest: &str, below: &mut Below<'_>) -> Result<Vec<Send>, Broken> {
    let here = |what: String| (0, what);
    if let Some(said) = rest.strip_prefix("text ") {
        return Ok(vec![Send::Octets(text(said, "").map_err(here)?)]);
    }
    if let Some(octets) = rest.strip_prefix("bytes ") {
        return Ok(vec![Send::Octets(super::words::hex(octets).map_err(here)?)]);
    }
    let mut words = Words::new(rest);
    let name = words.word().unwrap_or_default();
    let sent = match name {
        "preface" => vec![Send::Preface],
        "call" => call(&mut words).map_err(here)?,
        "reply" => reply(&mut words).map_err(here)?,
        "body" => vec![body(&mut words).map_err(here)?],
        _ => {
            let kind = wire::kind_of(name).ok_or_else(|| here(format!("no frame is called {name:?}")))?;
            let carries = matches!(kind, kind::HEADERS | kind::PUSH_PROMISE | kind::CONTINUATION);
            let lines = if carries { fields::lines(below)? } else { Vec::new() };
            vec![Send::Frame(frame(kind, &mut words, lines).map_err(here)?)]
        }
    };
    words.end().map_err(here)?;
    Ok(sent)
}

/// `send call 1 [/path] [open] [payload=N] [reply=N] [count=N] [name=value] [-name]`
fn call(words: &mut Words<'_>) -> Result<Vec<Send>, String> {
    let (stream, open, message) = (words.on()?, words.has("open"), message(words)?);
    let path = words.next_as(|word| word.starts_with('/').then(|| Change::Set(":path".into(), word.into())));
    let mut changes = fields::changes(words)?;
    changes.extend(path);
    let head = block(stream, flag::END_HEADERS, Line::Template(Template::Call, changes));
    Ok(vec![head, Send::Body(after(stream), Octets::Message(message), !open)])
}

/// `send reply 1 [open] [payload=N] [name=value] [-name]`
fn reply(words: &mut Words<'_>) -> Result<Vec<Send>, String> {
    let (stream, open, message) = (words.on()?, words.has("open"), message(words)?);
    let changes = fields::changes(words)?;
    let mut sent = vec![
        block(stream, flag::END_HEADERS, Line::Template(Template::Reply, changes)),
        Send::Body(stream, Octets::Message(message), false),
    ];
    if !open {
        let end = Line::Template(Template::Trailers, Vec::new());
        sent.push(block(stream, flag::END_HEADERS | flag::END_STREAM, end));
    }
    Ok(sent)
}

/// `send body 1 [END_STREAM] zeros=N`
fn body(words: &mut Words<'_>) -> Result<Send, String> {
    let (stream, end) = (words.on()?, words.has("END_STREAM"));
    Ok(Send::Body(stream, octets(words)?.ok_or("what it carries is missing")?, end))
}

/// What a frame of the same script is sent on after one on `stream`.
fn after(stream: Stream) -> Stream {
    if matches!(stream, Stream::Next) { Stream::Last } else { stream }
}

fn block(stream: Stream, flags: u8, line: Line) -> Send {
    let content = Content::Block(Block {
        priority: None,
        promised: None,
        lines: vec![line],
        first: None,
        encoded: OnceCell::new(),
    });
    Send::Frame(Frame { kind: kind::HEADERS, stream, flags, reserved: false, length: None, padding: None, content })
}

fn frame(kind: u8, words: &mut Words<'_>, lines: Vec<Line>) -> Result<Frame, String> {
    let stream = words.stream().unwrap_or(Stream::Id(0));
    let mut flags = words.value("flags").map_or(Ok(0), |value| {
        u8::from_str_radix(value.trim_start_matches("0x"), 16)
            .map_err(|_not_one| format!("flags={value} is no octet in hex"))
    })?;
    let named = [
        ("ACK", flag::ACK),
        ("END_STREAM", flag::END_STREAM),
        ("END_HEADERS", flag::END_HEADERS),
        ("PADDED", flag::PADDED),
        ("PRIORITY", flag::PRIORITY),
    ];
    for (name, bit) in named {
        flags |= if words.has(name) { bit } else { 0 };
    }
    let reserved = words.has("reserved");
    let length = words.number("length")?;
    let padding = match (words.plain("pad")?, words.plain("pad-says")?) {
        (None, None) => None,
        (octets, says) => {
            flags |= flag::PADDED;
            let octets = octets.unwrap_or(0);
            Some(Padding { octets, says: says.unwrap_or(octets) })
        }
    };
    let priority = if kind == kind::HEADERS { priority(words)? } else { None };
    flags |= if priority.is_some() { flag::PRIORITY } else { 0 };
    let content = content(kind, words, lines, priority)?;
    Ok(Frame { kind, stream, flags, reserved, length, padding, content })
}

fn content(kind: u8, words: &mut Words<'_>, lines: Vec<Line>, priority: Option<Priority>) -> Result<Content, String> {
    if let Some(octets) = octets(words)? {
        return Ok(Content::Octets(octets));
    }
    let missing = |what: &str| format!("{what} is missing");
    Ok(match kind {
        kind::HEADERS | kind::PUSH_PROMISE => {
            let promised = words.plain("promised")?;
            Content::Block(Block { priority, promised, lines, first: words.number("first")?, encoded: OnceCell::new() })
        }
        kind::CONTINUATION if !lines.is_empty() => Content::Block(Block {
            priority,
            promised: None,
            lines,
            first: words.number("first")?,
            encoded: OnceCell::new(),
        }),
        kind::CONTINUATION => Content::Rest(words.number("first")?),
        kind::PRIORITY => Content::Priority(super::send::priority(words)?.ok_or_else(|| missing("depends="))?),
        kind::RST_STREAM => Content::Code(*words.codes().first().ok_or_else(|| missing("the error code"))?),
        kind::SETTINGS => Content::Settings(words.settings()?),
        kind::PING => Content::Octets(Octets::Hex(vec![0; 8])),
        kind::GOAWAY => Content::Away {
            last: words.number("last")?.ok_or_else(|| missing("last="))?,
            code: *words.codes().first().ok_or_else(|| missing("the error code"))?,
            debug: words.hex("debug")?.unwrap_or_default(),
        },
        kind::WINDOW_UPDATE => Content::Increment(words.number("increment")?.ok_or_else(|| missing("increment="))?),
        _ => Content::Octets(Octets::Hex(Vec::new())),
    })
}

fn octets(words: &mut Words<'_>) -> Result<Option<Octets>, String> {
    if let Some(octets) = words.hex("hex")? {
        return Ok(Some(Octets::Hex(octets)));
    }
    if let Some(Number(count)) = words.number("zeros")? {
        return Ok(Some(Octets::Zeros(Number(count))));
    }
    if words.has("message") { message(words).map(|message| Some(Octets::Message(message))) } else { Ok(None) }
}

fn message(words: &mut Words<'_>) -> Result<Message, String> {
    Ok(Message {
        payload: words.plain("payload")?.unwrap_or(0),
        reply: words.plain("reply")?.unwrap_or(0),
        count: words.plain("count")?.unwrap_or(1),
    })
}

/// `depends=N [weight=N] [exclusive]`
fn priority(words: &mut Words<'_>) -> Result<Option<Priority>, String> {
    let Some(depends) = words.plain("depends")? else { return Ok(None) };
    Ok(Some(Priority { depends, exclusive: words.has("exclusive"), weight: words.plain("weight")?.unwrap_or(15) }))
}
