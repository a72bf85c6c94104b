//! The end of a connection whose peer is to read what was said last. Knows no HTTP/2.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time,
};

/// How long the peer may take to read it, and leave.
const LEAVE: Duration = Duration::from_secs(1);

/// Closing with unread bytes would reset the connection, and the peer might never see what was sent last.
///
/// # Errors
/// When the connection is lost.
pub(super) async fn leave(mut socket: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    let leaving = async {
        // Waits for the peer when TLS has records that did not fit its socket yet.
        socket.shutdown().await?;
        // Not an array: it would take its place in the task of every connection from the beginning.
        let mut rest = vec![0; 1024];
        while !matches!(socket.read(&mut rest).await, Ok(0) | Err(_)) {}
        Ok(())
    };
    time::timeout(LEAVE, leaving).await.unwrap_or(Ok(()))
}
