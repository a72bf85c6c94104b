//! Requests as a server reads them, and replies as it writes them.

use super::*;

#[test]
fn a_call_goes_from_head_to_trailers() {
    let mut rig = Rig::server();
    rig.request(1, false);
    assert_eq!(rig.hears(&data(1, b"ask", true)), [Heard::Data { token: 10, bytes: b"ask".into(), end: true }]);
    rig.respond(1, OK, false);
    assert_eq!(rig.connection.send_data(1, b"answer", false), 6, "nothing waits");
    rig.trailers(1, "grpc-status: 0");
    let expected = [
        Said::Head { stream: 1, head: OK.into(), end: false },
        Said::Data { stream: 1, bytes: b"answer".into(), end: false },
        Said::Head { stream: 1, head: "grpc-status: 0".into(), end: true },
    ];
    assert_eq!(rig.said(), expected);
    assert_eq!(rig.connection.streams(), 0);
    rig.holds_nothing();
}

#[test]
fn a_reply_may_be_trailers_only() {
    let mut rig = Rig::server();
    rig.request(1, true);
    rig.respond(1, ":status: 200, grpc-status: 12", true);
    let head = Said::Head { stream: 1, head: ":status: 200, grpc-status: 12".into(), end: true };
    assert_eq!(rig.said(), [head], "and no RST_STREAM: the client is done, too");
    assert_eq!(rig.connection.streams(), 0);
}

#[test]
fn a_client_that_still_sends_is_told_to_stop_when_the_reply_is_whole() {
    let mut rig = Rig::server();
    rig.request(1, false);
    rig.respond(1, OK, true);
    let head = Said::Head { stream: 1, head: OK.into(), end: true };
    assert_eq!(rig.said(), [head, Said::Reset(1, Code::NO_ERROR)]);
    assert_eq!(rig.hears(&data(1, b"late", true)), []);
    assert_eq!(rig.said(), []);
    rig.holds_nothing();
}

#[test]
fn an_empty_frame_may_end_a_body() {
    let mut rig = Rig::server();
    rig.request(1, false);
    rig.hears(&data(1, b"x", false));
    assert_eq!(rig.hears(&data(1, b"", true)), [Heard::Data { token: 10, bytes: vec![], end: true }]);
    rig.respond(1, OK, false);
    rig.connection.send_data(1, b"y", false);
    rig.said();
    rig.connection.send_data(1, b"", true);
    assert_eq!(rig.said(), [Said::Data { stream: 1, bytes: vec![], end: true }]);
    assert_eq!(rig.connection.streams(), 0);
}

#[test]
fn a_client_may_send_trailers() {
    let mut rig = Rig::server();
    rig.request(1, false);
    let trailers = rig.head(1, "a: b", true);
    assert_eq!(rig.hears(&trailers), [Heard::Trailers { token: 10, trailers: "a: b".into() }]);
    rig.respond(1, OK, true);
    assert_eq!(rig.connection.streams(), 0);
}

#[test]
fn a_header_block_comes_in_any_pieces() {
    for first in [0, 1, 7] {
        let mut rig = Rig::server();
        let block = rig.block(POST);
        let (one, rest) = block.split_at(first);
        let (two, three) = rest.split_at(3);
        let bytes = [
            frame(kind::HEADERS, flag::END_STREAM, 1, one),
            frame(kind::CONTINUATION, 0, 1, two),
            frame(kind::CONTINUATION, 0, 1, b""),
            frame(kind::CONTINUATION, flag::END_HEADERS, 1, three),
        ];
        assert_eq!(rig.hears(&bytes.concat()), [Heard::Request { stream: 1, head: POST.into(), end: true }]);
    }
}

#[test]
fn padding_and_priorities_are_taken_off() {
    let mut rig = Rig::server();
    let block = rig.block(POST);
    let payload = [&[3][..], &[0x80, 0, 0, 1, 15], &block, &[0; 3]].concat();
    let flags = flag::PADDED | flag::PRIORITY | flag::END_HEADERS;
    let heard = rig.hears(&frame(kind::HEADERS, flags, 1, &payload));
    assert_eq!(heard, [Heard::Request { stream: 1, head: POST.into(), end: false }]);
    rig.connection.bind(1, 10);
    let heard = rig.hears(&frame(kind::DATA, flag::PADDED | flag::END_STREAM, 1, b"\x02xy\0\0"));
    assert_eq!(heard, [Heard::Data { token: 10, bytes: b"xy".into(), end: true }]);
    assert_eq!(rig.connection.credit.held(), 2, "the padding is given back");
}

#[test]
fn priorities_are_ignored_wherever_they_come() {
    let mut rig = Rig::server();
    rig.request(3, false);
    for stream in [1, 3, 5, 4] {
        assert_eq!(rig.hears(&frame(kind::PRIORITY, 0, stream, &[0, 0, 0, 7, 1])), [], "on stream {stream}");
        let itself = [&stream.to_be_bytes()[..], &[1]].concat();
        assert_eq!(rig.hears(&frame(kind::PRIORITY, 0, stream, &itself)), [], "on stream {stream}, on itself");
    }
    assert_eq!(rig.said(), []);
    rig.request(5, false);
}

