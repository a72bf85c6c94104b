//! Windows of what we send: what waits, for which of them, and in which order it goes.

use super::*;

/// A server with streams 1 and 3 whose clients let them send so much each, and both together 65,535.
fn server(window: u32) -> Rig {
    let mut rig = Rig::server();
    rig.hears(&settings(&[(4, window)]));
    for stream in [1, 3] {
        rig.request(stream, true);
        rig.respond(stream, OK, false);
    }
    rig.said();
    rig
}

fn sent(stream: u32, length: usize, end: bool) -> Said {
    Said::Data { stream, bytes: vec![7; length], end }
}

/// All that can be sent, as stream and length of each frame.
fn lengths(rig: &mut Rig) -> Vec<(u32, usize, bool)> {
    let mut all = Vec::new();
    loop {
        let said = rig.said();
        if said.is_empty() {
            return all;
        }
        all.extend(said.into_iter().filter_map(|said| match said {
            Said::Data { stream, bytes, end } => Some((stream, bytes.len(), end)),
            _ => None,
        }));
    }
}

fn released(rig: &mut Rig) -> usize {
    std::iter::from_fn(|| rig.connection.next_released()).map(|(_, bytes)| bytes).sum()
}

#[test]
fn what_the_stream_has_no_window_for_waits() {
    let mut rig = server(10);
    assert_eq!(rig.connection.send_data(1, &[7; 25], false), 10);
    assert_eq!(rig.said(), [sent(1, 10, false)]);
    assert_eq!(rig.connection.queued(), 15);
    rig.hears(&window(0, 100));
    assert_eq!(rig.said(), [], "that was the other window");
    rig.hears(&window(1, 5));
    assert_eq!(rig.said(), [sent(1, 5, false)]);
    assert_eq!(rig.connection.next_released(), Some((10, 5)));
    assert_eq!(rig.connection.next_released(), None);
    assert_eq!(rig.connection.send_data(1, &[7; 5], true), 0, "nothing overtakes what waits");
    rig.hears(&window(1, 100));
    assert_eq!(rig.said(), [sent(1, 15, true)]);
    assert_eq!(released(&mut rig), 15);
    assert_eq!((rig.connection.queued(), rig.connection.streams()), (0, 1));
}

#[test]
fn what_the_connection_has_no_window_for_waits_in_line() {
    let mut rig = server(100_000);
    assert_eq!(rig.connection.send_data(1, &[7; 60_000], false), 60_000);
    assert_eq!(rig.connection.send_data(1, &[7; 10_000], false), 5535);
    assert_eq!(rig.connection.send_data(3, &[7; 10_000], true), 0);
    assert_eq!(lengths(&mut rig).iter().map(|(_, length, _)| length).sum::<usize>(), 65_535);
    rig.hears(&window(1, 100_000));
    assert_eq!(rig.said(), [], "that was the other window");
    rig.hears(&window(0, 6_000));
    assert_eq!(lengths(&mut rig), [(1, 4465, false), (3, 1535, false)]);
    rig.hears(&window(0, 100_000));
    assert_eq!(lengths(&mut rig), [(3, 8465, true)]);
    assert_eq!(rig.connection.queued(), 0);
}

#[test]
fn streams_take_turns() {
    let mut rig = server(1_000_000);
    rig.connection.send_data(1, &[7; 65_535], false);
    rig.connection.send_data(1, &[7; 50_000], false);
    rig.connection.send_data(3, &[7; 20_000], true);
    lengths(&mut rig);
    rig.hears(&window(0, 1_000_000));
    let turns = [(1, 16_384, false), (3, 16_384, false), (1, 16_384, false), (3, 3616, true), (1, 16_384, false)];
    assert_eq!(lengths(&mut rig), [&turns[..], &[(1, 848, false)]].concat());
}

#[test]
fn trailers_come_behind_what_waits_and_need_no_window() {
    let mut rig = server(10);
    rig.connection.send_data(1, &[7; 12], false);
    rig.trailers(1, "grpc-status: 0");
    assert_eq!(rig.said(), [sent(1, 10, false)]);
    rig.hears(&window(1, 2));
    let trailers = |stream| Said::Head { stream, head: "grpc-status: 0".into(), end: true };
    assert_eq!(rig.said(), [sent(1, 2, false), trailers(1)], "both windows are used up");
    rig.connection.send_data(3, &[7; 10], false);
    rig.trailers(3, "grpc-status: 0");
    assert_eq!(rig.said(), [sent(3, 10, false), trailers(3)]);
    assert_eq!(rig.connection.streams(), 0);
}

