//! The head of a call as the instance gets it: as it came, and with what was decided. Knows no sockets.

use std::{borrow::Cow, time::Duration};

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::{
    attempt::{Place, Target},
    timeout::{self, GRPC_TIMEOUT},
};
use crate::http2::{Field, Fields};

/// Whose call it was found to be.
const SYMBOL: &[u8] = b"symgate-symbol";
/// The instance's newest create revision: a fencing token.
const OWNER: &[u8] = b"symgate-owner";

/// What `symgate-symbol` must not carry as it is; bytes from 0x80 are always encoded.
const INVISIBLE: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// What the instance is told besides.
pub(super) struct Decided<'a> {
    symbol: Option<Cow<'a, str>>,
    owner: String,
    timeout: Option<String>,
    scheme: &'static str,
}

impl<'a> Decided<'a> {
    /// That the call goes to this place and may take so long.
    pub(super) fn new(place: &'a Place, left: Option<Duration>) -> Self {
        let symbol = match &place.target {
            Target::Symbol(symbol) if !symbol.is_empty() => Some(utf8_percent_encode(symbol, INVISIBLE).into()),
            Target::Symbol(_) | Target::Any => None,
        };
        let scheme = if place.instance.live.tls().is_some() { "https" } else { "http" };
        Self { symbol, owner: place.instance.owner.to_string(), timeout: left.map(timeout::write), scheme }
    }

    /// The head for the instance: the client's own, except what only the gateway may say. The scheme is that of the
    /// connection to the instance, whatever the client used.
    pub(super) fn head(&'a self, from: &'a Fields) -> impl Iterator<Item = Field<'a>> {
        let own = |name, value: &'a str| Field { name, value: value.as_bytes(), never_indexed: false };
        let client = from.iter().filter_map(move |field| match field.name {
            b":scheme" => Some(own(field.name, self.scheme)),
            GRPC_TIMEOUT => Some(self.timeout.as_deref().map_or(field, |left| own(field.name, left))),
            SYMBOL | OWNER => None,
            _ => Some(field),
        });
        let symbol = self.symbol.as_deref().map(|symbol| own(SYMBOL, symbol));
        client.chain(symbol).chain([own(OWNER, &self.owner)])
    }
}
