//! A client that shows every frame that matters.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use h2::{
    Reason, RecvStream, SendStream,
    client::{self, ResponseFuture, SendRequest},
};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use tokio::net::TcpStream;

use super::soon;

/// One connection.
#[derive(Clone)]
pub(super) struct Client(SendRequest<Bytes>);

/// A call under way.
pub(super) struct Call {
    pub(super) send: SendStream<Bytes>,
    pub(super) response: ResponseFuture,
}

/// A complete reply.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// `None`: the headers were the whole reply.
    pub(super) trailers: Option<HeaderMap>,
}

impl Client {
    /// Connects with usual windows.
    pub(super) async fn connect(address: SocketAddr) -> Self {
        Self::with_windows(address, 1 << 20, 1 << 24).await
    }

    /// Connects with these windows per stream and connection.
    pub(super) async fn with_windows(address: SocketAddr, stream: u32, connection: u32) -> Self {
        let tcp = TcpStream::connect(address).await.expect("the gateway accepts");
        tcp.set_nodelay(true).expect("a socket");
        let mut builder = client::Builder::new();
        builder.initial_window_size(stream).initial_connection_window_size(connection).data_frame_budget(1 << 30);
        let (send, driver) = builder.handshake(tcp).await.expect("HTTP/2");
        tokio::spawn(driver);
        Self(send)
    }

    /// Starts a call.
    pub(super) async fn start(&self, path: &str, metadata: &[(&str, &str)]) -> Call {
        self.start_request(request(path, metadata), false).await
    }

    /// Starts a call of any head.
    pub(super) async fn start_request(&self, request: Request<()>, ended: bool) -> Call {
        let mut ready = soon("a free stream", self.0.clone().ready()).await.expect("an open connection");
        let (response, send) = ready.send_request(request, ended).expect("a request");
        Call { send, response }
    }

    /// One call from beginning to end.
    pub(super) async fn call(&self, path: &str, metadata: &[(&str, &str)], body: Bytes) -> Reply {
        let mut call = self.start(path, metadata).await;
        // What is not sent because the call has ended is part of the test.
        let sending = async { drop(send_all(&mut call.send, body, true).await) };
        let (reply, ()) = soon("a reply", async { tokio::join!(reply(call.response), sending) }).await;
        reply.expect("a complete reply")
    }
}

impl Reply {
    /// A field of the trailers, or of headers that are the whole reply.
    pub(super) fn end(&self, name: &str) -> &str {
        let end = self.trailers.as_ref().unwrap_or(&self.headers);
        end.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// The gRPC status and the gateway's reason.
    pub(super) fn outcome(&self) -> (&str, &str) {
        (self.end("grpc-status"), self.end("symgate-reason"))
    }
}

/// The head of a gRPC call.
pub(super) fn request(path: &str, metadata: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::post(format!("http://test{path}")).body(()).expect("a request");
    request.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    request.headers_mut().insert("te", HeaderValue::from_static("trailers"));
    for (key, value) in metadata {
        let key = HeaderName::from_bytes(key.as_bytes()).expect("a key");
        request.headers_mut().append(key, HeaderValue::from_str(value).expect("a value"));
    }
    request
}

/// Sends everything, as the window allows.
pub(super) async fn send_all(send: &mut SendStream<Bytes>, mut bytes: Bytes, end: bool) -> Result<(), h2::Error> {
    while !bytes.is_empty() {
        send.reserve_capacity(bytes.len());
        let Some(room) = std::future::poll_fn(|cx| send.poll_capacity(cx)).await else {
            return Err(Reason::CANCEL.into());
        };
        let piece = bytes.split_to(room?.min(bytes.len()));
        send.send_data(piece, end && bytes.is_empty())?;
        if bytes.is_empty() {
            return Ok(());
        }
    }
    send.send_data(Bytes::new(), end)
}

/// Waits for the whole reply.
pub(super) async fn reply(response: ResponseFuture) -> Result<Reply, h2::Error> {
    let (head, body) = response.await?.into_parts();
    let (body, trailers) = read(body).await?;
    Ok(Reply { status: head.status, headers: head.headers, body, trailers })
}

/// Waits for the rest of a body.
pub(super) async fn read(mut body: RecvStream) -> Result<(Bytes, Option<HeaderMap>), h2::Error> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = next(&mut body).await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok((bytes.freeze(), body.trailers().await?))
}

/// The next chunk of a body.
pub(super) async fn next(body: &mut RecvStream) -> Result<Option<Bytes>, h2::Error> {
    let Some(chunk) = body.data().await.transpose()? else { return Ok(None) };
    let _ = body.flow_control().release_capacity(chunk.len());
    Ok(Some(chunk))
}
