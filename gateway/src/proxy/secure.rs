//! TLS with clients and instances: the handshake, and that HTTP/2 was agreed on. Whatever goes wrong is counted here.

use std::{io, time::Duration};

use tokio::{net::TcpStream, time};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use super::worker::Worker;
use crate::{
    routing::Live,
    tls::{self, ALPN, Material, Names},
};

/// A client's connection after the handshake, and the names in the certificate that it showed.
pub(super) type Greeted = (server::TlsStream<TcpStream>, Names);

/// Greets a client.
///
/// # Errors
/// When it speaks no TLS or no HTTP/2, shows no certificate that is believed, is too slow or lost.
pub(super) async fn accept(worker: &Worker, tcp: TcpStream, limit: Duration) -> io::Result<Greeted> {
    let material = worker.tls(None);
    let config = material.as_deref().and_then(Material::acceptor).ok_or_else(no_material)?.clone();
    let greeted = match time::timeout(limit, TlsAcceptor::from(config).accept(tcp)).await {
        Ok(Ok(greeted)) => greeted,
        Ok(Err(error)) => return Err(counted(worker, "client", tls::why(&error), error)),
        Err(elapsed) => return Err(counted(worker, "client", "timeout", elapsed.into())),
    };
    let (_, session) = greeted.get_ref();
    if session.alpn_protocol() != Some(ALPN) {
        let error = io::Error::other("the client did not ask for HTTP/2 (ALPN h2)");
        return Err(counted(worker, "client", "alpn", error));
    }
    let names = tls::names_of(session.peer_certificates());
    Ok((greeted, names))
}

/// Greets an instance.
///
/// # Errors
/// When it speaks no TLS or no HTTP/2, or does not prove to be who it should be.
pub(super) async fn connect(worker: &Worker, live: &Live, tcp: TcpStream) -> io::Result<client::TlsStream<TcpStream>> {
    let material = worker.tls(live.tls());
    let connector = material.as_deref().and_then(Material::connector).ok_or_else(no_material)?;
    let name = connector.server_name(live.address().host()).map_err(io::Error::other)?;
    let greeted = TlsConnector::from(connector.config.clone()).connect(name, tcp).await;
    let greeted = greeted.map_err(|error| counted(worker, "instance", tls::why(&error), error))?;
    if greeted.get_ref().1.alpn_protocol() != Some(ALPN) {
        let error = io::Error::other("the instance did not agree to HTTP/2 (ALPN h2)");
        return Err(counted(worker, "instance", "alpn", error));
    }
    Ok(greeted)
}

fn counted(worker: &Worker, peer: &'static str, why: &'static str, error: io::Error) -> io::Error {
    worker.metrics.tls_error(peer, why);
    io::Error::new(error.kind(), format!("no TLS: {error}"))
}

/// Never without it where TLS was asked for.
fn no_material() -> io::Error {
    io::Error::other("no TLS: there is no certificate to use")
}
