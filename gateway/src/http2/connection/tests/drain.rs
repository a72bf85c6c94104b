//! GOAWAY, by either side.

use super::*;

fn leaves(last: u32) -> Said {
    Said::GoAway(last, Code::NO_ERROR, String::new())
}

#[test]
fn a_server_drains_in_two_steps() {
    let mut rig = Rig::server();
    rig.request(1, false);
    rig.connection.drain();
    assert_eq!(rig.said(), [leaves(0x7fff_ffff), Said::Ping(b"draining".into())]);
    rig.request(3, true);
    assert_eq!(rig.hears(&ping(b"another!", true)), []);
    assert_eq!(rig.said(), [], "another ping's answer says nothing");
    rig.hears(&ping(b"draining", true));
    rig.connection.second_passed();
    assert_eq!(rig.said(), [], "a client may need a moment to stop");
    rig.request(5, true);
    rig.connection.second_passed();
    assert_eq!(rig.said(), [leaves(5)]);
    rig.hears(&ping(b"draining", true));
    rig.connection.second_passed();
    rig.connection.drain_at_once();
    rig.connection.drain();
    assert_eq!(rig.said(), [], "it is said once");
}

#[test]
fn what_comes_behind_the_last_stream_is_ignored() {
    let mut rig = Rig::server();
    rig.request(1, false);
    rig.request(3, true);
    rig.connection.drain();
    rig.connection.drain_at_once();
    rig.said();

    let late = [rig.head(5, POST, false), data(5, &[0; 1000], true), rig.head(7, POST, true)].concat();
    assert_eq!(rig.hears(&late), []);
    assert_eq!(rig.hears(&[window(5, 1), reset(7, Code::CANCEL)].concat()), []);
    assert_eq!(rig.said(), [], "the client knows that these are not processed");
    rig.holds_nothing();

    assert!(!rig.connection.is_drained());
    rig.respond(3, OK, true);
    assert!(!rig.connection.is_drained());
    assert_eq!(rig.hears(&data(1, b"x", true)), [Heard::Data { token: 10, bytes: b"x".into(), end: true }]);
    rig.respond(1, OK, true);
    assert!(rig.connection.is_drained());
}

#[test]
fn a_client_that_does_not_answer_pings_is_drained_all_the_same() {
    let mut rig = Rig::server();
    rig.connection.drain();
    rig.said();
    for _ in 1..DRAIN_UNHEARD {
        rig.connection.second_passed();
        assert!(!rig.connection.is_drained(), "a request may be on its way");
    }
    rig.connection.second_passed();
    assert_eq!(rig.said(), [leaves(0)]);
    assert!(rig.connection.is_drained());
}

#[test]
fn a_client_that_never_spoke_has_nothing_on_its_way() {
    let mut rig = Rig::new(Connection::server(LIMITS));
    rig.said();
    rig.connection.drain();
    assert_eq!(rig.said(), [leaves(0)]);
    assert!(rig.connection.is_drained());
    let bytes = [PREFACE, &settings(&[]), &rig.head(1, POST, true)].concat();
    assert_eq!(rig.hears(&bytes), [Heard::Ready]);
    assert!(rig.connection.is_drained());
}

#[test]
fn tables_stay_in_step_behind_the_last_stream() {
    let mut rig = Rig::server();
    rig.request(1, false);
    rig.connection.drain();
    rig.connection.drain_at_once();
    rig.said();
    for stream in [3, 5, 7] {
        let head = rig.head(stream, &format!("{POST}, common: value"), true);
        assert_eq!(rig.hears(&head), []);
    }
    let trailers = rig.head(1, "common: value", true);
    assert_eq!(rig.hears(&trailers), [Heard::Trailers { token: 10, trailers: "common: value".into() }]);
}

#[test]
fn a_client_that_drains_opens_no_more_streams() {
    let mut rig = Rig::client();
    let stream = rig.open(true);
    rig.connection.drain();
    assert_eq!(rig.said(), [leaves(0)]);
    assert_eq!(rig.connection.room(), 0);
    assert_eq!(rig.connection.open(1, fields(POST).iter(), true), None);
    assert_eq!(rig.said(), []);
    assert!(!rig.connection.is_drained());
    let head = rig.head(stream, OK, true);
    assert_eq!(rig.hears(&head).len(), 1);
    assert!(rig.connection.is_drained());
}

#[test]
fn streams_that_a_server_leaves_behind_were_never_processed() {
    let mut rig = Rig::client();
    let streams = [rig.open(true), rig.open(false), rig.open(true)];
    assert_eq!(streams, [1, 3, 5]);
    assert_eq!(rig.hears(&go_away(0x7fff_ffff, Code::NO_ERROR)), [Heard::GoingAway]);
    assert_eq!(rig.connection.room(), 0);
    let mut heard = rig.hears(&go_away(1, Code::NO_ERROR));
    heard.sort_by_key(|heard| matches!(heard, Heard::Reset(50, _)));
    assert_eq!(heard, [Heard::Reset(30, Reset::Unprocessed), Heard::Reset(50, Reset::Unprocessed)]);
    let head = rig.head(1, OK, true);
    assert_eq!(rig.hears(&head), [Heard::Response { token: 10, status: 200, head: OK.into(), end: true }]);
    assert_eq!((rig.connection.streams(), rig.said().len()), (0, 0));
}

#[test]
fn a_client_that_leaves_may_be_answered() {
    let mut rig = Rig::server();
    rig.request(1, true);
    assert_eq!(rig.hears(&go_away(0, Code::NO_ERROR)), [Heard::GoingAway]);
    assert_eq!(rig.hears(&go_away(0, Code(7))), [], "once is enough");
    rig.respond(1, OK, true);
    assert_eq!(rig.said().len(), 1);
}
