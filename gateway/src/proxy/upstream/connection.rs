//! One connection to an instance: opening it, and driving it until it is closed. Decides nothing.

use std::{io, pin::pin, rc::Rc, task::Poll, time::Instant};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{self, TcpStream},
    time,
};

use super::{Settings, health, peer::Peer};
use crate::{
    http2::{Code, Connection, Event, Fields, Forsaken, Reset, Token},
    proxy::{
        call::ReplyHead,
        leave::leave,
        link::{Closed, Driver, Hears, Link},
        secure,
        worker::Worker,
    },
    routing::{Address, Failure, Live},
};

/// What a connection to an instance does with what it hears.
struct Instance {
    worker: Rc<Worker>,
    peer: Rc<Peer>,
    link: Rc<Link>,
    since: Instant,
}

/// Opens a connection, with TLS where its service says so, waits for the instance's settings (a port that only accepts is no instance), says that it is
/// there, and drives it to its end.
///
/// # Errors
/// Why it could not be opened.
pub(super) async fn run(worker: &Rc<Worker>, peer: &Rc<Peer>, settings: &Settings) -> Result<(), String> {
    let address = peer.live().address();
    let limit = time::Instant::now() + settings.connect_timeout;
    let late = |_elapsed| late(address, settings);
    let failed = |error| failed(address, &error);
    let tcp = time::timeout_at(limit, connect(peer.live())).await.map_err(late)?.map_err(failed)?;
    if peer.live().tls().is_none() {
        return drive(worker, peer, settings, tcp, limit).await;
    }
    // Boxed, so that connections without TLS take no room for it.
    Box::pin(async {
        let greeted = time::timeout_at(limit, secure::connect(worker, peer.live(), tcp)).await;
        // An instance that does not like the gateway's certificate says so only after the handshake.
        let spoken = match greeted.map_err(late).and_then(|greeted| greeted.map_err(failed)) {
            Ok(socket) => drive(worker, peer, settings, socket, limit).await,
            Err(why) => Err(why),
        };
        if !peer.live().tls_failed(spoken.is_err())
            && let Err(why) = &spoken
        {
            tracing::warn!(%address, why, "an instance cannot be spoken to with TLS");
        }
        spoken
    })
    .await
}

/// Speaks HTTP/2 on a connection from its beginning to its end.
async fn drive(
    worker: &Rc<Worker>,
    peer: &Rc<Peer>,
    settings: &Settings,
    socket: impl AsyncRead + AsyncWrite + Unpin,
    limit: time::Instant,
) -> Result<(), String> {
    let address = peer.live().address();
    let link = Link::to_instance(Connection::client(settings.limits), peer.keepalive(), settings.idle_limit);
    let link = Rc::new(link);
    let mut instance =
        Instance { worker: worker.clone(), peer: peer.clone(), link: link.clone(), since: Instant::now() };
    let mut driver = Driver::new(&link, socket, &worker.scratch);
    let spoke = std::future::poll_fn(|cx| match driver.poll(&mut instance, cx) {
        Poll::Ready(closed) => Poll::Ready(Err(closed)),
        Poll::Pending if link.is_open() => Poll::Ready(Ok(())),
        Poll::Pending => Poll::Pending,
    });
    let spoke = time::timeout_at(limit, pin!(spoke)).await.map_err(|_elapsed| late(address, settings))?;
    spoke.map_err(|closed| failed(address, &words(&closed)))?;

    let place = worker.links.borrow_mut().insert(link.clone());
    peer.opened(worker, &link);
    let closed = std::future::poll_fn(|cx| {
        if link.is_idle() {
            peer.leave_idle(&link);
        }
        driver.poll(&mut instance, cx)
    })
    .await;
    worker.links.borrow_mut().remove(place);
    if let Closed::Fault(fault) = &closed {
        worker.metrics.connection_error("instance", fault.why);
    }
    let why = words(&closed);
    tracing::debug!(%address, why, "connection closed");
    let calls = link.with(Connection::forsake_streams);
    let calls = || calls.iter().copied().filter(|call| health::place_of(call.token).is_none());
    // A server that said it would go may go.
    if calls().next().is_some() && link.look(Connection::peer_leaves) != Some(Code::NO_ERROR) {
        peer.failed(worker, Failure::Lost);
    }
    peer.retire(worker, &link, instance.since);
    for Forsaken { token, unsent } in calls() {
        worker.on_call(token, |call| call.instance_lost(worker, token, &why, unsent));
    }
    if let Closed::Fault(_) = closed {
        // It may go on sending; why it is left it is to read all the same.
        let _ = leave(driver.into_socket()).await;
    }
    Ok(())
}

