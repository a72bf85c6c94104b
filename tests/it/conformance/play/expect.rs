//! Waits for what must come, and says what came instead.

use crate::conformance::{
    block::text,
    inbox::{Field, Got, Inbox},
    peer::{Peer, Verdict},
    script::{Answer, Expect, Number, Pattern, Stream, Wanted},
    wire::{self, flag, kind},
};

/// Waits until it has come.
pub(in crate::conformance) async fn expect(peer: &mut Peer, expected: &Expect) -> Verdict {
    match expected {
        Expect::Frame(pattern) => frame(peer, pattern).await,
        Expect::Error { stream, codes, or_nothing } => error(peer, *stream, codes, *or_nothing).await,
        Expect::Closed => peer.wait(|inbox| inbox.end.is_some().then_some(Ok(()))).await,
        Expect::Alive => alive(peer).await,
        Expect::Nothing(stream) => nothing(peer, *stream).await,
        Expect::Call(stream, open) => call(peer, *stream, *open).await,
        Expect::Reply(stream, answer) => reply(peer, *stream, answer).await,
        Expect::End(stream, answer) => end(peer, *stream, answer).await,
        Expect::Body { stream, length, ended } => body(peer, *stream, length, *ended).await,
        Expect::Window(stream, least) => {
            let stream = peer.stream(*stream);
            peer.wait(|inbox| (inbox.window(stream) >= inbox.value(least, stream)).then_some(Ok(()))).await
        }
        Expect::Preface => peer.wait(|inbox| inbox.preface.then_some(Ok(()))).await,
        Expect::Text(text) => {
            let comes = |inbox: &Inbox| inbox.text.windows(text.len()).any(|part| part == text.as_slice());
            peer.wait(|inbox| comes(inbox).then_some(Ok(()))).await
        }
    }
}

/// Frames that may come on a stream at any time.
fn aside(got: &Got) -> bool {
    matches!(got.kind, kind::WINDOW_UPDATE | kind::PRIORITY | kind::SETTINGS | kind::PING)
        || got.kind > kind::CONTINUATION
}

/// Where the next frame of a stream is; an error if none can come any more.
fn next(inbox: &Inbox, stream: u32, wanted: u8) -> Option<Verdict<usize>> {
    let is_next = |got: &Got| got.stream == stream && (got.kind == wanted || (stream != 0 && !aside(got)));
    let found = inbox.frames.iter().position(is_next).map(Ok);
    found.or_else(|| if wanted == kind::GOAWAY { None } else { inbox.lost().map(Err) })
}

async fn frame(peer: &mut Peer, pattern: &Pattern) -> Verdict {
    let stream = peer.stream(pattern.stream);
    peer.wait(|inbox| {
        // Of the frames of the connection, settings and their acknowledgements have nothing to do with each other.
        if stream == 0 && matches!(pattern.kind, kind::SETTINGS | kind::PING) {
            let same =
                |got: &Got| got.kind == pattern.kind && got.has(pattern.with) && got.flags & pattern.without == 0;
            let got = inbox.first(same)?;
            return Some(fits(inbox, &got, pattern));
        }
        Some(match next(inbox, stream, pattern.kind)? {
            Ok(at) => inbox.frames.remove(at).map_or(Ok(()), |got| fits(inbox, &got, pattern)),
            Err(lost) => Err(lost),
        })
    })
    .await
}

fn fits(inbox: &Inbox, got: &Got, pattern: &Pattern) -> Verdict {
    let number = |number: &Option<Number>, is: usize| {
        number.as_ref().is_none_or(|number| usize::try_from(inbox.value(number, got.stream)) == Ok(is))
    };
    let pairs: Vec<_> =
        got.payload.chunks_exact(6).map(|pair| (wire::word(pair) >> 16, wire::word(&pair[2..]))).collect();
    let setting = |(name, value): &(u16, Number)| {
        pairs.iter().any(|pair| pair.0 == u32::from(*name) && i64::from(pair.1) == inbox.value(value, 0))
    };
    let right = got.kind == pattern.kind
        && got.has(pattern.with)
        && got.flags & pattern.without == 0
        && (pattern.codes.is_empty() || got.code().is_some_and(|code| pattern.codes.contains(&code)))
        && pattern.octets.as_ref().is_none_or(|octets| *octets == got.payload)
        && number(&pattern.length, got.payload.len())
        && pattern.at_least.is_none_or(|least| got.payload.len() >= least)
        && number(&pattern.last, wire::low_31(&got.payload) as usize)
        && number(&pattern.increment, wire::low_31(&got.payload) as usize)
        && pattern.settings.iter().all(setting)
        && has_fields(&got.fields, pattern)?;
    if right { Ok(()) } else { Err(got.to_string()) }
}

