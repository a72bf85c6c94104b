//! What a peer must not send: each gets the error of RFC 9113, and only who is at fault pays.

use super::*;

/// Streams 1 and 3 are open, 5 ended, 7 was reset by the client, 9 by the server, 11 and above were never opened.
fn server() -> Rig {
    let mut rig = Rig::server();
    rig.request(1, false);
    rig.request(3, false);
    rig.request(5, true);
    rig.respond(5, OK, true);
    rig.request(7, false);
    rig.hears(&reset(7, Code::CANCEL));
    rig.request(9, false);
    rig.connection.reset(9, Code::CANCEL);
    rig.said();
    rig
}

#[track_caller]
fn ends_the_connection(bytes: &[u8], code: Code) {
    let mut rig = server();
    assert_eq!(rig.fault(bytes), code);
    let fault = Fault::new(code, "because");
    rig.connection.fail(&fault);
    assert_eq!(rig.said().pop(), Some(Said::GoAway(9, code, "because".into())));
}

/// Stream 1 breaks a rule; stream 3 is as before.
#[track_caller]
fn ends_the_stream(bytes: &[u8], code: Code) {
    let mut rig = server();
    let heard = rig.hears(bytes);
    assert!(matches!(heard[..], [Heard::Reset(10, Reset::Broken(_))]), "{heard:?}");
    assert_eq!(rig.said(), [Said::Reset(1, code)]);
    rig.holds_nothing();
    is_unharmed(&mut rig);
}

#[track_caller]
fn is_ignored(bytes: &[u8]) {
    let mut rig = server();
    assert_eq!(rig.hears(bytes), []);
    assert_eq!(rig.said(), []);
    rig.holds_nothing();
    is_unharmed(&mut rig);
}

#[track_caller]
fn is_unharmed(rig: &mut Rig) {
    let heard = Heard::Data { token: 30, bytes: b"still".into(), end: true };
    assert_eq!(rig.hears(&data(3, b"still", true)), [heard]);
    rig.respond(3, OK, true);
    assert_eq!(rig.said(), [Said::Head { stream: 3, head: OK.into(), end: true }]);
    rig.request(11, true);
}

fn head(list: &str) -> Vec<u8> {
    head_of(1, list, true)
}

fn head_of(stream: u32, list: &str, end: bool) -> Vec<u8> {
    // The block of a peer that uses no table: it fits any connection.
    let mut block = Vec::new();
    for field in fields(list).iter() {
        block.extend(
            [&[0x10, field.name.len() as u8][..], field.name, &[field.value.len() as u8], field.value].concat(),
        );
    }
    frame(kind::HEADERS, flag::END_HEADERS | if end { flag::END_STREAM } else { 0 }, stream, &block)
}

#[test]
fn a_client_begins_with_its_preface_and_settings() {
    let mut rig = Rig::new(Connection::server(LIMITS));
    assert_eq!(rig.connection.receive(&mut &PREFACE[..20], &mut Fields::new()), Ok(None), "half a preface");
    for bytes in [&b"GET / HTTP/1.1\r\n"[..], b"PRI * HTTP/2.0\r\n\r\nSN"] {
        let mut rig = Rig::new(Connection::server(LIMITS));
        assert_eq!(rig.fault(bytes), Code::PROTOCOL_ERROR);
    }
    for first in [ping(&[0; 8], false), frame(kind::SETTINGS, flag::ACK, 0, b""), head_of(1, POST, true)] {
        let mut rig = Rig::new(Connection::server(LIMITS));
        assert_eq!(rig.fault(&[PREFACE, &first].concat()), Code::PROTOCOL_ERROR);
    }
    assert_eq!(Rig::new(Connection::client(LIMITS)).fault(&go_away(0, Code::NO_ERROR)), Code::PROTOCOL_ERROR);
    assert_eq!(rig.fault(b"PRI * HTTP/1"), Code::PROTOCOL_ERROR);
}

