//! Instances that speak TLS, and those that are not who they should be.

use std::sync::Arc;

use futures::FutureExt;
use http::Response;
use parking_lot::Mutex;
use symgate_tests::{
    client::{ask, reason},
    eventually,
    raw::{Exchange, RawClient, RawInstance, Socket, framed, grpc},
    tls::INSTANCE,
};
use tokio::net::TcpStream;
use tonic::{Code, Status};

use super::*;

/// A gateway in front of an instance of `klineRpc` that speaks TLS.
struct Behind {
    authority: Authority,
    files: Files,
    registry: RegistryFile,
}

impl Behind {
    fn new() -> Self {
        let behind = Self { authority: Authority::new(), files: Files::new(), registry: RegistryFile::new() };
        behind.files.write("ca.pem", &behind.authority.pem());
        behind
    }

    fn register(&self, address: impl ToString) {
        self.registry.put("klineRpc/BTC_USDT/1", address);
    }

    /// These keys of `tls` beside `ca`.
    async fn gateway(&self, more: impl IntoIterator<Item = (&str, Value)>) -> Gateway {
        let mut tls = self.files.table(&[("ca", "ca.pem")]);
        tls.extend(more.into_iter().map(|(key, value)| (key.to_owned(), value)));
        let gateway = Gateway::builder().file(&self.registry).more(&service("klineRpc", tls)).start().await;
        gateway.ready().await;
        gateway
    }
}

fn named() -> Option<(&'static str, Value)> {
    Some(("server_name", INSTANCE.into()))
}

/// A call ends with `UNAVAILABLE` because of TLS; the status.
async fn fails(gateway: &Gateway, says: &str) -> Status {
    let status = gateway.client().get_kline(ask("BTC_USDT")).await.expect_err(says);
    assert_eq!((status.code(), reason(&status)), (Code::Unavailable, Some("unreachable")), "{status:?}");
    assert!(status.message().contains(says), "{status:?} does not say {says:?}");
    eventually!(gateway.log().says(&["an instance cannot be spoken to with TLS", says]), "the log says {says:?}");
    status
}

#[tokio::test]
async fn an_instance_proves_the_configured_name() {
    let behind = Behind::new();
    let instance = Instance::start_tls(&["BTC_USDT"], behind.authority.instance(&[INSTANCE], false)).await;
    behind.register(instance.address());
    let gateway = behind.gateway(named()).await;
    gateway.serving(&["BTC_USDT"]).await;
    let view = certificates(&gateway, "service klineRpc").await;
    assert!(view["not_after_unix"].is_null(), "nothing is shown to instances: {view}");
}

#[tokio::test]
async fn an_instance_without_a_configured_name_proves_its_host() {
    let behind = Behind::new();
    let instance = Instance::start_tls(&["BTC_USDT"], behind.authority.instance(&["127.0.0.1"], false)).await;
    behind.register(instance.address());
    behind.gateway(None).await.serving(&["BTC_USDT"]).await;
    // The same instance under another name of its host.
    behind.register(format!("localhost:{}", instance.address().port()));
    let gateway = behind.gateway(None).await;
    fails(&gateway, "not valid for name").await;
}

#[tokio::test]
async fn an_instance_of_another_name_or_authority_is_no_candidate() {
    let behind = Behind::new();
    let foreign = Authority::new();
    for (instance, says) in [
        (behind.authority.instance(&["order.internal"], false), "not valid for name"),
        (foreign.instance(&[INSTANCE], false), "invalid peer certificate"),
    ] {
        let instance = Instance::start_tls(&["BTC_USDT"], instance).await;
        behind.register(instance.address());
        let gateway = behind.gateway(named()).await;
        fails(&gateway, says).await;
        assert!(gateway.metric("symgate_tls_errors_total", "peer=\"instance\",why=\"bad-certificate\"").await >= 1.0);
        assert_eq!(instance.seen().calls(), 0);
    }
}

#[tokio::test]
async fn an_instance_that_speaks_no_tls_gets_nothing_without_it() {
    let behind = Behind::new();
    let instance = Instance::start(&["BTC_USDT"]).await;
    behind.register(instance.address());
    let gateway = behind.gateway(named()).await;
    fails(&gateway, "no TLS").await;
    assert_eq!(instance.seen().calls(), 0);
}

#[tokio::test]
async fn the_gateway_shows_its_certificate_to_an_instance_that_asks() {
    let behind = Behind::new();
    let mut instance = Instance::start_tls(&["BTC_USDT"], behind.authority.instance(&[INSTANCE], true)).await;
    behind.register(instance.address());
    let gateway = behind.gateway(named()).await;
    fails(&gateway, "cannot connect to").await;

    let own = |name: &str| (name == "own").then(|| behind.authority.pair(&["gateway"])).expect("a pair");
    let first = own("own");
    behind.files.write_pair("own", &first);
    let keys = [("certificate", behind.files.value("own.pem")), ("key", behind.files.value("own.key"))];
    let gateway = behind.gateway(named().into_iter().chain(keys)).await;
    gateway.serving(&["BTC_USDT"]).await;
    assert_eq!(instance.seen().last().certificate, Some(first.der().to_vec()));
    assert_eq!(certificates(&gateway, "service klineRpc").await["names"][0], "gateway");

    let second = own("own");
    behind.files.write_pair("own", &second);
    let labels = "of=\"service klineRpc\",outcome=\"activated\"";
    eventually!(gateway.metric("symgate_certificate_loads_total", labels).await == 1.0, "the new pair is taken");
    gateway.client().get_kline(ask("BTC_USDT")).await.expect("the connection that is open stays");
    assert_eq!(instance.seen().last().certificate, Some(first.der().to_vec()));
    let address = instance.address();
    instance.stop();
    let instance = Instance::start_tls_at(address, &["BTC_USDT"], behind.authority.instance(&[INSTANCE], true)).await;
    gateway.serving(&["BTC_USDT"]).await;
    assert_eq!(instance.seen().last().certificate, Some(second.der().to_vec()), "new connections show the new one");
}

