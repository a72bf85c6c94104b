//! One call as its caller makes it: what it asks for, and how it ended, with every message checked on the way.

use std::{future::poll_fn, pin::pin, time::Duration};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use h2::{SendStream, client::SendRequest};
use http::{HeaderMap, Request};
use symgate_tests::{
    pb::{KlineReply, KlineRequest},
    raw::grpc,
};
use tokio::time::{sleep, timeout};

use super::wire::{Messages, send};

/// The metadata in which a call says its number, the symbol that it is really about, the status that it wants of the
/// instance, and in which an instance says who it is.
pub(crate) const ID: &str = "soak-id";
pub(crate) const SYMBOL: &str = "soak-symbol";
pub(crate) const WANTED: &str = "soak-status";
pub(crate) const INSTANCE: &str = "soak-instance";

/// How long after its deadline a call must have ended, on a busy machine.
const SLACK: Duration = Duration::from_secs(3);
/// How long a call without a deadline may take: more than every stall that instances make.
const LONGEST: Duration = Duration::from_secs(30);

/// The four kinds of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Get,
    Watch,
    Push,
    Trade,
}

/// What a call is to be.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) id: u64,
    pub(crate) kind: Kind,
    pub(crate) symbol: String,
    /// The symbol is in the metadata; else in the first message.
    pub(crate) in_metadata: bool,
    pub(crate) deadline: Option<Duration>,
    /// The caller cancels the call after this time.
    pub(crate) leaves_after: Option<Duration>,
    /// The instance is to end it with this status.
    pub(crate) fails_with: Option<u8>,
    pub(crate) request_bytes: u32,
    pub(crate) reply_bytes: u32,
    /// Messages of the side that streams.
    pub(crate) messages: u32,
    /// Between two messages of a stream.
    pub(crate) pause: Duration,
}

/// How a call ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With a gRPC status; `own`: the instance's.
    Status { code: u8, reason: String, own: bool },
    /// The caller cancelled it.
    Left,
    /// The stream or the connection broke.
    Lost(String),
    /// A reply that is not what was asked for.
    Wrong(String),
    /// Not at all within this time.
    Hung(Duration),
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Get, Self::Watch, Self::Push, Self::Trade];

    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Get => "/pb.KlineService/GetKline",
            Self::Watch => "/pb.KlineService/WatchKline",
            Self::Push => "/pb.KlineService/PushTicks",
            Self::Trade => "/pb.KlineService/TradeKline",
        }
    }

    fn streams_requests(self) -> bool {
        matches!(self, Self::Push | Self::Trade)
    }

    fn streams_replies(self) -> bool {
        matches!(self, Self::Watch | Self::Trade)
    }
}

impl Plan {
    /// The smallest call of a kind.
    pub(crate) fn small(id: u64, kind: Kind, symbol: &str) -> Self {
        Self {
            id,
            kind,
            symbol: symbol.to_owned(),
            in_metadata: false,
            deadline: None,
            leaves_after: None,
            fails_with: None,
            request_bytes: 20,
            reply_bytes: 20,
            messages: 3,
            pause: Duration::ZERO,
        }
    }

    /// The status that the instance answers with.
    pub(crate) fn wanted_status(&self) -> u8 {
        self.fails_with.unwrap_or_default()
    }

    fn requests(&self) -> u32 {
        if self.kind.streams_requests() { self.messages } else { 1 }
    }

    fn replies(&self) -> u32 {
        if self.kind.streams_replies() { self.messages } else { 1 }
    }

    fn head(&self) -> Result<Request<()>> {
        let mut head = grpc(self.kind.path()).header(ID, self.id).header(SYMBOL, &self.symbol);
        if self.in_metadata {
            // A value of the client's own must never reach the instance.
            head = head.header("symbol", &self.symbol).header("symgate-symbol", "FORGED");
        }
        if let Some(deadline) = self.deadline {
            head = head.header("grpc-timeout", format!("{}m", deadline.as_millis()));
        }
        if let Some(status) = self.fails_with {
            head = head.header(WANTED, u16::from(status));
        }
        Ok(head.body(())?)
    }

    fn request(&self) -> KlineRequest {
        KlineRequest {
            to: i64::try_from(self.pause.as_millis()).unwrap_or_default(),
            symbol: if self.in_metadata { String::new() } else { self.symbol.clone() },
            count: self.messages,
            reply_bytes: self.reply_bytes,
            payload: payload(self.id, self.request_bytes),
            ..KlineRequest::default()
        }
    }

