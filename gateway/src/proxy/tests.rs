//! The data plane between a real HTTP/2 client and real HTTP/2 instances, all on loopback.

mod client;
mod ending;
mod errors;
mod flow;
mod gateway;
mod instance;
mod kinds;
mod placing;

use std::time::{Duration, Instant};

use bytes::Bytes;

/// How long anything may take that a test waits for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits until the condition holds.
#[track_caller]
fn eventually(what: &'static str, mut holds: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let at = std::panic::Location::caller();
    async move {
        let since = Instant::now();
        while !holds() {
            assert!(since.elapsed() < PATIENCE, "{at}: {what}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// Waits for the future, not for ever.
#[track_caller]
fn soon<F: Future>(what: &'static str, future: F) -> impl Future<Output = F::Output> {
    let at = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(PATIENCE, future).await {
            Ok(output) => output,
            Err(_) => panic!("{at}: {what}"),
        }
    }
}

/// One gRPC message of these bytes.
fn message(bytes: &[u8]) -> Bytes {
    [&[0][..], &(bytes.len() as u32).to_be_bytes(), bytes].concat().into()
}
