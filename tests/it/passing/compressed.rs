//! Compressed messages: read for the plugin that asks for the first, and passed on as they came.

use std::{io::Write, sync::Arc};

use bytes::Bytes;
use futures::FutureExt;
use http::Response;
use parking_lot::Mutex;
use prost::Message;
use symgate_tests::{
    Gateway, RegistryFile,
    client::ask,
    eventually,
    pb::KlineRequest,
    raw::{Answer, RawClient, RawInstance, framed, grpc},
};

/// A request that says it is compressed.
fn flagged(message: &[u8]) -> Bytes {
    [&[1][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), message].concat().into()
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn deflate(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn zstd(plain: &[u8]) -> Vec<u8> {
    zstd::encode_all(plain, 3).unwrap()
}

/// A gateway in front of an instance that keeps what it gets.
struct Kept {
    bodies: Arc<Mutex<Vec<Vec<u8>>>>,
    gateway: Gateway,
    client: RawClient,
    _instance: RawInstance,
    _registry: RegistryFile,
}

impl Kept {
    async fn start() -> Self {
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let kept = bodies.clone();
        let instance = RawInstance::start(move |(mut request, mut respond)| {
            let kept = kept.clone();
            async move {
                let mut body = Vec::new();
                while let Some(Ok(chunk)) = request.body_mut().data().await {
                    request.body_mut().flow_control().release_capacity(chunk.len()).unwrap();
                    body.extend_from_slice(&chunk);
                }
                kept.lock().push(body);
                let head = Response::builder().header("content-type", "application/grpc").header("grpc-status", "0");
                respond.send_response(head.body(()).unwrap(), true).unwrap();
            }
            .boxed()
        })
        .await;
        let registry = RegistryFile::of(&[("BTC_USDT", instance.address())]);
        let gateway = Gateway::builder().file(&registry).start().await;
        let client = RawClient::connect(gateway.address()).await;
        let kept = Self { bodies, gateway, client, _instance: instance, _registry: registry };
        eventually!(kept.call("identity", framed(&ask("BTC_USDT"))).await.grpc_status() == Some(0), "it is reached");
        kept.bodies.lock().clear();
        kept
    }

    async fn call(&self, encoding: &str, body: Bytes) -> Answer {
        let request = grpc("/pb.KlineService/PushTicks").header("grpc-encoding", encoding);
        self.client.call(request.body(()).unwrap(), body).await.unwrap()
    }
}

#[tokio::test]
async fn what_a_plugin_reads_goes_on_untouched() {
    let kept = Kept::start().await;
    let first = KlineRequest { payload: vec![7; 10_000].into(), ..ask("BTC_USDT") }.encode_to_vec();
    for (encoding, encode) in [("gzip", gzip as fn(&[u8]) -> Vec<u8>), ("deflate", deflate), ("zstd", zstd)] {
        // Whatever follows is none of the gateway's business.
        let body = Bytes::from([&flagged(&encode(&first))[..], &flagged(b"not compressed at all")].concat());
        let answer = kept.call(encoding, body.clone()).await;
        assert_eq!(answer.grpc_status(), Some(0), "{encoding}: {answer:?}");
        assert_eq!(kept.bodies.lock().pop().expect("it came"), body, "{encoding}");
    }
}

#[tokio::test]
async fn what_no_plugin_can_read_is_refused_only_when_one_has_to() {
    let kept = Kept::start().await;
    let message = ask("BTC_USDT").encode_to_vec();
    let whole = zstd(&message);
    let bomb = deflate(&vec![0; 64 << 20]);
    for (encoding, body, status, reason) in [
        ("snappy", flagged(&message), 12, "message-encoding"),
        ("identity", flagged(&message), 13, "message-encoding"),
        ("gzip", flagged(&message), 13, "message-encoding"),
        ("zstd", flagged(&whole[..whole.len() - 1]), 13, "message-encoding"),
        ("deflate", flagged(&bomb), 8, "message-too-large"),
    ] {
        let answer = kept.call(encoding, body.clone()).await;
        let got = (answer.grpc_status(), answer.trailer("symgate-reason"));
        assert_eq!(got, (Some(status), Some(reason)), "{encoding}: {answer:?}");
        assert!(kept.bodies.lock().is_empty(), "{encoding}: no instance saw it");

        let named = grpc("/pb.KlineService/PushTicks").header("grpc-encoding", encoding).header("symbol", "BTC_USDT");
        let answer = kept.client.call(named.body(()).unwrap(), body.clone()).await.unwrap();
        assert_eq!(answer.grpc_status(), Some(0), "{encoding}: {answer:?}");
        assert_eq!(kept.bodies.lock().pop().expect("it came"), body, "{encoding}");
    }
    assert_eq!(kept.gateway.metric("symgate_calls_in_flight", "").await, 0.0);
}
