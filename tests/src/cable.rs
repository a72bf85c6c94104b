//! A network, as between the gateway and etcd, that a test can cut and mend while both ends go on. Counts connections.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// A forwarder of TCP connections.
pub struct Cable {
    address: SocketAddr,
    whole: watch::Sender<bool>,
    connections: Arc<AtomicU64>,
    accepting: JoinHandle<()>,
}

impl Cable {
    /// A cable to the host and port of a URL.
    pub async fn to(endpoint: String) -> Self {
        let target = endpoint.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (whole, state) = watch::channel(true);
        let connections = Arc::new(AtomicU64::new(0));
        let counter = connections.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                counter.fetch_add(1, SeqCst);
                tokio::spawn(forward(socket, target.clone(), state.clone()));
            }
        });
        Self { address, whole, connections, accepting }
    }

    /// The address of this end.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How often it was connected to.
    pub fn connections(&self) -> u64 {
        self.connections.load(SeqCst)
    }

    /// The URL of this end.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Drops every connection, and every new one at once.
    pub fn cut(&self) {
        self.whole.send_replace(false);
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.whole.send_replace(true);
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn forward(mut near: TcpStream, target: String, mut state: watch::Receiver<bool>) {
    let Ok(mut far) = TcpStream::connect(target).await else { return };
    tokio::select! {
        biased;
        _ = state.wait_for(|whole| !whole) => {}
        _ = copy_bidirectional(&mut near, &mut far) => {}
    }
}
