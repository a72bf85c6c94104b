//! What costs a peer less than us has a budget; each ends the connection when it is used up.

use super::*;

/// How many of these frames are taken.
fn taken(rig: &mut Rig, mut frame: impl FnMut(&mut Rig, u32) -> Vec<u8>) -> u32 {
    let mut refused = |rig: &mut Rig, at: u32| {
        let bytes = frame(rig, at);
        let heard = rig.try_hears(&bytes);
        rig.said();
        heard.map_err(|fault| assert_eq!(fault.code, Code::ENHANCE_YOUR_CALM, "{fault}")).is_err()
    };
    (0..10_000).find(|at| refused(rig, *at)).expect("there is a limit")
}

#[test]
fn each_kind_has_a_limit() {
    // A burst is ten seconds' worth, and the greeting was one of the SETTINGS.
    let mut rig = Rig::server();
    rig.request(1, false);
    assert_eq!(taken(&mut rig, |_, _| ping(&[0; 8], false)), 200);
    assert_eq!(taken(&mut rig, |_, _| settings(&[])), 199);
    assert_eq!(taken(&mut rig, |_, _| window(1, 1)), 200);
    assert_eq!(taken(&mut rig, |_, _| data(1, b"", false)), 200);
    assert_eq!(taken(&mut rig, |_, _| frame(kind::PRIORITY, 0, 1, &[0; 5])), 200);
    assert_eq!(taken(&mut rig, |_, at| frame(0x20 + at as u8 % 100, 0, 1, b"what")), 0, "of the same budget");
    let request = |rig: &mut Rig, at| [rig.head(2 * at + 3, POST, true), reset(2 * at + 3, Code::CANCEL)].concat();
    assert_eq!(taken(&mut rig, request), 100);
    rig.connection.second_passed();
    assert_eq!(taken(&mut rig, |_, _| ping(&[0; 8], false)), 20);
    assert_eq!(taken(&mut rig, |_, _| reset(1, Code::CANCEL)), 10);
}

#[test]
fn streams_over_the_limit_are_counted_apart() {
    let mut rig = Rig::server_with(Limits { max_streams: 0, ..LIMITS });
    assert_eq!(taken(&mut rig, |rig, at| rig.head(2 * at + 1, POST, true)), 100);
}

#[test]
fn broken_requests_are_counted_as_resets() {
    let mut rig = Rig::server();
    assert_eq!(taken(&mut rig, |rig, at| rig.head(2 * at + 1, "a: b", true)), 100);
}

#[test]
fn useful_frames_have_no_limit() {
    let mut rig = Rig::server();
    for stream in (1..4001).step_by(2) {
        rig.request(stream, false);
        rig.hears(&[data(stream, b"x", false), data(stream, b"", true)].concat());
        rig.respond(stream, OK, false);
        rig.connection.send_data(stream, b"y", true);
        assert_eq!(rig.said().len(), 2);
        rig.hears(&[window(0, 1), ping(&[0; 8], false)].concat());
        rig.said();
    }
}

#[test]
fn a_server_may_not_send_interim_responses_for_ever() {
    let mut rig = Rig::client();
    let stream = rig.open(true);
    assert_eq!(taken(&mut rig, |rig, _| rig.head(stream, ":status: 100", false)), 200);
}
