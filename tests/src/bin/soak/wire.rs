//! gRPC as it lies on a stream of HTTP/2: messages with their prefixes, sent as windows allow. Knows no calls.

use anyhow::{Context, Result, ensure};
use bytes::{Buf, Bytes, BytesMut};
use h2::{RecvStream, SendStream};
use prost::Message;
use symgate_tests::raw::framed;

/// Compressed or not, and the length.
const PREFIX: usize = 5;

/// The messages of a stream.
pub(crate) struct Messages {
    stream: RecvStream,
    bytes: BytesMut,
    cut: bool,
}

impl Messages {
    pub(crate) fn new(stream: RecvStream) -> Self {
        Self { stream, bytes: BytesMut::new(), cut: false }
    }

    /// The next message; `None` when there is no whole one left.
    ///
    /// # Errors
    /// When the stream is reset.
    pub(crate) async fn next<M: Message + Default>(&mut self) -> Result<Option<M>> {
        loop {
            if let Some(message) = self.whole()? {
                return Ok(Some(M::decode(message)?));
            }
            let Some(chunk) = self.stream.data().await else {
                self.cut = !self.bytes.is_empty();
                return Ok(None);
            };
            let chunk = chunk?;
            self.stream.flow_control().release_capacity(chunk.len())?;
            self.bytes.extend_from_slice(&chunk);
        }
    }

    /// Whether the stream ended inside a message.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut
    }

    /// What came after the messages.
    ///
    /// # Errors
    /// When the stream is reset.
    pub(crate) async fn trailers(mut self) -> Result<Option<http::HeaderMap>> {
        Ok(self.stream.trailers().await?)
    }

    fn whole(&mut self) -> Result<Option<Bytes>> {
        let Some(mut prefix) = self.bytes.get(..PREFIX) else { return Ok(None) };
        ensure!(prefix.get_u8() == 0, "a message claims to be compressed");
        let end = PREFIX + usize::try_from(prefix.get_u32())?;
        if self.bytes.len() < end {
            return Ok(None);
        }
        let mut message = self.bytes.split_to(end).freeze();
        message.advance(PREFIX);
        Ok(Some(message))
    }
}

/// Sends a message as the receiver's windows allow.
///
/// # Errors
/// When the stream has ended.
pub(crate) async fn send(stream: &mut SendStream<Bytes>, message: &impl Message) -> Result<()> {
    let mut bytes = framed(message);
    while bytes.has_remaining() {
        stream.reserve_capacity(bytes.len());
        while stream.capacity() == 0 {
            std::future::poll_fn(|waker| stream.poll_capacity(waker)).await.context("the other side went away")??;
        }
        let part = bytes.split_to(stream.capacity().min(bytes.len()));
        stream.send_data(part, false)?;
    }
    Ok(())
}
