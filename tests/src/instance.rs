//! A real instance of the k-line service on a port of its own: says who it is and what it owns, counts what it sees, and
//! misbehaves on request.

mod kline;
mod seen;

use std::{net::SocketAddr, sync::Arc, thread::JoinHandle};

use parking_lot::Mutex;
use tokio::{net::TcpListener, sync::oneshot};
use tonic::transport::{Server, ServerTlsConfig, server::TcpIncoming};

use crate::pb::kline_service_server::KlineServiceServer;

pub use kline::Behaviour;
pub use seen::{Call, Seen};

use kline::Kline;

/// An instance; ended when dropped.
pub struct Instance {
    address: SocketAddr,
    seen: Arc<Seen>,
    behaviour: Arc<Mutex<Behaviour>>,
    owns: Arc<Mutex<Vec<String>>>,
    running: Option<Running>,
}

/// A thread with a runtime of its own, so that ending it drops every connection at once, as a dead process does.
struct Running {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Instance {
    /// An instance on a port that the system picks, which owns these symbols and is named by its address.
    pub async fn start(owns: &[&str]) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), owns).await
    }

    /// An instance on the address of one that was stopped.
    pub async fn start_at(address: SocketAddr, owns: &[&str]) -> Self {
        Self::launch(address, 10_000, owns, None)
    }

    /// An instance that takes so many calls at a time on a connection.
    pub async fn start_with_streams(streams: u32, owns: &[&str]) -> Self {
        Self::launch(SocketAddr::from(([127, 0, 0, 1], 0)), streams, owns, None)
    }

    /// An instance that speaks TLS.
    pub async fn start_tls(owns: &[&str], tls: ServerTlsConfig) -> Self {
        Self::start_tls_at(SocketAddr::from(([127, 0, 0, 1], 0)), owns, tls).await
    }

    /// An instance that speaks TLS, on the address of one that was stopped.
    pub async fn start_tls_at(address: SocketAddr, owns: &[&str], tls: ServerTlsConfig) -> Self {
        Self::launch(address, 10_000, owns, Some(tls))
    }

    fn launch(address: SocketAddr, streams: u32, owns: &[&str], tls: Option<ServerTlsConfig>) -> Self {
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let behaviour = Arc::new(Mutex::new(Behaviour::Answer));
        let owns = Arc::new(Mutex::new(names(owns)));
        let kline = Kline::new(address.to_string(), owns.clone(), seen.clone(), behaviour.clone());
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || serve(listener, streams, kline, tls, stopped));
        Self { address, seen, behaviour, owns, running: Some(Running { stop, thread }) }
    }

    /// Where it listens; also its name and the value of its registration.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What reached it.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// How it treats the calls that come from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        *self.behaviour.lock() = behaviour;
    }

    /// Owns these symbols from now on, and no others.
    pub fn own(&self, symbols: &[&str]) {
        *self.owns.lock() = names(symbols);
    }

    /// Ends it as a crash does: every connection is dropped.
    pub fn stop(&mut self) {
        if let Some(Running { stop, thread }) = self.running.take() {
            // The thread may have ended already.
            let _ = stop.send(());
            drop(thread.join());
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.stop();
    }
}

fn names(symbols: &[&str]) -> Vec<String> {
    symbols.iter().map(|symbol| (*symbol).to_owned()).collect()
}

fn serve(
    listener: std::net::TcpListener,
    streams: u32,
    kline: Kline,
    tls: Option<ServerTlsConfig>,
    stopped: oneshot::Receiver<()>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let service =
        KlineServiceServer::new(kline).max_decoding_message_size(usize::MAX).max_encoding_message_size(usize::MAX);
    runtime.block_on(async {
        let incoming = TcpIncoming::from(TcpListener::from_std(listener).unwrap()).with_nodelay(Some(true));
        let server = match tls {
            Some(tls) => Server::builder().tls_config(tls).unwrap(),
            None => Server::builder(),
        };
        let server = server
            .max_concurrent_streams(streams)
            .initial_stream_window_size(8 << 20)
            .initial_connection_window_size(16 << 20)
            .http2_max_pending_accept_reset_streams(Some(100_000))
            .add_service(service)
            .serve_with_incoming(incoming);
        tokio::select! {
            ended = server => ended.unwrap(),
            _ = stopped => {}
        }
    });
}
