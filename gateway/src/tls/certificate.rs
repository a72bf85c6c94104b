//! What a certificate says: the names of who shows it, and how long it is good. Verifies nothing.

use std::{net::IpAddr, time::SystemTime};

use x509_cert::{
    Certificate,
    der::{self, Decode},
    ext::pkix::{SubjectAltName, name::GeneralName},
};

/// The subject alternative names of a certificate, as text: URIs, DNS names, IP and email addresses.
pub type Names = Box<[String]>;

/// What is said.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) names: Names,
    pub(super) not_before: Option<SystemTime>,
    pub(super) not_after: Option<SystemTime>,
}

impl Facts {
    /// What a certificate in DER says.
    pub(super) fn read(der: &[u8]) -> der::Result<Self> {
        let certificate = Certificate::from_der(der)?;
        let said = certificate.tbs_certificate();
        let names = said.get_extension::<SubjectAltName>()?.map(|(_critical, names)| names.0).unwrap_or_default();
        let validity = said.validity();
        Ok(Self {
            names: names.iter().filter_map(text).collect(),
            not_before: Some(validity.not_before.to_system_time()),
            not_after: Some(validity.not_after.to_system_time()),
        })
    }

    /// Together with another certificate that must be good, too.
    pub(super) fn narrow(&mut self, other: &Self) {
        self.not_before = self.not_before.max(other.not_before);
        self.not_after = self.not_after.into_iter().chain(other.not_after).min();
    }
}

/// A name as the configuration writes it. One whose text would be read as a name of another kind is left out, so that
/// nobody is taken for somebody else.
fn text(name: &GeneralName) -> Option<String> {
    let is_ip = |text: &str| text.parse::<IpAddr>().is_ok();
    match name {
        GeneralName::UniformResourceIdentifier(uri) => {
            let uri = uri.as_str();
            (uri.contains(':') && !is_ip(uri)).then(|| uri.to_owned())
        }
        GeneralName::DnsName(name) => {
            let name = name.as_str();
            (!name.contains([':', '@']) && !is_ip(name)).then(|| name.to_owned())
        }
        GeneralName::Rfc822Name(email) => {
            let email = email.as_str();
            (email.contains('@') && !email.contains(':')).then(|| email.to_owned())
        }
        GeneralName::IpAddress(bytes) => {
            let bytes = bytes.as_bytes();
            let v4 = || <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
            let v6 = || <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from);
            v4().or_else(v6).map(|ip| ip.to_string())
        }
        _ => None,
    }
}
