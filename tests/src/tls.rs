//! Certificates, the files that hold them, and clients that speak TLS.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{
    TlsAcceptor, TlsConnector, client,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};
use toml::{Table, Value};
use tonic::transport::{Certificate, ClientTlsConfig, Identity, ServerTlsConfig};

use crate::{
    client::{self as grpc, Client},
    eventually, registry_file,
};

/// The name in the certificates of gateways.
pub const GATEWAY: &str = "gate.internal";
/// The name in the certificates of instances.
pub const INSTANCE: &str = "kline.internal";

/// Who signs certificates.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM.
#[derive(Clone)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

/// A folder of files.
pub struct Files(TempDir);

/// A client's side of a connection after the handshake.
pub type Stream = client::TlsStream<TcpStream>;

impl Authority {
    /// A new one.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "authority of the tests");
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    /// Its own certificate as PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A pair whose certificate has these names: URIs, email addresses, IP addresses, DNS names.
    pub fn pair(&self, names: &[&str]) -> Pair {
        self.sign(names, |_| {})
    }

    /// The same, but it has expired long ago.
    pub fn expired_pair(&self, names: &[&str]) -> Pair {
        self.sign(names, |params| params.not_after = rcgen::date_time_ymd(2020, 1, 1))
    }

    fn sign(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Pair {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names.iter().map(|name| san(name)).collect();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Pair { certificate, key: key.serialize_pem() }
    }

    /// A gRPC client on a connection of its own that believes this authority, and shows a pair.
    pub fn client(&self, address: SocketAddr, shows: Option<&Pair>) -> Client {
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(self.pem())).domain_name(GATEWAY);
        let tls = match shows {
            Some(pair) => tls.identity(Identity::from_pem(&pair.certificate, &pair.key)),
            None => tls,
        };
        grpc::over(grpc::endpoint(&format!("https://{address}")).tls_config(tls).unwrap().connect_lazy())
    }

    /// A TLS connection that believes this authority, shows a pair, and offers these protocols.
    ///
    /// # Errors
    /// When the handshake fails.
    pub async fn connect(&self, address: SocketAddr, shows: Option<&Pair>, alpn: &[&str]) -> io::Result<Stream> {
        self.connect_over(TcpStream::connect(address).await?, shows, alpn).await
    }

    /// The same over a connection of any kind.
    ///
    /// # Errors
    /// When the handshake fails.
    pub async fn connect_over<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        socket: S,
        shows: Option<&Pair>,
        alpn: &[&str],
    ) -> io::Result<client::TlsStream<S>> {
        let mut roots = RootCertStore::empty();
        roots.add(der(&self.pem())).unwrap();
        let builder = ClientConfig::builder().with_root_certificates(roots);
        let mut config = match shows {
            Some(pair) => builder.with_client_auth_cert(vec![pair.der()], pair.key()).unwrap(),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsConnector::from(Arc::new(config)).connect(GATEWAY.try_into().unwrap(), socket).await
    }

    /// How an instance speaks that shows a pair of this authority, and wants one from its clients or not.
    pub fn instance(&self, names: &[&str], mutual: bool) -> ServerTlsConfig {
        let pair = self.pair(names);
        let tls = ServerTlsConfig::new().identity(Identity::from_pem(pair.certificate, pair.key));
        if mutual { tls.client_ca_root(Certificate::from_pem(self.pem())) } else { tls }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Pair {
    /// The certificate in DER.
    pub fn der(&self) -> CertificateDer<'static> {
        der(&self.certificate)
    }

    /// How a server speaks that shows the pair and knows these protocols.
    pub fn acceptor(&self, alpn: &[&str]) -> TlsAcceptor {
        let builder = ServerConfig::builder().with_no_client_auth();
        let mut config = builder.with_single_cert(vec![self.der()], self.key()).unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap()
    }
}

impl Files {
    /// None yet.
    pub fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// Where the file of this name is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The same as a value of the configuration.
    pub fn value(&self, name: &str) -> Value {
        self.path(name).to_str().unwrap().into()
    }

    /// Writes a file, by a rename.
    pub fn write(&self, name: &str, text: &str) {
        registry_file::replace(&self.path(name), text.as_bytes());
    }

    /// Writes `NAME.pem` and `NAME.key`.
    pub fn write_pair(&self, name: &str, pair: &Pair) {
        self.write(&format!("{name}.pem"), &pair.certificate);
        self.write(&format!("{name}.key"), &pair.key);
    }

    /// Keys of the configuration, each with the file that it names.
    pub fn table(&self, keys: &[(&str, &str)]) -> Table {
        keys.iter().map(|(key, name)| ((*key).to_owned(), self.value(name))).collect()
    }
}

impl Default for Files {
    fn default() -> Self {
        Self::new()
    }
}

/// Waits until a client's calls about each of these symbols reach an instance.
pub async fn serving(client: &Client, symbols: &[&str]) {
    let mut client = client.clone();
    for symbol in symbols {
        eventually!(client.get_kline(grpc::ask(symbol)).await.is_ok(), "no instance of {symbol} is reached");
    }
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

fn san(name: &str) -> SanType {
    let text = || name.try_into().unwrap();
    match name.parse() {
        Ok(ip) => SanType::IpAddress(ip),
        Err(_) if name.contains("://") => SanType::URI(text()),
        Err(_) if name.contains('@') => SanType::Rfc822Name(text()),
        Err(_) => SanType::DnsName(text()),
    }
}
