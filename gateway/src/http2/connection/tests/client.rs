//! The end that calls.

use super::*;

fn response(stream: u32, status: u16, end: bool) -> Heard {
    Heard::Response { token: token(stream), status, head: format!(":status: {status}"), end }
}

/// Stream 1 has only its request, the response of stream 3 has begun.
fn two_streams() -> Rig {
    let mut rig = Rig::client();
    assert_eq!([rig.open(false), rig.open(false)], [1, 3]);
    let head = rig.head(3, OK, false);
    assert_eq!(rig.hears(&head), [response(3, 200, false)]);
    rig
}

#[track_caller]
fn ends_the_stream(bytes: &[u8], code: Code) {
    let mut rig = two_streams();
    let heard = rig.hears(bytes);
    assert!(matches!(heard[..], [Heard::Reset(10, Reset::Broken(_))]), "{heard:?}");
    assert_eq!(rig.said(), [Said::Reset(1, code)]);
    assert_eq!(rig.hears(&data(3, b"x", true)), [Heard::Data { token: 30, bytes: b"x".into(), end: true }]);
    rig.holds_nothing();
}

fn head_of(list: &str, end: bool) -> Vec<u8> {
    Rig::client().head(1, list, end)
}

#[test]
fn a_call_goes_from_head_to_trailers() {
    let mut rig = Rig::client();
    let stream = rig.open(false);
    assert_eq!(rig.connection.send_data(stream, b"ask", false), 3);
    rig.connection.send_data(stream, b"", true);
    assert_eq!(rig.said(), [Said::Data { stream, bytes: b"ask".into(), end: true }]);
    let bytes = [rig.head(stream, OK, false), data(stream, b"answer", false), rig.head(stream, "grpc-status: 0", true)];
    let expected = [
        response(1, 200, false),
        Heard::Data { token: 10, bytes: b"answer".into(), end: false },
        Heard::Trailers { token: 10, trailers: "grpc-status: 0".into() },
    ];
    assert_eq!(rig.hears(&bytes.concat()), expected);
    assert_eq!((rig.connection.streams(), rig.said().len()), (0, 0));
}

#[test]
fn a_response_may_be_trailers_only() {
    let mut rig = Rig::client();
    let stream = rig.open(true);
    let head = rig.head(stream, OK, true);
    assert_eq!(rig.hears(&head), [response(1, 200, true)]);
    assert_eq!(rig.connection.streams(), 0);
}

#[test]
fn a_response_may_end_before_its_request() {
    let mut rig = Rig::client();
    let stream = rig.open(false);
    let head = rig.head(stream, OK, true);
    assert_eq!(rig.hears(&head), [response(1, 200, true)]);
    assert_eq!(rig.connection.streams(), 1, "we may still send");
    assert_eq!(rig.hears(&reset(stream, Code::NO_ERROR)), [Heard::Reset(10, Reset::ByPeer(Code::NO_ERROR))]);
    let stream = rig.open(false);
    let head = rig.head(stream, OK, true);
    rig.hears(&head);
    rig.connection.send_data(stream, b"x", true);
    assert_eq!(rig.connection.streams(), 0);
}

#[test]
fn interim_responses_are_not_told_of() {
    let mut rig = Rig::client();
    let stream = rig.open(true);
    let interim = [rig.head(stream, ":status: 100", false), rig.head(stream, ":status: 103, link: x", false)].concat();
    assert_eq!(rig.hears(&interim), []);
    let head = rig.head(stream, OK, false);
    assert_eq!(rig.hears(&head), [response(1, 200, false)]);
    let trailers = rig.head(stream, "a: b", true);
    assert_eq!(rig.hears(&trailers).len(), 1);
}

#[test]
fn a_response_without_content_may_say_how_long_it_would_be() {
    for status in [204, 304] {
        let mut rig = Rig::client();
        let stream = rig.open(true);
        let list = format!(":status: {status}, content-length: 5");
        let head = rig.head(stream, &list, true);
        assert_eq!(rig.hears(&head), [Heard::Response { token: 10, status, head: list, end: true }]);
    }
}

