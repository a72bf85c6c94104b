//! An instance that behaves as the method of the call says.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, server::SendResponse};
use http::{HeaderMap, HeaderValue, Request, Response};
use parking_lot::Mutex;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use super::{
    client::{next, send_all},
    message,
};

/// An instance that serves until it is dropped or killed.
pub(super) struct Instance {
    pub(super) address: SocketAddr,
    pub(super) seen: Arc<Seen>,
    stop: watch::Sender<Stop>,
    accepting: JoinHandle<()>,
}

/// What it saw.
#[derive(Default)]
pub(super) struct Seen {
    /// Heads of calls.
    pub(super) heads: Mutex<Vec<HeaderMap>>,
    /// Calls that were reset, and how.
    pub(super) resets: Mutex<Vec<Option<Reason>>>,
    /// Bytes sent by `Flood` that its window took.
    pub(super) flooded: AtomicUsize,
    /// Connections accepted.
    pub(super) connections: AtomicUsize,
}

#[derive(Clone, Copy, PartialEq)]
enum Stop {
    No,
    GoAway,
    Kill,
}

impl Instance {
    /// Serves on a free port.
    pub(super) async fn start() -> Self {
        Self::with_streams(100).await
    }

    /// Allows so many calls per connection.
    pub(super) async fn with_streams(max: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = watch::channel(Stop::No);
        let seen = Arc::new(Seen::default());
        let accepting = tokio::spawn(accept(listener, max, seen.clone(), stopped));
        Self { address, seen, stop, accepting }
    }

    /// Loses every connection and accepts none.
    pub(super) fn kill(&self) {
        self.accepting.abort();
        self.stop.send_replace(Stop::Kill);
    }

    /// Says GOAWAY on every connection.
    pub(super) fn go_away(&self) {
        self.stop.send_replace(Stop::GoAway);
    }

    /// Calls that came.
    pub(super) fn calls(&self) -> usize {
        self.seen.heads.lock().len()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn accept(listener: TcpListener, max: u32, seen: Arc<Seen>, stopped: watch::Receiver<Stop>) {
    while let Ok((tcp, _)) = listener.accept().await {
        seen.connections.fetch_add(1, SeqCst);
        let (seen, mut stopped) = (seen.clone(), stopped.clone());
        // A connection hears what is said after it was opened.
        stopped.mark_unchanged();
        tokio::spawn(async move {
            tcp.set_nodelay(true).expect("a socket");
            let mut builder = h2::server::Builder::new();
            builder.max_concurrent_streams(max).initial_window_size(65_535).max_pending_accept_reset_streams(10_000);
            let mut connection = builder.handshake::<_, Bytes>(tcp).await.expect("HTTP/2");
            loop {
                tokio::select! {
                    call = connection.accept() => match call {
                        Some(Ok((request, respond))) => drop(tokio::spawn(answer(request, respond, seen.clone()))),
                        _ => return,
                    },
                    Ok(()) = stopped.changed() => match *stopped.borrow_and_update() {
                        Stop::GoAway => connection.graceful_shutdown(),
                        Stop::Kill | Stop::No => return,
                    },
                }
            }
        });
    }
}

async fn answer(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, seen: Arc<Seen>) {
    let (head, mut body) = request.into_parts();
    seen.heads.lock().push(head.headers.clone());
    let method = head.uri.path().rsplit('/').next().unwrap_or_default().to_owned();
    let ended = match method.as_str() {
        "Echo" => echo(&head.headers, &mut body, respond).await,
        "Refuse" => reset(respond, Reason::REFUSED_STREAM),
        "Reset" => reset(respond, Reason::ENHANCE_YOUR_CALM),
        "Http" => respond.send_response(Response::builder().status(503).body(()).expect("a reply"), true).map(drop),
        "Only" => respond.send_response(only(), true).map(drop),
        "Bare" => respond.send_response(head_of(&HeaderMap::new()), true).map(drop),
        "Truncate" => truncate(respond).await,
        "Flood" => flood(respond, &seen).await,
        "Early" => early(respond).await,
        // Until the call is reset: reads nothing, answers nothing.
        _ => {
            let reset = std::future::poll_fn(|cx| respond.poll_reset(cx)).await;
            seen.resets.lock().push(reset.ok());
            Ok(())
        }
    };
    if let Err(error) = ended {
        seen.resets.lock().push(error.reason());
    }
}

fn reset(mut respond: SendResponse<Bytes>, reason: Reason) -> Result<(), h2::Error> {
    respond.send_reset(reason);
    Ok(())
}

/// Sends back every chunk as it comes.
async fn echo(metadata: &HeaderMap, body: &mut RecvStream, mut respond: SendResponse<Bytes>) -> Result<(), h2::Error> {
    let mut send = respond.send_response(head_of(metadata), false)?;
    while let Some(chunk) = next(body).await? {
        send_all(&mut send, chunk, false).await?;
    }
    send.send_trailers(status("0"))
}

async fn truncate(mut respond: SendResponse<Bytes>) -> Result<(), h2::Error> {
    respond.send_response(head_of(&HeaderMap::new()), false)?.send_data(message(b"half"), true)
}

async fn early(mut respond: SendResponse<Bytes>) -> Result<(), h2::Error> {
    respond.send_response(head_of(&HeaderMap::new()), false)?.send_trailers(status("0"))
}

/// Sends small messages for ever.
async fn flood(mut respond: SendResponse<Bytes>, seen: &Seen) -> Result<(), h2::Error> {
    let mut send: SendStream<Bytes> = respond.send_response(head_of(&HeaderMap::new()), false)?;
    loop {
        let bytes = message(&[7; 60]);
        let length = bytes.len();
        send_all(&mut send, bytes, false).await?;
        seen.flooded.fetch_add(length, SeqCst);
    }
}

fn head_of(metadata: &HeaderMap) -> Response<()> {
    let mut head = Response::new(());
    head.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    for (key, value) in metadata.iter().filter(|(key, _)| key.as_str().starts_with("x-")) {
        head.headers_mut().append(key, value.clone());
    }
    head
}

fn only() -> Response<()> {
    let mut reply = head_of(&HeaderMap::new());
    reply.headers_mut().extend(status("9"));
    reply.headers_mut().insert("grpc-status-details-bin", HeaderValue::from_static("CAkSA2FiYw"));
    reply.headers_mut().insert("grpc-message", HeaderValue::from_static("not%20now"));
    reply
}

fn status(code: &'static str) -> HeaderMap {
    [(http::HeaderName::from_static("grpc-status"), HeaderValue::from_static(code))].into_iter().collect()
}