#[test]
fn an_end_needs_no_window() {
    let mut rig = server(10);
    rig.connection.send_data(1, &[7; 10], false);
    assert_eq!(rig.connection.send_data(1, b"", true), 0);
    assert_eq!(rig.said(), [sent(1, 10, true)]);
    rig.connection.send_data(3, &[7; 11], false);
    rig.connection.send_data(3, b"", true);
    assert_eq!(rig.said(), [sent(3, 10, false)]);
    rig.hears(&window(3, 1));
    assert_eq!(rig.said(), [sent(3, 1, true)]);
}

#[test]
fn a_window_may_be_made_smaller_than_what_was_sent() {
    let mut rig = server(100);
    rig.connection.send_data(1, &[7; 100], false);
    rig.connection.send_data(1, &[7; 10], true);
    rig.said();
    rig.hears(&settings(&[(4, 20)]));
    rig.hears(&window(1, 79));
    assert_eq!(rig.said(), [Said::Acknowledged], "the window is at -1");
    rig.hears(&window(1, 1));
    assert_eq!(rig.said(), [], "and at 0");
    rig.hears(&window(1, 4));
    assert_eq!(rig.said(), [sent(1, 4, false)]);
    assert_eq!(rig.connection.send_data(3, &[7; 30], false), 20, "it counts for all streams");
    rig.said();
    rig.hears(&settings(&[(4, 26)]));
    let mut said = rig.said();
    assert_eq!(said.remove(0), Said::Acknowledged);
    said.sort_by_key(|said| matches!(said, Said::Data { stream: 3, .. }));
    assert_eq!(said, [sent(1, 6, true), sent(3, 6, false)], "and again when it grows");
}

#[test]
fn a_window_that_shrinks_under_a_stream_in_line_takes_it_out() {
    let mut rig = server(100_000);
    rig.connection.send_data(1, &[7; 65_535], false);
    rig.connection.send_data(1, &[7; 10], true);
    lengths(&mut rig);
    rig.hears(&settings(&[(4, 0)]));
    rig.hears(&window(0, 100));
    assert_eq!(lengths(&mut rig), []);
    rig.hears(&settings(&[(4, 100_000)]));
    assert_eq!(lengths(&mut rig), [(1, 10, true)]);
}

#[test]
fn a_socket_that_does_not_take_bytes_makes_data_wait() {
    let mut rig = server(1_000_000);
    rig.hears(&window(0, 1_000_000));
    let mut now = 0;
    for _ in 0..20 {
        now += rig.connection.send_data(1, &[7; 10_000], false);
    }
    assert!(now < 80_000, "{now} bytes did not wait");
    assert_eq!(rig.connection.queued(), 200_000 - now);
    assert!(rig.connection.output().len() < 80_000);
    rig.trailers(1, "grpc-status: 0");
    let mut came = 0;
    while let portion @ 1.. = rig.connection.output().len().min(1000) {
        came += portion;
        rig.connection.output_taken(portion);
        assert!(rig.connection.output().len() <= 64 * 1024 + 16_384 + 9);
    }
    assert!(came > 200_000);
    assert_eq!((rig.connection.queued(), released(&mut rig)), (0, 200_000 - now));
    assert_eq!(rig.connection.streams(), 1);
}

#[test]
fn small_pieces_share_frames() {
    let mut rig = server(1000);
    for _ in 0..10 {
        rig.connection.send_data(1, &[7; 10], false);
    }
    rig.connection.send_data(3, &[7; 10], true);
    assert_eq!(rig.said(), [sent(1, 100, false), sent(3, 10, true)]);
}

#[test]
fn a_window_of_an_ended_stream_is_of_no_use_to_others() {
    let mut rig = server(0);
    rig.connection.send_data(1, &[7; 10], true);
    rig.connection.send_data(3, &[7; 10], true);
    rig.hears(&reset(1, Code::CANCEL));
    rig.hears(&window(1, 100));
    assert_eq!(rig.said(), []);
    assert_eq!(rig.connection.queued(), 10);
    rig.hears(&window(3, 100));
    assert_eq!(rig.said(), [sent(3, 10, true)]);
}

#[test]
fn those_that_leave_the_line_leave_nothing_behind() {
    let mut rig = server(1_000_000);
    rig.connection.send_data(1, &[7; 65_535], false);
    for stream in (5..1001).step_by(2) {
        rig.request(stream, true);
        rig.respond(stream, OK, false);
        rig.connection.send_data(stream, &[7; 10], false);
        rig.connection.break_off(stream, &fields("grpc-status: 4"));
    }
    lengths(&mut rig);
    assert_eq!((rig.connection.queued(), rig.connection.streams.in_line()), (0, 0));
}
