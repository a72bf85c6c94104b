//! `[[register]]`: where the gateway announces itself.

use std::{net::SocketAddr, time::Duration};

use serde::Deserialize;

use crate::routing::{Address, BadAddress};

/// A service that the gateway registers as an instance of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Register {
    /// The place of its registry, an etcd one.
    pub registry: usize,
    /// The service, e.g. `gateway`.
    pub service: String,
    /// The symbol, for readers that look for one.
    pub symbol: Option<String>,
    /// How the entry is written.
    pub format: Format,
    /// What is announced; `None`: the address that is listened on, or the first private one when that is any.
    pub address: Option<String>,
    /// How long the entry outlives a gateway that has died.
    pub ttl: Duration,
}

/// How a registry entry's value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// The JSON of etcd's Go `naming/endpoints` manager.
    Endpoints,
    /// The bare address, as go-zero writes it.
    GoZero,
}

impl Register {
    /// The address that the configuration names, with the listener's port unless it names one.
    ///
    /// # Errors
    /// When it cannot be dialled.
    pub fn named_address(&self, listener: SocketAddr) -> Option<Result<Address, BadAddress>> {
        self.address.as_deref().map(|address| with_port(address, listener.port()))
    }
}

/// An address with this port unless it has one.
pub(super) fn with_port(text: &str, port: u16) -> Result<Address, BadAddress> {
    text.parse().or_else(|error| match error {
        BadAddress::Port(_) => format!("{text}:{port}").parse().map_err(|_second| error),
        other => Err(other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_may_be_left_out() {
        let check = |text, expected| {
            let address = with_port(text, 9000).map(|address| address.to_string());
            assert_eq!(address.as_deref().ok(), expected, "{text:?}");
        };
        check("10.0.0.1", Some("10.0.0.1:9000"));
        check("10.0.0.1:80", Some("10.0.0.1:80"));
        check("gate.internal", Some("gate.internal:9000"));
        check("[::1]", Some("[::1]:9000"));
        for text in ["", "10.0.0.1:0", "10.0.0.1:99999", "a b"] {
            check(text, None);
        }
    }
}
