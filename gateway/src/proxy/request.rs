//! The head of a call as the instance gets it: as it came, and with what was decided. Knows no sockets.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, Version, request::Parts, uri::Scheme};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::{
    attempt::{Place, Target},
    timeout::{self, GRPC_TIMEOUT},
};

/// Whose call it was found to be.
const SYMBOL: HeaderName = HeaderName::from_static("symgate-symbol");
/// The instance's newest create revision: a fencing token.
const OWNER: HeaderName = HeaderName::from_static("symgate-owner");

/// What `symgate-symbol` must not carry as it is; bytes from 0x80 are always encoded.
const INVISIBLE: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// The head for the instance. The client's own stays: the call may have to go elsewhere.
pub(super) fn head(from: &Parts, place: &Place, left: Option<Duration>) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = from.method.clone();
    *request.uri_mut() = plain(&from.uri);
    // The library refuses a request without an authority unless it seems to come from HTTP/1; a client may send none.
    *request.version_mut() = Version::HTTP_11;
    *request.headers_mut() = headers(&from.headers, place, left);
    request
}

fn headers(from: &HeaderMap, place: &Place, left: Option<Duration>) -> HeaderMap {
    let mut headers = from.clone();
    match &place.target {
        Target::Symbol(symbol) if !symbol.is_empty() => {
            let symbol = utf8_percent_encode(symbol, INVISIBLE).to_string();
            HeaderValue::try_from(symbol).map(|symbol| headers.insert(SYMBOL, symbol)).ok();
        }
        Target::Symbol(_) | Target::Any => drop(headers.remove(SYMBOL)),
    }
    headers.insert(OWNER, HeaderValue::from(place.instance.owner));
    if let Some(left) = left {
        headers.insert(GRPC_TIMEOUT, timeout::write(left));
    }
    headers
}

/// Instances are spoken to without TLS, whatever the client used.
fn plain(uri: &Uri) -> Uri {
    if uri.scheme().is_none_or(|scheme| *scheme == Scheme::HTTP) {
        return uri.clone();
    }
    let mut parts = uri.clone().into_parts();
    parts.scheme = Some(Scheme::HTTP);
    Uri::from_parts(parts).unwrap_or_else(|_never| uri.clone())
}
