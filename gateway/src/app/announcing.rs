//! `[[register]]`: the gateway as an instance, announced while it can place calls.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use anyhow::{Context, anyhow};
use tokio::{
    task::{JoinHandle, spawn_local},
    time::timeout,
};
use tracing::warn;

use crate::{
    admin,
    config::{Config, Register, Registry, Source},
    interfaces::private_address,
    register::{Announcement, Registrar},
    routing::Address,
    snapshot::Readers,
};

/// What deregistering may take; an etcd that cannot be reached must not hold up the drain.
const FAREWELL: Duration = Duration::from_secs(2);

/// The gateway's own registrations.
pub(super) struct Announcing {
    registrars: Vec<Registrar>,
    gate: JoinHandle<()>,
}

impl Announcing {
    /// Announces the gateway as soon as its tables are read.
    pub(super) fn start(config: &Config, readers: &Readers) -> anyhow::Result<Self> {
        let registrars = config.registers.iter().filter_map(|register| {
            let registry = config.registries.get(register.registry)?;
            let Source::Etcd(etcd) = &registry.source else { return None };
            let announcement = announcement(register, registry, config.listen.address);
            Some(announcement.map(|announcement| Registrar::start(etcd.clone(), announcement, register.ttl)))
        });
        let registrars: Vec<_> = registrars.collect::<anyhow::Result<_>>()?;
        let switches: Vec<_> = registrars.iter().map(Registrar::switch).collect();
        let (mut reader, mut changes) = (readers.reader(), readers.changes());
        let gate = spawn_local(async move {
            while admin::not_ready(reader.snapshot(), false).is_some() && changes.next().await {}
            switches.iter().for_each(|switch| switch.set(true));
        });
        Ok(Self { registrars, gate })
    }

    /// Takes all registrations back.
    pub(super) async fn end(mut self) {
        // Else it could announce a gateway that is not ready before it ends.
        self.gate.abort();
        let farewell = async {
            for registrar in &self.registrars {
                registrar.switch().set(false);
            }
            for registrar in &mut self.registrars {
                registrar.withdraw().await;
            }
        };
        if timeout(FAREWELL, farewell).await.is_err() {
            warn!("some registrations could not be taken back; etcd removes them when their leases run out");
        }
    }
}

fn announcement(register: &Register, registry: &Registry, listener: SocketAddr) -> anyhow::Result<Announcement> {
    let service = &register.service;
    let named = register.named_address(listener).transpose()?;
    let address = named.map_or_else(|| reached_at(listener), Ok);
    Ok(Announcement {
        prefix: registry.prefix.clone(),
        service: service.clone(),
        symbol: register.symbol.clone(),
        address: address.with_context(|| format!("[[register]] service {service:?} has no address to announce"))?,
        format: register.format,
        weight: None,
        labels: BTreeMap::new(),
    })
}

/// Where others reach a listener: where it listens or, when that is every address, the first private one.
fn reached_at(listener: SocketAddr) -> anyhow::Result<Address> {
    let ip = if listener.ip().is_unspecified() {
        private_address().map_err(|reason| anyhow!(reason))?
    } else {
        listener.ip()
    };
    Ok(SocketAddr::new(ip, listener.port()).to_string().parse()?)
}
