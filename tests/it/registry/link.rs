//! A TCP link to a server that tests can cut and freeze.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Nothing passes, nothing ends.
    Frozen,
    /// Nothing passes that the server says.
    Deaf,
    /// What was open ends, what is opened ends at once.
    Cut,
}

/// A listener whose connections lead to another address.
pub(super) struct Link {
    address: SocketAddr,
    state: watch::Sender<State>,
    cut_connections: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
    said: Arc<AtomicUsize>,
}

impl Link {
    pub(super) async fn to(endpoint: &str) -> Self {
        let target: SocketAddr = endpoint.trim_start_matches("http://").parse().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (state, states) = watch::channel(State::Open);
        let cut_connections = Arc::new(AtomicUsize::new(0));
        let connections = Arc::new(AtomicUsize::new(0));
        let said = Arc::new(AtomicUsize::new(0));
        let link = Self {
            address: listener.local_addr().unwrap(),
            state,
            cut_connections: cut_connections.clone(),
            connections: connections.clone(),
            said: said.clone(),
        };
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if *states.borrow() == State::Cut {
                    cut_connections.fetch_add(1, Ordering::Relaxed);
                } else if let Ok(far) = TcpStream::connect(target).await {
                    connections.fetch_add(1, Ordering::Relaxed);
                    join(near, far, &states, &said);
                }
            }
        });
        link
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn open(&self) {
        self.state.send_replace(State::Open);
    }

    pub(super) fn freeze(&self) {
        self.state.send_replace(State::Frozen);
    }

    pub(super) fn deafen(&self) {
        self.state.send_replace(State::Deaf);
    }

    pub(super) fn cut(&self) {
        self.state.send_replace(State::Cut);
    }

    /// Connections that were made.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// How often the client said something.
    pub(super) fn said(&self) -> usize {
        self.said.load(Ordering::Relaxed)
    }

    /// Connections that were tried while it was cut.
    pub(super) fn cut_connections(&self) -> usize {
        self.cut_connections.load(Ordering::Relaxed)
    }
}

fn join(near: TcpStream, far: TcpStream, states: &watch::Receiver<State>, said: &Arc<AtomicUsize>) {
    let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
    let (there, said) = (states.clone(), said.clone());
    tokio::spawn(pass(near_read, far_write, there, move |state| {
        said.fetch_add(1, Ordering::Relaxed);
        state != State::Frozen
    }));
    tokio::spawn(pass(far_read, near_write, states.clone(), |state| state != State::Frozen && state != State::Deaf));
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut states: watch::Receiver<State>,
    passes: impl Fn(State) -> bool,
) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = tokio::select! {
            _ = states.wait_for(|state| *state == State::Cut) => return,
            read = from.read(&mut buffer) => read,
        };
        let Ok(length @ 1..) = read else { return };
        match states.wait_for(|state| passes(*state)).await.map(|state| *state) {
            Ok(State::Open | State::Deaf) => {}
            _ => return,
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
