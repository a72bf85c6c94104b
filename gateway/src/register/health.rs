//! Whether the instance can take calls. Only that is announced.

use std::{convert::Infallible, error::Error, io::ErrorKind, str::FromStr, time::Duration};

use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};
use tonic::transport::Endpoint;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tracing::{info, warn};

use super::Switch;
use crate::routing::Address;

/// How long one look may take.
const LOOK: Duration = Duration::from_secs(1);
/// Between two looks at an instance that is healthy.
const HEALTHY: Duration = Duration::from_secs(1);
/// Between two looks at one that is not.
const UNHEALTHY: Duration = Duration::from_millis(100);
/// Looks in a row without an answer that make an instance unhealthy: a busy one may miss one or two.
const SILENT: u32 = 3;

/// What shows that an instance is healthy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Nothing is asked for.
    Off,
    /// Its port accepts connections.
    Tcp,
    /// `grpc.health.v1` says SERVING for this service; empty: for the whole server.
    Grpc(String),
}

/// What one look showed.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    Serving,
    /// The instance, or its machine, says no.
    Refused(String),
    /// Nobody says anything.
    Silent(String),
}

/// What all looks together show.
#[derive(Debug, Default)]
struct Opinion {
    healthy: bool,
    /// Looks in a row without an answer.
    silent: u32,
    /// What was logged last.
    said: String,
}

impl Health {
    /// Wants the registration while the instance is healthy; for ever.
    pub async fn guard(&self, address: &Address, switch: &Switch) -> Infallible {
        if *self == Self::Off {
            switch.set(true);
            return std::future::pending().await;
        }
        info!(%address, "waiting until the instance is healthy");
        let mut opinion = Opinion::default();
        loop {
            opinion.hear(self.look(address).await, address);
            switch.set(opinion.healthy);
            sleep(if opinion.healthy { HEALTHY } else { UNHEALTHY }).await;
        }
    }

    async fn look(&self, address: &Address) -> Look {
        let look = async {
            let tcp = tcp(address).await;
            match self {
                Self::Grpc(service) if tcp == Look::Serving => grpc(address, service).await,
                _ => tcp,
            }
        };
        timeout(LOOK, look).await.unwrap_or_else(|_elapsed| Look::Silent(format!("no answer within {LOOK:?}")))
    }
}

impl Opinion {
    fn hear(&mut self, look: Look, address: &Address) {
        self.silent = if matches!(look, Look::Silent(_)) { self.silent.saturating_add(1) } else { 0 };
        match look {
            Look::Serving => {
                if !self.healthy {
                    info!(%address, "the instance is healthy");
                }
                self.healthy = true;
            }
            Look::Silent(_) if self.healthy && self.silent < SILENT => {}
            Look::Refused(reason) | Look::Silent(reason) => {
                if self.healthy || self.said != reason {
                    warn!(%address, reason, "the instance is not healthy and not announced");
                }
                self.said = reason;
                self.healthy = false;
            }
        }
    }
}

impl FromStr for Health {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=').unwrap_or((text, "")) {
            ("off", "") => Ok(Self::Off),
            ("tcp", "") => Ok(Self::Tcp),
            ("grpc", service) => Ok(Self::Grpc(service.into())),
            _ => Err("write off, tcp, grpc or grpc=SERVICE".into()),
        }
    }
}

async fn tcp(address: &Address) -> Look {
    match TcpStream::connect((address.host(), address.port())).await {
        Ok(_connection) => Look::Serving,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Look::Refused("its port is closed".into()),
        Err(error) => Look::Silent(format!("it cannot be connected: {error}")),
    }
}

async fn grpc(address: &Address, service: &str) -> Look {
    let ask = async {
        let channel = Endpoint::from_shared(format!("http://{address}"))?.connect().await?;
        let request = HealthCheckRequest { service: service.into() };
        Ok::<_, tonic::transport::Error>(HealthClient::new(channel).check(request).await)
    };
    match ask.await {
        Ok(Ok(answer)) => match answer.into_inner().status() {
            ServingStatus::Serving => Look::Serving,
            other => Look::Refused(format!("grpc.health.v1 says {}", other.as_str_name())),
        },
        // One without a source was sent by the instance.
        Ok(Err(status)) if status.source().is_none() => {
            Look::Refused(format!("grpc.health.v1 answers {:?}: {}", status.code(), status.message()))
        }
        Ok(Err(status)) => Look::Silent(status.message().to_owned()),
        Err(error) => Look::Silent(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_look_without_an_answer_takes_nothing_away() {
        let address = "10.0.0.1:9000".parse().expect("an address");
        let mut opinion = Opinion::default();
        let mut after = |look| {
            opinion.hear(look, &address);
            opinion.healthy
        };
        let silent = || Look::Silent("no answer".into());
        assert_eq!((after(silent()), after(Look::Serving)), (false, true));
        assert_eq!((after(silent()), after(silent()), after(Look::Serving)), (true, true, true), "a busy moment");
        assert_eq!((after(silent()), after(silent()), after(silent())), (true, true, false), "it does not answer");
        assert_eq!((after(Look::Serving), after(Look::Refused("closed".into()))), (true, false), "it says no");
    }

    #[test]
    fn what_is_asked_for_is_read() {
        let check = |text: &str, expected: Option<Health>| assert_eq!(text.parse().ok(), expected, "{text}");
        check("off", Some(Health::Off));
        check("tcp", Some(Health::Tcp));
        check("grpc", Some(Health::Grpc(String::new())));
        check("grpc=pb.KlineService", Some(Health::Grpc("pb.KlineService".into())));
        for text in ["", "no", "tcp=1", "grpc:x"] {
            check(text, None);
        }
    }
}
