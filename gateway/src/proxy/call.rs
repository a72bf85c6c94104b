//! The life of one call: check it, find its place, relay it; round again where the place never saw it. Each attempt
//! looks at the newest snapshot, and none holds one while it waits.

use std::{
    pin::pin,
    rc::Rc,
    task::Poll,
    time::{Duration, Instant},
};

use super::{
    attempt::{Attempt, Decision, Place},
    head,
    limits::Limits,
    relay::{self, Relayed},
    status::{Code, Ended, Reject},
    stream::{Incoming, Respond, Stop, Stream},
    timeout,
    upstream::Lease,
    worker::Worker,
};

/// Runs a call to its end.
pub(super) async fn run(worker: Rc<Worker>, mut stream: Stream) {
    let started = Instant::now();
    worker.metrics.calls_in_flight.inc();
    let mut attempt = Attempt::default();
    let ended = match check(&stream.incoming) {
        Ok(time) => answer(&worker, &mut stream, &mut attempt, time).await,
        Err(reject) => stream.stop(&reject.into()),
    };
    worker.metrics.calls_in_flight.dec();
    let seconds = started.elapsed().as_secs_f64();
    tracing::debug!(?ended, seconds, "call ended");
    worker.count(attempt.metrics.as_deref(), ended, seconds);
}

/// Refuses what is no gRPC call; how long the caller waits.
fn check(incoming: &Incoming) -> Result<Option<Duration>, Reject> {
    head::check(&incoming.head)?;
    timeout::read(&incoming.head.headers)
        .map_err(|timeout::BadTimeout| Reject::new(Code::InvalidArgument, "bad-timeout", "grpc-timeout is malformed"))
}

async fn answer(worker: &Worker, stream: &mut Stream, attempt: &mut Attempt, time: Option<Duration>) -> Ended {
    let ended = pin!(worker.ending.notified());
    let mut limits = Limits::new(time, &worker.ending, ended);
    loop {
        let placing = place(worker, &mut stream.incoming, attempt);
        let (place, lease) = match within(&mut limits, &mut stream.respond, placing).await {
            Ok(placed) => placed,
            Err(stop) => return stream.stop(&stop),
        };
        // Whose call it is, is known; what it was read from need not outlive that.
        attempt.message = None;
        match relay::relay(stream, lease, &place, &mut limits).await {
            Relayed::Ended(ended) => return ended,
            Relayed::NeverSeen(why) => {
                let why = format!("{} {why}", place.instance.live.address());
                worker.metrics.retries.inc();
                if let Err(reject) = attempt.failed(place, why) {
                    return stream.stop(&reject.into());
                }
            }
        }
    }
}

/// Finds the call's place and a connection to it.
async fn place(worker: &Worker, incoming: &mut Incoming, attempt: &mut Attempt) -> Result<(Place, Lease), Stop> {
    loop {
        match worker.decide(&incoming.head, attempt)? {
            Decision::NeedMessage(limit) => attempt.message = Some(incoming.first_message(limit).await?),
            Decision::Place(place) => match worker.upstreams.lease(&place.instance.live).await {
                Ok(lease) => return Ok((place, lease)),
                Err(why) => {
                    worker.metrics.retries.inc();
                    attempt.failed(place, why)?;
                }
            },
        }
    }
}

/// Waits for the future unless the call ends first.
async fn within<T>(
    limits: &mut Limits<'_, '_>,
    respond: &mut Respond,
    future: impl Future<Output = Result<T, Stop>>,
) -> Result<T, Stop> {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| {
        if let Poll::Ready(done) = future.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        if respond.poll_gone(cx).is_ready() {
            return Poll::Ready(Err(Stop::Gone));
        }
        limits.poll(cx).map(|reject| Err(reject.into()))
    })
    .await
}
