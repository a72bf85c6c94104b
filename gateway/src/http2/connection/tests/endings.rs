//! How streams end: by either side, in every state, whole or broken off.

use super::*;

/// A server whose client has a window of 10 bytes, and stream 1 with a reply that waits for it.
fn blocked() -> Rig {
    let mut rig = Rig::server();
    rig.hears(&settings(&[(4, 10)]));
    rig.request(1, true);
    rig.respond(1, OK, false);
    rig.connection.send_data(1, &[7; 30], false);
    rig.said();
    rig
}

fn status(stream: u32, list: &str) -> Said {
    Said::Head { stream, head: list.into(), end: true }
}

#[test]
fn a_client_resets_a_stream_in_any_state() {
    let states: [fn(&mut Rig); 6] = [
        |_| {},
        |rig| drop(rig.hears(&data(1, b"x", false))),
        |rig| drop(rig.hears(&data(1, b"x", true))),
        |rig| rig.respond(1, OK, false),
        |rig| assert_eq!(rig.connection.send_data(1, &[7; 100_000], false), 65_535),
        |rig| assert_eq!(rig.connection.send_data(1, &[7; 100_000], true), 65_535),
    ];
    for reach in states {
        let mut rig = Rig::server();
        rig.request(1, false);
        reach(&mut rig);
        assert_eq!(rig.hears(&reset(1, Code::CANCEL)), [Heard::Reset(10, Reset::ByPeer(Code::CANCEL))]);
        assert_eq!((rig.connection.streams(), rig.connection.queued()), (0, 0));
        rig.holds_nothing();
        assert_eq!(rig.hears(&reset(1, Code::CANCEL)), [], "twice is not worse");
        rig.respond(1, OK, true);
        rig.trailers(1, "a: b");
        rig.connection.break_off(1, &fields("a: b"));
        rig.connection.reset(1, Code::CANCEL);
        assert_eq!(rig.connection.send_data(1, b"x", true), 1, "it goes nowhere, but not back either");
        assert!(rig.said().iter().all(|said| matches!(said, Said::Head { end: false, .. } | Said::Data { .. })));
    }
}

#[test]
fn every_code_of_a_reset_is_told() {
    for code in [Code::NO_ERROR, Code::REFUSED_STREAM, Code(0xdead_beef)] {
        let mut rig = Rig::server();
        rig.request(1, false);
        assert_eq!(rig.hears(&reset(1, code)), [Heard::Reset(10, Reset::ByPeer(code))]);
    }
}

#[test]
fn a_stream_that_we_reset_is_gone_at_once() {
    let mut rig = blocked();
    rig.connection.reset(1, Code::INTERNAL_ERROR);
    assert_eq!(rig.said(), [Said::Reset(1, Code::INTERNAL_ERROR)]);
    assert_eq!((rig.connection.streams(), rig.connection.queued()), (0, 0));
    rig.connection.reset(1, Code::INTERNAL_ERROR);
    rig.hears(&window(1, 100));
    assert_eq!(rig.said(), []);
    assert_eq!(rig.connection.next_released(), None);
}

#[test]
fn late_data_of_a_stream_that_we_reset_gives_its_room_back() {
    let mut rig = Rig::server();
    rig.request(1, false);
    rig.hears(&data(1, &[0; 1000], false));
    rig.connection.reset(1, Code::CANCEL);
    for _ in 0..100 {
        assert_eq!(rig.hears(&data(1, &[0; 10_000], false)), []);
        rig.said().iter().for_each(|said| assert!(matches!(said, Said::Window(0, _) | Said::Reset(1, _)), "{said:?}"));
    }
    rig.holds_nothing();
}

#[test]
fn late_frames_are_still_ignored_a_second_later() {
    let mut rig = Rig::server();
    rig.request(1, false);
    rig.connection.reset(1, Code::CANCEL);
    rig.connection.second_passed();
    let late = [rig.head(1, "a: b", false), rig.head(1, "a: b", true)].concat();
    assert_eq!(rig.hears(&late), [], "the second may have been a short one");
}

#[test]
fn a_storm_of_resets_harms_nobody() {
    let rates = Rates { resets: 1, frames: 1 };
    let mut rig = Rig::server_with(Limits { max_streams: 2000, rates, ..LIMITS });
    for stream in (1..2001).step_by(2) {
        rig.request(stream, false);
    }
    for stream in (1..2001).step_by(2) {
        rig.connection.reset(stream, Code::CANCEL);
    }
    rig.said();
    for stream in (1..2001).step_by(2) {
        assert_eq!(rig.hears(&data(stream, b"late", true)), []);
    }
    assert_eq!(rig.said(), []);
    rig.holds_nothing();
    rig.request(2001, true);
}