#[tokio::test]
async fn another_authority_is_believed_once_its_file_is_there() {
    let behind = Behind::new();
    let next = Authority::new();
    let instance = Instance::start_tls(&["BTC_USDT"], next.instance(&[INSTANCE], false)).await;
    behind.register(instance.address());
    let gateway = behind.gateway(named()).await;
    fails(&gateway, "invalid peer certificate").await;
    behind.files.write("ca.pem", "half a fil");
    let labels = "of=\"service klineRpc\",outcome=\"rejected\"";
    eventually!(gateway.metric("symgate_certificate_loads_total", labels).await == 1.0, "it is refused");
    behind.files.write("ca.pem", &(behind.authority.pem() + &next.pem()));
    gateway.serving(&["BTC_USDT"]).await;
}

/// Answers every call, and keeps which scheme it came with, by method.
fn answering(seen: &Arc<Mutex<Vec<String>>>) -> impl Fn(Exchange) -> futures::future::BoxFuture<'static, ()> + use<> {
    let seen = seen.clone();
    move |(request, mut respond)| {
        let uri = request.uri();
        seen.lock().push(format!("{} {}", uri.scheme_str().unwrap_or_default(), uri.path()));
        async move {
            let head = Response::builder().header("content-type", "application/grpc").header("grpc-status", "0");
            respond.send_response(head.body(()).unwrap(), true).unwrap();
        }
        .boxed()
    }
}

async fn get(gateway: &Gateway, path: &str) -> Option<u8> {
    let raw = RawClient::connect(gateway.address()).await;
    raw.call(grpc(path).body(()).unwrap(), framed(&ask("BTC_USDT"))).await.ok()?.grpc_status()
}

#[tokio::test]
async fn an_instance_that_does_not_agree_to_http2_is_refused() {
    let behind = Behind::new();
    for (alpn, says) in [(&[][..], "did not agree to HTTP/2"), (&["http/1.1"], "no TLS")] {
        let acceptor = behind.authority.pair(&[INSTANCE]).acceptor(alpn);
        let greet = move |tcp: TcpStream| {
            let accepting = acceptor.accept(tcp);
            async { Some(Box::new(accepting.await.ok()?) as Box<dyn Socket>) }.boxed()
        };
        let instance = RawInstance::start_over(greet, answering(&Arc::default())).await;
        behind.register(instance.address());
        fails(&behind.gateway(named()).await, says).await;
    }
}

#[tokio::test]
async fn one_address_in_a_service_with_tls_and_in_one_without_is_two_places() {
    let behind = Behind::new();
    let (acceptor, seen) = (behind.authority.pair(&[INSTANCE]).acceptor(&["h2"]), Arc::default());
    // A port that speaks both, as the first byte says.
    let greet = move |tcp: TcpStream| {
        let acceptor = acceptor.clone();
        async move {
            let mut first = [0];
            tcp.peek(&mut first).await.ok()?;
            const HANDSHAKE: u8 = 22;
            if first[0] != HANDSHAKE {
                return Some(Box::new(tcp) as Box<dyn Socket>);
            }
            Some(Box::new(acceptor.accept(tcp).await.ok()?) as Box<dyn Socket>)
        }
        .boxed()
    };
    let instance = RawInstance::start_over(greet, answering(&seen)).await;
    behind.register(instance.address());
    behind.registry.put("plainRpc/BTC_USDT/1", instance.address());
    let mut tls = behind.files.table(&[("ca", "ca.pem")]);
    tls.insert("server_name".into(), INSTANCE.into());
    let gateway = Gateway::builder()
        .file(&behind.registry)
        .route(Route::to("klineRpc").on("/pb.KlineService/GetKline"))
        .route(Route::to("plainRpc").on("/pb.KlineService/WatchKline"))
        .more(&service("klineRpc", tls))
        .start()
        .await;
    for path in ["/pb.KlineService/GetKline", "/pb.KlineService/WatchKline"] {
        eventually!(get(&gateway, path).await == Some(0), "{path} is answered");
    }
    for _ in 0..20 {
        assert_eq!(get(&gateway, "/pb.KlineService/GetKline").await, Some(0));
        assert_eq!(get(&gateway, "/pb.KlineService/WatchKline").await, Some(0));
    }
    for call in &*seen.lock() {
        assert!(["https /pb.KlineService/GetKline", "http /pb.KlineService/WatchKline"].contains(&&**call), "{call}");
    }
    // The one without leaves; the other's connections are not its own.
    behind.registry.delete("plainRpc/BTC_USDT/1");
    eventually!(get(&gateway, "/pb.KlineService/WatchKline").await == Some(14), "it is gone there");
    assert_eq!(get(&gateway, "/pb.KlineService/GetKline").await, Some(0), "and still here");
}
