//! A connection to one endpoint that has answered once: only then is it known that the other side is an etcd, speaks as we
//! do, and takes us. Knows no key.

use std::error::Error;

use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::{secure, with_cause};
use crate::config::Etcd;

/// Connects, with TLS where that is configured, and waits for a first answer.
pub(super) async fn open(config: &Etcd, endpoint: &str) -> Result<Channel, String> {
    match &config.tls {
        None => plain(endpoint).await,
        Some(tls) => secure::open(tls, endpoint).await,
    }
}

async fn plain(endpoint: &str) -> Result<Channel, String> {
    let endpoint = Endpoint::from_shared(endpoint.to_owned()).map_err(|error| error.to_string())?;
    let channel = endpoint.connect().await.map_err(|error| with_cause(&error.to_string(), error.source()))?;
    let hint = |reason| format!("it ended the connection ({reason}); if it speaks TLS, write https:// and add tls");
    answered(&channel).await.map_err(hint)?;
    Ok(channel)
}

/// Waits for an answer. Any will do, a refusal too: what etcd thinks of its health is for others to judge.
pub(super) async fn answered(channel: &Channel) -> Result<(), String> {
    match HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await {
        // What our own side says has a cause.
        Err(status) if status.source().is_some() => Err(with_cause(status.message(), status.source())),
        _ => Ok(()),
    }
}