fn late(address: &Address, settings: &Settings) -> String {
    failed(address, &format_args!("no HTTP/2 settings within {:?}", settings.connect_timeout))
}

fn failed(address: &Address, error: &dyn std::fmt::Display) -> String {
    format!("cannot connect to {address}: {error}")
}

/// What a name stands for is only known here: it must be within the networks of its registry, too.
async fn connect(live: &Live) -> io::Result<TcpStream> {
    let target = (live.address().host(), live.address().port());
    let tcp = match live.networks() {
        None => TcpStream::connect(target).await?,
        Some(networks) => {
            let found: Vec<_> = net::lookup_host(target).await?.collect();
            let allowed: Vec<_> = found.iter().copied().filter(|at| networks.allow_ip(at.ip())).collect();
            if allowed.is_empty() {
                let text = format!("it stands for {found:?}, all outside the `networks` of its [[registry]]");
                return Err(io::Error::other(text));
            }
            TcpStream::connect(&*allowed).await?
        }
    };
    tcp.set_nodelay(true)?;
    Ok(tcp)
}

fn token_of(event: &Event<'_>) -> Option<Token> {
    match event {
        Event::Response { token, .. }
        | Event::Data { token, .. }
        | Event::Trailers { token }
        | Event::Reset { token, .. } => Some(*token),
        _ => None,
    }
}

fn words(closed: &Closed) -> String {
    match closed {
        Closed::Done => "connection closed".into(),
        Closed::Fault(fault) => fault.to_string(),
        Closed::Lost(error) => error.to_string(),
    }
}

impl Hears for Instance {
    fn event(&mut self, event: Event<'_>, fields: &mut Fields) {
        let worker = &self.worker;
        if let Some(place) = token_of(&event).and_then(health::place_of) {
            self.link.answered();
            return self.peer.health_came(worker, place, event, fields);
        }
        match event {
            Event::Response { token, status, end } => {
                self.link.answered();
                self.peer.answered();
                let head = ReplyHead { status, fields, end };
                worker.on_call(token, |call| call.reply_head(worker, token, head));
            }
            Event::Data { token, bytes, end } => {
                self.link.answered();
                worker.on_call(token, |call| call.reply_data(worker, bytes, end));
            }
            Event::Trailers { token } => worker.on_call(token, |call| Some(call.reply_trailers(fields))),
            Event::Reset { token, reset } => {
                if let Reset::ByPeer(_) = reset {
                    self.peer.answered();
                }
                if let Reset::Broken(why) = reset {
                    worker.metrics.stream_error("instance", why);
                }
                worker.on_call(token, |call| call.reply_reset(worker, token, reset));
            }
            Event::Refused { why } => worker.metrics.stream_error("instance", why),
            Event::GoingAway => {
                if self.link.look(Connection::peer_leaves) == Some(Code::ENHANCE_YOUR_CALM) {
                    self.peer.calm_down();
                }
                self.peer.retire(worker, &self.link, self.since);
                self.link.drain();
            }
            Event::Ready => self.peer.has_room(worker),
            Event::Request { .. } | Event::RequestTooLarge { .. } => {}
        }
    }

    fn released(&mut self, token: Token, bytes: usize) {
        self.worker.on_call(token, |call| {
            call.passed(bytes);
            None
        });
    }
}