#[test]
fn frames_and_flags_that_nobody_knows_are_ignored() {
    let mut rig = Rig::server();
    rig.request(1, false);
    assert_eq!(rig.hears(&frame(0xfe, 0xff, 0, b"what")), []);
    assert_eq!(rig.hears(&frame(0x0a, 0, 1, &[0; 100])), []);
    assert_eq!(
        rig.hears(&frame(kind::DATA, 0xf6, 1, b"x")),
        [Heard::Data { token: 10, bytes: b"x".into(), end: false }]
    );
}

#[test]
fn bytes_come_in_any_portions() {
    let mut rig = Rig::new(Connection::server(LIMITS));
    let head = rig.head(1, POST, false);
    let bytes = [PREFACE, &settings(&[(3, 9)]), &head, &data(1, b"hello", true)].concat();
    let mut fields = Fields::new();
    let mut came = Vec::new();
    let mut heard = 0;
    for byte in bytes {
        came.push(byte);
        let mut rest = &came[..];
        while let Some(event) = rig.connection.receive(&mut rest, &mut fields).expect("valid") {
            if let Event::Request { stream, .. } = event {
                assert_eq!(text(&fields), POST);
                rig.connection.bind(stream, 10);
            }
            heard += 1;
        }
        came = rest.to_vec();
    }
    assert_eq!((heard, came.len()), (3, 0), "settings, head and data");
}

#[test]
fn streams_interleave_up_to_the_limit_and_no_further() {
    let mut rig = Rig::server();
    for stream in [1, 3, 7, 9] {
        rig.request(stream, false);
    }
    let (fifth, late) = (rig.head(11, POST, false), data(11, b"late", true));
    assert_eq!(rig.hears(&[fifth, late].concat()), [Heard::Refused]);
    assert_eq!(rig.said(), [Said::Reset(11, Code::REFUSED_STREAM)]);
    rig.holds_nothing();
    for stream in [9, 1, 7, 3] {
        let heard = Heard::Data { token: token(stream), bytes: vec![stream as u8], end: false };
        assert_eq!(rig.hears(&data(stream, &[stream as u8], false)), [heard]);
    }
    rig.connection.reset(7, Code::CANCEL);
    rig.request(13, true);
    assert_eq!(rig.connection.streams(), 4);
}

#[test]
fn a_header_list_over_the_limit_is_told_of_and_can_be_answered() {
    let mut rig = Rig::server();
    let long = format!("{POST}, long: {}", "x".repeat(4096));
    let head = rig.head(1, &long, false);
    assert_eq!(rig.hears(&head), [Heard::TooLarge(1)]);
    assert_eq!(rig.hears(&data(1, b"body", false)), [], "of a stream without a name nothing is told");
    rig.respond(1, OK, true);
    let reply = Said::Head { stream: 1, head: OK.into(), end: true };
    assert_eq!(rig.said(), [reply, Said::Reset(1, Code::NO_ERROR)]);
    rig.holds_nothing();
    let again = rig.head(3, &long, true);
    assert_eq!(rig.hears(&again), [Heard::TooLarge(3)]);
    rig.request(5, true);
}

#[test]
fn a_head_larger_than_a_frame_is_continued() {
    let mut rig = Rig::server();
    rig.request(1, true);
    let long = format!("{OK}, long: {}", "x".repeat(40_000));
    rig.respond(1, &long, true);
    assert_eq!(split(rig.connection.output()).len(), 3);
    assert_eq!(rig.said(), [Said::Head { stream: 1, head: long, end: true }]);
}

#[test]
fn interim_responses_go_out_before_the_one_that_counts() {
    let mut rig = Rig::server();
    rig.request(1, true);
    rig.respond(1, ":status: 103", false);
    rig.respond(1, OK, true);
    let head = |head: &str, end| Said::Head { stream: 1, head: head.into(), end };
    assert_eq!(rig.said(), [head(":status: 103", false), head(OK, true)]);
}

#[test]
fn a_body_is_as_long_as_content_length_says() {
    let posts = |length: u32| format!("{POST}, content-length: {length}");
    let why = "a body that is not as long as content-length says";
    for (length, body, good) in [(3, "abc", true), (3, "ab", false), (3, "abcd", false), (0, "", true), (0, "x", false)]
    {
        let mut rig = Rig::server();
        let head = rig.head(1, &posts(length), false);
        rig.hears(&head);
        rig.connection.bind(1, 10);
        let heard = rig.hears(&data(1, body.as_bytes(), true));
        if good {
            assert_eq!(heard, [Heard::Data { token: 10, bytes: body.into(), end: true }]);
        } else {
            assert_eq!(heard, [Heard::Reset(10, Reset::Broken(why))], "{length}, {body}");
            assert_eq!(rig.said(), [Said::Reset(1, Code::PROTOCOL_ERROR)]);
            rig.holds_nothing();
        }
    }
    let mut rig = Rig::server();
    let head = rig.head(1, &posts(1), true);
    assert_eq!(rig.hears(&head), [Heard::Refused], "it ends before its body");
    assert_eq!(rig.said(), [Said::Reset(1, Code::PROTOCOL_ERROR)]);
    let head = rig.head(3, &posts(1), false);
    let trailers = rig.head(3, "a: b", true);
    rig.hears(&head);
    rig.connection.bind(3, 30);
    assert_eq!(rig.hears(&trailers), [Heard::Reset(30, Reset::Broken(why))]);
}
