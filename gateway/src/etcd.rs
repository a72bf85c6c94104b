//! How etcd is spoken to, by whoever does: connecting with login and time limits, what to say of an error, how long to
//! wait before the next attempt. Knows no key and decides nothing.

use std::{error::Error, time::Duration};

use etcd_client::{Client, ConnectOptions};
use tokio::time::timeout;

use crate::config::Etcd;

mod backoff;

pub use self::backoff::Backoff;

/// Connects to one endpoint and logs in.
///
/// # Errors
/// When it cannot be reached, does not answer in time, or refuses the login.
pub async fn connect(config: &Etcd, endpoint: &str) -> Result<Client, String> {
    // A member that is cut off from the others looks healthy unless a leader is required.
    let mut options = ConnectOptions::new()
        .with_connect_timeout(config.timeout)
        .with_require_leader(true)
        .with_auto_token_refresh(true);
    if let Some((user, password)) = &config.login {
        options = options.with_user(user, password);
    }
    let client = within(config.timeout, Client::connect([endpoint], Some(options))).await?;
    client.map_err(|error| reason(&error))
}

/// The endpoints in turn, for ever, from any of them on: many gateways do not all begin with the first.
pub fn endpoints(config: &Etcd) -> impl Iterator<Item = &String> {
    config.endpoints.iter().cycle().skip(fastrand::usize(..config.endpoints.len().max(1)))
}

/// Waits for an answer, but not for ever.
///
/// # Errors
/// When there is none within the limit.
pub async fn within<T>(limit: Duration, answer: impl Future<Output = T>) -> Result<T, String> {
    timeout(limit, answer).await.map_err(|_elapsed| format!("no answer within {limit:?}"))
}

/// What happened, then the innermost cause.
pub fn reason(error: &etcd_client::Error) -> String {
    let (text, mut cause) = match error {
        etcd_client::Error::GRpcStatus(status) => (status.message().to_owned(), status.source()),
        etcd_client::Error::TransportError(error) => (error.to_string(), error.source()),
        error => return error.to_string(),
    };
    while let Some(deeper) = cause.and_then(Error::source) {
        cause = Some(deeper);
    }
    match cause.map(ToString::to_string) {
        Some(cause) if cause != text => format!("{text}: {cause}"),
        _ => text,
    }
}
