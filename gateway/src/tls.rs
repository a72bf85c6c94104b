//! TLS: from the files that the configuration names to what rustls speaks with, and what a certificate says of who shows
//! it. Knows no sockets, no routes and no file system: whoever reads the files gives their content.

mod certificate;
mod pem;

use std::{fmt::Display, io, path::Path, sync::Arc, time::SystemTime};

use rustls::{
    ClientConfig, Error, InconsistentKeys, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, InvalidDnsNameError, PrivateKeyDer, ServerName},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};

use self::certificate::Facts;
pub use self::certificate::Names;
use crate::config::{ListenTls, PeerTls};

#[cfg(test)]
mod tests;

/// HTTP/2 over TLS, as ALPN names it (RFC 9113 section 3.1).
pub const ALPN: &[u8] = b"h2";

/// Gives the content of a file.
pub type Read<'a> = &'a dyn Fn(&Path) -> io::Result<Vec<u8>>;

/// Why the files cannot be used: which one, what is wrong with it, what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(String);

/// What is spoken with, made from files that belong together.
#[derive(Debug)]
pub struct Material {
    side: Side,
    facts: Facts,
}

/// What one that is connected to is spoken to with.
#[derive(Clone, Debug)]
pub struct Connector {
    /// Whom to believe, and what to show.
    pub config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
}

#[derive(Debug)]
enum Side {
    Clients(Arc<ServerConfig>),
    Peers(Connector),
}

impl Material {
    /// To speak with clients.
    ///
    /// # Errors
    /// Names the file that cannot be used.
    pub fn for_clients(tls: &ListenTls, read: Read<'_>) -> Result<Self, Unusable> {
        let (chain, facts) = pem::chain(&tls.certificate, read)?;
        let key = pem::key(&tls.key, read)?;
        let provider = Arc::new(ring::default_provider());
        let verifier = match &tls.client_ca {
            None => WebPkiClientVerifier::no_client_auth(),
            Some(ca) => client_verifier(ca, read, &provider)?,
        };
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| Unusable(error.to_string()))?.with_client_cert_verifier(verifier);
        let mut config =
            builder.with_single_cert(chain, key).map_err(|error| misfit(&tls.certificate, &tls.key, &error))?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self { side: Side::Clients(Arc::new(config)), facts })
    }

    /// To speak with those that are connected to: the instances of a service, the members of an etcd.
    ///
    /// # Errors
    /// Names the file that cannot be used.
    pub fn for_peers(tls: &PeerTls, read: Read<'_>) -> Result<Self, Unusable> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| Unusable(error.to_string()))?;
        let builder = builder.with_root_certificates(roots(&tls.ca, read)?);
        let (mut config, facts) = match &tls.identity {
            None => (builder.with_no_client_auth(), Facts::default()),
            Some(own) => {
                let (chain, facts) = pem::chain(&own.certificate, read)?;
                let key: PrivateKeyDer<'static> = pem::key(&own.key, read)?;
                let config = builder.with_client_auth_cert(chain, key);
                (config.map_err(|error| misfit(&own.certificate, &own.key, &error))?, facts)
            }
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        let connector = Connector { config: Arc::new(config), server_name: tls.server_name.clone() };
        Ok(Self { side: Side::Peers(connector), facts })
    }

    /// What clients are spoken to with.
    pub fn acceptor(&self) -> Option<&Arc<ServerConfig>> {
        match &self.side {
            Side::Clients(config) => Some(config),
            Side::Peers(_) => None,
        }
    }

    /// What those that are connected to are spoken to with.
    pub fn connector(&self) -> Option<&Connector> {
        match &self.side {
            Side::Clients(_) => None,
            Side::Peers(connector) => Some(connector),
        }
    }

    /// The names in the gateway's own certificate; none where it shows none.
    pub fn names(&self) -> &Names {
        &self.facts.names
    }

    /// From when on the gateway's own certificate is good.
    pub fn not_before(&self) -> Option<SystemTime> {
        self.facts.not_before
    }

    /// When the first of the certificates that the gateway shows runs out.
    pub fn not_after(&self) -> Option<SystemTime> {
        self.facts.not_after
    }
}

impl Connector {
    /// What one on this host must prove to be: the configured name, else the host itself.
    ///
    /// # Errors
    /// When the host is no name that a certificate can hold.
    pub fn server_name(&self, host: &str) -> Result<ServerName<'static>, InvalidDnsNameError> {
        self.server_name.clone().map_or_else(|| ServerName::try_from(host.to_owned()), Ok)
    }
}

impl Unusable {
    /// Said of whoever the files are for.
    #[must_use]
    pub fn of(self, whom: &str) -> Self {
        Self(format!("TLS of {whom}: {self}"))
    }

    fn new(path: &Path, what: impl Display) -> Self {
        Self(format!("{}: {what}", path.display()))
    }
}

/// What kind of failure a handshake ended with, for metrics.
pub fn why(error: &io::Error) -> &'static str {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match tls {
        Some(Error::NoCertificatesPresented) => "no-certificate",
        Some(Error::InvalidCertificate(_) | Error::UnsupportedNameType) => "bad-certificate",
        Some(Error::AlertReceived(_)) => "refused-by-peer",
        Some(Error::NoApplicationProtocol) => "alpn",
        Some(Error::InvalidMessage(_)) => "not-tls",
        Some(Error::PeerIncompatible(_)) => "incompatible",
        Some(_) => "broken",
        None => "lost",
    }
}

fn client_verifier(
    ca: &Path,
    read: Read<'_>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Unusable> {
    let roots = Arc::new(roots(ca, read)?);
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone()).build();
    verifier.map_err(|error| Unusable::new(ca, format_args!("cannot verify clients: {error}")))
}

fn roots(path: &Path, read: Read<'_>) -> Result<RootCertStore, Unusable> {
    let mut roots = RootCertStore::empty();
    for (at, certificate) in pem::certificates(path, read)?.into_iter().enumerate() {
        roots.add(certificate).map_err(|error| {
            Unusable::new(path, format_args!("certificate {} cannot be trusted: {error}; remove or renew it", at + 1))
        })?;
    }
    Ok(roots)
}

/// What is wrong with a certificate and a key, each of which can be read.
fn misfit(certificate: &Path, key: &Path, error: &Error) -> Unusable {
    let certificate = certificate.display();
    match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Unusable::new(
            key,
            format_args!("not the key of the certificate in {certificate}; both files must be of one pair"),
        ),
        error => Unusable::new(key, format_args!("cannot be used with the certificate in {certificate}: {error}")),
    }
}

/// The names of a client whose certificate was verified.
pub fn names_of(shown: Option<&[CertificateDer<'_>]>) -> Names {
    shown.and_then(<[_]>::first).and_then(|first| Facts::read(first).ok()).unwrap_or_default().names
}