#[test]
fn a_frame_of_a_wrong_size_ends_the_connection() {
    let size = Code::FRAME_SIZE_ERROR;
    ends_the_connection(&[0, 0x40, 1, 0, 0, 0, 0, 0, 1], size);
    ends_the_connection(&frame(kind::PING, 0, 0, &[0; 7]), size);
    ends_the_connection(&frame(kind::PING, flag::ACK, 0, &[0; 9]), size);
    ends_the_connection(&frame(kind::SETTINGS, 0, 0, &[0; 5]), size);
    ends_the_connection(&frame(kind::SETTINGS, flag::ACK, 0, &[0; 6]), size);
    ends_the_connection(&frame(kind::WINDOW_UPDATE, 0, 0, &[0; 3]), size);
    ends_the_connection(&frame(kind::WINDOW_UPDATE, 0, 1, &[0; 5]), size);
    ends_the_connection(&frame(kind::RST_STREAM, 0, 1, &[0; 3]), size);
    ends_the_connection(&frame(kind::GOAWAY, 0, 0, &[0; 7]), size);
    ends_the_connection(&frame(kind::PRIORITY, 0, 11, &[0; 4]), size);
    ends_the_connection(&frame(kind::DATA, flag::PADDED, 1, b""), size);
    ends_the_connection(&frame(kind::HEADERS, flag::PADDED | flag::END_HEADERS, 11, b""), size);
    ends_the_connection(&frame(kind::HEADERS, flag::PRIORITY | flag::END_HEADERS, 11, &[0; 4]), size);
}

#[test]
fn a_frame_on_a_wrong_stream_ends_the_connection() {
    let protocol = Code::PROTOCOL_ERROR;
    ends_the_connection(&data(0, b"x", false), protocol);
    ends_the_connection(&head_of(0, POST, true), protocol);
    ends_the_connection(&frame(kind::PRIORITY, 0, 0, &[0; 5]), protocol);
    ends_the_connection(&reset(0, Code::CANCEL), protocol);
    ends_the_connection(&frame(kind::CONTINUATION, flag::END_HEADERS, 0, b""), protocol);
    ends_the_connection(&frame(kind::SETTINGS, 0, 1, b""), protocol);
    ends_the_connection(&frame(kind::PING, 0, 1, &[0; 8]), protocol);
    ends_the_connection(&frame(kind::GOAWAY, 0, 1, &[0; 8]), protocol);
    ends_the_connection(&frame(kind::PUSH_PROMISE, flag::END_HEADERS, 1, &[0, 0, 0, 2]), protocol);
}

#[test]
fn a_stream_that_was_never_opened_takes_only_a_head() {
    let protocol = Code::PROTOCOL_ERROR;
    for stream in [11, 2] {
        ends_the_connection(&data(stream, b"x", false), protocol);
        ends_the_connection(&reset(stream, Code::CANCEL), protocol);
        ends_the_connection(&window(stream, 1), protocol);
    }
    ends_the_connection(&head_of(2, POST, true), protocol);
}

#[test]
fn a_stream_number_is_used_once_and_only_grows() {
    let mut rig = Rig::server();
    rig.request(3, true);
    let older = rig.head(1, POST, true);
    assert_eq!(rig.fault(&older), Code::PROTOCOL_ERROR);
    ends_the_connection(&head_of(5, POST, true), Code::STREAM_CLOSED);
    ends_the_connection(&head_of(7, POST, true), Code::STREAM_CLOSED);
}

#[test]
fn a_header_block_is_not_interrupted() {
    let protocol = Code::PROTOCOL_ERROR;
    let begin = frame(kind::HEADERS, 0, 11, b"");
    for other in [
        data(1, b"x", false),
        head_of(11, POST, true),
        ping(&[0; 8], false),
        settings(&[]),
        frame(0xfe, 0, 11, b""),
        frame(kind::CONTINUATION, flag::END_HEADERS, 1, b""),
    ] {
        ends_the_connection(&[begin.clone(), other].concat(), protocol);
    }
    ends_the_connection(&frame(kind::CONTINUATION, flag::END_HEADERS, 1, b""), protocol);
    let whole = [head_of(1, "", true), frame(kind::CONTINUATION, flag::END_HEADERS, 1, b"")].concat();
    ends_the_connection(&whole, protocol);
}