#[test]
fn a_reply_is_broken_off_before_what_waits() {
    let mut rig = blocked();
    rig.connection.break_off(1, &fields("grpc-status: 4"));
    assert_eq!(rig.said(), [status(1, "grpc-status: 4")]);
    assert_eq!((rig.connection.streams(), rig.connection.queued()), (0, 0));
}

#[test]
fn a_reply_whose_end_waits_is_broken_off_as_well() {
    let mut rig = blocked();
    rig.trailers(1, "grpc-status: 0");
    rig.connection.break_off(1, &fields("grpc-status: 4"));
    assert_eq!(rig.said(), [status(1, "grpc-status: 4")], "it is not whole, so its own status is not true");
    let mut rig = blocked();
    rig.connection.send_data(1, b"", true);
    rig.connection.break_off(1, &fields("grpc-status: 4"));
    assert_eq!(rig.said(), [status(1, "grpc-status: 4")]);
    assert_eq!((rig.connection.streams(), rig.connection.queued()), (0, 0));
}

#[test]
fn a_reply_in_line_is_broken_off_as_well() {
    let mut rig = Rig::server();
    rig.hears(&settings(&[(4, 1_000_000)]));
    for stream in [1, 3] {
        rig.request(stream, true);
        rig.respond(stream, OK, false);
        rig.connection.send_data(stream, &[7; 65_535], false);
        rig.trailers(stream, "grpc-status: 0");
    }
    while !rig.said().is_empty() {}
    rig.connection.break_off(3, &fields("grpc-status: 4"));
    assert_eq!(rig.said(), [status(3, "grpc-status: 4")]);
    rig.hears(&window(0, 100_000));
    assert_eq!(rig.said(), [], "nothing of it is left in the line");
}

#[test]
fn what_is_whole_cannot_be_broken_off() {
    let mut rig = Rig::client();
    let stream = rig.open(true);
    rig.connection.break_off(stream, &fields("grpc-status: 4"));
    rig.trailers(stream, "a: b");
    assert_eq!(rig.connection.send_data(stream, b"x", true), 1);
    assert_eq!(rig.said(), []);
}

#[test]
fn a_reply_that_is_broken_off_under_a_client_that_sends_stops_it() {
    let mut rig = Rig::server();
    rig.request(1, false);
    rig.respond(1, OK, false);
    rig.connection.break_off(1, &fields("grpc-status: 4"));
    rig.said();
    assert_eq!(rig.hears(&data(1, b"late", false)), []);
    assert_eq!(rig.connection.streams(), 0);
}

#[test]
fn a_stream_without_a_name_still_sends_what_was_given_to_it() {
    let mut rig = blocked();
    rig.trailers(1, "grpc-status: 0");
    rig.connection.unbind(1);
    rig.hears(&window(1, 100));
    assert_eq!(rig.said(), [Said::Data { stream: 1, bytes: vec![7; 20], end: false }, status(1, "grpc-status: 0")]);
    assert_eq!(rig.connection.next_released(), None, "nobody asks");
    rig.request(3, false);
    rig.connection.unbind(3);
    assert_eq!(rig.hears(&reset(3, Code::CANCEL)), []);
    rig.connection.bind(3, 30);
    assert_eq!(rig.connection.streams(), 0);
}

#[test]
fn forsaken_streams_tell_nothing() {
    let mut rig = blocked();
    rig.request(3, false);
    let mut tokens: Vec<_> = rig.connection.forsake_streams().iter().map(|forsaken| forsaken.token).collect();
    tokens.sort_unstable();
    assert_eq!(tokens, [10, 30]);
    assert_eq!(rig.hears(&data(3, b"x", true)), []);
    assert_eq!(rig.hears(&reset(1, Code::CANCEL)), []);
    assert!(rig.connection.forsake_streams().is_empty());
}

#[test]
fn trailers_that_come_long_after_their_stream_was_reset_are_late_and_not_wrong() {
    let mut rig = Rig::server();
    rig.request(1, false);
    rig.respond(1, OK, true);
    assert_eq!(rig.said().last(), Some(&Said::Reset(1, Code::NO_ERROR)));
    (0..3).for_each(|_| rig.connection.second_passed());
    let late = rig.head(1, "a: b", true);
    assert_eq!(rig.hears(&late), []);
}