/// Whether the wanted fields are there; those of one name always in their order, all of them where the order counts.
fn has_fields(fields: &[Field], pattern: &Pattern) -> Verdict<bool> {
    let mut taken = vec![false; fields.len()];
    let mut from = 0;
    for wanted in &pattern.fields {
        let (name, value) = match wanted {
            Wanted::Is(name, value) => (text(name, "")?, Some(text(value, "")?)),
            Wanted::Present(name) => (text(name, "")?, None),
            Wanted::Absent(name) => {
                if fields.iter().any(|field| field.0 == name.as_bytes()) {
                    return Ok(false);
                }
                continue;
            }
        };
        let is_it = |at: usize| !taken[at] && fields[at].0 == name;
        let Some(at) = (from..fields.len()).find(|at| is_it(*at)) else { return Ok(false) };
        if value.is_some_and(|value| value != fields[at].1) {
            return Ok(false);
        }
        taken[at] = true;
        from = if pattern.ordered { at + 1 } else { 0 };
    }
    Ok(true)
}

async fn error(peer: &mut Peer, stream: Stream, codes: &[u32], or_nothing: bool) -> Verdict {
    let stream = peer.stream(stream);
    let ping = if or_nothing { peer.ping().await } else { Vec::new() };
    peer.wait(|inbox| {
        let reset = |got: &Got| got.kind == kind::RST_STREAM && got.stream == stream;
        let away = |got: &Got| got.kind == kind::GOAWAY && got.code() != Some(0);
        if let Some(got) = inbox.first(|got| reset(got) || away(got)) {
            let right = got.code().is_some_and(|code| codes.contains(&code));
            return Some(if right { Ok(()) } else { Err(got.to_string()) });
        }
        (or_nothing && inbox.first(|got| got.has(flag::ACK) && got.payload == ping).is_some()).then_some(Ok(()))
    })
    .await
}

async fn alive(peer: &mut Peer) -> Verdict {
    let ping = peer.ping().await;
    peer.wait(|inbox| {
        let answer = inbox.first(|got| got.kind == kind::PING && got.has(flag::ACK) && got.payload == ping);
        answer.map(|_| Ok(())).or_else(|| inbox.lost().map(Err))
    })
    .await
}

async fn nothing(peer: &mut Peer, stream: Option<Stream>) -> Verdict {
    alive(peer).await?;
    let stream = stream.map(|stream| peer.stream(stream));
    let inbox = peer.shared.inbox.lock();
    let unwanted = |got: &&Got| !aside(got) && stream.is_none_or(|stream| stream == got.stream);
    inbox.frames.iter().find(unwanted).map_or(Ok(()), |got| Err(got.to_string()))
}

/// Takes all frames of a stream up to its end, or until `enough`.
async fn whole(peer: &mut Peer, stream: u32, enough: impl Fn(&[&Got]) -> bool) -> Verdict<Vec<Got>> {
    peer.wait(|inbox| {
        let of_stream: Vec<_> = inbox.frames.iter().filter(|got| got.stream == stream && !aside(got)).collect();
        if let Some(reset) = of_stream.iter().find(|got| got.kind == kind::RST_STREAM)
            && !of_stream.iter().any(|got| got.ends())
        {
            return Some(Err(reset.to_string()));
        }
        if !of_stream.iter().any(|got| got.ends()) && !enough(&of_stream) {
            return inbox.lost().map(Err);
        }
        let mut taken = Vec::new();
        let mut ended = false;
        while let Some(got) = (!ended).then(|| inbox.first(|got| got.stream == stream && !aside(got))).flatten() {
            ended = got.ends();
            taken.push(got);
        }
        Some(Ok(taken))
    })
    .await
}

