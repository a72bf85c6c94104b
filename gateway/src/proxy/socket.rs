//! One TCP connection as the HTTP/2 library sees it: what is written gathers until the connection's task has done its
//! round, then goes out in one system call. Knows no HTTP.
//!
//! The library flushes after every DATA frame of 256 bytes and more. Under load one round of a connection's task
//! answers many calls, and a system call for each costs more than everything else that happens to it.

use std::{
    cell::RefCell,
    io::{self, IoSlice},
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// More than this is not gathered: the peer, or the kernel, is slower than the writer.
const GATHERED: usize = 64 * 1024;
/// What an idle connection may keep of its buffer.
const KEPT: usize = 4 * 1024;

/// The end that is given to the HTTP/2 library.
pub(super) struct Socket(Rc<RefCell<Gathering>>);

/// The end that sends what gathered.
pub(super) struct Rounds(Rc<RefCell<Gathering>>);

struct Gathering {
    tcp: TcpStream,
    unsent: BytesMut,
}

/// A connection's two ends.
pub(super) fn gathering(tcp: TcpStream) -> (Socket, Rounds) {
    let shared = Rc::new(RefCell::new(Gathering { tcp, unsent: BytesMut::new() }));
    (Socket(shared.clone()), Rounds(shared))
}

impl Rounds {
    /// Polls the future that drives the connection; after each round sends what it wrote.
    pub(super) async fn run<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        std::future::poll_fn(|cx| {
            let polled = future.as_mut().poll(cx);
            // An error shows again when the library next reads or writes.
            let _ = self.0.borrow_mut().poll_send(cx);
            polled
        })
        .await
    }
}

impl Gathering {
    /// Sends until nothing is left or the kernel takes no more.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let sent = ready!(Pin::new(&mut self.tcp).poll_write(cx, &self.unsent))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unsent.advance(sent);
        }
        if self.unsent.capacity() > KEPT {
            self.unsent = BytesMut::new();
        } else {
            self.unsent.clear();
        }
        Poll::Ready(Ok(()))
    }

    /// Room for `more` bytes, waited for where the kernel is behind.
    fn poll_room(&mut self, cx: &mut Context<'_>, more: usize) -> Poll<io::Result<()>> {
        if self.unsent.len() + more > GATHERED
            && let Poll::Ready(Err(error)) = self.poll_send(cx)
        {
            return Poll::Ready(Err(error));
        }
        if self.unsent.len() < GATHERED { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.borrow_mut().tcp).poll_read(cx, into)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut shared = self.0.borrow_mut();
        ready!(shared.poll_room(cx, bytes.len()))?;
        shared.unsent.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut shared = self.0.borrow_mut();
        let length = slices.iter().map(|slice| slice.len()).sum();
        ready!(shared.poll_room(cx, length))?;
        slices.iter().for_each(|slice| shared.unsent.extend_from_slice(slice));
        Poll::Ready(Ok(length))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Nothing to do: the round ends soon.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut shared = self.0.borrow_mut();
        ready!(shared.poll_send(cx))?;
        Pin::new(&mut shared.tcp).poll_shutdown(cx)
    }
}
