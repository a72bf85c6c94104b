//! What instances say of their own health, and who heeds it.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::FutureExt;
use http::{HeaderMap, HeaderValue, Response};
use symgate_tests::{
    Gateway, RegistryFile,
    client::ask,
    eventually,
    eventually::PATIENCE,
    gateway::Route,
    pb::KlineReply,
    raw::{Exchange, HEALTH, RawInstance, framed},
};
use tokio::sync::watch;

use super::{gateway, shown};

const SERVING: u8 = 1;
const NOT_SERVING: u8 = 2;

/// What an instance answers to a watch.
#[derive(Clone, Copy)]
enum Answer {
    /// This, and whatever it is changed to.
    Status(u8),
    /// The end, with this gRPC status.
    End(&'static str),
}

/// An instance with a health service.
struct Patient {
    instance: RawInstance,
    seen: Arc<Seen>,
    health: watch::Sender<BTreeMap<String, Answer>>,
}

#[derive(Default)]
struct Seen {
    calls: AtomicUsize,
    watches: AtomicUsize,
}

impl Patient {
    /// Answers like this, by the name that it is asked for.
    async fn start(health: &[(&str, Answer)]) -> Self {
        let health = health.iter().map(|(name, answer)| ((*name).to_owned(), *answer)).collect();
        let (health, answers) = watch::channel(health);
        let seen = Arc::new(Seen::default());
        let all = seen.clone();
        let instance = RawInstance::start_with(&h2::server::Builder::new(), move |exchange| {
            serve(exchange, all.clone(), answers.clone()).boxed()
        })
        .await;
        Self { instance, seen, health }
    }

    fn address(&self) -> SocketAddr {
        self.instance.address()
    }

    fn calls(&self) -> usize {
        self.seen.calls.load(SeqCst)
    }

    fn watches(&self) -> usize {
        self.seen.watches.load(SeqCst)
    }

    fn says(&self, name: &str, status: u8) {
        self.health.send_modify(|health| {
            health.insert(name.to_owned(), Answer::Status(status));
        });
    }
}

async fn serve((request, mut respond): Exchange, seen: Arc<Seen>, answers: watch::Receiver<BTreeMap<String, Answer>>) {
    let (head, mut body) = request.into_parts();
    let mut asked = Vec::new();
    while let Some(Ok(chunk)) = body.data().await {
        asked.extend_from_slice(&chunk);
    }
    let reply = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
    let mut send = respond.send_response(reply, false).unwrap();
    if head.uri.path() == HEALTH {
        seen.watches.fetch_add(1, SeqCst);
        // Prefix, tag and length come before the name; nothing does before none.
        let name = String::from_utf8(asked.get(7..).unwrap_or_default().to_vec()).unwrap();
        return tell(&name, send, answers).await;
    }
    seen.calls.fetch_add(1, SeqCst);
    send.send_data(framed(&KlineReply::default()), false).unwrap();
    send.send_trailers(status("0")).unwrap();
}

/// Tells the health under one name as long as anybody listens.
async fn tell(name: &str, mut send: h2::SendStream<Bytes>, mut answers: watch::Receiver<BTreeMap<String, Answer>>) {
    let mut before = None;
    loop {
        let answer = answers.borrow_and_update().get(name).copied().unwrap_or(Answer::End("5"));
        match answer {
            Answer::End(code) => return drop(send.send_trailers(status(code))),
            Answer::Status(status) if before.replace(status) == Some(status) => {}
            Answer::Status(status) => {
                if send.send_data(Bytes::from(vec![0, 0, 0, 0, 2, 8, status]), false).is_err() {
                    return;
                }
            }
        }
        tokio::select! {
            _ = std::future::poll_fn(|cx| send.poll_reset(cx)) => return,
            changed = answers.changed() => if changed.is_err() { return },
        }
    }
}

fn status(code: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), HeaderValue::from_static(code))])
}

async fn start(patients: &[&Patient]) -> (RegistryFile, Gateway) {
    let owners: Vec<_> = patients.iter().map(|patient| ("BTC_USDT", patient.address())).collect();
    let registry = RegistryFile::of(&owners);
    let gateway = gateway().file(&registry).start().await;
    gateway.serving(&["BTC_USDT"]).await;
    (registry, gateway)
}

async fn calls(gateway: &Gateway, count: usize) {
    let mut client = gateway.client();
    for _ in 0..count {
        client.get_kline(ask("BTC_USDT")).await.unwrap();
    }
}

async fn says(gateway: &Gateway, patient: &Patient, serving: Option<bool>) {
    let serving = serde_json::Value::from(serving);
    eventually!(shown(gateway, patient.address()).await["serving"] == serving, "it says so: {serving:?}");
}

