//! Which header lists are requests, responses and trailers (RFC 9113 section 8): pseudo-headers, fields of connections,
//! lengths. What is wrong is told in words; it costs the stream.

use super::fields::{Field, Fields};

/// What is wrong with a header list.
pub(super) type Malformed = &'static str;

/// Where the pseudo-headers of a request stand in its list, and how long its body is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// `:method`.
    pub method: usize,
    /// `:path`; `None` for CONNECT only.
    pub path: Option<usize>,
    /// `:authority`, if the client sent one.
    pub authority: Option<usize>,
    pub(super) length: Option<u64>,
}

/// What a response says in its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Response {
    /// `:status`.
    pub(super) status: u16,
    pub(super) length: Option<u64>,
}

/// Reads a request (RFC 9113 section 8.3.1).
pub(super) fn request(fields: &Fields) -> Result<Request, Malformed> {
    let (mut method, mut scheme, mut path, mut authority) = (None, None, None, None);
    let mut length = None;
    let mut regular = false;
    for (at, field) in fields.iter().enumerate() {
        if !field.name.starts_with(b":") {
            regular = true;
            check_regular(field, &mut length)?;
            continue;
        }
        let place = match field.name {
            b":method" => &mut method,
            b":scheme" => &mut scheme,
            b":path" => &mut path,
            b":authority" => &mut authority,
            _ => return Err("an unknown pseudo-header in a request"),
        };
        if regular {
            return Err("a pseudo-header behind regular ones");
        }
        if place.replace(at).is_some() {
            return Err("a repeated pseudo-header");
        }
        check_pseudo(field)?;
    }
    let method = method.ok_or("a request without :method")?;
    let connect = fields.get(method).is_some_and(|field| field.value == b"CONNECT");
    if connect == (scheme.is_some() || path.is_some()) || (!connect && (scheme.is_none() || path.is_none())) {
        return Err("a request without :scheme or :path");
    }
    Ok(Request { method, path, authority, length })
}

/// Reads a response (RFC 9113 section 8.3.2).
pub(super) fn response(fields: &Fields) -> Result<Response, Malformed> {
    let mut length = None;
    let mut status = None;
    let mut regular = false;
    for field in fields.iter() {
        if !field.name.starts_with(b":") {
            regular = true;
            check_regular(field, &mut length)?;
        } else if field.name != b":status" || regular || status.is_some() {
            return Err("a pseudo-header that a response must not have");
        } else {
            status = Some(read_status(field.value)?);
        }
    }
    Ok(Response { status: status.ok_or("a response without :status")?, length })
}

/// Checks trailers (RFC 9113 section 8.1).
pub(super) fn trailers(fields: &Fields) -> Result<(), Malformed> {
    for field in fields.iter() {
        if field.name.starts_with(b":") {
            return Err("a pseudo-header in trailers");
        }
        check_regular(field, &mut None)?;
    }
    Ok(())
}

/// What a pseudo-header of a request may hold. `:authority` may hold anything: clients make it from what they dial.
fn check_pseudo(field: Field<'_>) -> Result<(), Malformed> {
    match field.name {
        // RFC 9110 section 9.1: a token.
        b":method" if !field.value.iter().all(|byte| is_token(*byte)) => Err(":method that is no token"),
        b":path" if field.value != b"*" && !field.value.starts_with(b"/") => Err(":path that does not start with /"),
        b":method" | b":scheme" if field.value.is_empty() => Err("an empty pseudo-header"),
        _ => Ok(()),
    }
}

/// RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Fields that speak of the connection have no place in HTTP/2 (RFC 9113 section 8.2.2).
fn check_regular(field: Field<'_>, length: &mut Option<u64>) -> Result<(), Malformed> {
    match field.name {
        b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding" | b"upgrade" => {
            Err("a field that speaks of the connection")
        }
        b"te" if !field.value.eq_ignore_ascii_case(b"trailers") => Err("te that is not trailers"),
        b"content-length" => {
            let read = read_length(field.value)?;
            if length.replace(read).is_some_and(|before| before != read) {
                return Err("content-length twice, with different values");
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn read_length(value: &[u8]) -> Result<u64, Malformed> {
    const BAD: Malformed = "content-length that is no number";
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(BAD);
    }
    let digit = |sum: u64, digit: &u8| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
    value.iter().try_fold(0, digit).ok_or(BAD)
}

fn read_status(value: &[u8]) -> Result<u16, Malformed> {
    match *value {
        [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] => {
            Ok(u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0'))
        }
        _ => Err(":status that is no three digits"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(list: &[(&str, &str)]) -> Fields {
        let mut fields = Fields::new();
        list.iter().for_each(|(name, value)| fields.push(name.as_bytes(), value.as_bytes()));
        fields
    }

    const GET: [(&str, &str); 3] = [(":method", "POST"), (":scheme", "http"), (":path", "/a/b")];

    #[track_caller]
    fn check(more: &[(&str, &str)], valid: bool) {
        assert_eq!(request(&fields(&[&GET, more].concat())).is_ok(), valid, "{more:?}");
    }

    #[test]
    fn a_request_has_its_pseudo_headers_once_and_first() {
        check(&[], true);
        check(&[(":authority", "")], true);
        check(&[(":authority", "10.0.0.1:9000,10.0.0.2:9000"), ("a", "b"), ("a", "b")], true);
        check(&[(":authority", "a"), (":authority", "a")], false);
        check(&[("a", "b"), (":authority", "a")], false);
        check(&[(":status", "200")], false);
        check(&[(":protocol", "websocket")], false);
        for (without, (name, _)) in GET.iter().enumerate() {
            let mut list = GET.to_vec();
            list.remove(without);
            assert!(request(&fields(&list)).is_err(), "without {name}");
        }
        for (at, value) in [(0, ""), (0, "PO ST"), (1, ""), (2, ""), (2, "a/b")] {
            let mut list = GET;
            list[at].1 = value;
            assert!(request(&fields(&list)).is_err(), "{}: {value:?}", GET[at].0);
        }
        assert!(request(&fields(&[(":method", "CONNECT"), (":authority", "a")])).is_ok(), "CONNECT has no path");
    }

    #[test]
    fn fields_of_connections_are_refused() {
        for name in ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"] {
            check(&[(name, "x")], false);
        }
        check(&[("te", "trailers")], true);
        check(&[("te", "gzip")], false);
        check(&[("content-length", "12")], true);
        check(&[("content-length", "12"), ("content-length", "12")], true);
        check(&[("content-length", "12"), ("content-length", "13")], false);
        check(&[("content-length", "+1")], false);
        check(&[("content-length", "99999999999999999999999")], false);
    }

    #[test]
    fn a_response_has_a_status_and_no_other_pseudo_header() {
        let status = |list: &[(&str, &str)]| response(&fields(list)).map(|response| response.status).ok();
        assert_eq!(status(&[(":status", "200"), ("a", "b")]), Some(200));
        assert_eq!(status(&[("a", "b"), (":status", "200")]), None);
        assert_eq!(status(&[(":status", "200"), (":status", "200")]), None);
        assert_eq!(status(&[(":status", "200"), (":path", "/")]), None);
        assert_eq!(status(&[("a", "b")]), None);
        for bad in ["", "20", "2000", "abc", "099"] {
            assert_eq!(status(&[(":status", bad)]), None, "{bad:?}");
        }
    }

    #[test]
    fn trailers_have_no_pseudo_header() {
        assert!(trailers(&fields(&[("grpc-status", "0")])).is_ok());
        assert!(trailers(&fields(&[("grpc-status", "0"), (":status", "200")])).is_err());
        assert!(trailers(&fields(&[("upgrade", "x")])).is_err());
    }
}