/// Whole gRPC messages in DATA frames, or what is wrong with them.
fn messages<'a>(frames: impl IntoIterator<Item = &'a Got>) -> Verdict<(usize, usize)> {
    let octets: Vec<u8> =
        frames.into_iter().filter(|got| got.kind == kind::DATA).flat_map(|got| got.payload.iter().copied()).collect();
    let (mut count, mut at) = (0, 0);
    while at < octets.len() {
        let length = octets.get(at + 1..at + 5).ok_or("part of a message")?;
        at += 5 + wire::word(length) as usize;
        count += 1;
    }
    if at == octets.len() { Ok((count, at)) } else { Err("part of a message".into()) }
}

async fn call(peer: &mut Peer, stream: Stream, open: bool) -> Verdict {
    let stream = peer.stream(stream);
    let some = |frames: &[&Got]| open && messages(frames.iter().copied()).is_ok_and(|(count, _)| count > 0);
    let frames = whole(peer, stream, some).await?;
    let (count, _) = messages(&frames)?;
    let begins = frames.first().is_some_and(|got| got.kind == kind::HEADERS);
    if begins && count > 0 { Ok(()) } else { Err(frames.first().map_or_else(String::new, ToString::to_string)) }
}

async fn reply(peer: &mut Peer, stream: Stream, answer: &Answer) -> Verdict {
    let stream = peer.stream(stream);
    let frames = whole(peer, stream, |_| false).await?;
    let heads: Vec<_> = frames.iter().filter(|got| got.kind == kind::HEADERS).collect();
    let is_final = |got: &&&Got| got.field(":status").is_some_and(|status| !status.starts_with('1'));
    let (Some(head), Some(last)) = (heads.iter().find(is_final), heads.last()) else { return Err("no HEADERS".into()) };
    let (count, length) = messages(&frames)?;
    let status = status(last);
    let right = head.field(":status").is_some_and(|http| answer.http.contains(&http))
        && (answer.http != ["200"] || ends_right(last, answer))
        && (status != Some(0) || count > 0)
        && answer
            .length
            .as_ref()
            .is_none_or(|wanted| usize::try_from(peer.shared.inbox.lock().value(wanted, stream)) == Ok(length));
    if right { Ok(()) } else { Err(format!("{head}, then {length} octets, then {last}")) }
}

async fn end(peer: &mut Peer, stream: Stream, answer: &Answer) -> Verdict {
    let stream = peer.stream(stream);
    let frames = whole(peer, stream, |_| false).await?;
    let last = frames.last().ok_or("nothing")?;
    if last.kind == kind::HEADERS && ends_right(last, answer) { Ok(()) } else { Err(last.to_string()) }
}

fn status(last: &Got) -> Option<u32> {
    last.field("grpc-status")?.parse().ok()
}

/// Whether the status is one of the wanted, and the reason is the gateway's where it must be.
fn ends_right(last: &Got, answer: &Answer) -> bool {
    let reason = last.field("symgate-reason").unwrap_or_default();
    let reason_is_right = match &answer.reasons[..] {
        [] => reason.is_empty(),
        [any] if any == "*" => !reason.is_empty(),
        reasons => reasons.contains(&reason),
    };
    reason_is_right && (answer.statuses.is_empty() || status(last).is_some_and(|it| answer.statuses.contains(&it)))
}

async fn body(peer: &mut Peer, stream: Stream, length: &Number, ended: bool) -> Verdict {
    let stream = peer.stream(stream);
    let (mut came, mut ends) = (0, false);
    peer.wait(|inbox| {
        let wanted = inbox.value(length, stream);
        while came < wanted || (ended && !ends) {
            let at = match next(inbox, stream, kind::DATA)? {
                Ok(at) => at,
                Err(lost) => return Some(Err(format!("{came} octets, then {lost}"))),
            };
            let got = inbox.frames.remove(at)?;
            if got.kind != kind::DATA {
                return Some(Err(format!("{came} octets, then {got}")));
            }
            came += got.payload.len() as i64;
            ends = got.ends();
        }
        Some(if came == wanted { Ok(()) } else { Err(format!("{came} octets")) })
    })
    .await
    .map_err(|got| format!("{came} octets, then {got}"))
}
