//! HTTP/2 as it lies on the wire, for what a well-behaved gRPC library never sends.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use h2::{RecvStream, client, server};
use http::{HeaderMap, Request, Response, StatusCode};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// Everything that came back for one request.
#[derive(Debug, Default)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The response headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
    /// The trailers; `None` in a trailers-only response.
    pub trailers: Option<HeaderMap>,
}

/// A client on one connection.
pub struct RawClient {
    send: client::SendRequest<Bytes>,
    connection: JoinHandle<()>,
}

/// A server whose answers are written by the test, byte by byte.
pub struct RawInstance {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

/// Where an instance is asked for its health.
pub const HEALTH: &str = "/grpc.health.v1.Health/Watch";

/// A connection, with TLS or without.
pub trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Socket for S {}

/// One request as a [`RawInstance`] gets it, and the means to answer.
pub type Exchange = (Request<RecvStream>, server::SendResponse<Bytes>);

impl Answer {
    /// A field of the trailers, or of the headers where there are none.
    pub fn trailer(&self, name: &str) -> Option<&str> {
        self.trailers.as_ref().unwrap_or(&self.headers).get(name).and_then(|value| value.to_str().ok())
    }

    /// The gRPC status.
    pub fn grpc_status(&self) -> Option<u8> {
        self.trailer("grpc-status")?.parse().ok()
    }
}

impl RawClient {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap()).await
    }

    /// Speaks HTTP/2 over a connection.
    pub async fn over(socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (send, connection) = client::handshake(socket).await.unwrap();
        let connection = tokio::spawn(async move { drop(connection.await) });
        Self { send, connection }
    }

    /// Sends a request with a whole body and reads the whole answer.
    ///
    /// # Errors
    /// When the stream or the connection ended without one.
    pub async fn call(&self, request: Request<()>, body: Bytes) -> Result<Answer, h2::Error> {
        let mut send = self.send.clone().ready().await?;
        let (response, mut stream) = send.send_request(request, body.is_empty())?;
        if !body.is_empty() {
            stream.send_data(body, true)?;
        }
        read(response.await?).await
    }

    /// Sends the head of a request and leaves its body open.
    ///
    /// # Errors
    /// When the connection ended.
    pub async fn open(
        &self,
        request: Request<()>,
    ) -> Result<(client::ResponseFuture, h2::SendStream<Bytes>), h2::Error> {
        self.send.clone().ready().await?.send_request(request, false)
    }

    /// Whether the connection is still open.
    pub fn is_open(&self) -> bool {
        !self.connection.is_finished()
    }
}

impl Drop for RawClient {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// Reads a response to its end.
///
/// # Errors
/// When the stream is reset.
pub async fn read(response: Response<RecvStream>) -> Result<Answer, h2::Error> {
    let (head, mut stream) = response.into_parts();
    let mut answer = Answer { status: head.status, headers: head.headers, ..Answer::default() };
    while let Some(chunk) = stream.data().await {
        let chunk = chunk?;
        stream.flow_control().release_capacity(chunk.len())?;
        answer.body.extend_from_slice(&chunk);
    }
    answer.trailers = stream.trailers().await?;
    Ok(answer)
}

/// The head of a gRPC request.
pub fn grpc(path: &str) -> http::request::Builder {
    Request::post(format!("http://gateway{path}"))
        .version(http::Version::HTTP_2)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
}

/// A message with its five-byte prefix.
pub fn framed(message: &impl prost::Message) -> Bytes {
    let message = message.encode_to_vec();
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    framed.extend(message);
    framed.into()
}

impl RawInstance {
    /// Starts a server that gives each request to `answer`, except those for its health: it has none.
    pub async fn start<F>(answer: F) -> Self
    where
        F: Fn(Exchange) -> BoxFuture<'static, ()> + Send + Sync + 'static,
    {
        Self::start_with(&server::Builder::new(), without_health(answer)).await
    }

    /// The same with these settings; requests for its health are given to `answer`, too.
    pub async fn start_with<F>(builder: &server::Builder, answer: F) -> Self
    where
        F: Fn(Exchange) -> BoxFuture<'static, ()> + Send + Sync + 'static,
    {
        Self::launch(builder, |tcp| async { Some(Box::new(tcp) as Box<dyn Socket>) }.boxed(), answer).await
    }

    /// As [`Self::start`], over what `greet` makes of each connection.
    pub async fn start_over<G, F>(greet: G, answer: F) -> Self
    where
        G: Fn(TcpStream) -> BoxFuture<'static, Option<Box<dyn Socket>>> + Send + Sync + 'static,
        F: Fn(Exchange) -> BoxFuture<'static, ()> + Send + Sync + 'static,
    {
        Self::launch(&server::Builder::new(), greet, without_health(answer)).await
    }

    async fn launch<G, F>(builder: &server::Builder, greet: G, answer: F) -> Self
    where
        G: Fn(TcpStream) -> BoxFuture<'static, Option<Box<dyn Socket>>> + Send + Sync + 'static,
        F: Fn(Exchange) -> BoxFuture<'static, ()> + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (builder, answer) = (builder.clone(), Arc::new(answer));
        let accepting = tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (greeting, builder, answer) = (greet(tcp), builder.clone(), answer.clone());
                tokio::spawn(async move {
                    if let Some(socket) = greeting.await {
                        serve(builder, socket, answer).await;
                    }
                });
            }
        });
        Self { address, accepting }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for RawInstance {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Says that there is no health service; everything else is given to `answer`.
fn without_health<F>(answer: F) -> impl Fn(Exchange) -> BoxFuture<'static, ()> + Send + Sync + 'static
where
    F: Fn(Exchange) -> BoxFuture<'static, ()> + Send + Sync + 'static,
{
    move |(request, mut respond)| {
        if request.uri().path() != HEALTH {
            return answer((request, respond));
        }
        let head = Response::builder().header("content-type", "application/grpc").header("grpc-status", "12");
        drop(respond.send_response(head.body(()).unwrap(), true));
        std::future::ready(()).boxed()
    }
}

async fn serve<F>(builder: server::Builder, socket: Box<dyn Socket>, answer: Arc<F>)
where
    F: Fn(Exchange) -> BoxFuture<'static, ()> + Send + Sync + 'static,
{
    let Ok(mut connection) = builder.handshake(socket).await else { return };
    while let Some(Ok(exchange)) = connection.accept().await {
        tokio::spawn(answer(exchange));
    }
}