#[tokio::test]
async fn an_instance_that_does_not_serve_gets_calls_only_when_no_other_is_there() {
    let (ill, well) = (
        Patient::start(&[("", Answer::Status(SERVING))]).await,
        Patient::start(&[("", Answer::Status(SERVING))]).await,
    );
    let (registry, gateway) = start(&[&ill, &well]).await;
    says(&gateway, &ill, Some(true)).await;
    ill.says("", NOT_SERVING);
    says(&gateway, &ill, Some(false)).await;
    let before = (ill.calls(), well.calls());
    calls(&gateway, 50).await;
    assert_eq!((ill.calls(), well.calls()), (before.0, before.1 + 50));
    // Not serving is better than not there.
    registry.delete("klineRpc/BTC_USDT/1");
    eventually!(gateway.metric("symgate_instances", "").await == 1.0, "the other has left");
    calls(&gateway, 10).await;
    assert!(ill.calls() >= before.0 + 10, "the last candidate gets them");
    registry.put("klineRpc/BTC_USDT/1", well.address());
    ill.says("", SERVING);
    says(&gateway, &ill, Some(true)).await;
    let before = ill.calls();
    eventually!(
        {
            calls(&gateway, 1).await;
            ill.calls() > before
        },
        "it gets calls again"
    );
    assert_eq!(ill.watches(), 1, "one connection, one watch");
    let counted = gateway.metric("symgate_calls_total", r#"status="OK""#).await as usize;
    assert_eq!(counted, ill.calls() + well.calls(), "it is no call");
    assert_eq!(gateway.metric("symgate_calls_in_flight", "").await, 0.0);
}

#[tokio::test]
async fn each_route_has_a_name_to_ask_for() {
    let half = Patient::start(&[("k", Answer::Status(SERVING)), ("k.get", Answer::Status(NOT_SERVING))]).await;
    let well = Patient::start(&[("k", Answer::Status(SERVING)), ("k.get", Answer::Status(SERVING))]).await;
    let registry = RegistryFile::of(&[("BTC_USDT", half.address()), ("BTC_USDT", well.address())]);
    let routes = [("/pb.KlineService/GetKline", "k.get"), ("/pb.KlineService/", "k")];
    let gateway = routes.into_iter().fold(gateway(), |gateway, (path, health)| {
        gateway.route(Route::to("klineRpc").on(path).with("health", health))
    });
    let gateway = gateway.file(&registry).start().await;
    gateway.serving(&["BTC_USDT"]).await;
    says(&gateway, &half, Some(false)).await;
    assert_eq!((half.watches(), well.watches()), (2, 2), "one for each name");
    let before = half.calls();
    calls(&gateway, 50).await;
    assert_eq!(half.calls(), before, "it does not serve this method");
    eventually!(
        {
            let mut replies = gateway.client().watch_kline(ask("BTC_USDT")).await.unwrap().into_inner();
            replies.message().await.unwrap();
            half.calls() > before
        },
        "the others it does"
    );
}

#[tokio::test]
async fn who_does_not_know_the_name_is_asked_once_and_who_loses_the_watch_again() {
    let unknown = Patient::start(&[]).await;
    let unimplemented = Patient::start(&[("", Answer::End("12"))]).await;
    let unavailable = Patient::start(&[("", Answer::End("14"))]).await;
    let (_registry, gateway) = start(&[&unknown, &unimplemented, &unavailable]).await;
    eventually!(unavailable.watches() == 3, "it is asked again");
    assert_eq!((unknown.watches(), unimplemented.watches()), (1, 1));
    for patient in [&unknown, &unimplemented, &unavailable] {
        eventually!(
            {
                calls(&gateway, 1).await;
                patient.calls() > 0
            },
            "it is taken as it is"
        );
        assert!(shown(&gateway, patient.address()).await["serving"].is_null());
    }
}

#[tokio::test]
async fn nothing_waits_for_a_watch() {
    let (first, second) = (
        Patient::start(&[("", Answer::Status(SERVING))]).await,
        Patient::start(&[("", Answer::Status(SERVING))]).await,
    );
    let (registry, mut gateway) = start(&[&first, &second]).await;
    says(&gateway, &first, Some(true)).await;
    registry.delete("klineRpc/BTC_USDT/0");
    eventually!(gateway.metric("symgate_upstream_connections", "").await == 1.0, "who has left is let go");
    gateway.terminate();
    // Far less than drain_timeout.
    assert!(gateway.exited(PATIENCE.min(Duration::from_secs(20))).await.success());
}

#[tokio::test]
async fn a_watch_keeps_no_connection_open() {
    let patient = Patient::start(&[("", Answer::Status(SERVING))]).await;
    let registry = RegistryFile::of(&[("BTC_USDT", patient.address())]);
    let gateway =
        gateway().upstream("warm_connections", 0).upstream("idle_timeout", "1s").file(&registry).start().await;
    gateway.serving(&["BTC_USDT"]).await;
    says(&gateway, &patient, Some(true)).await;
    eventually!(gateway.metric("symgate_upstream_connections", "").await == 0.0, "it closes when no call needs it");
    says(&gateway, &patient, None).await;
}
