//! The first bytes of a connection: HTTP/2, or a client that speaks HTTP/1 and is told so in its own language.

use std::io;

use tokio::{io::AsyncWriteExt, net::TcpStream};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const ANSWER: &str = "symgate speaks gRPC over HTTP/2 (h2c with prior knowledge)\n";

/// Whether the client speaks HTTP/2. Consumes nothing; waits for the first bytes.
///
/// # Errors
/// When the connection is lost.
pub(super) async fn speaks_http2(tcp: &TcpStream) -> io::Result<bool> {
    let mut bytes = [0; PREFACE.len()];
    let came = tcp.peek(&mut bytes).await?;
    let came = bytes.get(..came).unwrap_or_default();
    // A client that sends its preface in pieces is one of HTTP/2 until a byte says otherwise.
    Ok(!came.is_empty() && PREFACE.starts_with(came))
}

/// Tells an HTTP/1 client what is spoken here.
///
/// # Errors
/// When the connection is lost.
pub(super) async fn turn_away(tcp: &mut TcpStream) -> io::Result<()> {
    let length = ANSWER.len();
    let reply = format!(
        "HTTP/1.1 505 HTTP Version Not Supported\r\nconnection: close\r\ncontent-type: text/plain\r\n\
         content-length: {length}\r\n\r\n{ANSWER}"
    );
    tcp.write_all(reply.as_bytes()).await
}