#[test]
fn a_header_block_has_an_end() {
    let calm = Code::ENHANCE_YOUR_CALM;
    let begin = frame(kind::HEADERS, 0, 11, b"");
    let large = frame(kind::CONTINUATION, 0, 11, &[0; 16_000]);
    ends_the_connection(&[&begin[..], &large, &large].concat(), calm);
    let small = frame(kind::CONTINUATION, 0, 11, b"\0");
    ends_the_connection(&[&begin[..], &small.repeat(200)].concat(), calm);
    let empty = frame(kind::CONTINUATION, 0, 11, b"");
    ends_the_connection(&[&begin[..], &empty.repeat(201)].concat(), calm);
}

#[test]
fn a_header_block_that_cannot_be_decompressed_ends_the_connection() {
    for stream in [1, 5, 7, 9, 11] {
        for block in [&b"\xff\xff\xff"[..], b"\xfe", b"\x40\x05a", b"\x3f\xe2\x1f"] {
            let bytes = frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, stream, block);
            ends_the_connection(&bytes, Code::COMPRESSION_ERROR);
        }
    }
}

#[test]
fn padding_that_is_longer_than_its_frame_ends_the_connection() {
    ends_the_connection(&frame(kind::DATA, flag::PADDED, 1, &[1]), Code::PROTOCOL_ERROR);
    ends_the_connection(&frame(kind::HEADERS, flag::PADDED | flag::END_HEADERS, 11, &[2, 0]), Code::PROTOCOL_ERROR);
}

#[test]
fn a_window_that_grows_too_large_ends_what_it_belongs_to() {
    let flow = Code::FLOW_CONTROL_ERROR;
    ends_the_connection(&window(0, 0x7fff_ffff), flow);
    ends_the_connection(&window(0, 0), Code::PROTOCOL_ERROR);
    ends_the_connection(&settings(&[(4, 0x8000_0000)]), flow);
    ends_the_connection(&[window(1, 0x7fff_0000), settings(&[(4, 0x7fff_ffff)])].concat(), flow);
    ends_the_stream(&window(1, 0x7fff_ffff), flow);
    ends_the_stream(&window(1, 0), Code::PROTOCOL_ERROR);
    ends_the_stream(&[window(1, 0x7fff_0000), window(1, 0x1_0000)].concat(), flow);
}

#[test]
fn more_data_than_the_windows_allow_ends_what_they_belong_to() {
    let mut rig = server();
    for _ in 0..6 {
        rig.hears(&data(1, &[0; 16_000], false));
    }
    let heard = rig.hears(&data(1, &[0; 4001], false));
    assert_eq!(heard, [Heard::Reset(10, Reset::Broken("DATA over the stream's window"))]);
    assert!(rig.said().contains(&Said::Reset(1, Code::FLOW_CONTROL_ERROR)));
    rig.holds_nothing();

    let mut rig = server();
    for stream in [1, 1, 1, 1, 1, 3, 3, 3, 3] {
        rig.hears(&data(stream, &[0; 16_000], false));
    }
    rig.hears(&data(3, &[0; 6_000], false));
    assert_eq!(rig.said(), []);
    assert_eq!(rig.fault(&data(3, &[0], false)), Code::FLOW_CONTROL_ERROR, "150,000 bytes are held");
}

#[test]
fn a_stream_that_the_client_ended_takes_no_more() {
    for more in [data(1, b"x", false), data(1, b"", true), head_of(1, "a: b", true)] {
        ends_the_stream_behind_its_end(&more);
    }
}

#[track_caller]
fn ends_the_stream_behind_its_end(more: &[u8]) {
    let mut rig = server();
    rig.hears(&data(1, b"", true));
    let heard = rig.hears(more);
    assert!(matches!(heard[..], [Heard::Reset(10, Reset::Broken(_))]), "{heard:?}");
    assert_eq!(rig.said(), [Said::Reset(1, Code::STREAM_CLOSED)]);
    is_unharmed(&mut rig);
}