    /// Makes the call; it ends one way or another.
    pub(crate) async fn make(&self, connection: &mut SendRequest<Bytes>) -> End {
        let limit = self.deadline.map_or(LONGEST, |deadline| deadline + SLACK);
        let leave = async {
            match self.leaves_after {
                Some(after) => sleep(after).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // Dropping the call cancels it.
            () = leave => End::Left,
            end = timeout(limit, self.whole(connection)) => match end {
                Ok(Ok(end)) => end,
                Ok(Err(error)) if error.is::<Surprise>() => End::Wrong(format!("{error:#}")),
                Ok(Err(error)) => End::Lost(format!("{error:#}")),
                Err(_elapsed) => End::Hung(limit),
            },
        }
    }

    async fn whole(&self, connection: &mut SendRequest<Bytes>) -> Result<End> {
        poll_fn(|waker| connection.poll_ready(waker)).await?;
        let (response, mut stream) = connection.send_request(self.head()?, false)?;
        let mut reading = pin!(async {
            let (head, body) = response.await?.into_parts();
            self.read(head, Messages::new(body)).await
        });
        tokio::select! {
            biased;
            end = &mut reading => return end,
            // What cannot be sent any more is explained by the reply.
            _ = self.send_all(&mut stream) => {}
        }
        reading.await
    }

    async fn send_all(&self, stream: &mut SendStream<Bytes>) -> Result<()> {
        for message in 0..self.requests() {
            if message > 0 {
                sleep(self.pause).await;
            }
            send(stream, &self.request()).await?;
        }
        Ok(stream.send_data(Bytes::new(), true)?)
    }

    async fn read(&self, head: http::response::Parts, mut messages: Messages) -> Result<End> {
        if head.headers.contains_key("grpc-status") {
            return self.ended(&head.headers, 0);
        }
        surprise(head.status == 200 && head.headers.contains_key(INSTANCE), || {
            format!("a reply begins with {head:?}")
        })?;
        let mut count = 0;
        while let Some(reply) = messages.next::<KlineReply>().await? {
            self.check(&reply, count)?;
            count += 1;
        }
        let cut = messages.is_cut();
        let end = self.ended(&messages.trailers().await?.unwrap_or_default(), count)?;
        let clean = matches!(end, End::Status { code: 0, .. });
        surprise(!(cut && clean), || "a reply that ends inside a message ended with status 0".into())?;
        Ok(end)
    }

    /// One message of the reply: of this call, whole and in its place.
    fn check(&self, reply: &KlineReply, before: u32) -> Result<()> {
        let (received, bytes) = match self.kind {
            Kind::Get => (1, u64::from(self.request_bytes)),
            Kind::Watch => (u64::from(before) + 1, u64::from(self.request_bytes)),
            Kind::Push => (u64::from(self.messages), u64::from(self.messages) * u64::from(self.request_bytes)),
            Kind::Trade => (u64::from(before) + 1, (u64::from(before) + 1) * u64::from(self.request_bytes)),
        };
        let right = reply.received == received
            && reply.received_bytes == bytes
            && reply.symbol == self.symbol
            && reply.payload == payload(self.id, self.reply_bytes);
        surprise(right, || {
            let size = reply.payload.len();
            let KlineReply { symbol, received, received_bytes, .. } = reply;
            format!("message {before} says {symbol}, {received} received with {received_bytes} bytes, and has {size}")
        })
    }

    fn ended(&self, trailers: &HeaderMap, count: u32) -> Result<End> {
        let text = |name| trailers.get(name).and_then(|value| value.to_str().ok());
        let code: u8 = text("grpc-status").context("the reply ended without grpc-status")?.parse()?;
        let own = trailers.contains_key(INSTANCE);
        let complete = count == if code == 0 { self.replies() } else { count.min(self.replies()) };
        surprise(complete, || format!("a reply of {count} messages ended with status {code}"))?;
        Ok(End::Status { code, reason: text("symgate-reason").unwrap_or_default().to_owned(), own })
    }
}

/// A reply that nothing excuses.
#[derive(Debug)]
struct Surprise(String);

impl std::fmt::Display for Surprise {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Surprise {}

fn surprise(right: bool, text: impl FnOnce() -> String) -> Result<()> {
    ensure!(right, Surprise(text()));
    Ok(())
}

/// Bytes that only this call sends and gets.
pub(crate) fn payload(id: u64, bytes: u32) -> Bytes {
    vec![u8::try_from(id % 251).unwrap_or_default(); bytes as usize].into()
}
