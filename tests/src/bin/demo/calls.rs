//! The table: one line per call.

use anyhow::{Result, ensure};
use futures::stream;
use symgate_tests::{
    Gateway,
    client::{ask, with_symbol},
    pb::{KlineReply, KlineRequest},
};
use tonic::{Code, Status};

/// What came of a call: the reply that names its instance, or the status.
type Outcome = Result<KlineReply, Status>;

/// Makes every kind of call and prints a line for each.
///
/// # Errors
/// When one ends otherwise than it must.
pub(crate) async fn show(gateway: &Gateway) -> Result<()> {
    let plugins = (gateway.plugin_version("by-symbol").await, gateway.plugin_version("least-loaded").await);
    println!("{:<44} {:<10} {:<16} {:<14} {:<14} status", "call", "symbol", "instance", "by-symbol", "least-loaded");
    for (call, symbol, outcome) in calls(gateway).await {
        let (owner, status) = match &outcome {
            Ok(reply) => (reply.instance.as_str(), "OK".to_owned()),
            Err(status) => ("-", format!("{:?}: {}", status.code(), status.message())),
        };
        println!("{call:<44} {symbol:<10} {owner:<16} {:<14} {:<14} {status}", plugins.0, plugins.1);
        check(symbol, &outcome)?;
    }
    Ok(())
}

fn check(symbol: &str, outcome: &Outcome) -> Result<()> {
    match (symbol, outcome) {
        ("BTC_USDT" | "ETH_USDT", Ok(reply)) => {
            ensure!(reply.owns.iter().any(|owned| owned == symbol), "{} does not own {symbol}", reply.instance);
        }
        ("DOGE_USDT", Err(status)) => ensure!(status.code() == Code::NotFound, "unexpected: {status}"),
        ("", Err(status)) => ensure!(status.code() == Code::InvalidArgument, "unexpected: {status}"),
        (symbol, outcome) => anyhow::bail!("unexpected for {symbol:?}: {outcome:?}"),
    }
    Ok(())
}

async fn calls(gateway: &Gateway) -> Vec<(&'static str, &'static str, Outcome)> {
    let mut client = gateway.client();
    let mut lines = Vec::new();
    for symbol in ["BTC_USDT", "BTC_USDT", "BTC_USDT", "ETH_USDT", "DOGE_USDT", ""] {
        let outcome = client.get_kline(ask(symbol)).await.map(tonic::Response::into_inner);
        lines.push(("GetKline, symbol in field 4", symbol, outcome));
    }
    let outcome = client.get_kline(with_symbol(KlineRequest::default(), "ETH_USDT")).await;
    lines.push(("GetKline, symbol in the metadata", "ETH_USDT", outcome.map(tonic::Response::into_inner)));
    let watched = client.watch_kline(KlineRequest { count: 3, ..ask("BTC_USDT") }).await;
    lines.push(("WatchKline, a stream of 3 replies", "BTC_USDT", last(watched).await));
    let ticks = stream::iter(vec![ask("ETH_USDT"); 3]);
    let pushed = client.push_ticks(ticks).await.map(tonic::Response::into_inner);
    lines.push(("PushTicks, a stream of 3 requests", "ETH_USDT", pushed));
    let traded = client.trade_kline(stream::iter(vec![ask("BTC_USDT"); 3])).await;
    lines.push(("TradeKline, 3 requests and 3 replies", "BTC_USDT", last(traded).await));
    lines
}

/// The last reply of a stream that must end well.
async fn last(replies: Result<tonic::Response<tonic::Streaming<KlineReply>>, Status>) -> Outcome {
    let mut replies = replies?.into_inner();
    let mut last = None;
    while let Some(reply) = replies.message().await? {
        last = Some(reply);
    }
    last.ok_or_else(|| Status::unknown("a stream without replies"))
}
