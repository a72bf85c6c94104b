//! TLS: the files that are shown and trusted, to clients by `[listen.tls]`, to instances by `tls` of a `[[service]]`, to
//! an etcd by `tls` of its own. Reads none of them.

use std::path::{Path, PathBuf};

use rustls::pki_types::ServerName;
use serde::Deserialize;

/// `[listen.tls]`: clients are spoken to with TLS.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenTls {
    /// The gateway's certificate, then those between it and a root, as PEM.
    pub certificate: PathBuf,
    /// Its private key, as PEM.
    pub key: PathBuf,
    /// Whose certificates clients must show, as PEM; `None`: they need none.
    pub client_ca: Option<PathBuf>,
}

/// `tls` of a `[[service]]` or of an etcd: its instances, or its members, are spoken to with TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerTls {
    /// Whose certificates are believed, as PEM.
    pub ca: PathBuf,
    /// The name that they must prove; `None`: the host of their address.
    pub server_name: Option<ServerName<'static>>,
    /// What is shown to those that ask.
    pub identity: Option<Identity>,
}

/// A certificate and its key, as PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, then those between it and a root.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

impl ListenTls {
    /// With relative paths made to start at this folder.
    pub(super) fn based(self, base: &Path) -> Self {
        Self {
            certificate: base.join(self.certificate),
            key: base.join(self.key),
            client_ca: self.client_ca.map(|path| base.join(path)),
        }
    }
}
