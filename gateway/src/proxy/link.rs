//! One connection of the data plane, to a client or to an instance: the HTTP/2 engine and the socket under it. Reads and
//! writes for the engine, and knows nothing of calls.
//!
//! Whoever sends on a connection writes into the engine's buffer; the connection's task is woken and sends once for all
//! that gathered until it runs. Under load one system call carries the frames of many calls.

use std::{
    cell::{Cell, RefCell},
    io,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::keepalive::{Beat, Keepalive};
use crate::http2::{Connection, Event, Fault, Fields, Token};

/// Bytes that one read may bring.
const READ: usize = 64 * 1024;
/// Reads of one connection before the others have their turn.
const READS: usize = 4;
/// With so many bytes waiting for a peer's socket, nothing more is read from it: what it is answered must not pile up.
const BACKLOG: usize = 512 * 1024;
/// What a connection may keep of the buffer for half a frame.
const KEPT: usize = 512;

/// A connection as the rest of the data plane has it: a place to send to.
pub(super) struct Link {
    http2: RefCell<Connection>,
    /// Wakes the task that drives it.
    waker: RefCell<Option<Waker>>,
    /// The task knows that there is something to send.
    awake: Cell<bool>,
    /// The peer's settings came.
    greeted: Cell<bool>,
    /// Seconds since it was opened, as the worker counts them.
    age: Cell<u32>,
    /// How old it may become.
    life: Cell<Life>,
    /// Nothing can be sent any more.
    closed: Cell<bool>,
    /// Whether the peer is asked for signs of life: an instance is.
    keepalive: Option<Keepalive>,
    /// The peer gave no sign of life.
    given_up: Cell<bool>,
    /// Seconds without a call, as the worker counts them.
    idle: Cell<u32>,
    /// After how many of them the connection's task is to look whether it is still of use.
    idle_limit: u32,
}

/// How old a connection may become, in seconds.
#[derive(Clone, Copy)]
pub(super) struct Life {
    /// Before it takes no more streams.
    pub(super) drain: u32,
    /// Before the calls that are left end.
    pub(super) end: u32,
}

/// What a worker lends to whichever of its connections reads.
#[derive(Default)]
pub(super) struct Scratch {
    bytes: Vec<u8>,
    fields: Fields,
}

/// What a connection's task hears.
pub(super) trait Hears {
    /// The engine tells something; `fields` is the header list that came with it.
    fn event(&mut self, event: Event<'_>, fields: &mut Fields);
    /// Bytes left a stream's queue: their sender may have room for more.
    fn released(&mut self, token: Token, bytes: usize);
}

/// Why a connection is closed.
#[derive(Debug)]
pub(super) enum Closed {
    /// It was drained, or the peer closed it.
    Done,
    /// The peer broke the rules.
    Fault(Fault),
    /// The network did.
    Lost(io::Error),
}

/// Drives a connection.
pub(super) struct Driver<'a, S> {
    link: &'a Link,
    socket: S,
    scratch: &'a RefCell<Scratch>,
    /// The beginning of a frame whose rest did not come yet.
    half: Vec<u8>,
}

impl Link {
    /// Over a connection that was just opened.
    pub(super) fn new(http2: Connection) -> Self {
        Self {
            http2: RefCell::new(http2),
            waker: RefCell::default(),
            awake: Cell::new(false),
            greeted: Cell::new(false),
            age: Cell::new(0),
            life: Cell::new(Life { drain: u32::MAX, end: u32::MAX }),
            closed: Cell::new(false),
            keepalive: None,
            given_up: Cell::new(false),
            idle: Cell::new(0),
            idle_limit: u32::MAX,
        }
    }

    /// The same to an instance, which is asked for signs of life, and of no more use after so many seconds without a
    /// call.
    pub(super) fn to_instance(http2: Connection, keepalive: Keepalive, idle_limit: u32) -> Self {
        Self { keepalive: Some(keepalive), idle_limit, ..Self::new(http2) }
    }

    /// Does something with the engine; what it has to send goes out soon.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Connection) -> T) -> T {
        let done = act(&mut self.http2.borrow_mut());
        self.wake();
        done
    }

    /// Looks at the engine.
    pub(super) fn look<T>(&self, at: impl FnOnce(&Connection) -> T) -> T {
        at(&self.http2.borrow())
    }

    /// Whether the peer speaks HTTP/2, and the connection still stands.
    pub(super) fn is_open(&self) -> bool {
        self.greeted.get() && !self.closed.get()
    }

    /// Streams that could be opened now.
    pub(super) fn room(&self) -> usize {
        if self.closed.get() { 0 } else { self.look(Connection::room) }
    }

    /// Seconds since it was opened during which the peer has not said that it speaks HTTP/2.
    pub(super) fn silent(&self) -> u32 {
        if self.greeted.get() { 0 } else { self.age.get() }
    }

    /// It may become so old.
    pub(super) fn live_for(&self, life: Life) {
        self.life.set(life);
    }

    /// Whether the calls that are left must end.
    pub(super) fn has_lived(&self) -> bool {
        self.age.get() >= self.life.get().end
    }

    /// A second has passed.
    pub(super) fn second_passed(&self) {
        self.age.set(self.age.get().saturating_add(1));
        if self.age.get() == self.life.get().drain {
            self.drain();
        }
        let mut http2 = self.http2.borrow_mut();
        http2.second_passed();
        let in_use = http2.streams() > 0;
        self.idle.set(if in_use { 0 } else { self.idle.get().saturating_add(1) });
        match self.keepalive.as_ref().map_or(Beat::Nothing, |keepalive| keepalive.second_passed(in_use)) {
            Beat::Nothing => {}
            Beat::Ask => http2.probe(),
            Beat::GiveUp => self.given_up.set(true),
        }
        let speaks = !http2.output().is_empty();
        drop(http2);
        if speaks || self.given_up.get() || self.is_idle() {
            self.wake();
        }
    }

    /// A call is given to it.
    pub(super) fn touch(&self) {
        self.idle.set(0);
    }

    /// Whether it had no call for so long that it may be of no more use.
    pub(super) fn is_idle(&self) -> bool {
        self.idle.get() >= self.idle_limit
    }

    /// A piece of a reply came.
    pub(super) fn answered(&self) {
        if let Some(keepalive) = &self.keepalive {
            keepalive.answered();
        }
    }

    /// Takes no more streams, and closes when the last has ended.
    pub(super) fn drain(&self) {
        self.with(Connection::drain);
    }

    /// Closes as soon as the streams that are known have ended.
    pub(super) fn drain_at_once(&self) {
        self.with(Connection::drain_at_once);
    }

    /// Closes without a word: the peer never had one.
    pub(super) fn drop_silent(&self) {
        self.closed.set(true);
        self.wake();
    }

    fn wake(&self) {
        if !self.awake.replace(true)
            && let Some(waker) = &*self.waker.borrow()
        {
            waker.wake_by_ref();
        }
    }

    fn sleeps(&self, cx: &Context<'_>) {
        self.awake.set(false);
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
    }
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Driver<'a, S> {
    /// Of a link over this socket.
    pub(super) fn new(link: &'a Link, socket: S, scratch: &'a RefCell<Scratch>) -> Self {
        Self { link, socket, scratch, half: Vec::new() }
    }

    /// Does what there is to do; ready when the connection is closed.
    pub(super) fn poll(&mut self, hears: &mut impl Hears, cx: &mut Context<'_>) -> Poll<Closed> {
        // Whoever sends on this connection while it is read needs not wake it.
        self.link.awake.set(true);
        let polled = self.poll_round(hears, cx);
        self.link.sleeps(cx);
        if let Poll::Ready(closed) = &polled {
            self.link.closed.set(true);
            tracing::trace!(?closed);
        }
        polled
    }

    /// The socket, for a last word.
    pub(super) fn into_socket(self) -> S {
        self.socket
    }

    fn poll_round(&mut self, hears: &mut impl Hears, cx: &mut Context<'_>) -> Poll<Closed> {
        if self.link.closed.get() {
            return Poll::Ready(Closed::Done);
        }
        if let Some(keepalive) = self.link.keepalive.as_ref().filter(|_| self.link.given_up.get()) {
            let why = format!("no answer to a keepalive ping within {:?}", keepalive.timeout());
            return Poll::Ready(Closed::Lost(io::Error::new(io::ErrorKind::TimedOut, why)));
        }
        let mut more = true;
        for _ in 0..READS {
            // With a backlog, what is left to read is looked at again as soon as that is sent.
            more = self.link.look(|http2| http2.output().len()) <= BACKLOG;
            if !more {
                break;
            }
            match self.poll_read(hears, cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(closed)) => return self.last_words(hears, cx, closed),
                Poll::Pending => return self.poll_send(hears, cx),
            }
        }
        let polled = self.poll_send(hears, cx);
        if more || self.link.look(|http2| http2.output().is_empty()) {
            cx.waker().wake_by_ref();
        }
        polled
    }

    fn poll_send(&mut self, hears: &mut impl Hears, cx: &mut Context<'_>) -> Poll<Closed> {
        match self.poll_write(hears, cx) {
            Poll::Ready(Ok(())) if self.link.look(Connection::is_drained) => Poll::Ready(Closed::Done),
            Poll::Ready(Err(error)) => Poll::Ready(Closed::Lost(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        }
    }

    /// What the engine has to say about the end, as far as the socket takes it at once.
    fn last_words(&mut self, hears: &mut impl Hears, cx: &mut Context<'_>, closed: Closed) -> Poll<Closed> {
        if let Closed::Fault(fault) = &closed {
            self.link.with(|http2| http2.fail(fault));
        }
        let _ = self.poll_write(hears, cx);
        Poll::Ready(closed)
    }

    fn poll_read(&mut self, hears: &mut impl Hears, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        let mut scratch = self.scratch.take();
        scratch.bytes.resize(READ, 0);
        let polled = self.poll_read_into(&mut scratch, hears, cx);
        self.scratch.replace(scratch);
        polled
    }

    fn poll_read_into(
        &mut self,
        scratch: &mut Scratch,
        hears: &mut impl Hears,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Closed>> {
        let half = self.half.len();
        if let Some(place) = scratch.bytes.get_mut(..half) {
            place.copy_from_slice(&self.half);
        }
        let mut buffer = ReadBuf::new(scratch.bytes.get_mut(half..).unwrap_or_default());
        if let Err(error) = ready!(Pin::new(&mut self.socket).poll_read(cx, &mut buffer)) {
            return Poll::Ready(Err(Closed::Lost(error)));
        }
        let came = buffer.filled().len();
        if came == 0 {
            return Poll::Ready(Err(Closed::Done));
        }
        if let Some(keepalive) = &self.link.keepalive {
            keepalive.heard();
        }
        let bytes = scratch.bytes.get(..half + came).unwrap_or_default();
        let rest = self.receive(bytes, &mut scratch.fields, hears).map_err(Closed::Fault)?;
        if self.half.capacity() > KEPT {
            self.half = Vec::new();
        }
        self.half.clear();
        self.half.extend_from_slice(rest);
        Poll::Ready(Ok(()))
    }

    /// Gives bytes to the engine and tells what comes of it; what is left is half a frame.
    fn receive<'b>(&self, mut bytes: &'b [u8], fields: &mut Fields, hears: &mut impl Hears) -> Result<&'b [u8], Fault> {
        loop {
            let event = self.link.http2.borrow_mut().receive(&mut bytes, fields)?;
            // Before the event: it may end the call that the room belongs to.
            self.tell_released(hears);
            let Some(event) = event else { return Ok(bytes) };
            if event == Event::Ready {
                self.link.greeted.set(true);
            }
            hears.event(event, fields);
        }
    }

    fn poll_write(&mut self, hears: &mut impl Hears, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut http2 = self.link.http2.borrow_mut();
            let output = http2.output();
            if output.is_empty() {
                drop(http2);
                // TLS holds what the network did not take of the bytes that it took; without it there is nothing to do.
                return Pin::new(&mut self.socket).poll_flush(cx);
            }
            let taken = ready!(Pin::new(&mut self.socket).poll_write(cx, output))?;
            if taken == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            http2.output_taken(taken);
            drop(http2);
            self.tell_released(hears);
        }
    }

    fn tell_released(&self, hears: &mut impl Hears) {
        loop {
            let released = self.link.http2.borrow_mut().next_released();
            let Some((token, bytes)) = released else { return };
            hears.released(token, bytes);
        }
    }
}

#[cfg(test)]
mod tests;
