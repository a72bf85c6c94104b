//! The demo: three k-line instances, the gateway, its plugins as Wasm, and calls. `cargo xtask demo` builds and runs it.

#![expect(clippy::print_stdout, reason = "this is the program's output")]

#[path = "demo/calls.rs"]
mod calls;
#[path = "demo/reload.rs"]
mod reload;

use std::{net::SocketAddr, process::ExitCode, time::Duration};

use anyhow::Result;
use clap::Parser;
use symgate_tests::{Etcd, Gateway, Instance, RegistryFile, gateway::Builder};

/// Calls routed by symbol, on this machine.
#[derive(Parser)]
struct Options {
    /// Ends after the table.
    #[arg(long)]
    once: bool,
    /// Keeps the registrations in a real etcd instead of a file.
    #[arg(long)]
    etcd: bool,
}

/// Which instance owns what: the key under which each registers.
const OWNERS: [(&str, &str); 3] =
    [("klineRpc/BTC_USDT/1", "BTC_USDT"), ("klineRpc/BTC_USDT/2", "BTC_USDT"), ("klineRpc/ETH_USDT/1", "ETH_USDT")];

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Where the instances register: a file, or etcd.
enum Registry {
    File(RegistryFile),
    Etcd(Etcd),
}

impl Registry {
    async fn put(&self, key: &str, address: SocketAddr) {
        match self {
            Self::File(file) => file.put(key, address),
            Self::Etcd(etcd) => drop(etcd.put(key, address.to_string()).await),
        }
    }

    fn place(&self) -> String {
        match self {
            Self::File(file) => file.path().display().to_string(),
            Self::Etcd(etcd) => etcd.endpoint(),
        }
    }

    fn gateway(&self) -> Builder {
        match self {
            Self::File(file) => Gateway::builder().file(file),
            Self::Etcd(etcd) => Gateway::builder().etcd(etcd),
        }
    }
}

async fn run(options: &Options) -> Result<()> {
    let registry = if options.etcd { Registry::Etcd(Etcd::start().await) } else { Registry::File(RegistryFile::new()) };
    let mut instances = Vec::new();
    for (key, symbol) in OWNERS {
        let instance = Instance::start(&[symbol]).await;
        println!("instance {} owns {symbol}, registered as {key}", instance.address());
        registry.put(key, instance.address()).await;
        instances.push(instance);
    }
    let mut gateway = start(&registry).await;
    let place = registry.place();
    println!("gateway  {} reads {place}; operators: http://{}\n", gateway.address(), gateway.admin_address());
    calls::show(&gateway).await?;
    if !options.once {
        reload::show(&gateway).await?;
    }
    gateway.terminate();
    gateway.exited(Duration::from_secs(40)).await;
    Ok(())
}

async fn start(registry: &Registry) -> Gateway {
    // The usual plugins, as Wasm.
    let gateway = registry.gateway().start().await;
    gateway.serving(&["BTC_USDT", "ETH_USDT"]).await;
    gateway
}
