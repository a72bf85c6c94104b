//! The runner itself can fail, and says where and why: against a peer that is no gateway but a few octets.

use std::fmt::Write;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{
    parse::parse,
    peer::{Peer, Verdict},
    play::expect::expect,
    script::{Act, Role},
    wire::{self, flag, kind},
};

const HEAD: &str = "# RFC 9113 section 0: nothing\n";

#[track_caller]
fn check_broken(case: &str, line: usize, what: &str) {
    let broken = parse("server/it", &format!("{HEAD}{case}")).expect_err(case);
    assert!(broken.0 == line && broken.1.contains(what), "{case:?}: {broken:?}");
}

#[test]
fn a_case_that_is_not_understood_says_where() {
    check_broken("handshake\nsned PING", 3, "sned");
    check_broken("send PONG", 2, "PONG");
    check_broken("send PING ACKK", 2, "ACKK");
    check_broken("send SETTINGS WINDOW=1", 2, "WINDOW");
    check_broken("send RST_STREAM 1 CANCELLED", 2, "error code");
    check_broken("send DATA 1 zeros=MAX", 2, "MAX");
    check_broken("send DATA 1 hex=012", 2, "012");
    check_broken("send HEADERS 1\n  call\n  no field", 4, "no field");
    check_broken("send HEADERS 1\n  a: \\q", 3, "\\q");
    check_broken("send PING\n  a: b", 3, "belongs to nothing");
    check_broken("repeat 2 {\n  send PING", 2, "}");
    check_broken(" send PING", 2, "1 spaces");
    check_broken("config listen.x = \nhandshake", 2, "");
    check_broken("expect reply 1 status=OK", 2, "status=OK");
    check_broken("", 1, "nothing is done");
    let broken = parse("server/it", "handshake").expect_err("no rule");
    assert!(broken.1.contains("names the rule"), "{broken:?}");
}

/// A frame: type, flags, stream, payload.
type Sent<'a> = (u8, u8, u32, &'a [u8]);

/// Frames as a gateway would send them.
fn frames(frames: &[Sent<'_>]) -> Vec<u8> {
    let mut octets = Vec::new();
    for (kind, flags, stream, payload) in frames {
        wire::write(&mut octets, u32::try_from(payload.len()).unwrap(), (*kind, *flags, *stream), payload);
    }
    octets
}

/// What the runner says of a step when these octets come from a server, and whether it saw a rule broken.
async fn step(text: &str, octets: Vec<u8>) -> (Verdict, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let socket = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let mut server = listener.accept().await.unwrap().0;
    server.write_all(&octets).await.unwrap();
    let mut peer = Peer::new(Role::Client, socket);
    // Stream 1 is open.
    peer.frame(0, (kind::HEADERS, flag::END_HEADERS, 1), &[]);
    peer.flush().await;
    drop(server.read(&mut [0; 64]).await);
    drop(server);
    let case = parse("server/it", &format!("{HEAD}{text}")).unwrap();
    let Act::Expect(expected) = &case.steps[0].act else { panic!("{text} expects nothing") };
    let seen = expect(&mut peer, expected).await;
    let foul = peer.shared.inbox.lock().foul.clone().unwrap_or_default();
    (seen, foul)
}

const SETTINGS: Sent<'_> = (kind::SETTINGS, 0, 0, &[]);

#[tokio::test]
async fn what_came_instead_is_told() {
    let reset = frames(&[SETTINGS, (kind::RST_STREAM, 0, 1, &[0, 0, 0, 8])]);
    assert_eq!(step("expect RST_STREAM 1 CANCEL|NO_ERROR", reset.clone()).await, (Ok(()), String::new()));
    for text in ["expect RST_STREAM 1 PROTOCOL_ERROR", "expect error 1 PROTOCOL_ERROR", "expect HEADERS 1"] {
        let got = step(text, reset.clone()).await.0.expect_err(text);
        assert!(got.contains("RST_STREAM 1 CANCEL"), "{text}: {got}");
    }
    for text in ["expect GOAWAY", "expect alive", "expect window 0 70000", "expect reply 3", "expect body 3 length=1"] {
        let got = step(text, frames(&[SETTINGS])).await.0.expect_err(text);
        assert!(got.contains("the end of the connection"), "{text}: {got}");
    }
}

#[tokio::test]
async fn a_field_that_differs_is_seen() {
    // :status 200, a: b, a: c
    let block = [0x88, 0, 1, b'a', 1, b'b', 0, 1, b'a', 1, b'c'];
    let head = frames(&[SETTINGS, (kind::HEADERS, flag::END_HEADERS, 1, &block)]);
    let check = async |fields: &[&str], right: bool| {
        let mut text = "expect HEADERS 1 -END_STREAM".to_owned();
        fields.iter().for_each(|field| write!(text, "\n  {field}").unwrap());
        assert_eq!(step(&text, head.clone()).await.0.is_ok(), right, "{fields:?}");
    };
    check(&["a: b", ":status: 200", "a: c", "!d"], true).await;
    check(&["a: *"], true).await;
    check(&["a: c"], false).await;
    check(&["a: b", "a: c", "a: *"], false).await;
    check(&["!a"], false).await;
    check(&["d: *"], false).await;
}

#[tokio::test]
async fn a_broken_rule_is_seen_whatever_is_expected() {
    let data: &[u8] = &[0; 20];
    let cases: [(&str, &[Sent<'_>]); 8] = [
        ("before SETTINGS", &[(kind::PING, 0, 0, &[0; 8])]),
        ("PUSH_PROMISE", &[SETTINGS, (kind::PUSH_PROMISE, flag::END_HEADERS, 1, &[0, 0, 0, 2, 0x88])]),
        ("idle", &[SETTINGS, (kind::HEADERS, flag::END_HEADERS, 3, &[0x88])]),
        ("before HEADERS", &[SETTINGS, (kind::DATA, 0, 1, data)]),
        ("after the end", &[SETTINGS, (kind::HEADERS, 5, 1, &[0x88]), (kind::DATA, 0, 1, data)]),
        ("field block", &[SETTINGS, (kind::HEADERS, 0, 1, &[0x88]), (kind::DATA, 0, 1, data)]),
        ("cannot be decoded", &[SETTINGS, (kind::HEADERS, flag::END_HEADERS, 1, &[0xff])]),
        ("may not be sent", &[SETTINGS, (kind::HEADERS, flag::END_HEADERS, 1, &[0x88, 0, 1, b'A', 0])]),
    ];
    for (foul, sent) in cases {
        let seen = step("expect closed", frames(sent)).await;
        assert!(seen.0.is_ok() && seen.1.contains(foul), "{foul}: {seen:?}");
    }
    let flood = vec![0; 16_384];
    let head: Sent<'_> = (kind::HEADERS, flag::END_HEADERS, 1, &[0x88]);
    let sent = frames(&[&[SETTINGS, head][..], &[(kind::DATA, 0, 1, &flood[..]); 4]].concat());
    let foul = step("expect closed", sent).await.1;
    assert!(foul.contains("windows"), "65,536 octets are one too many: {foul}");
}
