//! How etcd is spoken to, by whoever does: connecting with TLS, login and time limits, what to say of an error, how long to
//! wait before the next attempt. Knows no key and decides nothing.

use std::{error::Error, time::Duration};

use etcd_client::{Channel, Client, ConnectOptions};
use tokio::time::timeout;
use tonic::{Code, Status};

use crate::config::Etcd;

mod backoff;
mod channel;
mod secure;

pub use self::backoff::Backoff;

/// Connects to one endpoint and logs in. Files of TLS are read anew each time.
///
/// # Errors
/// When it cannot be reached, is not who it should be, does not answer in time, or refuses the login.
pub async fn connect(config: &Etcd, endpoint: &str) -> Result<Client, String> {
    within(config.timeout, async {
        let channel = Channel::Tonic(channel::open(config, endpoint).await?);
        log_in(config, channel).await.map_err(|error| reason(&error))
    })
    .await?
}

async fn log_in(config: &Etcd, channel: Channel) -> Result<Client, etcd_client::Error> {
    // A member that is cut off from the others looks healthy unless a leader is required.
    let options = ConnectOptions::new().with_require_leader(true).with_auto_token_refresh(true);
    if let Some((user, password)) = &config.login {
        let with_user = options.clone().with_user(user, password);
        match Client::from_channel(channel.clone(), Some(with_user)).await {
            Err(etcd_client::Error::GRpcStatus(status)) if asks_for_no_login(&status) => {}
            answer => return answer,
        }
    }
    Client::from_channel(channel, Some(options)).await
}

/// Whether etcd refused a login because it knows no users at the moment.
fn asks_for_no_login(status: &Status) -> bool {
    status.code() == Code::FailedPrecondition && status.message().contains("authentication is not enabled")
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

/// What etcd says of a login, and what to do about it.
const HINTS: [(&str, &str); 2] = [
    ("user name is empty", "it wants a login: name a user and a password"),
    ("permission denied", "grant these keys to a role of the user"),
];

/// What happened, then the innermost cause or what to do.
pub fn reason(error: &etcd_client::Error) -> String {
    match error {
        etcd_client::Error::GRpcStatus(status) => {
            let text = with_cause(status.message(), status.source());
            match HINTS.iter().find(|(said, _)| text.contains(said)) {
                Some((_, hint)) => format!("{text}; {hint}"),
                None => text,
            }
        }
        etcd_client::Error::TransportError(error) => with_cause(&error.to_string(), error.source()),
        error => error.to_string(),
    }
}

fn with_cause(text: &str, mut cause: Option<&dyn Error>) -> String {
    while let Some(deeper) = cause.and_then(Error::source) {
        cause = Some(deeper);
    }
    match cause.map(ToString::to_string) {
        // tonic's word for everything.
        Some(cause) if text == "transport error" => cause,
        Some(cause) if cause != text => format!("{text}: {cause}"),
        _ => text.to_owned(),
    }
}
