//! One client connection: its handshake, its calls, its drain. Knows nothing of where calls go.

use std::{io, pin::pin, rc::Rc, task::Poll, time::Duration};

use bytes::Bytes;
use h2::server::Builder;
use tokio::{net::TcpStream, time};

use super::{
    call, first_bytes,
    socket::{self, Socket},
    stream::Stream,
    worker::Worker,
};
use crate::config::Listen;

/// How long a client may take from connecting to its preface.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Bytes that may wait to be sent per stream, whatever window the client grants.
const SEND_BUFFER: usize = 256 * 1024;
/// Streams that a client reset before the gateway looked at them; more at once is an attack.
const PENDING_RESETS: usize = 4096;
/// Streams reset by us whose late frames are still expected.
const RESET_STREAMS: usize = 1024;
/// Frames smaller than 256 bytes cost more memory than the window counts. This many windows of such cost may wait:
/// one caller that does not read leaves the rest of its connection alone, and a flood ends its own connection.
const SMALL_FRAMES: usize = 64;

/// Serves a connection until it is closed.
///
/// # Errors
/// When the client speaks no HTTP/2 or the connection is lost.
pub(super) async fn serve(worker: Rc<Worker>, tcp: std::net::TcpStream) -> io::Result<()> {
    let tcp = TcpStream::from_std(tcp)?;
    if !time::timeout(HANDSHAKE, first_bytes::speaks_http2(&tcp)).await?? {
        return first_bytes::turn_away(tcp).await;
    }
    let (socket, rounds) = socket::gathering(tcp);
    rounds.run(calls(worker, socket)).await.map_err(io::Error::other)
}

/// Takes calls until the connection is closed, or drained and its last call has ended.
async fn calls(worker: Rc<Worker>, socket: Socket) -> Result<(), h2::Error> {
    let handshake = builder(&worker.listen).handshake::<_, Bytes>(socket);
    let Ok(connection) = time::timeout(HANDSHAKE, handshake).await else { return Ok(()) };
    let mut connection = connection?;
    let mut shutdown = worker.shutdown.clone();
    let mut draining = pin!(shutdown.draining());
    let mut drains = false;
    std::future::poll_fn(|cx| {
        if !drains && draining.as_mut().poll(cx).is_ready() {
            drains = true;
            connection.graceful_shutdown();
        }
        loop {
            match std::task::ready!(connection.poll_accept(cx)) {
                Some(Ok((request, respond))) => {
                    tokio::task::spawn_local(call::run(worker.clone(), Stream::new(request, respond)));
                }
                Some(Err(error)) => return Poll::Ready(Err(error)),
                None => return Poll::Ready(Ok(())),
            }
        }
    })
    .await
}

fn builder(listen: &Listen) -> Builder {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(listen.max_concurrent_streams)
        .max_header_list_size(listen.max_header_bytes)
        .initial_window_size(listen.stream_window)
        .initial_connection_window_size(listen.connection_window)
        .max_send_buffer_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .max_concurrent_reset_streams(RESET_STREAMS)
        // The library counts these over the connection's whole life; a long one would always end by it.
        .max_local_error_reset_streams(None)
        .data_frame_budget((listen.connection_window as usize).saturating_mul(SMALL_FRAMES));
    builder
}
