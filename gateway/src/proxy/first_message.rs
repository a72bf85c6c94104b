//! The first message of a call, for an extractor that asked for it: gathered as it came, within a limit, and
//! decompressed. The bytes themselves are forwarded untouched. Knows no sockets.

use std::io::{self, Read};

use flate2::read::{MultiGzDecoder, ZlibDecoder};

use super::status::{Code, Reject};
use crate::http2::Fields;

/// The flag and the length before every gRPC message.
const PREFIX: usize = 5;
/// A zstd frame says how much of what it became must be kept to read on. More than 8 MiB, which RFC 8878 asks of everyone,
/// is refused.
const ZSTD_WINDOW_LOG: u32 = 23;
/// The slug of what cannot be read.
const ENCODING: &str = "message-encoding";

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
        1 => decompress(message, head, limit).map(Some),
        _ => Err(broken(&format!("begins with the flag {flag}, which gRPC does not know"))),
    }
}

/// The caller ended its half of the call before one message was there.
pub(super) fn missing() -> Reject {
    Reject::new(Code::InvalidArgument, "no-message", "the call is routed by its first message and carries none")
}

fn decompress(message: &[u8], head: &Fields, limit: usize) -> Result<Vec<u8>, Reject> {
    match head.find(b"grpc-encoding").map_or(&b"identity"[..], |field| field.value) {
        b"gzip" => read(Ok(MultiGzDecoder::new(message)), "gzip", limit),
        b"deflate" => read(Ok(ZlibDecoder::new(message)), "deflate", limit),
        b"zstd" => read(zstd(message), "zstd", limit),
        // <https://github.com/grpc/grpc/blob/master/doc/compression.md>
        b"identity" => Err(broken("says that it is compressed, and grpc-encoding does not say how")),
        other => {
            let other = String::from_utf8_lossy(other);
            let text = format!(
                "the call is routed by its first message, whose grpc-encoding {other:?} is not gzip, deflate or zstd"
            );
            Err(Reject::new(Code::Unimplemented, ENCODING, text))
        }
    }
}

/// As much as may be, and one byte more to see that it is too much.
fn read(plain: io::Result<impl Read>, encoding: &str, limit: usize) -> Result<Vec<u8>, Reject> {
    let mut message = Vec::new();
    match plain.and_then(|plain| plain.take(limit as u64 + 1).read_to_end(&mut message)) {
        Ok(_) if message.len() > limit => Err(too_large(limit)),
        Ok(_) => Ok(message),
        Err(error) => Err(broken(&format!("is not the {encoding} that it says it is: {error}"))),
    }
}

fn zstd(message: &[u8]) -> io::Result<impl Read> {
    let mut plain = zstd::stream::read::Decoder::with_buffer(message)?;
    plain.window_log_max(ZSTD_WINDOW_LOG)?;
    Ok(plain)
}

fn broken(how: &str) -> Reject {
    Reject::new(Code::Internal, ENCODING, format!("the first message {how}"))
}

/// It is longer than may be.
pub(super) fn too_large(limit: usize) -> Reject {
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

    fn deflate(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(plain).expect("to memory");
        encoder.finish().expect("to memory")
    }

    fn zstd_of_window(plain: &[u8], window_log: u32) -> Vec<u8> {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).expect("an encoder");
        encoder.window_log(window_log).expect("a window");
        encoder.write_all(plain).expect("to memory");
        // Else the encoder knows how little it is, and asks for no more.
        encoder.flush().expect("to memory");
        encoder.finish().expect("to memory")
    }

    type Encode = fn(&[u8]) -> Vec<u8>;

    fn encoded() -> [(&'static str, Encode); 3] {
        [("gzip", gzip), ("deflate", deflate), ("zstd", |plain| zstd_of_window(plain, ZSTD_WINDOW_LOG))]
    }

    fn head(encoding: &str) -> Fields {
        let mut head = Fields::new();
        head.push(b"grpc-encoding", encoding.as_bytes());
        head
    }

    #[track_caller]
    fn check_error(body: &[u8], head: &Fields, status: Code, reason: &str) {
        let reject = look(body, head, 1_000).expect_err("it cannot be read");
        assert_eq!((reject.status, reject.reason), (status as u8, reason), "{reject:?}");
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
        for (encoding, encode) in encoded() {
            let bomb = framed(1, &encode(&vec![0; 100 << 20])[..]);
            let limit = bomb.len();
            assert!(limit < 500_000, "{encoding} makes 100 MiB {limit} bytes");
            assert_eq!(look(&bomb, &head(encoding), limit).expect_err(encoding).reason, "message-too-large");
            let fits = framed(1, &encode(&[7; 1_000]));
            assert_eq!(look(&fits, &head(encoding), 1_000), Ok(Some(vec![7; 1_000])), "{encoding}");
            assert_eq!(look(&fits, &head(encoding), 999).expect_err(encoding).reason, "message-too-large");
        }
    }

    #[test]
    fn what_is_cut_off_or_changed_is_no_message() {
        for (encoding, encode) in encoded() {
            let whole = encode(b"BTC_USDT, and some more that has to be compressed");
            for length in 1..whole.len() {
                check_error(&framed(1, &whole[..length]), &head(encoding), Code::Internal, ENCODING);
            }
            check_error(&framed(1, &[0xff; 50]), &head(encoding), Code::Internal, ENCODING);
            check_error(&framed(2, &whole), &head(encoding), Code::Internal, ENCODING);
        }
    }

    #[test]
    fn a_large_window_is_refused_before_it_takes_memory() {
        let message = framed(1, &zstd_of_window(b"BTC_USDT", 27));
        check_error(&message, &head("zstd"), Code::Internal, ENCODING);
    }

    #[test]
    fn an_encoding_that_is_not_known_is_not_guessed() {
        let message = framed(1, &gzip(b"BTC_USDT"));
        check_error(&message, &head("snappy"), Code::Unimplemented, ENCODING);
        check_error(&message, &head("identity"), Code::Internal, ENCODING);
        check_error(&message, &Fields::new(), Code::Internal, ENCODING);
        assert_eq!(look(&framed(0, b"BTC_USDT"), &head("snappy"), 8), Ok(Some(b"BTC_USDT".to_vec())), "not compressed");
    }
}
