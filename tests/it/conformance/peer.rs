//! One end of a connection with the gateway: sends whatever a script says, right or wrong, and keeps what comes.

use std::{sync::Arc, time::Duration};

use bytes::BytesMut;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Notify, watch},
    task::JoinHandle,
    time::{Instant, timeout, timeout_at},
};

use super::{
    inbox::{Got, Inbox},
    script::{Role, Stream},
    wire,
};

/// How long what must come may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Octets that gather before they are written.
const GATHERED: usize = 64 * 1024;

/// One end.
pub(super) struct Peer {
    pub(super) role: Role,
    pub(super) shared: Arc<Shared>,
    /// What is left of a field block that was cut.
    pub(super) rest: Vec<u8>,
    /// What is sent soon.
    pub(super) unsent: Vec<u8>,
    /// Octets that go out at a time; 0: as many as there are.
    pub(super) pace: usize,
    next: u32,
    last: u32,
    pings: u64,
    writer: Option<OwnedWriteHalf>,
    gate: watch::Sender<bool>,
    reading: JoinHandle<()>,
}

/// What came, for whoever waits for it.
pub(super) struct Shared {
    pub(super) inbox: Mutex<Inbox>,
    changed: Notify,
}

/// What came instead.
pub(super) type Verdict<T = ()> = Result<T, String>;

impl Peer {
    /// Plays that role on a connection.
    pub(super) fn new(role: Role, socket: TcpStream) -> Self {
        // Octets that are sent one by one must not wait for one another.
        drop(socket.set_nodelay(true));
        let (from, writer) = socket.into_split();
        let shared = Arc::new(Shared { inbox: Mutex::new(Inbox::new(role)), changed: Notify::new() });
        let (gate, open) = watch::channel(true);
        let reading = tokio::spawn(read(from, shared.clone(), open));
        let next = if role == Role::Client { 1 } else { 2 };
        Self {
            role,
            shared,
            rest: Vec::new(),
            unsent: Vec::new(),
            pace: 0,
            next,
            last: 0,
            pings: 0,
            writer: Some(writer),
            gate,
            reading,
        }
    }

    /// Whether what comes is read.
    pub(super) fn read(&self, open: bool) {
        self.gate.send_replace(open);
    }

    /// Closes the connection, whatever came and was not read.
    pub(super) fn close(&mut self) {
        self.reading.abort();
        self.writer = None;
    }

    /// The number of a stream.
    pub(super) fn stream(&mut self, stream: Stream) -> u32 {
        match stream {
            Stream::Last => self.last,
            Stream::Next => {
                self.last = self.next;
                self.next += 2;
                self.last
            }
            Stream::Id(id) => {
                if id >= self.next && id % 2 == self.next % 2 {
                    self.next = id.saturating_add(2);
                }
                id
            }
        }
    }

    /// Puts a frame into what is sent soon.
    pub(super) fn frame(&mut self, length: u32, head: (u8, u8, u32), payload: &[u8]) {
        wire::write(&mut self.unsent, length, head, payload);
        self.shared.inbox.lock().sent((head.0, head.1, wire::low_31(&head.2.to_be_bytes())), payload);
    }

    /// Sends what gathered, if that is much.
    pub(super) async fn flush_much(&mut self) {
        if self.unsent.len() > GATHERED {
            self.flush().await;
        }
    }

    /// Sends what gathered. A connection that takes nothing any more is seen by its end.
    pub(super) async fn flush(&mut self) {
        let unsent = std::mem::take(&mut self.unsent);
        let Some(writer) = &mut self.writer else { return };
        let all = unsent.len().max(1);
        let wrote = timeout(PATIENCE, async {
            for piece in unsent.chunks(if self.pace == 0 { all } else { self.pace }) {
                writer.write_all(piece).await?;
                tokio::task::yield_now().await;
            }
            Ok::<_, std::io::Error>(())
        });
        if !matches!(wrote.await, Ok(Ok(()))) {
            self.writer = None;
        }
    }

    /// Whether the connection has ended.
    pub(super) fn ended(&self) -> bool {
        self.shared.inbox.lock().end.is_some()
    }

    /// Whether the gateway has said that the connection ends in error.
    pub(super) fn lost(&self) -> bool {
        self.shared.inbox.lock().lost().is_some()
    }

    /// Sends a PING; what its answer carries.
    pub(super) async fn ping(&mut self) -> Vec<u8> {
        self.pings += 1;
        let payload = (0xa1b2_0000_0000_0000 | self.pings).to_be_bytes();
        self.frame(8, (wire::kind::PING, 0, 0), &payload);
        self.flush().await;
        payload.to_vec()
    }

    /// Looks at what came until that says enough.
    pub(super) async fn wait<T>(&mut self, mut look: impl FnMut(&mut Inbox) -> Option<Verdict<T>>) -> Verdict<T> {
        let until = Instant::now() + PATIENCE;
        loop {
            {
                let mut inbox = self.shared.inbox.lock();
                self.unsent.append(&mut inbox.owed);
                if let Some(seen) = look(&mut inbox) {
                    return seen;
                }
                if let Some(end) = &inbox.end {
                    return Err(format!("{end}; before it {}", inbox.left()));
                }
            }
            self.flush().await;
            if timeout_at(until, self.shared.changed.notified()).await.is_err() {
                return Err(format!("{} within {PATIENCE:?}", self.shared.inbox.lock().left()));
            }
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

impl Inbox {
    /// Takes the first frame that fits.
    pub(super) fn first(&mut self, fits: impl Fn(&Got) -> bool) -> Option<Got> {
        let at = self.frames.iter().position(fits)?;
        self.frames.remove(at)
    }
}

async fn read(mut from: OwnedReadHalf, shared: Arc<Shared>, mut open: watch::Receiver<bool>) {
    let mut octets = BytesMut::with_capacity(GATHERED);
    loop {
        if open.wait_for(|open| *open).await.is_err() {
            return;
        }
        let came = from.read_buf(&mut octets).await;
        let mut inbox = shared.inbox.lock();
        match came {
            Ok(0) => inbox.end = Some("the end of the connection".into()),
            Err(error) => inbox.end = Some(format!("the end of the connection ({error})")),
            Ok(_) => inbox.take(&mut octets),
        }
        let ended = inbox.end.is_some();
        drop(inbox);
        shared.changed.notify_one();
        if ended {
            return;
        }
    }
}
