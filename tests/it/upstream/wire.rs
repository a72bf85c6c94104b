//! A wire between the gateway and an instance that passes whole frames, counts them, and fails on request.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
};

use parking_lot::Mutex;
use tokio::{
    io::{self, AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    task::JoinHandle,
};

const PREFACE: usize = 24;
const HEADERS: u8 = 1;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;

/// A listener whose connections lead to an instance.
pub(super) struct Wire {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    target: SocketAddr,
    opened: AtomicUsize,
    open: AtomicUsize,
    pings: AtomicUsize,
    streams: AtomicUsize,
    refuses: AtomicBool,
    loses_calls: AtomicBool,
    frozen: watch::Sender<bool>,
    cuts: watch::Sender<()>,
    gateways: Mutex<Vec<mpsc::UnboundedSender<Vec<u8>>>>,
}

impl Wire {
    /// A wire to this address.
    pub(super) async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            target,
            opened: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            pings: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
            refuses: AtomicBool::new(false),
            loses_calls: AtomicBool::new(false),
            frozen: watch::channel(false).0,
            cuts: watch::channel(()).0,
            gateways: Mutex::default(),
        });
        let all = shared.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                all.opened.fetch_add(1, SeqCst);
                if !all.refuses.load(SeqCst) {
                    tokio::spawn(all.clone().connect(near));
                }
            }
        });
        Self { address, shared, accepting }
    }

    /// Where the gateway is to connect to.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections that were accepted.
    pub(super) fn opened(&self) -> usize {
        self.shared.opened.load(SeqCst)
    }

    /// Connections that are open.
    pub(super) fn open(&self) -> usize {
        self.shared.open.load(SeqCst)
    }

    /// Pings that came from the gateway.
    pub(super) fn pings(&self) -> usize {
        self.shared.pings.load(SeqCst)
    }

    /// Streams that the gateway opened.
    pub(super) fn streams(&self) -> usize {
        self.shared.streams.load(SeqCst)
    }

    /// From here on nothing passes and nothing ends.
    pub(super) fn freeze(&self) {
        self.shared.frozen.send_replace(true);
    }

    /// Whether new connections end at once.
    pub(super) fn refuse(&self, refuses: bool) {
        self.shared.refuses.store(refuses, SeqCst);
    }

    /// Whether a stream of the gateway's is the end of its connection.
    pub(super) fn lose_calls(&self, loses: bool) {
        self.shared.loses_calls.store(loses, SeqCst);
    }

    /// Ends all connections.
    pub(super) fn cut(&self) {
        self.shared.cuts.send_replace(());
    }

    /// Says GOAWAY with this code on all connections.
    pub(super) fn go_away(&self, code: u32) {
        let mut frame = vec![0, 0, 8, GOAWAY, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff];
        frame.extend(code.to_be_bytes());
        self.shared.gateways.lock().retain(|gateway| gateway.send(frame.clone()).is_ok());
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

impl Shared {
    async fn connect(self: Arc<Self>, near: TcpStream) {
        let mut cuts = self.cuts.subscribe();
        let Ok(far) = TcpStream::connect(self.target).await else { return };
        for socket in [&near, &far] {
            socket.set_nodelay(true).unwrap();
        }
        self.open.fetch_add(1, SeqCst);
        let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
        let (to_gateway, from_instance) = mpsc::unbounded_channel();
        let (to_instance, from_gateway) = mpsc::unbounded_channel();
        self.gateways.lock().push(to_gateway.clone());
        tokio::select! {
            _ = cuts.changed() => {}
            _ = self.hear_gateway(near_read, to_instance) => {}
            _ = frames(far_read, |frame| to_gateway.send(frame).is_ok()) => {}
            _ = self.write(near_write, from_instance) => {}
            _ = self.write(far_write, from_gateway) => {}
        }
        self.open.fetch_sub(1, SeqCst);
    }

    async fn hear_gateway(
        &self,
        mut from: OwnedReadHalf,
        to_instance: mpsc::UnboundedSender<Vec<u8>>,
    ) -> io::Result<()> {
        let mut preface = vec![0; PREFACE];
        from.read_exact(&mut preface).await?;
        drop(to_instance.send(preface));
        frames(from, |frame| {
            let (kind, flags) = (frame[3], frame[4]);
            self.pings.fetch_add(usize::from(kind == PING && flags & ACK == 0), SeqCst);
            self.streams.fetch_add(usize::from(kind == HEADERS), SeqCst);
            let lost = kind == HEADERS && self.loses_calls.load(SeqCst);
            !lost && to_instance.send(frame).is_ok()
        })
        .await
    }

    async fn write(&self, mut to: OwnedWriteHalf, mut queue: mpsc::UnboundedReceiver<Vec<u8>>) -> io::Result<()> {
        let mut frozen = self.frozen.subscribe();
        while let Some(bytes) = queue.recv().await {
            drop(frozen.wait_for(|frozen| !frozen).await);
            to.write_all(&bytes).await?;
        }
        Ok(())
    }
}

/// Gives whole frames to `pass` until that says no.
async fn frames(mut from: OwnedReadHalf, mut pass: impl FnMut(Vec<u8>) -> bool) -> io::Result<()> {
    loop {
        let mut frame = vec![0; 9];
        from.read_exact(&mut frame).await?;
        let length = u32::from_be_bytes([0, frame[0], frame[1], frame[2]]) as usize;
        frame.resize(9 + length, 0);
        from.read_exact(&mut frame[9..]).await?;
        if !pass(frame) {
            return Ok(());
        }
    }
}
