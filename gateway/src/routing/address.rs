//! Where an instance listens.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
    sync::Arc,
};

/// `host:port`: an IPv4 address, an IPv6 address in brackets, or a DNS name, each with a port other than 0.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    text: Arc<str>,
}

/// Why a text is not an [`Address`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// Nothing but white space.
    #[error("the address is blank; expected host:port")]
    Blank,
    /// No port, or one that is not a number from 1 to 65535.
    #[error("address {0:?} has no port from 1 to 65535; expected host:port")]
    Port(String),
    /// A host that is neither an IP address nor a DNS name.
    #[error(
        "address {0:?} has no usable host; expected an IPv4 address, an [IPv6 address] or a DNS name before the port"
    )]
    Host(String),
}

impl Address {
    /// `host:port`, an IPv6 host in brackets.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host, an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        let host = self.text.rsplit_once(':').map_or("", |(host, _)| host);
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.text.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or_default()
    }

    /// A number made from the text alone (FNV-1a, 64 bits): the same on every gateway and in every build.
    pub fn id(&self) -> u64 {
        self.text
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let text = text.trim();
        if text.is_empty() {
            return Err(BadAddress::Blank);
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(|| BadAddress::Port(text.into()))?;
        let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port: u16 =
            port.parse().ok().filter(|port| digits && *port != 0).ok_or_else(|| BadAddress::Port(text.into()))?;
        let host = canonical_host(host).ok_or_else(|| BadAddress::Host(text.into()))?;
        Ok(Self { text: format!("{host}:{port}").into() })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// One spelling per host, so that two registrations of one address are seen to be one instance.
fn canonical_host(host: &str) -> Option<String> {
    if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse::<Ipv6Addr>().ok().map(|ip| format!("[{ip}]"));
    }
    if let Ok(ip) = host.parse::<Ipv4Addr>() {
        return Some(ip.to_string());
    }
    // RFC 1123 section 2.1, plus the underscore that container networks use in names.
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let name = host.strip_suffix('.').unwrap_or(host);
    let numeric = name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    (name.len() <= 253 && !numeric && name.split('.').all(label)).then(|| host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(&str, &str, u16), BadAddress>) {
        let parsed = text.parse::<Address>();
        let parts = parsed.as_ref().map(|address| (address.as_str(), address.host(), address.port()));
        assert_eq!(parts, expected.as_ref().map(|parts| *parts), "{text:?}");
    }

    #[test]
    fn reads_ip_addresses_and_names() {
        check("192.168.2.159:9999", Ok(("192.168.2.159:9999", "192.168.2.159", 9999)));
        check(" 192.168.2.159:9999\n", Ok(("192.168.2.159:9999", "192.168.2.159", 9999)));
        check("[0:0::1]:80", Ok(("[::1]:80", "::1", 80)));
        check("Kline-0.kline_svc:9000", Ok(("kline-0.kline_svc:9000", "kline-0.kline_svc", 9000)));
    }

    #[test]
    fn refuses_what_cannot_be_dialled() {
        check("", Err(BadAddress::Blank));
        check("  ", Err(BadAddress::Blank));
        for text in ["host", "host:", "host:0", "host:65536", "host:+80", "10.0.0.1"] {
            check(text, Err(BadAddress::Port(text.into())));
        }
        for text in [":80", "::1:80", "a b:80", "10.0.0.256:80", "http://h:80", "-a:80", "a..b:80", "[::g]:80"] {
            check(text, Err(BadAddress::Host(text.into())));
        }
    }
}
