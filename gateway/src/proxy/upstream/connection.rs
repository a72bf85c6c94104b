//! One HTTP/2 connection to an instance: opening it, sending on it, driving it. Decides nothing.

use std::{
    cell::{Cell, RefCell},
    io,
    pin::Pin,
    rc::{Rc, Weak},
    task::{Context, Poll},
};

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use http::Request;
use tokio::net::TcpStream;

use crate::{
    proxy::socket::{self, Rounds, Socket},
    routing::Address,
};

/// Bytes that may wait to be sent per stream, whatever window the instance grants.
const SEND_BUFFER: usize = 256 * 1024;
/// Streams that one connection is used for, whatever the instance allows.
const MAX_STREAMS: usize = 1024;
/// Streams reset by us whose late frames are still expected.
const RESET_STREAMS: usize = 1024;

/// Receive windows in bytes.
#[derive(Clone, Copy)]
pub(in crate::proxy) struct Windows {
    /// Of one stream.
    pub(in crate::proxy) stream: u32,
    /// Of one connection.
    pub(in crate::proxy) connection: u32,
}

/// An open connection on which the instance has spoken HTTP/2.
pub(super) struct Connection {
    send: RefCell<SendRequest<Bytes>>,
    /// Calls that use it.
    pub(super) calls: Cell<usize>,
}

/// Drives a connection; it does nothing by itself.
pub(super) struct Driver {
    connection: h2::client::Connection<Socket, Bytes>,
    rounds: Rounds,
}

/// Opens a connection and waits for the instance's settings: a port that only accepts is no instance.
pub(super) async fn open(address: &Address, windows: Windows) -> io::Result<(Rc<Connection>, Driver)> {
    let tcp = TcpStream::connect((address.host(), address.port())).await?;
    tcp.set_nodelay(true)?;
    let (socket, rounds) = socket::gathering(tcp);
    let handshake = builder(windows).handshake(socket);
    let (send, mut connection) = rounds.run(handshake).await.map_err(io::Error::other)?;
    let spoke = std::future::poll_fn(|cx| poll_settings(&mut connection, &send, cx));
    rounds.run(spoke).await?;
    let open = Connection { send: RefCell::new(send), calls: Cell::new(0) };
    Ok((Rc::new(open), Driver { connection, rounds }))
}

/// The limit of streams is 0 until the instance's settings came.
fn poll_settings(
    connection: &mut h2::client::Connection<Socket, Bytes>,
    send: &SendRequest<Bytes>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    match Pin::new(connection).poll(cx) {
        Poll::Ready(Err(error)) => Poll::Ready(Err(io::Error::other(error))),
        Poll::Ready(Ok(())) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        Poll::Pending if send.current_max_send_streams() > 0 => Poll::Ready(Ok(())),
        Poll::Pending => Poll::Pending,
    }
}

fn builder(windows: Windows) -> h2::client::Builder {
    let mut builder = h2::client::Builder::new();
    builder
        .enable_push(false)
        .initial_max_send_streams(0)
        .initial_window_size(windows.stream)
        // Far above the stream windows: callers that do not read must not stop those that do.
        .initial_connection_window_size(
            windows.connection.max(windows.stream.saturating_mul(1024)).min(i32::MAX as u32),
        )
        .max_send_buffer_size(SEND_BUFFER)
        .max_concurrent_reset_streams(RESET_STREAMS)
        // Both would end the connection for every call on it; what they bound, the windows bound.
        .max_local_error_reset_streams(None)
        .data_frame_budget(usize::MAX / 2);
    builder
}

impl Connection {
    /// Starts a call; `None`: the connection takes no more, and nothing was sent.
    pub(super) fn send(&self, request: Request<()>, ended: bool) -> Option<(ResponseFuture, h2::SendStream<Bytes>)> {
        // A handle refuses a call while its last one waits for the instance's limit; a fresh one does not.
        let mut send = self.send.borrow().clone();
        send.send_request(request, ended).inspect_err(|error| tracing::debug!(%error, "call not sent")).ok()
    }

    /// Whether so many calls use it that another connection is of use.
    pub(super) fn is_crowded(&self) -> bool {
        let limit = self.send.borrow().current_max_send_streams().min(MAX_STREAMS);
        self.calls.get() * 4 >= limit * 3
    }

    fn poll_ended(&self, cx: &mut Context<'_>) -> bool {
        matches!(self.send.borrow_mut().poll_ready(cx), Poll::Ready(Err(_)))
    }
}

impl Driver {
    /// Drives the connection until it is closed. Calls `retired` as soon as it takes no more calls, once.
    pub(super) async fn run(self, open: Weak<Connection>, mut retired: impl FnMut()) -> Result<(), h2::Error> {
        let Self { mut connection, rounds } = self;
        let mut open = Some(open);
        let drive = std::future::poll_fn(|cx| {
            let polled = Pin::new(&mut connection).poll(cx);
            if open.as_ref().and_then(Weak::upgrade).is_some_and(|open| open.poll_ended(cx)) {
                open = None;
                retired();
            }
            polled
        });
        rounds.run(drive).await
    }
}
