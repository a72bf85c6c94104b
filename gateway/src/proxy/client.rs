//! One client connection: its handshake, its calls, its end. Knows nothing of where calls go.

use std::{io, rc::Rc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time,
};

use super::{
    call::Call,
    first_bytes,
    head::Head,
    leave::leave,
    link::{Closed, Driver, Hears, Life, Link},
    secure,
    status::Reject,
    worker::Worker,
};
use crate::{
    config::Listen,
    http2::{Connection, Event, Fields, Limits, Rates, Reset, Token},
    tls::Names,
};

/// How long a client may take from connecting to its first settings, in seconds; also to its first bytes.
pub(super) const HANDSHAKE: u32 = 10;

/// What a client's connection does with what it hears.
struct Client {
    worker: Rc<Worker>,
    link: Rc<Link>,
    /// In the certificate that it showed, if it did.
    names: Option<Rc<Names>>,
}

/// Serves a connection until it is closed.
///
/// # Errors
/// When the client speaks no TLS where it should, no HTTP/2, or the connection is lost.
pub(super) async fn serve(worker: Rc<Worker>, tcp: std::net::TcpStream) -> io::Result<()> {
    let mut tcp = TcpStream::from_std(tcp)?;
    let handshake = Duration::from_secs(HANDSHAKE.into());
    if worker.listen.tls.is_some() {
        // Boxed, so that connections without TLS take no room for it.
        return Box::pin(async {
            let (socket, names) = secure::accept(&worker, tcp, handshake).await?;
            talk(&worker, socket, Some(Rc::new(names))).await
        })
        .await;
    }
    if !time::timeout(handshake, first_bytes::speaks_http2(&tcp)).await?? {
        first_bytes::turn_away(&mut tcp).await?;
        return leave(tcp).await;
    }
    talk(&worker, tcp, None).await
}

/// Speaks HTTP/2 until the connection is closed.
async fn talk(
    worker: &Rc<Worker>,
    socket: impl AsyncRead + AsyncWrite + Unpin,
    names: Option<Rc<Names>>,
) -> io::Result<()> {
    let link = Rc::new(Link::new(Connection::server(limits(&worker.listen))));
    link.live_for(life(&worker.listen));
    let place = worker.links.borrow_mut().insert(link.clone());
    if worker.is_draining() {
        link.drain();
    }
    let mut client = Client { worker: worker.clone(), link: link.clone(), names };
    let mut driver = Driver::new(&link, socket, &worker.scratch);
    let closed = std::future::poll_fn(|cx| driver.poll(&mut client, cx)).await;
    worker.links.borrow_mut().remove(place);
    for forsaken in link.with(Connection::forsake_streams) {
        worker.on_call(forsaken.token, |call| Some(call.client_gone()));
    }
    match closed {
        Closed::Done => leave(driver.into_socket()).await,
        Closed::Fault(fault) => {
            worker.metrics.connection_error("client", fault.why);
            tracing::debug!(%fault, "a client broke the rules of HTTP/2");
            leave(driver.into_socket()).await
        }
        Closed::Lost(error) => Err(error),
    }
}

fn limits(listen: &Listen) -> Limits {
    Limits {
        max_streams: listen.max_concurrent_streams,
        max_header_list: listen.max_header_bytes,
        stream_window: listen.stream_window,
        connection_window: listen.connection_window,
        rates: Rates { resets: listen.max_resets_per_second, frames: listen.max_control_frames_per_second },
    }
}

/// A tenth more or less, so that clients which came together do not leave together.
fn life(listen: &Listen) -> Life {
    let seconds = |time: Duration| u32::try_from(time.as_secs().max(1)).unwrap_or(u32::MAX);
    let spread = |age: Duration| seconds(age.mul_f64(0.9 + fastrand::f64() / 5.0));
    let drain = listen.max_connection_age.map_or(u32::MAX, spread);
    let end = listen.max_connection_age_grace.map_or(u32::MAX, |grace| drain.saturating_add(seconds(grace)));
    Life { drain, end }
}

impl Hears for Client {
    fn event(&mut self, event: Event<'_>, fields: &mut Fields) {
        let worker = &self.worker;
        match event {
            Event::Request { stream, request, end } => {
                let fields = std::mem::replace(fields, worker.spare_fields());
                let call = Call::new(self.link.clone(), stream, Head::new(fields, request)).of(&self.names);
                worker.begin(&self.link, stream, call, end);
            }
            Event::RequestTooLarge { stream } => {
                let reject = Reject::metadata_too_large();
                self.link.with(|http2| http2.respond(stream, reject.reply().iter(), true));
                worker.count(None, reject.ended(), 0.0);
            }
            Event::Data { token, bytes, end } => {
                worker.on_call(token, |call| call.client_data(worker, token, bytes, end));
            }
            Event::Trailers { token } => worker.on_call(token, |call| call.client_trailers(worker, token, fields)),
            Event::Reset { token, reset } => {
                if let Reset::Broken(why) = reset {
                    worker.metrics.stream_error("client", why);
                }
                worker.on_call(token, |call| Some(call.client_gone()));
            }
            Event::Refused { why } => worker.metrics.stream_error("client", why),
            Event::Response { .. } | Event::Ready | Event::GoingAway => {}
        }
    }

    fn released(&mut self, token: Token, bytes: usize) {
        self.worker.on_call(token, |call| {
            call.reply_passed(bytes);
            None
        });
    }
}
