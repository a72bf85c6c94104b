//! etcd over TLS: from the files, read anew for each connection, to a channel, and from what rustls says of a failure to
//! what can be done about it.

use std::{
    error::Error,
    fs, io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{Uri, uri::Scheme};
use hyper_util::rt::TokioIo;
use rustls::{AlertDescription, CertificateError, Error as TlsError};
use tokio::{io::AsyncReadExt, net::TcpStream, task::spawn_blocking, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

use super::{channel::answered, with_cause};
use crate::{
    config::PeerTls,
    tls::{Connector, Material},
};

/// How long the other side may take to say what it has against us.
const OBJECTION: Duration = Duration::from_secs(1);

/// One endpoint, and how it is spoken to.
struct Peer {
    host: String,
    port: u16,
    tls: PeerTls,
    connector: Connector,
    /// Whether the certificate that we show has run out.
    ran_out: bool,
}

/// Connects and waits for a first answer.
pub(super) async fn open(tls: &PeerTls, endpoint: &str) -> Result<Channel, String> {
    let uri: Uri = endpoint.parse().map_err(|error| format!("it is no URL: {error}"))?;
    let peer = Arc::new(Peer::new(tls.clone(), &uri).await?);
    // Told "https", tonic would want to encrypt by itself.
    let mut parts = uri.into_parts();
    parts.scheme = Some(Scheme::HTTP);
    let endpoint = Endpoint::from(Uri::from_parts(parts).map_err(|error| error.to_string())?);
    let speaks = peer.clone();
    let connector = service_fn(move |_uri: Uri| {
        let peer = speaks.clone();
        async move { peer.speak().await.map(TokioIo::new).map_err(io::Error::other) }
    });
    let channel = endpoint.connect_with_connector(connector).await;
    let channel = channel.map_err(|error| with_cause(&error.to_string(), error.source()))?;
    match answered(&channel).await {
        Ok(()) => Ok(channel),
        Err(reason) => Err(peer.objection().await.unwrap_or_else(|| format!("it ended the connection ({reason})"))),
    }
}

impl Peer {
    async fn new(tls: PeerTls, uri: &Uri) -> Result<Self, String> {
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let reads = tls.clone();
        let material = spawn_blocking(move || Material::for_peers(&reads, &|path| fs::read(path)));
        let material = material.await.map_err(|error| error.to_string())?;
        let material = material.map_err(|unusable| unusable.of("etcd").to_string())?;
        let ran_out = material.not_after().is_some_and(|end| end < SystemTime::now());
        let connector = material.connector().cloned().ok_or("TLS of etcd has nothing to connect with")?;
        Ok(Self { host, port: uri.port_u16().unwrap_or(443), tls, connector, ran_out })
    }

    async fn speak(&self) -> Result<TlsStream<TcpStream>, String> {
        let name = self.connector.server_name(&self.host).map_err(|_invalid| self.nameless())?;
        let socket = TcpStream::connect((&*self.host, self.port)).await.map_err(|error| error.to_string())?;
        socket.set_nodelay(true).map_err(|error| error.to_string())?;
        let connector = TlsConnector::from(self.connector.config.clone());
        connector.connect(name, socket).await.map_err(|error| self.refused(&error))
    }

    /// What it has against us, if it says so. With TLS 1.3 it has not seen our certificate when the handshake ends, and what
    /// it says then is lost where we write at that moment: so this once we say nothing and listen.
    async fn objection(&self) -> Option<String> {
        let mut stream = match self.speak().await {
            Ok(stream) => stream,
            Err(reason) => return Some(reason),
        };
        let error = timeout(OBJECTION, stream.read_u8()).await.ok()?.err()?;
        let said = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
        said.is_some().then(|| self.refused(&error))
    }

    fn nameless(&self) -> String {
        format!("{:?} is no name that a certificate can hold; add server_name to tls", self.host)
    }

    /// Why there is no connection, and what to do.
    fn refused(&self, error: &io::Error) -> String {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>()) {
            Some(TlsError::InvalidCertificate(error)) => self.disbelieved(error),
            Some(TlsError::InvalidMessage(_)) => "it does not speak TLS; write http:// and remove tls".into(),
            Some(TlsError::AlertReceived(alert)) => self.alerted(*alert),
            Some(error) => format!("the TLS handshake failed: {error}"),
            None => {
                format!("it ended the TLS handshake ({error}); if it does not speak TLS, write http:// and remove tls")
            }
        }
    }

    /// Why its certificate is not believed.
    fn disbelieved(&self, error: &CertificateError) -> String {
        match error {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                format!(
                    "its certificate is not signed by an authority in {}; add that one to it",
                    self.tls.ca.display()
                )
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired; renew it there".into()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet; are the clocks of both machines right?".into()
            }
            CertificateError::NotValidForName => self.misnamed(&[]),
            CertificateError::NotValidForNameContext { presented, .. } => self.misnamed(presented),
            error => format!("its certificate cannot be believed: {error}"),
        }
    }

    fn misnamed(&self, holds: &[String]) -> String {
        let wanted = self.tls.server_name.as_ref().map_or_else(|| (&*self.host).into(), |name| name.to_str());
        format!(
            "its certificate is not for {wanted:?} but for {holds:?}; add server_name to tls with a name that it holds"
        )
    }

    /// What it has against us, and what to do.
    fn alerted(&self, alert: AlertDescription) -> String {
        let Some(own) = &self.tls.identity else {
            return match is_about_ours(alert) {
                true => "it wants a certificate of its clients; add certificate and key to tls".into(),
                false => format!("it refuses the TLS handshake: {alert:?}"),
            };
        };
        let own = own.certificate.display();
        if self.ran_out {
            format!("it refuses our certificate in {own}, which has expired; renew it")
        } else if is_about_ours(alert) {
            let ask = "is it signed by an authority that etcd trusts, and for clients?";
            format!("it refuses our certificate in {own} ({alert:?}); {ask}")
        } else {
            format!("it refuses the TLS handshake: {alert:?}")
        }
    }
}

/// Whether an alert can be about the certificate that we show, or do not.
fn is_about_ours(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::BadCertificate
            | AlertDescription::NoCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRequired
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
    )
}
