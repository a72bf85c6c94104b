//! A caller: one connection to a proxy, calls on it, and the check of every reply.

use std::{cell::Cell, future::poll_fn, net::SocketAddr, rc::Rc};

use anyhow::{Context, Result, bail, ensure};
use bytes::{BufMut, Bytes};
use h2::{RecvStream, SendStream, client};
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::{
    net::TcpStream,
    task::{JoinSet, spawn_local},
};

use crate::message::{ANSWER, Ask, BACKEND, GET, TALK, WATCH};

/// Room that callers and backends leave for bytes under way: enough that a proxy is never the one that waits.
pub(crate) mod room {
    pub(crate) const STREAM: u32 = 1 << 20;
    pub(crate) const CONNECTION: u32 = 16 << 20;
    pub(crate) const STREAMS: u32 = 10_000;
}

/// Whom to call, and about what.
#[derive(clap::Args)]
pub(crate) struct Target {
    /// Where the proxy listens.
    #[arg(long)]
    address: SocketAddr,
    /// Symbols that calls are about, in turn.
    #[arg(long, default_value_t = 16)]
    symbols: u16,
    /// Backends, who own the symbols in turn.
    #[arg(long, default_value_t = 4)]
    owners: u16,
    #[arg(long, default_value_t = 10)]
    pub(crate) connections: usize,
    /// Bytes of a request.
    #[arg(long, default_value_t = 60)]
    request: u32,
    /// Bytes of a reply, or of each of its messages.
    #[arg(long, default_value_t = 60)]
    reply: u32,
    /// Messages of a reply: more than one make it a stream.
    #[arg(long, default_value_t = 1)]
    pub(crate) messages: u32,
    /// Calls made before anything is measured.
    #[arg(long, default_value_t = 1000)]
    pub(crate) warm_up: u64,
}

/// What all callers have in common.
pub(crate) struct Plan {
    calls: Vec<Prepared>,
    request: u32,
    reply: u32,
    messages: u32,
    made: Cell<u64>,
}

/// What depends on the symbol.
struct Prepared {
    one: Request<()>,
    talk: Request<()>,
    owner: HeaderValue,
}

/// One connection.
#[derive(Clone)]
pub(crate) struct Caller {
    send: client::SendRequest<Bytes>,
    plan: Rc<Plan>,
}

/// A call that both sides left open.
pub(crate) struct Open {
    send: SendStream<Bytes>,
    body: RecvStream,
    plan: Rc<Plan>,
}

impl Target {
    /// Connects as often as asked.
    pub(crate) async fn callers(&self) -> Result<Vec<Caller>> {
        let plan = Rc::new(self.plan()?);
        let mut callers = Vec::new();
        for _ in 0..self.connections {
            callers.push(self.caller(&plan).await?);
        }
        Ok(callers)
    }

    /// One more connection.
    pub(crate) async fn caller(&self, plan: &Rc<Plan>) -> Result<Caller> {
        let socket = TcpStream::connect(self.address).await.context("the proxy does not listen")?;
        socket.set_nodelay(true)?;
        let mut builder = client::Builder::new();
        builder.initial_window_size(room::STREAM).initial_connection_window_size(room::CONNECTION).enable_push(false);
        let (send, connection) = builder.handshake(socket).await?;
        spawn_local(async move { drop(connection.await) });
        Ok(Caller { send, plan: plan.clone() })
    }

    pub(crate) fn plan(&self) -> Result<Plan> {
        let calls = (0..self.symbols).map(|number| Prepared::new(number, number % self.owners, self.messages));
        let (calls, request, reply) = (calls.collect::<Result<_>>()?, self.request, self.reply);
        Ok(Plan { calls, request, reply, messages: self.messages, made: Cell::new(0) })
    }
}

impl Prepared {
    fn new(symbol: u16, owner: u16, messages: u32) -> Result<Self> {
        let request = |path| {
            Request::post(format!("http://prices.bench{path}"))
                .version(http::Version::HTTP_2)
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .header("user-agent", "symgate-bench")
                .header("symbol", format!("COIN{symbol:04}_USDT"))
                .body(())
        };
        let one = request(if messages == 1 { GET } else { WATCH })?;
        Ok(Self { one, talk: request(TALK)?, owner: owner.into() })
    }
}

impl Plan {
    /// Calls made so far, those under way included.
    pub(crate) fn made(&self) -> u64 {
        self.made.get()
    }

