//! The k-line service of an instance: all four kinds of call.

use std::{pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use parking_lot::Mutex;
use tonic::{Request, Response, Status, Streaming};

use super::seen::{Seen, UnderWay};
use crate::pb::{KlineReply, KlineRequest, kline_service_server::KlineService};

/// How an instance treats a call.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// Answers at once.
    Answer,
    /// Answers after a pause.
    Delay(Duration),
    /// Never answers.
    Stall,
    /// Sends the reply headers and the first message of a stream, then nothing more.
    StallAfterFirst,
    /// Ends the call with this status.
    Fail(Box<Status>),
}

/// The service as one instance runs it.
pub(super) struct Kline {
    name: String,
    owns: Arc<Mutex<Vec<String>>>,
    seen: Arc<Seen>,
    behaviour: Arc<Mutex<Behaviour>>,
}

type Replies = Pin<Box<dyn Stream<Item = Result<KlineReply, Status>> + Send>>;

impl Kline {
    pub(super) fn new(
        name: String,
        owns: Arc<Mutex<Vec<String>>>,
        seen: Arc<Seen>,
        behaviour: Arc<Mutex<Behaviour>>,
    ) -> Self {
        Self { name, owns, seen, behaviour }
    }

    /// Takes a call: counts it, then does what the instance was told to do before it answers.
    async fn take<T>(&self, method: &'static str, request: &Request<T>) -> Result<(UnderWay, Behaviour), Status> {
        let call = self.seen.start(method, request);
        let behaviour = self.behaviour.lock().clone();
        match &behaviour {
            Behaviour::Answer | Behaviour::StallAfterFirst => {}
            Behaviour::Delay(pause) => tokio::time::sleep(*pause).await,
            Behaviour::Stall => std::future::pending().await,
            Behaviour::Fail(status) => {
                call.finish();
                return Err((**status).clone());
            }
        }
        Ok((call, behaviour))
    }

    fn reply(&self, request: &KlineRequest) -> KlineReply {
        KlineReply {
            symbol: request.symbol.clone(),
            instance: self.name.clone(),
            owns: self.owns.lock().clone(),
            received: 1,
            received_bytes: request.payload.len() as u64,
            payload: Bytes::from(vec![7; request.reply_bytes as usize]),
        }
    }
}

#[tonic::async_trait]
impl KlineService for Kline {
    type WatchKlineStream = Replies;
    type TradeKlineStream = Replies;

    async fn get_kline(&self, request: Request<KlineRequest>) -> Result<Response<KlineReply>, Status> {
        let (call, _) = self.take("GetKline", &request).await?;
        let mut response = Response::new(self.reply(request.get_ref()));
        // What a caller sends as `echo` and `echo-bin` comes back, to show that metadata passes both ways.
        if let Some(value) = request.metadata().get("echo") {
            response.metadata_mut().insert("echo", value.clone());
        }
        if let Some(value) = request.metadata().get_bin("echo-bin") {
            response.metadata_mut().insert_bin("echo-bin", value.clone());
        }
        call.finish();
        Ok(response)
    }

    async fn watch_kline(&self, request: Request<KlineRequest>) -> Result<Response<Replies>, Status> {
        let (call, behaviour) = self.take("WatchKline", &request).await?;
        let count = request.get_ref().count;
        let reply = self.reply(request.get_ref());
        let replies = stream::unfold((0, call), move |(sent, call)| {
            let (reply, stall) = (reply.clone(), sent == 1 && matches!(behaviour, Behaviour::StallAfterFirst));
            async move {
                if stall {
                    std::future::pending::<()>().await;
                }
                if sent == count {
                    call.finish();
                    return None;
                }
                Some((Ok(KlineReply { received: u64::from(sent) + 1, ..reply }), (sent + 1, call)))
            }
        });
        Ok(Response::new(replies.boxed()))
    }

    async fn push_ticks(&self, request: Request<Streaming<KlineRequest>>) -> Result<Response<KlineReply>, Status> {
        let (call, _) = self.take("PushTicks", &request).await?;
        let mut ticks = request.into_inner();
        let mut reply = self.reply(&KlineRequest::default());
        reply.received = 0;
        while let Some(tick) = ticks.message().await? {
            reply.symbol.clone_from(&tick.symbol);
            reply.received += 1;
            reply.received_bytes += tick.payload.len() as u64;
        }
        call.finish();
        Ok(Response::new(reply))
    }

    async fn trade_kline(&self, request: Request<Streaming<KlineRequest>>) -> Result<Response<Replies>, Status> {
        let (call, _) = self.take("TradeKline", &request).await?;
        let template = self.reply(&KlineRequest::default());
        let state = (request.into_inner(), template, call);
        let replies = stream::try_unfold(state, |(mut requests, mut reply, call)| async move {
            let Some(request) = requests.message().await? else {
                call.finish();
                return Ok(None);
            };
            reply.symbol.clone_from(&request.symbol);
            reply.received_bytes += request.payload.len() as u64;
            reply.payload = Bytes::from(vec![7; request.reply_bytes as usize]);
            let answer = reply.clone();
            reply.received += 1;
            Ok(Some((answer, (requests, reply, call))))
        });
        Ok(Response::new(replies.boxed()))
    }
}
