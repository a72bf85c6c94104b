//! Frames of a script as octets.

use symgate_tests::pb::{KlineReply, KlineRequest};

use crate::conformance::{
    block,
    peer::{Peer, Verdict},
    script::{Block, Content, Frame, Message, Number, Octets, Priority, Role, Send, Setting},
    wire::{PREFACE, kind, setting},
};

/// Sends at once.
pub(super) async fn send(peer: &mut Peer, sends: &[Send], symbol: &str) -> Verdict {
    gather(peer, sends, symbol)?;
    peer.flush().await;
    Ok(())
}

/// Puts frames into what is sent soon.
pub(super) fn gather(peer: &mut Peer, sends: &[Send], symbol: &str) -> Verdict {
    for send in sends {
        match send {
            Send::Preface => peer.unsent.extend_from_slice(PREFACE),
            Send::Octets(octets) => peer.unsent.extend_from_slice(octets),
            Send::Frame(frame) => one(peer, frame, symbol)?,
            Send::Body(stream, content, ended) => {
                let stream = peer.stream(*stream);
                let content = octets(peer, content, stream, symbol)?;
                let most = peer.shared.inbox.lock().setting(setting::MAX_FRAME_SIZE) as usize;
                let pieces = content.len().div_ceil(most).max(1);
                for at in 0..pieces {
                    let piece = &content[at * most..content.len().min((at + 1) * most)];
                    let flags = u8::from(*ended && at + 1 == pieces);
                    peer.frame(length(piece), (kind::DATA, flags, stream), piece);
                }
            }
        }
    }
    Ok(())
}

/// Puts a SETTINGS frame into what is sent soon.
pub(super) fn settings(peer: &mut Peer, settings: &[Setting]) {
    let payload = encoded(peer, settings);
    peer.frame(length(&payload), (kind::SETTINGS, 0, 0), &payload);
}

fn encoded(peer: &Peer, settings: &[Setting]) -> Vec<u8> {
    let pair = |(name, value): &Setting| [&name.to_be_bytes()[..], &word(peer, value, 0).to_be_bytes()].concat();
    settings.iter().flat_map(pair).collect()
}

fn one(peer: &mut Peer, frame: &Frame, symbol: &str) -> Verdict {
    let stream = peer.stream(frame.stream);
    let mut payload = content(peer, &frame.content, stream, symbol)?;
    if let Some(padding) = frame.padding {
        payload.insert(0, padding.says);
        payload.extend(vec![0; usize::from(padding.octets)]);
    }
    let length = frame.length.as_ref().map_or_else(|| length(&payload), |length| word(peer, length, stream));
    let reserved = u32::from(frame.reserved) << 31;
    peer.frame(length, (frame.kind, frame.flags, stream | reserved), &payload);
    Ok(())
}

fn content(peer: &mut Peer, content: &Content, stream: u32, symbol: &str) -> Verdict<Vec<u8>> {
    Ok(match content {
        Content::Octets(content) => octets(peer, content, stream, symbol)?,
        Content::Settings(settings) => encoded(peer, settings),
        Content::Block(block) => fields(peer, block, symbol)?,
        Content::Rest(first) => {
            let rest = std::mem::take(&mut peer.rest);
            cut(peer, rest, first.as_ref())
        }
        Content::Priority(priority) => prioritised(*priority),
        Content::Code(code) => code.to_be_bytes().to_vec(),
        Content::Away { last, code, debug } => {
            [&word(peer, last, stream).to_be_bytes()[..], &code.to_be_bytes(), debug].concat()
        }
        Content::Increment(increment) => word(peer, increment, stream).to_be_bytes().to_vec(),
    })
}

fn fields(peer: &mut Peer, block: &Block, symbol: &str) -> Verdict<Vec<u8>> {
    if block.encoded.get().is_none() {
        // Never set before: nobody else plays this case.
        drop(block.encoded.set(block::encode(&block.lines, symbol)?));
    }
    let encoded = block.encoded.get().cloned().unwrap_or_default();
    let mut payload = block.priority.map_or_else(Vec::new, prioritised);
    payload.extend(block.promised.map(u32::to_be_bytes).into_iter().flatten());
    payload.extend(cut(peer, encoded, block.first.as_ref()));
    Ok(payload)
}

/// The first octets of a block; the rest is kept.
fn cut(peer: &mut Peer, mut block: Vec<u8>, first: Option<&Number>) -> Vec<u8> {
    if let Some(first) = first {
        peer.rest = block.split_off(block.len().min(word(peer, first, 0) as usize));
    }
    block
}

fn prioritised(priority: Priority) -> Vec<u8> {
    let depends = priority.depends | (u32::from(priority.exclusive) << 31);
    [&depends.to_be_bytes()[..], &[priority.weight]].concat()
}

fn octets(peer: &Peer, octets: &Octets, stream: u32, symbol: &str) -> Verdict<Vec<u8>> {
    Ok(match octets {
        Octets::Hex(octets) => octets.clone(),
        Octets::Zeros(count) => {
            let count = peer.shared.inbox.lock().value(count, stream);
            vec![0; usize::try_from(count).map_err(|_negative| format!("{count} octets cannot be sent"))?]
        }
        Octets::Message(message) if peer.role == Role::Client => request(message, symbol),
        Octets::Message(message) => reply(message, symbol),
    })
}

fn request(message: &Message, symbol: &str) -> Vec<u8> {
    let request = KlineRequest {
        symbol: symbol.into(),
        count: message.count,
        reply_bytes: message.reply,
        payload: vec![7; message.payload].into(),
        ..KlineRequest::default()
    };
    symgate_tests::raw::framed(&request).to_vec()
}

fn reply(message: &Message, symbol: &str) -> Vec<u8> {
    let payload = vec![7; message.payload].into();
    symgate_tests::raw::framed(&KlineReply { symbol: symbol.into(), payload, ..KlineReply::default() }).to_vec()
}

fn word(peer: &Peer, number: &Number, stream: u32) -> u32 {
    let value = peer.shared.inbox.lock().value(number, stream);
    // Too large and too small become what the field can hold.
    u32::try_from(value.clamp(0, i64::from(u32::MAX))).unwrap_or(u32::MAX)
}

fn length(payload: &[u8]) -> u32 {
    u32::try_from(payload.len()).unwrap_or(u32::MAX)
}
