//! A network between a source and etcd that loses single responses of a watch, as etcd itself has lost some: the DATA
//! frame that holds a text. Everything else passes, the connection included.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinHandle,
};

/// Kinds of frames (RFC 9113 section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const END_STREAM: u8 = 1;

/// A forwarder of HTTP/2 connections.
pub struct Sieve {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    lose: Mutex<Option<Vec<u8>>>,
    lost: AtomicUsize,
    connections: AtomicUsize,
}

impl Sieve {
    /// A sieve before the host and port of a URL.
    pub async fn to(endpoint: String) -> Self {
        let target = endpoint.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let theirs = shared.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(&target).await else { continue };
                theirs.connections.fetch_add(1, SeqCst);
                let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
                tokio::spawn(pass(near_read, far_write));
                tokio::spawn(sift(far_read, near_write, theirs.clone()));
            }
        });
        Self { address, shared, accepting }
    }

    /// The URL of this end.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Loses the next response of a watch that holds this text.
    pub fn lose(&self, text: &str) {
        *self.shared.lose.lock() = Some(text.into());
    }

    /// Responses that were lost.
    pub fn lost(&self) -> usize {
        self.shared.lost.load(SeqCst)
    }

    /// Connections that were made.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(SeqCst)
    }
}

impl Drop for Sieve {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    drop(copy(&mut from, &mut to).await);
}

/// Frame by frame, until an end has gone.
async fn sift(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: Arc<Shared>) {
    let mut open = BTreeSet::new();
    let (mut head, mut payload) = ([0; 9], Vec::new());
    while from.read_exact(&mut head).await.is_ok() {
        let [high, middle, low, kind, flags, stream @ ..] = head;
        payload.resize(u32::from_be_bytes([0, high, middle, low]) as usize, 0);
        let stream = u32::from_be_bytes(stream);
        if from.read_exact(&mut payload).await.is_err() {
            return;
        }
        // The stream of a watch outlives those of lists; so the oldest one is a watch.
        if kind == DATA && open.first() == Some(&stream) && is_to_be_lost(&payload, &shared) {
            continue;
        }
        match kind {
            DATA | HEADERS if flags & END_STREAM != 0 => drop(open.remove(&stream)),
            HEADERS => drop(open.insert(stream)),
            RST_STREAM => drop(open.remove(&stream)),
            _ => {}
        }
        if to.write_all(&[&head[..], &payload].concat()).await.is_err() {
            return;
        }
    }
}

fn is_to_be_lost(payload: &[u8], shared: &Shared) -> bool {
    let mut lose = shared.lose.lock();
    let lost = lose.as_ref().is_some_and(|text| payload.windows(text.len()).any(|window| window == text));
    if lost {
        *lose = None;
        shared.lost.fetch_add(1, SeqCst);
    }
    lost
}
