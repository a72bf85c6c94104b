//! `tls` of a `[[service]]` or of an etcd, and which clients a `[[route]]` allows. Reads no certificate.

use std::path::Path;

use rustls::pki_types::ServerName;
use toml::Spanned;

use super::Mistakes;
use crate::config::{Identity, Listen, PeerTls, raw};

/// How those are spoken to whom mistakes call `whom`.
pub(super) fn peer(raw: Spanned<raw::PeerTls>, whom: &str, base: &Path, mistakes: &mut Mistakes) -> PeerTls {
    let at = raw.span();
    let raw = raw.into_inner();
    let identity = match (raw.certificate, raw.key) {
        (Some(certificate), Some(key)) => Some(Identity { certificate: base.join(certificate), key: base.join(key) }),
        (None, None) => None,
        (Some(_), None) => {
            mistakes.say(at, format!("tls of {whom} has a certificate and no `key`; add the file of its key"));
            None
        }
        (None, Some(_)) => {
            mistakes.say(at, format!("tls of {whom} has a key and no `certificate`; add the file of it"));
            None
        }
    };
    let server_name = raw.server_name.and_then(|name| {
        let read = ServerName::try_from(name.get_ref().clone()).ok();
        if read.is_none() {
            let text = format!(
                "server_name {:?} is neither a DNS name nor an IP address; write a name that is in the certificates of \
                 {whom}, such as \"kline.internal\"",
                name.get_ref()
            );
            mistakes.say(name.span(), text);
        }
        read
    });
    PeerTls { ca: base.join(raw.ca), server_name, identity }
}

/// Whether the clients that a route allows can be known.
pub(super) fn check_clients(route: &raw::Route, listen: &Listen, mistakes: &mut Mistakes) {
    let Some(clients) = &route.clients else { return };
    let (at, names, route) = (clients.span(), clients.get_ref(), route.path.get_ref());
    if names.is_empty() || names.iter().any(|name| name.trim().is_empty()) {
        let text = format!(
            "route {route:?} allows clients without a name; write names from their certificates, such as \
             \"spiffe://example.org/api\", or remove `clients` to allow all"
        );
        mistakes.say(at.clone(), text);
    }
    if listen.tls.as_ref().is_none_or(|tls| tls.client_ca.is_none()) {
        let text = format!(
            "route {route:?} allows only some clients, but clients need no certificate, so that none is known by name; \
             add `client_ca` to [listen.tls]"
        );
        mistakes.say(at, text);
    }
}
