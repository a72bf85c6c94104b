//! The frames of one connection that serves one call at a time.

use std::io::{Error, ErrorKind, Result};

use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::Fault;
use crate::pb::KlineReply;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// `SETTINGS_INITIAL_WINDOW_SIZE` of 1 GiB: a gateway may send more than sockets hold.
const WIDE: [u8; 6] = [0, 4, 0x40, 0, 0, 0];

/// What came.
pub(super) enum Frame {
    Head { end: bool },
    Body { end: bool },
    Other,
}

/// One connection.
pub(super) struct Wire {
    socket: TcpStream,
    stream: u32,
    replied: bool,
}

impl Wire {
    pub(super) async fn greet(mut socket: TcpStream) -> Result<Self> {
        let mut preface = vec![0; PREFACE.len()];
        socket.read_exact(&mut preface).await?;
        if preface != PREFACE {
            return Err(ErrorKind::InvalidData.into());
        }
        let mut wire = Self { socket, stream: 0, replied: false };
        wire.write(SETTINGS, 0, 0, &WIDE).await?;
        wire.write(WINDOW_UPDATE, 0, 0, &(1_u32 << 30).to_be_bytes()).await?;
        Ok(wire)
    }

    /// Reads one frame, and answers those that want it.
    pub(super) async fn read(&mut self) -> Result<Frame> {
        let mut head = [0; 9];
        self.socket.read_exact(&mut head).await?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.socket.read_exact(&mut payload).await?;
        let end = flags & END_STREAM != 0;
        match kind {
            HEADERS => {
                let stream = u32::from_be_bytes(stream);
                // Trailers have the number of the stream that is open.
                let new = stream != self.stream;
                (self.stream, self.replied) = (stream, self.replied && !new);
                Ok(if new { Frame::Head { end } } else { Frame::Body { end } })
            }
            DATA => Ok(Frame::Body { end }),
            SETTINGS if flags & ACK == 0 => {
                self.write(SETTINGS, ACK, 0, &[]).await?;
                Ok(Frame::Other)
            }
            PING if flags & ACK == 0 => {
                self.write(PING, ACK, 0, &payload).await?;
                Ok(Frame::Other)
            }
            _ => Ok(Frame::Other),
        }
    }

    pub(super) fn has_replied(&self) -> bool {
        self.replied
    }

    /// `:status: 200` and the content-type, which stands at place 31 of the static table (RFC 7541).
    pub(super) async fn reply_head(&mut self) -> Result<()> {
        self.replied = true;
        let block = [&[0x88, 0x0f, 0x10, 16][..], b"application/grpc"].concat();
        self.write(HEADERS, END_HEADERS, self.stream, &block).await
    }

    pub(super) async fn reply_message(&mut self, instance: &str) -> Result<()> {
        let reply = KlineReply { instance: instance.into(), received: 1, ..KlineReply::default() }.encode_to_vec();
        let length = u32::try_from(reply.len()).map_err(Error::other)?;
        let message = [&[0][..], &length.to_be_bytes(), &reply].concat();
        self.write(DATA, 0, self.stream, &message).await
    }

    pub(super) async fn reply_end(&mut self) -> Result<()> {
        let block = [&[0, 11][..], b"grpc-status", &[1], b"0"].concat();
        self.write(HEADERS, END_HEADERS | END_STREAM, self.stream, &block).await
    }

    /// Does what goes wrong; an error when the connection goes with it.
    pub(super) async fn fail(&mut self, fault: Fault) -> Result<()> {
        match fault {
            Fault::Drop => Err(ErrorKind::ConnectionReset.into()),
            Fault::Reset(code) => self.write(RST_STREAM, 0, self.stream, &code.to_be_bytes()).await,
            Fault::GoAwayBefore => self.go_away(self.stream.saturating_sub(2)).await,
            Fault::GoAwayWith => self.go_away(self.stream).await,
            Fault::Status(status) => {
                self.replied = true;
                let status = status.to_string();
                let length = u8::try_from(status.len()).map_err(Error::other)?;
                let kind = [&[0x88, 0x0f, 0x10, 16][..], b"application/grpc"].concat();
                let block = [&kind[..], &[0, 11], b"grpc-status", &[length], status.as_bytes()].concat();
                self.write(HEADERS, END_HEADERS | END_STREAM, self.stream, &block).await
            }
        }
    }

    async fn go_away(&mut self, last: u32) -> Result<()> {
        let payload = [last.to_be_bytes(), 0_u32.to_be_bytes()].concat();
        self.write(GOAWAY, 0, 0, &payload).await?;
        // Closed in order, or the reset would overtake it.
        self.socket.shutdown().await?;
        let mut rest = vec![0; 4096];
        while self.socket.read(&mut rest).await? > 0 {}
        Err(ErrorKind::ConnectionAborted.into())
    }

    async fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Result<()> {
        let length = u32::try_from(payload.len()).map_err(Error::other)?.to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        self.socket.write_all(&[&head, payload].concat()).await
    }
}