#[test]
fn a_response_that_is_malformed_is_reset() {
    let protocol = Code::PROTOCOL_ERROR;
    ends_the_stream(&data(1, b"x", false), protocol);
    ends_the_stream(&head_of(":status: 100", true), protocol);
    ends_the_stream(&head_of("a: b", true), protocol);
    ends_the_stream(&head_of(":status: 2000", true), protocol);
    ends_the_stream(&head_of(":status: 200, :path: /", true), protocol);
    ends_the_stream(&head_of(":status: 200, content-length: 1", true), protocol);
    ends_the_stream(&head_of(&format!("{OK}, long: {}", "x".repeat(5000)), true), protocol);
    ends_the_stream(&window(1, 0), protocol);
    ends_the_stream(&window(1, 0x7fff_ffff), Code::FLOW_CONTROL_ERROR);
}

#[test]
fn what_a_server_must_not_send_ends_the_connection() {
    let protocol = Code::PROTOCOL_ERROR;
    for bytes in [
        data(5, b"x", false),
        reset(5, Code::CANCEL),
        window(5, 1),
        frame(kind::HEADERS, flag::END_HEADERS, 5, b"\x88"),
        frame(kind::HEADERS, flag::END_HEADERS, 2, b"\x88"),
        frame(kind::PUSH_PROMISE, flag::END_HEADERS, 1, b"\0\0\0\x02\x88"),
        settings(&[(2, 1)]),
    ] {
        let mut rig = two_streams();
        assert_eq!(rig.fault(&bytes), protocol);
        rig.connection.fail(&Fault::new(protocol, "why"));
        assert_eq!(rig.said(), [Said::GoAway(0, protocol, "why".into())], "a server opened no stream");
    }
}

#[test]
fn a_refused_stream_was_not_processed() {
    let mut rig = two_streams();
    assert_eq!(rig.hears(&reset(1, Code::REFUSED_STREAM)), [Heard::Reset(10, Reset::Unprocessed)]);
    let refused = Heard::Reset(30, Reset::ByPeer(Code::REFUSED_STREAM));
    assert_eq!(rig.hears(&reset(3, Code::REFUSED_STREAM)), [refused], "it was: its response had begun");
}

#[test]
fn a_stream_that_answered_is_never_called_unprocessed() {
    let mut rig = two_streams();
    let mut heard = rig.hears(&go_away(0, Code::NO_ERROR));
    heard.sort_by_key(|heard| matches!(heard, Heard::Reset(30, _)));
    let expected =
        [Heard::GoingAway, Heard::Reset(10, Reset::Unprocessed), Heard::Reset(30, Reset::ByPeer(Code::NO_ERROR))];
    assert_eq!(heard, expected);
}

#[test]
fn streams_are_opened_up_to_the_servers_limit() {
    let mut rig = Rig::new(Connection::client(LIMITS));
    assert_eq!(rig.connection.room(), 0, "before the server has spoken");
    rig = Rig::client_of(&[(3, 2)]);
    assert_eq!((rig.connection.room(), rig.connection.max_streams()), (2, 2));
    let first = rig.open(true);
    rig.open(true);
    assert_eq!(rig.connection.room(), 0);
    assert_eq!(rig.connection.open(9, fields(POST).iter(), true), None);
    let head = rig.head(first, OK, true);
    rig.hears(&head);
    assert_eq!(rig.connection.room(), 1);
    rig.hears(&settings(&[(3, 1)]));
    assert_eq!(rig.connection.room(), 0, "one is open");
}

#[test]
fn a_server_may_acknowledge_before_it_greets() {
    let mut rig = Rig::new(Connection::client(LIMITS));
    assert_eq!(rig.hears(&frame(kind::SETTINGS, flag::ACK, 0, b"")), []);
    assert_eq!(rig.connection.room(), 0);
    assert_eq!(rig.hears(&settings(&[(3, 2)])), [Heard::Ready]);
    assert_eq!(rig.hears(&settings(&[(3, 1)])), []);
    assert_eq!(rig.hears(&settings(&[(3, 5)])), [Heard::Ready], "more room is told of");
    assert_eq!(rig.connection.room(), 5);
}

