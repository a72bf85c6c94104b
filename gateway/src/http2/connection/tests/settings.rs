//! SETTINGS and PING, which come at any time.

use super::*;

#[test]
fn both_ends_say_their_settings_first() {
    let mut rig = Rig::new(Connection::server(LIMITS));
    let expected = [Said::Settings(vec![(3, 4), (4, 100_000), (6, 4096)]), Said::Window(0, 150_000 - 65_535)];
    assert_eq!(rig.said(), expected);
    let mut rig = Rig::new(Connection::client(LIMITS));
    assert!(rig.connection.output().starts_with(PREFACE));
    rig.connection.output_taken(PREFACE.len());
    let expected = [Said::Settings(vec![(2, 0), (4, 100_000), (6, 4096)]), Said::Window(0, 150_000 - 65_535)];
    assert_eq!(rig.said(), expected);
}

#[test]
fn settings_are_acknowledged_whenever_they_come() {
    let mut rig = Rig::new(Connection::server(LIMITS));
    rig.said();
    assert_eq!(rig.hears(&[PREFACE, &settings(&[(1, 100)])].concat()), [Heard::Ready]);
    assert_eq!(rig.said(), [Said::Acknowledged]);
    rig.request(1, false);
    for list in [&[][..], &[(3, 1)], &[(0x99, 7)], &[(1, 0), (1, 4096)]] {
        assert_eq!(rig.hears(&settings(list)), [], "ready is told once");
        assert_eq!(rig.said(), [Said::Acknowledged]);
    }
    rig.respond(1, OK, true);
    rig.said();
}

#[test]
fn a_ping_is_answered_with_its_bytes() {
    for mut rig in [Rig::server(), Rig::client()] {
        assert_eq!(rig.hears(&ping(b"12345678", false)), []);
        assert_eq!(rig.said(), [Said::Pong(b"12345678".into())]);
        assert_eq!(rig.hears(&ping(b"12345678", true)), []);
        assert_eq!(rig.said(), [], "an answer is not answered");
    }
}

#[test]
fn the_peers_table_is_used_as_large_as_it_is() {
    let list = ":status: 200, common: value, rare: other";
    for sizes in [&[0][..], &[64], &[4096], &[0, 4096], &[4096, 0], &[u32::MAX]] {
        let mut rig = Rig::server();
        for (at, stream) in [1, 3, 5, 7, 9].into_iter().enumerate() {
            if at == 2 {
                let both: Vec<_> = sizes.iter().map(|size| (1, *size)).collect();
                rig.hears(&settings(&both));
                // What the peer does: its table takes each size in turn.
                let smallest = sizes.iter().copied().min().unwrap_or_default();
                let mut update = Vec::new();
                for size in [smallest, sizes[sizes.len() - 1]] {
                    size_update(size.min(4096), &mut update);
                }
                rig.decoder.decode(&update, &mut Fields::new(), 100).expect("valid");
                assert_eq!(rig.said(), [Said::Acknowledged]);
            }
            rig.request(stream, true);
            rig.respond(stream, list, true);
            assert_eq!(rig.said(), [Said::Head { stream, head: list.into(), end: true }], "{sizes:?}, {at}");
        }
    }
}

/// The instruction of RFC 7541 section 6.3.
fn size_update(size: u32, out: &mut Vec<u8>) {
    if size < 31 {
        out.push(0x20 | size as u8);
        return;
    }
    out.push(0x3f);
    let mut rest = size - 31;
    while rest >= 128 {
        out.push(rest as u8 | 0x80);
        rest /= 128;
    }
    out.push(rest as u8);
}

#[test]
fn a_peer_may_change_the_size_of_its_own_table() {
    let mut rig = Rig::server();
    for (stream, size) in [(1, 4096), (3, 4096), (5, 0), (7, 100), (9, 4096), (11, 4096), (13, 4096)] {
        rig.encoder.set_max_table_size(size);
        rig.request(stream, true);
        rig.connection.reset(stream, Code::CANCEL);
    }
}

#[test]
fn a_first_window_below_the_default_binds_only_who_knows_of_it() {
    let mut rig = Rig::new(Connection::server(Limits { stream_window: 1000, ..LIMITS }));
    rig.said();
    rig.hears(&[PREFACE, &settings(&[])].concat());
    rig.request(1, false);
    let early = [data(1, &[0; 16_000], false), data(1, &[0; 16_000], false)].concat();
    assert_eq!(rig.hears(&early).len(), 2, "the client sent them before it knew the window");
    rig.hears(&frame(kind::SETTINGS, flag::ACK, 0, b""));
    rig.request(3, false);
    assert_eq!(rig.hears(&data(3, &[0; 1000], false)).len(), 1);
    let why = "DATA over the stream's window";
    assert_eq!(rig.hears(&data(3, &[0], false)), [Heard::Reset(30, Reset::Broken(why))]);
    rig.said();
    rig.connection.release(1, 32_000);
    assert_eq!(rig.said(), [Said::Window(1, 32_000)]);
    assert_eq!(rig.hears(&data(1, &[0; 1000], false)).len(), 1);
    assert_eq!(rig.hears(&data(1, &[0], false)), [Heard::Reset(10, Reset::Broken(why))]);
    rig.holds_nothing();
}