    /// The next call.
    fn next(&self) -> Result<(&Prepared, Ask)> {
        let number = self.made.replace(self.made.get() + 1);
        let turn = usize::try_from(number)? % self.calls.len();
        let prepared = self.calls.get(turn).context("there are no symbols")?;
        Ok((prepared, Ask { number, size: self.reply, messages: self.messages }))
    }
}

impl Caller {
    /// Makes a call to its end and checks everything that comes back.
    pub(crate) async fn call(&mut self) -> Result<()> {
        let plan = self.plan.clone();
        let (prepared, ask) = plan.next()?;
        let done = self.whole(prepared, ask, plan.request).await;
        done.with_context(|| format!("call {}", ask.number))
    }

    async fn whole(&mut self, prepared: &Prepared, ask: Ask, request: u32) -> Result<()> {
        poll_fn(|waker| self.send.poll_ready(waker)).await?;
        let (response, mut stream) = self.send.send_request(prepared.one.clone(), false)?;
        stream.send_data(ask.request(request), true)?;
        let mut body = owned(response.await?, prepared)?;
        read(&mut body, ask).await?;
        ended(body.trailers().await?.as_ref())
    }

    /// Makes a call that is answered and stays open.
    pub(crate) async fn open(&mut self) -> Result<Open> {
        let plan = self.plan.clone();
        let (prepared, ask) = plan.next()?;
        poll_fn(|waker| self.send.poll_ready(waker)).await?;
        let (response, mut send) = self.send.send_request(prepared.talk.clone(), false)?;
        send.send_data(ask.request(plan.request), false)?;
        let mut body = owned(response.await?, prepared)?;
        read(&mut body, ask).await.with_context(|| format!("call {}", ask.number))?;
        Ok(Open { send, body, plan })
    }
}

impl Open {
    /// Sends a message more and waits for its answer.
    pub(crate) async fn talk(&mut self) -> Result<()> {
        let (_, ask) = self.plan.next()?;
        self.send.send_data(ask.request(self.plan.request), false)?;
        read(&mut self.body, ask).await.with_context(|| format!("message {}", ask.number))
    }

    /// Ends it properly.
    pub(crate) async fn close(mut self) -> Result<()> {
        self.send.send_data(Bytes::new(), true)?;
        ensure!(self.body.data().await.is_none(), "a reply went on after its end");
        ended(self.body.trailers().await?.as_ref())
    }
}

/// Makes `count` calls, on `streams` streams of each connection at a time. The first failure ends all.
pub(crate) async fn call_all(callers: &[Caller], streams: usize, count: u64) -> Result<()> {
    let begun = Rc::new(Cell::new(0));
    let mut all = JoinSet::new();
    for caller in callers {
        for _ in 0..streams {
            let (mut caller, begun) = (caller.clone(), begun.clone());
            all.spawn_local(async move {
                while begun.replace(begun.get() + 1) < count {
                    caller.call().await?;
                }
                anyhow::Ok(())
            });
        }
    }
    while let Some(ended) = all.join_next().await {
        ended??;
    }
    Ok(())
}

/// The body of a response that came from the symbol's owner.
fn owned(response: Response<RecvStream>, prepared: &Prepared) -> Result<RecvStream> {
    let headers = response.headers();
    if response.status() != 200 || headers.get(BACKEND) != Some(&prepared.owner) {
        bail!("no reply of backend {:?} but {} with {headers:?}", prepared.owner, response.status());
    }
    Ok(response.into_body())
}

/// Reads all messages, giving room back as they come.
async fn read(body: &mut RecvStream, ask: Ask) -> Result<()> {
    let mut head = Vec::with_capacity(ANSWER);
    let mut bytes = 0;
    while bytes < ask.reply_bytes() {
        let chunk = body.data().await.with_context(|| format!("the reply ended after {bytes} bytes"))??;
        body.flow_control().release_capacity(chunk.len())?;
        bytes += chunk.len();
        let missing = ANSWER - head.len();
        if missing > 0 {
            head.put(chunk.slice(..missing.min(chunk.len())));
        }
    }
    ensure!(bytes == ask.reply_bytes(), "the reply has {bytes} bytes, not {}", ask.reply_bytes());
    ensure!(ask.is_answered_by(&head), "the reply answers another call: it begins with {head:?}");
    Ok(())
}

fn ended(trailers: Option<&HeaderMap>) -> Result<()> {
    let status = trailers.and_then(|trailers| trailers.get("grpc-status"));
    ensure!(status.is_some_and(|status| status == "0"), "the call ended with {trailers:?}");
    Ok(())
}