#[test]
fn data_on_a_stream_that_has_ended_is_told_to_be_wrong_and_harms_nobody() {
    for stream in [5, 7] {
        let mut rig = server();
        assert_eq!(rig.hears(&data(stream, b"x", false)), [Heard::Refused]);
        assert_eq!(rig.said(), [Said::Reset(stream, Code::STREAM_CLOSED)]);
        assert_eq!(rig.hears(&data(stream, b"x", false)), []);
        assert_eq!(rig.said(), [], "once is enough");
        rig.holds_nothing();
        is_unharmed(&mut rig);
    }
}

#[test]
fn what_comes_late_is_ignored() {
    is_ignored(&data(9, b"late", true));
    is_ignored(&head_of(9, "a: b", true));
    is_ignored(&reset(9, Code::CANCEL));
    for stream in [5, 7, 9] {
        is_ignored(&window(stream, 1));
        is_ignored(&frame(kind::PRIORITY, 0, stream, &[0; 5]));
        is_ignored(&reset(stream, Code::CANCEL));
    }
}

#[test]
fn trailers_that_are_none_end_the_stream() {
    let protocol = Code::PROTOCOL_ERROR;
    ends_the_stream(&head_of(1, "a: b", false), protocol);
    ends_the_stream(&head(":status: 200"), protocol);
    ends_the_stream(&head("A: b"), protocol);
    ends_the_stream(&head("connection: close"), protocol);
    let large = ["a: ", &"x".repeat(100), ", "].concat().repeat(40);
    ends_the_stream(&head(&large), protocol);
    ends_the_stream(&frame(kind::PRIORITY, 0, 1, &[0; 6]), Code::FRAME_SIZE_ERROR);
}

#[test]
fn a_request_that_is_malformed_is_reset_and_not_told_of() {
    for list in [
        ":method: POST, :scheme: http",
        ":scheme: http, :path: /",
        ":method: POST, :scheme: http, :path: /, :path: /",
        ":method: POST, :scheme: http, :path: /, :status: 200",
        ":method: POST, :scheme: http, a: b, :path: /",
        ":method: POST, :scheme: http, :path: /, te: gzip",
        ":method: POST, :scheme: http, :path: /, UPPER: b",
        ":method: POST, :scheme: http, :path: /, a: b\r\nc",
        ":method: POST, :scheme: http, :path: /, content-length: many",
        "a: b",
        "",
    ] {
        let mut rig = server();
        assert_eq!(rig.hears(&head_of(11, list, false)), [Heard::Refused], "{list}");
        assert_eq!(rig.said(), [Said::Reset(11, Code::PROTOCOL_ERROR)], "{list}");
        assert_eq!(rig.hears(&data(11, b"late", true)), [], "{list}");
        rig.holds_nothing();
        assert_eq!(rig.connection.streams(), 2, "{list}");
    }
}

#[test]
fn the_tables_stay_in_step_whatever_becomes_of_a_list() {
    let mut rig = Rig::server();
    let names = ["one", "two", "three", "four", "five"].map(|value| format!("{POST}, common: {value}"));
    for (at, list) in names.iter().cycle().take(40).enumerate() {
        let stream = 1 + 2 * at as u32;
        let list = match at % 4 {
            0 => format!("{list}, UPPER: x"),
            1 => format!("{list}, long: {}", "x".repeat(5000)),
            2 => format!("{list}, te: gzip"),
            _ => list.clone(),
        };
        let bytes = rig.head(stream, &list, true);
        let heard = rig.hears(&bytes);
        match at % 4 {
            1 => assert_eq!(heard, [Heard::TooLarge(stream)]),
            3 => assert_eq!(heard, [Heard::Request { stream, head: list, end: true }]),
            _ => assert_eq!(heard, [Heard::Refused]),
        }
        rig.connection.reset(stream, Code::CANCEL);
        rig.connection.second_passed();
    }
}
