//! Callers: connections that come and go, each with calls of every kind.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use bytes::Bytes;
use fastrand::Rng;
use h2::client::{self, SendRequest};
use tokio::{
    net::TcpStream,
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::sleep,
};

use super::{
    call::{End, Kind, Plan},
    fleet::Fleet,
};

/// Callers at a time.
const CALLERS: usize = 20;
/// Connections of a storm.
const STORM: usize = 200;
/// What instances may be asked to end a call with: never what the gateway makes of a fault.
const STATUSES: [u8; 5] = [3, 6, 9, 11, 16];

/// Who calls, and whom.
#[derive(Clone)]
pub(crate) struct Traffic {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) gateways: Arc<[SocketAddr]>,
}

/// A load that runs until it is stopped.
pub(crate) struct Running {
    stop: watch::Sender<bool>,
    callers: JoinSet<()>,
}

/// Calls one after the other on a connection.
struct Lane {
    send: SendRequest<Bytes>,
    calls: usize,
    /// The caller drops the connection.
    leaving: Arc<AtomicBool>,
    stopped: watch::Receiver<bool>,
}

/// A connection to a gateway.
pub(crate) struct Connection {
    send: SendRequest<Bytes>,
    driver: JoinHandle<()>,
}

impl Running {
    /// Lets calls end, and waits for that.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.stop.send_replace(true);
        while let Some(ended) = self.callers.join_next().await {
            ended.context("a caller panicked")?;
        }
        Ok(())
    }
}

impl Connection {
    /// Connects to a gateway.
    pub(crate) async fn open(gateway: SocketAddr) -> Result<Self> {
        let socket = TcpStream::connect(gateway).await?;
        socket.set_nodelay(true)?;
        let mut builder = client::Builder::new();
        builder.initial_window_size(256 << 10).initial_connection_window_size(4 << 20).enable_push(false);
        let (send, connection) = builder.handshake(socket).await?;
        Ok(Self { send, driver: tokio::spawn(async move { drop(connection.await) }) })
    }

    /// Makes a call.
    pub(crate) async fn call(&mut self, plan: &Plan) -> End {
        plan.make(&mut self.send).await
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Traffic {
    /// Starts the callers.
    pub(crate) fn start(&self, rng: &mut Rng) -> Running {
        let (stop, stopped) = watch::channel(false);
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            callers.spawn(self.clone().caller(rng.fork(), stopped.clone()));
        }
        Running { stop, callers }
    }

    async fn caller(self, mut rng: Rng, mut stopped: watch::Receiver<bool>) {
        while !*stopped.borrow() {
            let calls = rng.usize(1..150);
            let mut visit = JoinSet::new();
            visit.spawn(self.clone().visit(rng.fork(), calls, stopped.clone()));
            // What comes between two visits.
            let away = Duration::from_millis(rng.u64(0..200));
            while visit.join_next().await.is_some() {}
            tokio::select! {
                () = sleep(away) => {}
                _ = stopped.changed() => {}
            }
        }
    }

    /// Many connections at once, some of which do nothing.
    pub(crate) async fn storm(&self, mut rng: Rng) {
        let (_go_on, stopped) = watch::channel(false);
        let mut all = JoinSet::new();
        for _ in 0..STORM {
            let calls = rng.usize(0..4);
            all.spawn(self.clone().visit(rng.fork(), calls, stopped.clone()));
        }
        while all.join_next().await.is_some() {}
    }

    /// One connection from its beginning to its end.
    async fn visit(self, mut rng: Rng, calls: usize, stopped: watch::Receiver<bool>) {
        let Some(gateway) = rng.choice(self.gateways.iter().copied()) else { return };
        let connection = match Connection::open(gateway).await {
            Ok(connection) => connection,
            Err(error) => {
                return self.fleet.book.violation("no connection", &format!("to gateway {gateway}: {error:#}"));
            }
        };
        let leaving = Arc::new(AtomicBool::new(false));
        let mut lanes = JoinSet::new();
        let width = rng.usize(1..5);
        for _ in 0..width {
            let (send, leaving, stopped) = (connection.send.clone(), leaving.clone(), stopped.clone());
            let lane = Lane { send, calls: calls.div_ceil(width), leaving, stopped };
            lanes.spawn(self.clone().lane(lane, rng.fork()));
        }
        let leaves = rng.u8(..) < 40;
        let after = Duration::from_millis(rng.u64(0..2000));
        let ended = async { while lanes.join_next().await.is_some() {} };
        if leaves {
            tokio::select! {
                () = sleep(after) => {
                    leaving.store(true, SeqCst);
                    connection.driver.abort();
                }
                () = ended => return,
            }
            while lanes.join_next().await.is_some() {}
        } else {
            ended.await;
        }
    }

    /// One call after the other, until the caller or the load stops.
    async fn lane(self, mut lane: Lane, mut rng: Rng) {
        for _ in 0..lane.calls {
            if *lane.stopped.borrow() || lane.leaving.load(SeqCst) {
                return;
            }
            let plan = self.plan(&mut rng);
            let end = match plan.make(&mut lane.send).await {
                End::Lost(_) if lane.leaving.load(SeqCst) => End::Left,
                end => end,
            };
            self.fleet.book.ended(&plan, &end);
            sleep(Duration::from_millis(rng.u64(0..60))).await;
        }
    }

    /// A call of any kind about any symbol.
    fn plan(&self, rng: &mut Rng) -> Plan {
        const KINDS: [Kind; 10] = {
            use Kind::{Get, Push, Trade, Watch};
            [Get, Get, Get, Get, Get, Watch, Watch, Push, Trade, Trade]
        };
        let symbols = self.fleet.symbols();
        let unknown = rng.u8(..) < 3;
        let symbol = rng.choice(symbols).filter(|_| !unknown).unwrap_or_else(|| "UNKNOWN_USDT".into());
        let kind = rng.choice(KINDS).unwrap_or(Kind::Get);
        let mut plan = Plan::small(self.fleet.book.begin(), kind, &symbol);
        plan.in_metadata = rng.bool();
        plan.deadline =
            rng.bool().then(|| Duration::from_millis(rng.choice([30, 200, 1000, 3000, 8000]).unwrap_or(1000)));
        plan.leaves_after = (rng.u8(..) < 18).then(|| Duration::from_millis(rng.u64(0..300)));
        plan.fails_with = if rng.u8(..) < 8 { rng.choice(STATUSES) } else { None };
        plan.request_bytes = size(rng);
        plan.reply_bytes = size(rng);
        plan.messages = rng.u32(1..20);
        plan.pause = Duration::from_millis(rng.u64(0..20));
        if kind != Kind::Get && rng.u8(..) < 8 {
            // A stream that stays open for a while.
            (plan.messages, plan.pause) = (rng.u32(20..60), Duration::from_millis(100));
        }
        plan
    }
}

/// Mostly small; sometimes more than a window.
fn size(rng: &mut Rng) -> u32 {
    match rng.u8(..) {
        0..2 => rng.u32(250_000..400_000),
        2..14 => rng.u32(5_000..60_000),
        _ => rng.u32(10..400),
    }
}
