//! The first message of a call, for an extractor that asked for it: gathered as it came, within a limit, and
//! decompressed. The bytes themselves are forwarded untouched. Knows no sockets.

use std::io::Read;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;

use super::status::{Code, Reject};

/// The flag and the length before every gRPC message.
const PREFIX: usize = 5;

/// What the chunks hold so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Not yet a whole message.
    Partial,
    /// The message, decompressed.
    Whole(Bytes),
}

/// Looks for the first message in what came of a call's body so far.
pub(super) fn look(came: &Bytes, headers: &HeaderMap, limit: usize) -> Result<Progress, Reject> {
    let Some((&[flag, a, b, c, d], rest)) = came.split_first_chunk::<PREFIX>() else {
        return Ok(Progress::Partial);
    };
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if length > limit {
        return Err(too_large(limit));
    }
    if rest.len() < length {
        return Ok(Progress::Partial);
    }
    let message = came.slice(PREFIX..PREFIX + length);
    match flag {
        0 => Ok(Progress::Whole(message)),
        _ => decompress(&message, headers, limit).map(Progress::Whole),
    }
}

/// One more chunk behind those that came before; the first one is not copied.
pub(super) fn join(came: Bytes, chunk: Bytes) -> Bytes {
    if came.is_empty() {
        return chunk;
    }
    let mut joined = BytesMut::from(came);
    joined.extend_from_slice(&chunk);
    joined.freeze()
}

/// The caller ended its half of the call before one message was there.
pub(super) fn missing() -> Reject {
    Reject::new(Code::InvalidArgument, "no-message", "the call is routed by its first message and carries none")
}

fn decompress(message: &[u8], headers: &HeaderMap, limit: usize) -> Result<Bytes, Reject> {
    let encoding = headers.get("grpc-encoding").map_or(&b""[..], |encoding| encoding.as_bytes());
    if encoding != b"gzip" {
        let encoding = String::from_utf8_lossy(encoding);
        let text = format!("the call is routed by its first message, whose grpc-encoding {encoding:?} is not gzip");
        return Err(Reject::new(Code::Unimplemented, "message-encoding", text));
    }
    let mut plain = Vec::new();
    let read = flate2::read::MultiGzDecoder::new(message).take(limit as u64 + 1).read_to_end(&mut plain);
    if let Err(error) = read {
        let text = format!("the first message is not the gzip that it says it is: {error}");
        return Err(Reject::new(Code::Internal, "message-encoding", text));
    }
    if plain.len() > limit { Err(too_large(limit)) } else { Ok(plain.into()) }
}

fn too_large(limit: usize) -> Reject {
    let text =
        format!("the call is routed by its first message, which is over max_first_message of its route, {limit} bytes");
    Reject::new(Code::ResourceExhausted, "message-too-large", text)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use http::HeaderValue;

    use super::*;

    fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
        [&[flag][..], &(message.len() as u32).to_be_bytes(), message].concat()
    }

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(plain).expect("to memory");
        encoder.finish().expect("to memory")
    }

    fn gzip_headers() -> HeaderMap {
        [(http::HeaderName::from_static("grpc-encoding"), HeaderValue::from_static("gzip"))].into_iter().collect()
    }

    #[test]
    fn a_message_is_found_however_it_is_cut() {
        let body = [framed(0, b"BTC_USDT"), framed(0, b"next")].concat();
        for size in 1..=body.len() {
            let came = body.chunks(size).map(Bytes::copy_from_slice).fold(Bytes::new(), join);
            let found = look(&came, &HeaderMap::new(), 8);
            assert_eq!(found, Ok(Progress::Whole(Bytes::from_static(b"BTC_USDT"))), "cut at {size}");
        }
        for come in 0..13 {
            let came = Bytes::copy_from_slice(&body[..come]);
            assert_eq!(look(&came, &HeaderMap::new(), 8), Ok(Progress::Partial), "{come} bytes came");
        }
    }

    #[test]
    fn the_limit_counts_before_and_after_decompression() {
        let over = Bytes::from(framed(0, &[0; 9]));
        assert_eq!(look(&over, &HeaderMap::new(), 8).expect_err("9 bytes").reason, "message-too-large");
        let bomb = Bytes::from(framed(1, &gzip(&[0; 100_000])));
        assert_eq!(look(&bomb, &gzip_headers(), 1_000).expect_err("100,000 bytes").reason, "message-too-large");
    }

    #[test]
    fn gzip_is_undone_and_nothing_else() {
        let came = Bytes::from(framed(1, &gzip(b"BTC_USDT")));
        assert_eq!(look(&came, &gzip_headers(), 100), Ok(Progress::Whole(Bytes::from_static(b"BTC_USDT"))));
        assert_eq!(look(&came, &HeaderMap::new(), 100).expect_err("no encoding").status, 12);
    }
}