#[test]
fn late_frames_of_a_cancelled_stream_are_ignored() {
    let mut rig = two_streams();
    rig.connection.reset(3, Code::CANCEL);
    assert_eq!(rig.said(), [Said::Reset(3, Code::CANCEL)]);
    let late = [data(3, &[0; 10_000], false), rig.head(3, "grpc-status: 0", true)].concat();
    assert_eq!(rig.hears(&late), []);
    rig.connection.reset(1, Code::CANCEL);
    let late = [rig.head(1, OK, false), data(1, b"x", true), reset(1, Code::NO_ERROR)].concat();
    assert_eq!(rig.hears(&late), []);
    assert_eq!(rig.said(), [Said::Reset(1, Code::CANCEL)]);
    rig.holds_nothing();
}

#[test]
fn a_storm_of_cancelled_calls_harms_nobody() {
    let mut rig = Rig::client();
    let streams: Vec<_> = (0..1000).map(|_| rig.open(true)).collect();
    streams.iter().for_each(|stream| rig.connection.reset(*stream, Code::CANCEL));
    rig.said();
    for stream in streams {
        let late = [rig.head(stream, OK, false), data(stream, b"x", false), rig.head(stream, "a: b", true)].concat();
        assert_eq!(rig.hears(&late), []);
    }
    assert_eq!(rig.said(), []);
    rig.holds_nothing();
    rig.open(true);
}

#[test]
fn stream_numbers_run_out() {
    let mut rig = Rig::client();
    rig.connection.last = 0x7fff_fff9;
    rig.open(true);
    rig.open(true);
    assert_eq!(rig.connection.room(), 0);
}

#[test]
fn a_stream_of_which_no_byte_was_taken_was_never_sent() {
    let mut rig = Rig::client();
    let open = |rig: &mut Rig, token, end| rig.connection.open(token, fields(POST).iter(), end).expect("room");
    let first = open(&mut rig, 10, false);
    rig.connection.send_data(first, &[7; 100], false);
    open(&mut rig, 30, true);
    let waits = rig.connection.output().len();
    open(&mut rig, 50, true);
    let unsent = |connection: &mut Connection| {
        let mut all: Vec<_> = connection.forsake_streams().iter().map(|it| (it.token, it.unsent)).collect();
        all.sort_unstable();
        all
    };
    // All that came before the third stream, and not a byte of it.
    rig.connection.output_taken(waits);
    assert_eq!(unsent(&mut rig.connection), [(10, false), (30, false), (50, true)]);

    let mut rig = Rig::client();
    open(&mut rig, 10, true);
    rig.connection.output_taken(1);
    assert_eq!(unsent(&mut rig.connection), [(10, false)], "a part of it was");
}

#[test]
fn a_stream_that_stands_aside_is_no_use_of_the_connection() {
    let mut rig = Rig::client_of(&[(3, 3)]);
    let aside = rig.connection.open_aside(7, fields(POST).iter()).expect("room");
    assert_eq!((rig.connection.streams(), rig.connection.room()), (0, 2), "the server counts it");
    rig.said();
    let call = rig.open(true);
    assert_eq!((rig.connection.streams(), rig.connection.room()), (1, 1));
    rig.connection.drain();
    assert!(!rig.connection.is_drained(), "the call goes on");
    rig.connection.reset(call, Code::CANCEL);
    assert!(rig.connection.is_drained(), "nothing else is waited for");
    rig.connection.reset(aside, Code::CANCEL);
    assert_eq!((rig.connection.streams(), rig.connection.is_drained()), (0, true));
}

#[test]
fn a_sign_of_life_is_asked_for_by_a_ping() {
    let mut rig = Rig::client();
    rig.connection.probe();
    let said = rig.said();
    let [Said::Ping(payload)] = &said[..] else { panic!("{said:?}") };
    assert_eq!(rig.hears(&frame(kind::PING, flag::ACK, 0, payload)), []);
    assert_eq!(rig.connection.peer_leaves(), None);
    rig.hears(&go_away(0, Code::NO_ERROR));
    rig.hears(&go_away(0, Code::ENHANCE_YOUR_CALM));
    assert_eq!(rig.connection.peer_leaves(), Some(Code::ENHANCE_YOUR_CALM), "the last word counts");
}
