//! Which calls are sent again when something fails, and which never: a fault of every kind in every phase of every kind
//! of call, and two instances that count what reaches them. An order is never sent twice.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, future::join_all, stream};
use symgate_tests::{
    Gateway, RegistryFile, Route,
    client::{ask, reason},
    eventually,
    faulty::{Fault, Faulty, When},
    pb::KlineRequest,
};
use tonic::{Code, Status};

/// The four kinds of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Unary,
    Replies,
    Requests,
    Both,
}

const KINDS: [Kind; 4] = [Kind::Unary, Kind::Replies, Kind::Requests, Kind::Both];
const PHASES: [When; 5] = [When::Head, When::Body, When::Whole, When::Replying, When::Replied];
const FAULTS: [Fault; 6] =
    [Fault::Drop, Fault::Reset(2), Fault::Reset(7), Fault::Reset(8), Fault::GoAwayBefore, Fault::GoAwayWith];

/// Two instances of a symbol. The selector gives every call of the symbol to the same one while that stands.
struct Pair {
    symbol: String,
    first: Faulty,
    second: Faulty,
}

/// A route on which one of two instances is the first choice for a symbol.
fn sticky() -> Route {
    Route::to("klineRpc").with("select", "rendezvous-hash").with("health", false)
}

impl Pair {
    async fn start(gateway: &Gateway, registry: &RegistryFile, symbol: String) -> Self {
        let (a, b) = (Faulty::start().await, Faulty::start().await);
        registry.put(&format!("klineRpc/{symbol}/1"), a.address());
        registry.put(&format!("klineRpc/{symbol}/2"), b.address());
        let open = || async {
            let table = gateway.admin_get(&format!("/table?symbol={symbol}")).await.1;
            table.matches(r#""connections": 1"#).count()
        };
        eventually!(open().await == 2, "both are connected");
        gateway.client().get_kline(ask(&symbol)).await.unwrap();
        let (first, second) = if a.calls() == 1 { (a, b) } else { (b, a) };
        assert_eq!((first.calls(), second.calls()), (1, 0));
        Self { symbol, first, second }
    }

    /// One call; its end, and how often each instance got it.
    async fn call(&self, gateway: &Gateway, kind: Kind, open: bool) -> (Result<(), Status>, [u64; 2]) {
        let before = [self.first.calls(), self.second.calls()];
        let ended = tokio::time::timeout(Duration::from_secs(30), call(gateway, &self.symbol, kind, open)).await;
        let ended = ended.unwrap_or_else(|_| Err(Status::unknown("the call hangs")));
        (ended, [self.first.calls() - before[0], self.second.calls() - before[1]])
    }
}

/// `open`: requests come and do not end.
async fn call(gateway: &Gateway, symbol: &str, kind: Kind, open: bool) -> Result<(), Status> {
    let mut client = gateway.client();
    let more = if open { stream::pending().left_stream() } else { stream::empty().right_stream() };
    let requests = stream::iter([ask(symbol), ask(symbol)]).chain(more);
    let mut replies = match kind {
        Kind::Unary => return client.get_kline(ask(symbol)).await.map(drop),
        Kind::Requests => return client.push_ticks(requests).await.map(drop),
        Kind::Replies => client.watch_kline(ask(symbol)).await?.into_inner(),
        Kind::Both => client.trade_kline(requests).await?.into_inner(),
    };
    while replies.message().await?.is_some() {}
    Ok(())
}

/// Whether the fault proves that the call was not seen.
fn unseen(when: When, fault: Fault) -> bool {
    !matches!(when, When::Replying | When::Replied) && matches!(fault, Fault::Reset(7) | Fault::GoAwayBefore)
}

/// What the gateway says of a call that may have been seen.
fn status_of(when: When, fault: Fault) -> Code {
    match fault {
        // It answers a stream, and then says that it never saw it.
        Fault::GoAwayBefore if matches!(when, When::Replying | When::Replied) => Code::Internal,
        Fault::Reset(2) => Code::Internal,
        Fault::Reset(8) => Code::Cancelled,
        _ => Code::Unavailable,
    }
}

#[tokio::test]
async fn a_call_that_may_have_been_seen_is_never_sent_twice() {
    let registry = RegistryFile::new();
    registry.put("klineRpc/NONE/1", "127.0.0.1:9");
    let gateway = Gateway::builder().route(sticky()).listen("workers", 1).file(&registry).start().await;
    let mut wrong = Vec::new();
    for when in PHASES {
        let cases = FAULTS.into_iter().flat_map(|fault| KINDS.map(|kind| (fault, kind)));
        // One message that is the whole body comes with the end.
        let cases = cases.filter(|(_, kind)| when != When::Body || matches!(kind, Kind::Requests | Kind::Both));
        let checks = cases.map(|(fault, kind)| {
            let (gateway, registry) = (&gateway, &registry);
            async move {
                let symbol = format!("{when:?}-{fault:?}-{kind:?}").replace(['(', ')'], "_");
                let pair = Pair::start(gateway, registry, symbol).await;
                pair.first.fail(when, fault);
                let (ended, got) = pair.call(gateway, kind, when == When::Body).await;
                let right = match &ended {
                    Ok(()) => unseen(when, fault) && got == [1, 1],
                    Err(status) => {
                        let ours = reason(status).is_some();
                        !unseen(when, fault) && got == [1, 0] && status.code() == status_of(when, fault) && ours
                    }
                };
                (!right).then(|| format!("{when:?} {fault:?} {kind:?}: {ended:?}, calls {got:?}"))
            }
        });
        wrong.extend(join_all(checks).await.into_iter().flatten());
    }
    assert!(wrong.is_empty(), "{} cases are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn a_call_that_was_never_written_is_sent_elsewhere() {
    let registry = RegistryFile::new();
    registry.put("klineRpc/NONE/1", "127.0.0.1:9");
    let builder = Gateway::builder().route(sticky()).listen("workers", 1);
    let gateway = builder.listen("stream_window", "64MiB").listen("connection_window", "128MiB").file(&registry);
    let gateway = gateway.start().await;
    let pair = Pair::start(&gateway, &registry, "BTC_USDT".into()).await;
    pair.first.freeze();
    // More than the sockets between take, so that what comes behind it is not written.
    let tick = KlineRequest { payload: Bytes::from(vec![1; 256 << 10]), ..ask("BTC_USDT") };
    let mut client = gateway.client();
    let upload =
        tokio::spawn(async move { client.push_ticks(stream::iter(vec![tick; 128]).chain(stream::pending())).await });
    eventually!(gateway.metric("symgate_queued_bytes", "").await > 0.0, "the gateway has more than it can write");
    let order = tokio::spawn({
        let mut client = gateway.client();
        async move { client.get_kline(ask("BTC_USDT")).await }
    });
    eventually!(gateway.metric("symgate_calls_in_flight", "").await == 2.0, "both calls are there");
    pair.first.drop_connections();
    order.await.unwrap().expect("it was never written, and goes elsewhere");
    let status = upload.await.unwrap().unwrap_err();
    assert_eq!((status.code(), reason(&status)), (Code::Unavailable, Some("instance-lost")), "{status}");
    assert_eq!(pair.second.calls(), 1, "the upload may have been seen");
}

#[tokio::test]
async fn an_idempotent_method_is_sent_again_within_the_budget() {
    let registry = RegistryFile::new();
    registry.put("klineRpc/NONE/1", "127.0.0.1:9");
    let idempotent = toml::Value::Array(vec!["/pb.KlineService/GetKline".into()]);
    let gateway = Gateway::builder().route(sticky().with("idempotent", idempotent)).listen("workers", 1);
    let gateway = gateway.file(&registry).start().await;
    let pair = Pair::start(&gateway, &registry, "BTC_USDT".into()).await;
    for fault in [Fault::Drop, Fault::Status(14), Fault::GoAwayWith] {
        pair.first.fail(When::Whole, fault);
        let (ended, got) = pair.call(&gateway, Kind::Unary, false).await;
        assert_eq!((ended.map_err(|status| status.to_string()), got), (Ok(()), [1, 1]), "{fault:?}");
        connected(&gateway).await;
    }
    // Another status, another method, and a reply that has begun are final.
    for (when, fault, kind, code) in [
        (When::Whole, Fault::Status(13), Kind::Unary, Code::Internal),
        (When::Whole, Fault::Status(14), Kind::Replies, Code::Unavailable),
        (When::Replying, Fault::Drop, Kind::Unary, Code::Unavailable),
    ] {
        pair.first.fail(when, fault);
        let (ended, got) = pair.call(&gateway, kind, false).await;
        assert_eq!((ended.unwrap_err().code(), got), (code, [1, 0]), "{when:?} {fault:?} {kind:?}");
        connected(&gateway).await;
    }
    // Ten at once, of which three are spent, and a tenth of a call for each.
    let mut repeated = 0;
    for _ in 0..20 {
        pair.first.fail(When::Whole, Fault::Status(14));
        let (ended, got) = pair.call(&gateway, Kind::Unary, false).await;
        if got[1] == 0 {
            let status = ended.unwrap_err();
            assert_eq!((status.code(), reason(&status)), (Code::Unavailable, None), "the instance's own: {status}");
        }
        repeated += got[1];
    }
    assert!((7..=10).contains(&repeated), "{repeated} of 20 calls were sent again");
    assert_eq!(gateway.metric("symgate_repeats_total", "").await, 3.0 + repeated as f64);
}

async fn connected(gateway: &Gateway) {
    let table = || async { gateway.admin_get("/table?symbol=BTC_USDT").await.1 };
    eventually!(table().await.matches(r#""connections": 1"#).count() == 2, "both are connected again");
}
