//! An instance that counts what it gets and fails where and how a test says: frames as they lie on the wire, so that it can
//! do what no well-behaved server does.

mod wire;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use parking_lot::Mutex;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use wire::{Frame, Wire};

/// How far a call gets before the fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Its head has come.
    Head,
    /// Its first piece of body has come.
    Body,
    /// All of it has come.
    Whole,
    /// The head of the reply is sent.
    Replying,
    /// The first message of the reply is sent.
    Replied,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection is reset.
    Drop,
    /// The stream is reset with this code.
    Reset(u32),
    /// GOAWAY that names the stream before as the last one, then the connection is closed.
    GoAwayBefore,
    /// GOAWAY that names this stream as the last one, then the connection is closed.
    GoAwayWith,
    /// A reply without messages: this status, from the instance itself.
    Status(u8),
}

/// The instance; ended when dropped.
pub struct Faulty {
    address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    calls: AtomicU64,
    plan: Mutex<Option<(When, Fault)>>,
    frozen: tokio::sync::watch::Sender<bool>,
}

impl Faulty {
    /// Starts one that answers every call with one message, until it is told otherwise.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let shared = state.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, shared.clone(), address));
            }
        });
        Self { address, state, accepting }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Calls whose head it has read.
    pub fn calls(&self) -> u64 {
        self.state.calls.load(SeqCst)
    }

    /// The next call meets this fault.
    pub fn fail(&self, when: When, fault: Fault) {
        *self.state.plan.lock() = Some((when, fault));
    }

    /// Reads nothing from now on.
    pub fn freeze(&self) {
        self.state.frozen.send_replace(true);
    }

    /// Reads again, only to drop its connections.
    pub fn drop_connections(&self) {
        *self.state.plan.lock() = Some((When::Head, Fault::Drop));
        self.state.frozen.send_replace(false);
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(socket: TcpStream, state: Arc<State>, address: SocketAddr) {
    // A close resets.
    socket.set_zero_linger().unwrap();
    let mut frozen = state.frozen.subscribe();
    let Ok(mut wire) = Wire::greet(socket).await else { return };
    loop {
        let frame = tokio::select! {
            biased;
            _ = frozen.wait_for(|frozen| *frozen) => None,
            frame = wire.read() => Some(frame),
        };
        let Some(frame) = frame else {
            // Until it is thawed, which ends the connection.
            let _thawed = frozen.wait_for(|frozen| !*frozen).await;
            return;
        };
        let Ok(frame) = frame else { return };
        let at = match frame {
            Frame::Head { end } => {
                state.calls.fetch_add(1, SeqCst);
                if end { When::Whole } else { When::Head }
            }
            Frame::Body { end: false } => When::Body,
            Frame::Body { end: true } => When::Whole,
            Frame::Other => continue,
        };
        if step(&mut wire, &state, at, address).await.is_err() {
            return;
        }
    }
}

/// Goes as far as the call allows, and fails where the plan says; an error ends the connection.
async fn step(wire: &mut Wire, state: &State, at: When, address: SocketAddr) -> std::io::Result<()> {
    let plan = *state.plan.lock();
    let due = |here| plan.filter(|(when, _)| *when == here).map(|(_, fault)| fault);
    if let Some(fault) = due(at) {
        state.plan.lock().take();
        return wire.fail(fault).await;
    }
    // A call is answered at its first message, unless its end has to come for the fault.
    let replies = match plan {
        None | Some((When::Replying | When::Replied, _)) => matches!(at, When::Body | When::Whole),
        Some(_) => at == When::Whole,
    };
    if !replies || wire.has_replied() {
        return Ok(());
    }
    wire.reply_head().await?;
    if let Some(fault) = due(When::Replying) {
        state.plan.lock().take();
        return wire.fail(fault).await;
    }
    wire.reply_message(&address.to_string()).await?;
    if let Some(fault) = due(When::Replied) {
        state.plan.lock().take();
        return wire.fail(fault).await;
    }
    wire.reply_end().await
}
