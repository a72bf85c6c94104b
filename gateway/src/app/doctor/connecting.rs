//! Tries whether the addresses of services accept a connection. Says nothing on it.

use std::{collections::BTreeSet, time::Duration};

use tokio::{net::TcpStream, task::JoinSet, time::timeout};

use super::report::{Case, Finding, Level, Service};
use crate::routing::Address;

/// How long a connection may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// Connections that are tried at a time.
const AT_A_TIME: usize = 64;

/// Adds to each service which of its instances cannot be connected.
pub(super) async fn connect(services: &mut [Service]) {
    for service in services {
        let addresses: BTreeSet<_> = service.symbols.values().flatten().cloned().collect();
        let known = addresses.len();
        let mut dead = Vec::new();
        let (mut waiting, mut running) = (addresses.into_iter(), JoinSet::new());
        loop {
            while running.len() < AT_A_TIME
                && let Some(address) = waiting.next()
            {
                running.spawn(async { (try_one(&address).await, address) });
            }
            match running.join_next().await {
                None => break,
                Some(Ok((Err(reason), address))) => dead.push(Case::new(address, reason)),
                Some(_) => {}
            }
        }
        dead.sort_by(|a, b| a.of.cmp(&b.of));
        let all_well = dead.is_empty() && known > 0;
        service.findings.extend(Finding::of(
            Level::Problem,
            "unreachable",
            ("instance", "not accepting a connection"),
            dead,
        ));
        if all_well {
            let text = format!("all {known} instances accept a connection");
            service.findings.push(Finding::alone(Level::Note, "reachable", text));
        }
    }
}

async fn try_one(address: &str) -> Result<(), String> {
    let address: Address = address.parse().map_err(|bad: crate::routing::BadAddress| bad.to_string())?;
    match timeout(PATIENCE, TcpStream::connect((address.host(), address.port()))).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_elapsed) => Err(format!("no answer within {PATIENCE:?}")),
    }
}
