//! Room in the windows of what we receive: told of, held, given back, on every way on which a stream can end.

use proptest::prelude::*;

use crate::http2::stream::Coming;

use super::*;

#[test]
fn room_is_given_back_when_it_is_released() {
    let mut rig = Rig::server();
    rig.request(1, false);
    for _ in 0..5 {
        rig.hears(&data(1, &[0; 10_000], false));
    }
    assert_eq!(rig.said(), []);
    assert_eq!(rig.connection.credit.held(), 50_000);
    rig.connection.release(1, 49_999);
    assert_eq!(rig.said(), [], "less than half of the window");
    rig.connection.release(1, 1);
    assert_eq!(rig.said(), [Said::Window(1, 50_000)], "the connection's is not half used");
    rig.holds_nothing();
    for _ in 0..5 {
        rig.hears(&data(1, &[0; 10_000], false));
    }
    rig.connection.release(1, 50_000);
    assert_eq!(rig.said(), [Said::Window(0, 100_000), Said::Window(1, 50_000)]);
}

#[test]
fn no_more_is_given_back_than_came() {
    let mut rig = Rig::server();
    rig.request(1, false);
    rig.hears(&data(1, &[0; 10_000], false));
    rig.connection.release(1, 1_000_000);
    rig.connection.release(1, 1_000_000);
    rig.connection.release(3, 1_000_000);
    assert_eq!(rig.said(), []);
    rig.holds_nothing();
}

#[test]
fn an_ended_stream_needs_no_more_room_but_the_connection_does() {
    let mut rig = Rig::server();
    rig.request(1, false);
    for _ in 0..9 {
        rig.hears(&data(1, &[0; 10_000], false));
    }
    rig.hears(&data(1, &[0; 10_000], true));
    rig.connection.release(1, 100_000);
    assert_eq!(rig.said(), [Said::Window(0, 100_000)]);
}

#[test]
fn a_stream_without_a_name_holds_nothing() {
    let mut rig = Rig::server();
    rig.request(1, false);
    for _ in 0..8 {
        rig.hears(&data(1, &[0; 10_000], false));
    }
    rig.connection.unbind(1);
    assert_eq!(rig.said(), [Said::Window(0, 80_000), Said::Window(1, 80_000)]);
    assert_eq!(rig.hears(&data(1, &[0; 10_000], false)), []);
    rig.connection.release(1, 80_000);
    rig.holds_nothing();
    rig.connection.bind(1, 11);
    assert_eq!(rig.hears(&data(1, b"x", false)), [Heard::Data { token: 11, bytes: b"x".into(), end: false }]);
    assert_eq!(rig.connection.credit.held(), 1);
}

#[test]
fn the_other_end_of_a_relay_holds_no_room_of_the_connection() {
    let mut rig = Rig::client();
    let stream = rig.open(true);
    let head = rig.head(stream, OK, false);
    rig.hears(&head);
    for _ in 0..10 {
        rig.hears(&data(stream, &[0; 10_000], false));
    }
    assert_eq!(rig.said(), [Said::Window(0, 80_000)], "nothing was released");
    let why = "DATA over the stream's window";
    assert_eq!(rig.hears(&data(stream, &[0], false)), [Heard::Reset(10, Reset::Broken(why))], "its own window holds");
    rig.holds_nothing();
}

/// What happens to a stream that is open.
#[derive(Clone, Copy, Debug)]
enum Step {
    Data(u16, bool),
    Padded(u8),
    Release(u16),
    Unbind,
    Bind,
    Respond(bool),
    BreakOff,
    Trailers,
    Reset,
    PeerResets,
    PeerBreaksRule,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..10_000_u16, any::<bool>()).prop_map(|(length, end)| Step::Data(length, end)),
        1 => any::<u8>().prop_map(Step::Padded),
        4 => any::<u16>().prop_map(Step::Release),
        1 => Just(Step::Unbind),
        1 => Just(Step::Bind),
        1 => any::<bool>().prop_map(Step::Respond),
        1 => Just(Step::BreakOff),
        1 => Just(Step::Trailers),
        1 => Just(Step::Reset),
        1 => Just(Step::PeerResets),
        1 => Just(Step::PeerBreaksRule),
    ]
}

fn take(rig: &mut Rig, stream: u32, step: Step) {
    let connection = &mut rig.connection;
    let bytes = match step {
        Step::Release(bytes) => return connection.release(stream, bytes.into()),
        Step::Unbind => return connection.unbind(stream),
        Step::Bind => return connection.bind(stream, token(stream)),
        Step::Respond(end) => return connection.respond(stream, fields(OK).iter(), end),
        Step::BreakOff => return connection.break_off(stream, &fields("grpc-status: 4")),
        Step::Reset => return connection.reset(stream, Code::CANCEL),
        Step::Data(length, end) => data(stream, &vec![0; length.into()], end),
        Step::Padded(padding) => frame(kind::DATA, flag::PADDED, stream, &[&[padding][..], &vec![0; 300]].concat()),
        Step::Trailers => rig.head(stream, "a: b", true),
        Step::PeerResets => reset(stream, Code::CANCEL),
        Step::PeerBreaksRule => window(stream, 0),
    };
    // A second HEADERS frame may end the connection, which is right: then there is nothing left to see.
    rig.try_hears(&bytes).ok();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_room_is_lost_whatever_happens_to_streams(steps in prop::collection::vec((0..4_u32, step()), 1..80)) {
        let rates = Rates { resets: 1000, frames: 1000 };
        let mut rig = Rig::server_with(Limits { connection_window: 2_000_000, rates, ..LIMITS });
        for stream in [1, 3, 5, 7] {
            rig.request(stream, false);
        }
        for (at, step) in steps {
            take(&mut rig, 2 * at + 1, step);
            let held: usize = rig.connection.streams.iter_mut().map(|(_, stream)| stream.unreleased).sum();
            prop_assert_eq!(rig.connection.credit.held(), held as i64, "after {:?}", step);
            for (id, stream) in rig.connection.streams.iter_mut().filter(|(_, stream)| stream.coming == Coming::Body) {
                prop_assert_eq!(stream.credit.held(), stream.unreleased as i64, "stream {} after {:?}", id, step);
            }
        }
        for stream in [1, 3, 5, 7] {
            rig.connection.reset(stream, Code::CANCEL);
        }
        rig.holds_nothing();
    }
}
