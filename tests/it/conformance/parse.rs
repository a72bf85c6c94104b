//! Reads a case from its file; what is not understood is an error with its line, never skipped. The language is
//! described in `tests/conformance/README.md`.

mod expect;
mod fields;
mod send;
mod words;

use std::collections::BTreeSet;

use self::words::Words;
use super::script::{Act, Case, Role, Send, Step, Who};

/// What a first line may begin with: the rule that the case is from.
const SOURCES: [&str; 4] = ["# RFC 9113 section ", "# RFC 7541 section ", "# RFC 9110 section ", "# gRPC over HTTP/2"];
/// Spaces of one level.
const INDENT: usize = 2;

/// A line that is no comment, at its place.
#[derive(Clone, Copy)]
struct Line<'a> {
    number: usize,
    depth: usize,
    text: &'a str,
}

/// Where a file is wrong, and how.
pub(super) type Broken = (usize, String);

/// Reads the text of the case of that name.
pub(super) fn parse(name: &str, text: &str) -> Result<Case, Broken> {
    if !SOURCES.iter().any(|source| text.starts_with(source)) {
        return Err((1, format!("the first line names the rule: {SOURCES:?}")));
    }
    let lines = lines(text)?;
    let mut config = BTreeSet::new();
    let head = lines.iter().take_while(|line| line.text.starts_with("config ")).count();
    for line in &lines[..head] {
        config.insert(setting(line)?);
    }
    let mut rest = lines[head..].iter().peekable();
    let steps = steps(&mut rest, 0)?;
    match rest.next() {
        Some(line) => Err((line.number, format!("{:?} belongs to nothing", line.text))),
        None if steps.is_empty() => Err((1, "nothing is done".into())),
        None => Ok(Case {
            name: name.into(),
            role: role(name).ok_or_else(|| (1, "neither server nor client".into()))?,
            config,
            steps,
        }),
    }
}

/// What `send` with these words sends.
pub(super) fn sends(words: &str) -> Result<Vec<Send>, Broken> {
    send::parse(words, &mut Vec::new())
}

fn role(name: &str) -> Option<Role> {
    name.split('/').find_map(|folder| match folder {
        "server" => Some(Role::Client),
        "client" | "relay" => Some(Role::Instance),
        _ => None,
    })
}

/// `config listen.max_header_bytes = "16KiB"`
fn setting(line: &Line<'_>) -> Result<String, Broken> {
    let setting = line.text.trim_start_matches("config ").trim();
    setting.parse::<toml::Table>().map_err(|error| (line.number, error.message().to_owned()))?;
    Ok(setting.to_owned())
}

fn lines(text: &str) -> Result<Vec<Line<'_>>, Broken> {
    let mut lines = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let spaces = line.len() - line.trim_start().len();
        let text = line.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        if !spaces.is_multiple_of(INDENT) {
            return Err((at + 1, format!("{spaces} spaces; {INDENT} make a level")));
        }
        lines.push(Line { number: at + 1, depth: spaces / INDENT, text });
    }
    Ok(lines)
}

type Lines<'a, 'b> = std::iter::Peekable<std::slice::Iter<'b, Line<'a>>>;

/// The steps of one level.
fn steps(lines: &mut Lines<'_, '_>, depth: usize) -> Result<Vec<Step>, Broken> {
    let mut steps = Vec::new();
    while let Some(line) = lines.next_if(|line| line.depth == depth && line.text != "}") {
        steps.push(step(*line, lines)?);
    }
    Ok(steps)
}

/// A step with the lines below it.
fn step(line: Line<'_>, lines: &mut Lines<'_, '_>) -> Result<Step, Broken> {
    let at = |what: String| (line.number, what);
    let text = line.text.split("  #").next().unwrap_or_default().trim_end();
    let (who, text) = match text.strip_prefix("caller ") {
        Some(text) => (Who::Caller, text),
        None => (Who::Player, text),
    };
    if let Some(times) = text.strip_prefix("repeat ").and_then(|rest| rest.strip_suffix(" {")) {
        let times = times.parse().map_err(|_not_one| at(format!("{times:?} is no number")))?;
        let steps = steps(lines, line.depth + 1)?;
        let closed = lines.next_if(|end| end.depth == line.depth && end.text == "}").is_some();
        let act = if closed { Act::Repeat(times, steps) } else { return Err(at("no } ends this".into())) };
        return Ok(Step { line: line.number, who, act });
    }
    let mut fields = Vec::new();
    while let Some(field) = lines.next_if(|next| next.depth == line.depth + 1) {
        fields.push((field.number, field.text));
    }
    let act = match text.split_once(' ') {
        Some(("send", rest)) => {
            Act::Send(send::parse(rest, &mut fields).map_err(|broken| within(line.number, broken))?)
        }
        Some(("expect", rest)) => {
            Act::Expect(expect::parse(rest, &mut fields).map_err(|broken| within(line.number, broken))?)
        }
        _ => other(text).map_err(at)?,
    };
    match fields.first() {
        Some((number, text)) => Err((*number, format!("{text:?} belongs to nothing"))),
        None => Ok(Step { line: line.number, who, act }),
    }
}

/// An error that knows its line keeps it.
fn within(line: usize, (at, what): Broken) -> Broken {
    (if at == 0 { line } else { at }, what)
}

/// Steps that are neither `send` nor `expect`.
fn other(text: &str) -> Result<Act, String> {
    let mut words = Words::new(text);
    let act = match words.word().unwrap_or_default() {
        "accept" => Act::Accept,
        "begin" => Act::Begin(words.settings()?),
        "handshake" => Act::Handshake(words.settings()?),
        "close" => Act::Close,
        "terminate" => Act::Terminate,
        "pace" => Act::Pace(words.count()?),
        "ok" => words.phrase("call").map(|()| Act::OkCall)?,
        "others" => words.phrase("ok").map(|()| Act::OthersOk)?,
        "stop" => words.phrase("reading").map(|()| Act::Reading(false))?,
        "go" => words.phrase("on reading").map(|()| Act::Reading(true))?,
        "spare" if words.is_empty() => Act::Spare,
        "spare" => words.phrase("calls").and_then(|()| words.count()).map(Act::SpareCalls)?,
        "deliveries" => Act::Deliveries(words.count()?),
        "memory" => {
            words.phrase("grows less than")?;
            let mebibytes: u64 = words.count()?;
            words.phrase("MiB")?;
            Act::Memory(mebibytes << 20)
        }
        unknown => return Err(format!("no step begins with {unknown:?}")),
    };
    words.end()?;
    Ok(act)
}
