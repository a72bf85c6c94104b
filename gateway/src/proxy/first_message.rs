//! The first message of a call, for an extractor that asked for it: gathered as it came, within a limit, and
//! decompressed. The bytes themselves are forwarded untouched. Knows no sockets.

use std::io::Read;

use super::status::{Code, Reject};
use crate::http2::Fields;

/// The flag and the length before every gRPC message.
const PREFIX: usize = 5;

/// The first message, decompressed, in what came of a call's body so far; `None`: it is not whole yet.
pub(super) fn look(came: &[u8], head: &Fields, limit: usize) -> Result<Option<Vec<u8>>, Reject> {
    let Some((&[flag, a, b, c, d], rest)) = came.split_first_chunk::<PREFIX>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if length > limit {
        return Err(too_large(limit));
    }
    let Some(message) = rest.get(..length) else { return Ok(None) };
    match flag {
        0 => Ok(Some(message.to_vec())),
        _ => decompress(message, head, limit).map(Some),
    }
}

/// The caller ended its half of the call before one message was there.
pub(super) fn missing() -> Reject {
    Reject::new(Code::InvalidArgument, "no-message", "the call is routed by its first message and carries none")
}

fn decompress(message: &[u8], head: &Fields, limit: usize) -> Result<Vec<u8>, Reject> {
    let encoding = head.find(b"grpc-encoding").map_or(&b""[..], |field| field.value);
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
    if plain.len() > limit { Err(too_large(limit)) } else { Ok(plain) }
}

fn too_large(limit: usize) -> Reject {
    let text =
        format!("the call is routed by its first message, which is over max_first_message of its route, {limit} bytes");
    Reject::new(Code::ResourceExhausted, "message-too-large", text)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
        [&[flag][..], &(message.len() as u32).to_be_bytes(), message].concat()
    }

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(plain).expect("to memory");
        encoder.finish().expect("to memory")
    }

    fn gzip_head() -> Fields {
        let mut head = Fields::new();
        head.push(b"grpc-encoding", b"gzip");
        head
    }

    #[test]
    fn a_message_is_found_as_soon_as_it_is_whole() {
        let body = [framed(0, b"BTC_USDT"), framed(0, b"next")].concat();
        for come in 0..=body.len() {
            let expected = (come >= 13).then(|| b"BTC_USDT".to_vec());
            assert_eq!(look(&body[..come], &Fields::new(), 8), Ok(expected), "{come} bytes came");
        }
    }

    #[test]
    fn the_limit_counts_before_and_after_decompression() {
        let over = framed(0, &[0; 9]);
        assert_eq!(look(&over, &Fields::new(), 8).expect_err("9 bytes").reason, "message-too-large");
        let bomb = framed(1, &gzip(&[0; 100_000]));
        assert_eq!(look(&bomb, &gzip_head(), 1_000).expect_err("100,000 bytes").reason, "message-too-large");
    }

    #[test]
    fn gzip_is_undone_and_nothing_else() {
        let came = framed(1, &gzip(b"BTC_USDT"));
        assert_eq!(look(&came, &gzip_head(), 100), Ok(Some(b"BTC_USDT".to_vec())));
        assert_eq!(look(&came, &Fields::new(), 100).expect_err("no encoding").status, 12);
    }
}
