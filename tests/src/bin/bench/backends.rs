//! Backends: gRPC servers on one thread, each on a port of its own. They say which one they are and what was asked.

use std::rc::Rc;

use anyhow::{Context, Result};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::{RecvStream, SendStream, server};
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::{
    net::{TcpListener, TcpStream},
    task::spawn_local,
};

use crate::{
    caller::room,
    message::{ASK, Ask, BACKEND, TALK},
    talk,
};

/// What every reply of a backend has.
struct Reply {
    head: Response<()>,
    trailers: HeaderMap,
}

/// Serves until standard input ends.
pub(crate) async fn serve(count: u16) -> Result<()> {
    let mut ports = Vec::new();
    for number in 0..count {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        ports.push(listener.local_addr()?.port().to_string());
        spawn_local(accept(listener, Rc::new(Reply::of(number)?)));
    }
    talk::say(&ports.join(" "))?;
    talk::abandoned().await
}

impl Reply {
    fn of(number: u16) -> Result<Self> {
        let head = Response::builder().header("content-type", "application/grpc").header(BACKEND, number).body(())?;
        let trailers = HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), HeaderValue::from(0))]);
        Ok(Self { head, trailers })
    }
}

async fn accept(listener: TcpListener, reply: Rc<Reply>) {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => drop(spawn_local(told(connection(socket, reply.clone())))),
            Err(error) => eprintln!("a backend could not accept: {error}"),
        }
    }
}

/// A proxy that goes away is no failure of the backend, but somebody may want to know why calls failed.
async fn told(work: impl Future<Output = Result<()>>) {
    if let Err(error) = work.await {
        eprintln!("a backend: {error:#}");
    }
}

async fn connection(socket: TcpStream, reply: Rc<Reply>) -> Result<()> {
    socket.set_nodelay(true)?;
    let mut builder = server::Builder::new();
    builder.initial_window_size(room::STREAM).initial_connection_window_size(room::CONNECTION);
    let mut connection = builder.max_concurrent_streams(room::STREAMS).handshake(socket).await?;
    while let Some(accepted) = connection.accept().await {
        let (request, respond) = accepted?;
        spawn_local(told(answer(request, respond, reply.clone())));
    }
    Ok(())
}

async fn answer(request: Request<RecvStream>, mut respond: server::SendResponse<Bytes>, own: Rc<Reply>) -> Result<()> {
    let talks = request.uri().path() == TALK;
    let mut body = request.into_body();
    let mut stream = if talks {
        let mut stream = respond.send_response(own.head.clone(), false)?;
        talk(&mut body, &mut stream).await?;
        stream
    } else {
        let ask = read_ask(&mut body).await?;
        read_to_end(&mut body).await?;
        let mut stream = respond.send_response(own.head.clone(), false)?;
        reply(&mut stream, ask).await?;
        stream
    };
    stream.send_trailers(own.trailers.clone())?;
    Ok(())
}

async fn reply(stream: &mut SendStream<Bytes>, ask: Ask) -> Result<()> {
    let message = ask.reply();
    for _ in 0..ask.messages {
        send(stream, message.clone()).await?;
    }
    Ok(())
}

/// Answers each message as it comes, until there are no more.
async fn talk(body: &mut RecvStream, stream: &mut SendStream<Bytes>) -> Result<()> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        bytes.extend_from_slice(&chunk);
        while let Some(ask) = Ask::take(&mut bytes) {
            reply(stream, ask).await?;
        }
    }
    Ok(())
}

async fn read_ask(body: &mut RecvStream) -> Result<Ask> {
    let mut head = [0; ASK];
    let mut missing = head.as_mut_slice();
    while !missing.is_empty() {
        let chunk = body.data().await.context("a request ended before its message")??;
        body.flow_control().release_capacity(chunk.len())?;
        let known = chunk.len().min(missing.len());
        missing.put(chunk.take(known));
    }
    Ok(Ask::read(&head))
}

async fn read_to_end(body: &mut RecvStream) -> Result<()> {
    while let Some(chunk) = body.data().await {
        body.flow_control().release_capacity(chunk?.len())?;
    }
    Ok(())
}

/// Sends a message as the receiver's windows allow.
async fn send(stream: &mut SendStream<Bytes>, mut message: Bytes) -> Result<()> {
    while message.has_remaining() {
        stream.reserve_capacity(message.len());
        while stream.capacity() == 0 {
            std::future::poll_fn(|waker| stream.poll_capacity(waker)).await.context("the caller went away")??;
        }
        let part = message.split_to(stream.capacity().min(message.len()));
        stream.send_data(part, false)?;
    }
    Ok(())
}
