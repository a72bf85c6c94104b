//! How an etcd is spoken to, as command lines say it.

use std::{fs, path::PathBuf};

use anyhow::Context;
use clap::Args;
use rustls::pki_types::ServerName;

use super::usage;
use crate::{
    config::{Etcd, Identity, PeerTls},
    tls::Material,
};

/// Where the password may be, so that no list of processes shows it.
const PASSWORD: &str = "SYMGATE_ETCD_PASSWORD";

/// Login and TLS. The command that has these arguments has `--etcd`, too.
#[derive(Debug, Args)]
pub(super) struct Access {
    /// The etcd user; its password is in --password-file or the environment
    #[arg(long, requires = "etcd")]
    user: Option<String>,
    /// A file that holds the password
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// Whose certificates etcd must show (PEM); it is spoken to with TLS, and the URLs begin with https://
    #[arg(long, value_name = "FILE", requires = "etcd")]
    etcd_ca: Option<PathBuf>,
    /// The name that etcd's certificate must hold; the default is the host of the URL
    #[arg(long, value_name = "NAME", value_parser = server_name, requires = "etcd_ca")]
    etcd_server_name: Option<ServerName<'static>>,
    /// The certificate that is shown to an etcd that asks (PEM)
    #[arg(long, value_name = "FILE", requires_all = ["etcd_ca", "etcd_key"])]
    etcd_certificate: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "etcd_certificate")]
    etcd_key: Option<PathBuf>,
}

impl Access {
    /// The etcd with these members. What of its files cannot be used now is told now; later each connection reads them
    /// anew.
    ///
    /// # Errors
    /// When an URL, the password or a file cannot be used.
    pub(super) fn to(self, endpoints: Vec<String>) -> anyhow::Result<Etcd> {
        if self.etcd_ca.is_none() && endpoints.iter().any(|url| url.starts_with("https://")) {
            return Err(usage("https:// URLs of etcd need --etcd-ca, the file of the authorities that are believed"));
        }
        let login = self.login()?;
        let etcd = Etcd::new(endpoints, login, self.tls()).map_err(|reason| usage(&reason))?;
        if let Some(tls) = &etcd.tls {
            Material::for_peers(tls, &|path| fs::read(path)).map_err(|unusable| unusable.of("etcd"))?;
        }
        Ok(etcd)
    }

    fn login(&self) -> anyhow::Result<Option<(String, String)>> {
        let Some(user) = &self.user else { return Ok(None) };
        let password = match &self.password_file {
            Some(file) => fs::read_to_string(file)
                .with_context(|| format!("the password file {} cannot be read", file.display()))?
                .trim_end_matches(['\r', '\n'])
                .to_owned(),
            None => std::env::var(PASSWORD)
                .map_err(|_unset| usage(&format!("--user needs --password-file, or {PASSWORD} in the environment")))?,
        };
        Ok(Some((user.clone(), password)))
    }

    fn tls(self) -> Option<PeerTls> {
        let own = self.etcd_certificate.zip(self.etcd_key);
        let identity = own.map(|(certificate, key)| Identity { certificate, key });
        Some(PeerTls { ca: self.etcd_ca?, server_name: self.etcd_server_name, identity })
    }
}

fn server_name(text: &str) -> Result<ServerName<'static>, &'static str> {
    ServerName::try_from(text.to_owned()).map_err(|_invalid| "neither a DNS name nor an IP address")
}
