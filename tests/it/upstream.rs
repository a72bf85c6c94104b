//! Connections to instances, and what becomes of instances that fail: through a wire on which tests lose, freeze and
//! count what passes.

mod connections;
mod ejection;
mod health;
mod keepalive;
mod wire;

use std::net::SocketAddr;

use serde_json::Value;
use symgate_tests::{Gateway, client::ask, gateway::Builder};
use tonic::Status;

/// A gateway with one worker, so that its connections can be counted.
fn gateway() -> Builder {
    Gateway::builder().listen("workers", 1)
}

/// A call about `BTC_USDT`; who answered it.
async fn call(gateway: &Gateway) -> Result<String, Status> {
    gateway.client().get_kline(ask("BTC_USDT")).await.map(|reply| reply.into_inner().instance)
}

/// What `/table` shows of the instance at an address.
async fn shown(gateway: &Gateway, address: SocketAddr) -> Value {
    let table = gateway.table().await;
    let services = table["services"].as_array().unwrap().iter();
    let symbols = services.flat_map(|service| service["symbols"].as_object().unwrap().values());
    let mut instances = symbols.flat_map(|instances| instances.as_array().unwrap());
    let port = format!(":{}", address.port());
    instances.find(|instance| instance["address"].as_str().unwrap().ends_with(&port)).cloned().unwrap_or_default()
}

/// Whether calls keep away from it.
async fn is_ejected(gateway: &Gateway, address: SocketAddr) -> bool {
    shown(gateway, address).await["ejected_until_unix_ms"].is_u64()
}
