//! How an instance answers one call.

use std::{sync::Arc, sync::atomic::Ordering::SeqCst, time::Duration};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, server::SendResponse};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use symgate_tests::pb::{KlineReply, KlineRequest};
use tokio::time::sleep;

use super::{Counted, Mood, Shared};
use crate::{
    book::Arrival,
    call::{ID, INSTANCE, Kind, SYMBOL, WANTED, payload},
    wire::{Messages, send},
};

/// What a stream is reset with. REFUSED_STREAM is not among them: it says that the call was not looked at.
const RESETS: [Reason; 4] = [Reason::INTERNAL_ERROR, Reason::CANCEL, Reason::ENHANCE_YOUR_CALM, Reason::NO_ERROR];

/// The gRPC status for what there is not.
const UNIMPLEMENTED: u8 = 12;

/// What the metadata of a call says.
struct Asked {
    id: u64,
    symbol: String,
    status: u8,
    kind: Kind,
}

/// Takes a call and answers it, unless it is to break. What goes wrong is the caller's to notice.
pub(super) async fn answer(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, shared: Arc<Shared>) {
    if request.uri().path() == symgate_tests::raw::HEALTH {
        // It has no health service, as most.
        drop(respond.send_response(head(shared.port, UNIMPLEMENTED), true));
        return;
    }
    let asked = match Asked::read(&request) {
        Ok(asked) => asked,
        Err(error) => return shared.book.violation("strange call", &format!("{} got one: {error:#}", shared.port)),
    };
    if chance(asked.id, 1) < shared.refusals.load(SeqCst) {
        return respond.send_reset(Reason::REFUSED_STREAM);
    }
    let _counted = Counted::new(&shared, |shared| &shared.calls);
    let told = request.headers().get_all("symgate-symbol").iter().map(HeaderValue::as_bytes).collect();
    let frozen = *shared.frozen.lock();
    shared.book.arrived(&Arrival { id: asked.id, port: shared.port, symbol: &asked.symbol, told, frozen });
    let breaks = chance(asked.id, 2) < shared.resets.load(SeqCst);
    let reset = RESETS.get(asked.id as usize % RESETS.len()).copied().unwrap_or(Reason::CANCEL);
    if breaks && asked.id % 3 == 0 {
        return respond.send_reset(reset);
    }
    let mut mood = shared.mood.subscribe();
    // Its sender lives as long as this instance.
    let _ = mood.wait_for(|mood| *mood != Mood::Stalls).await;
    let Ok(mut stream) = respond.send_response(head(shared.port, asked.status), asked.status != 0) else { return };
    if asked.status != 0 {
        return;
    }
    let replies = Replies { asked: &asked, shared: &shared, stream: &mut stream, breaks };
    match replies.all(Messages::new(request.into_body())).await {
        Ok(true) => drop(stream.send_trailers(trailers(shared.port))),
        Ok(false) => stream.send_reset(reset),
        Err(_) => {}
    }
}

impl Asked {
    fn read(request: &Request<RecvStream>) -> Result<Self> {
        let text = |name: &'static str| {
            let value = request.headers().get(name).with_context(|| format!("it has no {name}"))?;
            anyhow::Ok(value.to_str()?.to_owned())
        };
        let path = request.uri().path();
        let kind =
            Kind::ALL.into_iter().find(|kind| kind.path() == path).with_context(|| format!("its path is {path}"))?;
        let status = if request.headers().contains_key(WANTED) { text(WANTED)?.parse()? } else { 0 };
        Ok(Self { id: text(ID)?.parse()?, symbol: text(SYMBOL)?, status, kind })
    }
}

/// The messages of a reply.
struct Replies<'a> {
    asked: &'a Asked,
    shared: &'a Shared,
    stream: &'a mut SendStream<Bytes>,
    breaks: bool,
}

impl Replies<'_> {
    /// Answers every message as its kind is answered; `false`: the stream is to break now.
    async fn all(mut self, mut requests: Messages) -> Result<bool> {
        let mut sum = KlineReply::default();
        let mut first = KlineRequest::default();
        while let Some(request) = requests.next::<KlineRequest>().await? {
            self.check(&request, sum.received == 0);
            sum.received += 1;
            sum.received_bytes += request.payload.len() as u64;
            if self.asked.kind == Kind::Trade {
                self.reply(&request, &sum).await?;
            }
            first = request;
            if self.breaks && self.asked.kind == Kind::Trade {
                return Ok(false);
            }
        }
        ensure!(!requests.is_cut(), "the request ended inside a message");
        match self.asked.kind {
            Kind::Get | Kind::Push => self.reply(&first, &sum).await?,
            Kind::Watch => return self.watched(&first, sum).await,
            Kind::Trade => {}
        }
        Ok(!self.breaks)
    }

    async fn watched(&mut self, request: &KlineRequest, mut sum: KlineReply) -> Result<bool> {
        let pause = Duration::from_millis(request.to.try_into()?);
        for number in 0..request.count {
            if number > 0 && !pause.is_zero() {
                sleep(pause).await;
            }
            sum.received = u64::from(number) + 1;
            self.reply(request, &sum).await?;
            if self.breaks {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn reply(&mut self, request: &KlineRequest, sum: &KlineReply) -> Result<()> {
        let payload = payload(self.asked.id, request.reply_bytes);
        let reply = KlineReply { symbol: self.asked.symbol.clone(), payload, ..sum.clone() };
        send(self.stream, &reply).await
    }

    /// The first message, if it names a symbol, names the one that the call is about; its payload is the call's own.
    fn check(&self, request: &KlineRequest, first: bool) {
        let Asked { id, symbol, .. } = self.asked;
        let (named, size) = (&request.symbol, request.payload.len());
        let right = payload(*id, u32::try_from(size).unwrap_or_default()) == request.payload;
        if !right || (first && !named.is_empty() && named != symbol) {
            let text = format!("{} got one of call {id} about {symbol}: it says {named:?}", self.shared.port);
            self.shared.book.violation("wrong message", &text);
        }
    }
}

/// A number below a thousand that depends on the call alone.
fn chance(id: u64, salt: u64) -> u32 {
    let mixed = (id ^ (salt << 40)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    u32::try_from(mixed % 1000).unwrap_or_default()
}

fn head(port: u16, status: u8) -> Response<()> {
    let mut head = Response::new(());
    let headers = head.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    headers.insert(INSTANCE, port.into());
    if status != 0 {
        headers.insert("grpc-status", u16::from(status).into());
    }
    head
}

fn trailers(port: u16) -> HeaderMap {
    let status = (HeaderName::from_static("grpc-status"), HeaderValue::from(0));
    HeaderMap::from_iter([status, (HeaderName::from_static(INSTANCE), port.into())])
}
