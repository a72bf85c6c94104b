//! What stands between two connections instead of sockets.

use std::hint::black_box;

use symgate::http2::{Connection, Event, Fields};

/// Carries bytes between the two until both have nothing to say.
pub(crate) fn greet(client: &mut Connection, server: &mut Connection) {
    let mut fields = Fields::new();
    while !client.output().is_empty() || !server.output().is_empty() {
        let said = take(client);
        hear(server, &said, &mut fields, |_, _, _| {});
        let said = take(server);
        hear(client, &said, &mut fields, |_, _, _| {});
    }
}

/// What a connection has for its socket.
pub(crate) fn take(connection: &mut Connection) -> Vec<u8> {
    let output = connection.output().to_vec();
    throw_away(connection);
    output
}

/// As if the socket took all of it.
pub(crate) fn throw_away(connection: &mut Connection) {
    let bytes = black_box(connection.output()).len();
    connection.output_taken(bytes);
    while connection.next_released().is_some() {}
}

/// Gives bytes to a connection, and each event to `each`.
pub(crate) fn hear(
    connection: &mut Connection,
    mut bytes: &[u8],
    fields: &mut Fields,
    mut each: impl FnMut(&mut Connection, &mut Fields, Event<'_>),
) {
    while let Some(event) = connection.receive(&mut bytes, fields).expect("no fault") {
        each(connection, fields, event);
    }
    assert!(bytes.is_empty(), "only whole frames are sent");
}

/// A frame that gives room for so many bytes.
pub(crate) fn window_update(stream: u32, by: usize) -> Vec<u8> {
    [&[0, 0, 4, 8, 0][..], &stream.to_be_bytes(), &(by as u32).to_be_bytes()].concat()
}
