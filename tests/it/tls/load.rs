//! Much at once over TLS on both sides: what the network does not take at once must come nevertheless, and the end is a
//! clean one.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt, future::join_all, stream};
use symgate_tests::{
    client::{Client, ask, with_symbol},
    eventually,
    pb::KlineRequest,
    raw::{framed, grpc, read},
    tls::INSTANCE,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpSocket, TcpStream},
    time::{Instant, Sleep, sleep, timeout},
};

use super::*;

const MIB: usize = 1 << 20;

/// TLS with clients and with the instance.
struct Both {
    authority: Authority,
    _files: Files,
    instance: Instance,
    gateway: Gateway,
    client: Client,
    _registry: RegistryFile,
}

impl Both {
    async fn start() -> Self {
        let (authority, files) = (Authority::new(), Files::new());
        files.write_pair("server", &authority.pair(&[GATEWAY]));
        files.write("ca.pem", &authority.pem());
        let instance = Instance::start_tls(&["BTC_USDT"], authority.instance(&[INSTANCE], false)).await;
        let registry = RegistryFile::of(&[("BTC_USDT", instance.address())]);
        let mut tls = files.table(&[("ca", "ca.pem")]);
        tls.insert("server_name".into(), INSTANCE.into());
        let gateway = Gateway::builder()
            .file(&registry)
            .listen("tls", files.table(&[("certificate", "server.pem"), ("key", "server.key")]))
            .listen("workers", 2)
            .listen("max_unread", "256MiB")
            .more(&service("klineRpc", tls))
            .start()
            .await;
        let client = authority.client(gateway.address(), None);
        serving(&client, &["BTC_USDT"]).await;
        Self { authority, _files: files, instance, gateway, client, _registry: registry }
    }
}

#[tokio::test]
async fn large_messages_both_ways() {
    let both = Both::start().await;
    for size in [1, 16 * 1024 - 5, 16 * 1024, 65_536, MIB + 1, 8 * MIB] {
        let payload = Bytes::from(vec![1; size]);
        let request = KlineRequest { payload, reply_bytes: size as u32, ..ask("BTC_USDT") };
        let reply = both.client.clone().get_kline(with_symbol(request, "BTC_USDT")).await;
        let reply = reply.expect("an answer").into_inner();
        assert_eq!((reply.received_bytes, reply.payload.len()), (size as u64, size));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_streams_at_once_on_one_connection() {
    let both = Both::start().await;
    let trade = |client: Client| async move {
        let request = KlineRequest { payload: Bytes::from(vec![1; 50_000]), reply_bytes: 50_000, ..ask("BTC_USDT") };
        let requests = stream::iter(std::iter::repeat_n(request, 20));
        let mut replies = client.clone().trade_kline(with_symbol(requests, "BTC_USDT")).await.unwrap().into_inner();
        let (mut count, mut bytes) = (0, 0);
        while let Some(reply) = replies.message().await.expect("a whole stream") {
            (count, bytes) = (count + 1, bytes + reply.payload.len());
        }
        assert_eq!((count, bytes), (20, 20 * 50_000));
    };
    // 100 MB each way.
    let all = join_all((0..100).map(|_| trade(both.client.clone())));
    timeout(Duration::from_secs(120), all).await.expect("nothing gets stuck");
}

#[tokio::test]
async fn a_slow_reader_does_not_grow_memory_and_gets_everything() {
    let both = Both::start().await;
    let before = both.gateway.rss();
    let request = KlineRequest { count: 1_000, reply_bytes: 64 << 10, ..ask("BTC_USDT") };
    let mut unread = both.client.clone().watch_kline(request).await.unwrap().into_inner();
    unread.message().await.unwrap().expect("a first reply");
    let mut other = both.authority.client(both.gateway.address(), None);
    for _ in 0..200 {
        other.get_kline(ask("BTC_USDT")).await.expect("other calls go on");
    }
    let grown = both.gateway.rss().saturating_sub(before) as usize;
    assert!(grown < 64 * MIB, "the gateway grew by {} MiB", grown / MIB);
    let rest: Vec<_> = unread.collect().await;
    assert_eq!(rest.iter().filter(|reply| reply.is_ok()).count(), 999);
}

#[tokio::test]
async fn the_last_byte_reaches_a_client_that_reads_slowly() {
    let both = Both::start().await;
    for size in [3 * MIB, 3 * MIB + 1_000, 6 * MIB] {
        let tcp = TcpSocket::new_v4().unwrap();
        tcp.set_recv_buffer_size(64 << 10).unwrap();
        let slow = Slow(tcp.connect(both.gateway.address()).await.unwrap(), Box::pin(sleep(TICK)));
        let socket = both.authority.connect_over(slow, None, &["h2"]).await.unwrap();
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(1 << 30).initial_connection_window_size(1 << 30).data_frame_budget(1 << 30);
        let (mut send, connection) = builder.handshake::<_, Bytes>(socket).await.unwrap();
        let driving = tokio::spawn(connection);
        let request = KlineRequest { reply_bytes: size as u32, ..ask("BTC_USDT") };
        let (response, mut body) =
            send.send_request(grpc("/pb.KlineService/GetKline").body(()).unwrap(), false).unwrap();
        body.send_data(framed(&request), true).unwrap();
        let answer = async { read(response.await.unwrap()).await.expect("a whole answer") };
        let answer = timeout(Duration::from_secs(20), answer).await.expect("the last byte comes");
        assert_eq!(answer.grpc_status(), Some(0));
        assert!(answer.body.len() > size, "{} of {size} bytes", answer.body.len());
        driving.abort();
    }
}

/// How often a slow client reads.
const TICK: Duration = Duration::from_millis(1);

/// A socket from which little is read at a time.
struct Slow(TcpStream, Pin<Box<Sleep>>);

impl AsyncRead for Slow {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.1.as_mut().poll(cx));
        let mut little = [0; 8 << 10];
        let wanted = buffer.remaining().min(little.len());
        let mut little = ReadBuf::new(&mut little[..wanted]);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut little))?;
        buffer.put_slice(little.filled());
        self.1.as_mut().reset(Instant::now() + TICK);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Slow {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn a_drain_says_goaway_and_goodbye() {
    let mut both = Both::start().await;
    let socket = both.authority.connect(both.gateway.address(), None, &["h2"]).await.unwrap();
    let (send, connection) = h2::client::handshake(socket).await.unwrap();
    let connection = tokio::spawn(connection);
    let (tell, requests) = futures::channel::mpsc::unbounded();
    let mut replies = both.client.clone().trade_kline(with_symbol(requests, "BTC_USDT")).await.unwrap().into_inner();
    tell.unbounded_send(ask("BTC_USDT")).unwrap();
    replies.message().await.unwrap().expect("a reply");
    both.gateway.terminate();
    // An end without close_notify would be an error of the connection.
    connection.await.unwrap().expect("an idle connection is told GOAWAY and closed cleanly");
    assert!(send.ready().await.is_err(), "it takes no calls any more");
    for round in 2..=10 {
        tell.unbounded_send(ask("BTC_USDT")).unwrap();
        assert_eq!(replies.message().await.expect("the stream goes on").expect("a reply").received, round);
    }
    drop(tell);
    assert_eq!(replies.message().await.unwrap(), None, "the stream ends with its own status");
    assert!(both.gateway.exited(Duration::from_secs(20)).await.success());
    eventually!(both.instance.seen().under_way() == 0, "the instance has nothing left");
}
