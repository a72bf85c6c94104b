//! A minute of a thousand puts a second to a large table, while calls flow and new symbols are asked for.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use etcd_client::Client as EtcdClient;
use symgate_tests::{
    Etcd, Gateway, Instance,
    client::{Client, ask},
};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use super::{
    SYMBOLS, builder,
    fill::{self, entry, fill},
    print,
};

const MINUTE: Duration = Duration::from_secs(60);
/// Calls to compare with.
const SHORT: Duration = Duration::from_secs(20);
/// Each puts a hundred times a second.
const WRITERS: usize = 10;
const BETWEEN_PUTS: Duration = Duration::from_millis(10);
const BETWEEN_CALLS: Duration = Duration::from_millis(2);
const BETWEEN_PROBES: Duration = Duration::from_millis(100);

pub(super) async fn measure() {
    let etcd = Etcd::start().await;
    fill(&etcd, "klineRpc", SYMBOLS).await;
    let probes: Vec<_> = (0..MINUTE.as_millis() / BETWEEN_PROBES.as_millis()).map(|n| format!("PROBE{n}")).collect();
    let owned: Vec<_> = probes.iter().map(String::as_str).chain(["STEADY"]).collect();
    let instance = Instance::start(&owned).await;
    etcd.put("klineRpc/STEADY/1", instance.address().to_string()).await;
    let shared = "[[service]]\nname = \"klineRpc\"\nexclusive = false";
    let gateway = builder(&etcd).more(shared).start().await;
    gateway.ready().await;
    gateway.serving(&["STEADY"]).await;

    print("a call, every 2 ms", calls(gateway.client(), SHORT).await);
    // What etcd and the writers take of the machine is no work of the gateway.
    let latencies = Box::pin(under_churn(&etcd, &gateway, "elsewhere", calls(gateway.client(), SHORT))).await;
    print("a call while other keys are written", latencies);
    let address = instance.address().to_string();
    let probing = probe(etcd.client().await, gateway.client(), &probes, address);
    let both = async { tokio::join!(calls(gateway.client(), MINUTE), probing) };
    let (latencies, (since_put, since_answer)) = Box::pin(under_churn(&etcd, &gateway, "klineRpc", both)).await;
    print("a call during churn", latencies);
    print("put -> routable during churn", since_put);
    print("etcd's answer -> routable during churn", since_answer);
}

/// Writes keys of a service until `meanwhile` is over; says what that cost.
async fn under_churn<T>(
    etcd: &Etcd,
    gateway: &Gateway,
    service: &'static str,
    meanwhile: impl Future<Output = T>,
) -> T {
    let (resident, control, all) = (gateway.rss(), gateway.cpu_of_control(), gateway.cpu());
    let (ended, puts) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(write(etcd.client().await, service, writer, (ended.clone(), puts.clone())));
    }
    let start = Instant::now();
    let result = meanwhile.await;
    let took = start.elapsed().as_secs_f64();
    ended.store(true, Relaxed);
    writers.join_all().await;
    let share = |used: Duration| 100.0 * used.as_secs_f64() / took;
    let (control, all) = (share(gateway.cpu_of_control() - control), share(gateway.cpu() - all));
    let (rate, before, after) = (puts.load(Relaxed) as f64 / took, resident >> 20, gateway.rss() >> 20);
    println!(
        "{rate:.0} puts/s under {service}/ for {took:.0} s: the control thread used {control:.1} % of a core, all threads {all:.1} %"
    );
    println!("resident {before} MiB before it, {after} MiB after");
    result
}

/// Gives instances all over the table other addresses.
async fn write(mut client: EtcdClient, service: &str, writer: usize, (ended, puts): (Arc<AtomicBool>, Arc<AtomicU64>)) {
    let mut every = interval(BETWEEN_PUTS);
    every.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for turn in 0_usize.. {
        every.tick().await;
        if ended.load(Relaxed) {
            return;
        }
        // A prime, so that one writer goes all over the table.
        let n = (writer + turn * WRITERS * 7_919) % (SYMBOLS * fill::INSTANCES);
        let (key, address) = entry(service, n, 1 + u16::try_from(turn % 60_000).unwrap());
        client.put(key, address, None).await.expect("a put");
        puts.fetch_add(1, Relaxed);
    }
}

/// How long calls took that were made at an even rate for this long.
async fn calls(mut client: Client, time: Duration) -> Vec<Duration> {
    let (start, mut every, mut took) = (Instant::now(), interval(BETWEEN_CALLS), Vec::new());
    every.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while start.elapsed() < time {
        every.tick().await;
        let call = Instant::now();
        client.get_kline(ask("STEADY")).await.expect("its instance is there");
        took.push(call.elapsed());
    }
    took
}

/// How long it took from the put of a symbol, and from etcd's answer to it, to the first call that was answered by its
/// instance, which is connected.
async fn probe(
    mut etcd: EtcdClient,
    mut client: Client,
    symbols: &[String],
    address: String,
) -> (Vec<Duration>, Vec<Duration>) {
    let (mut every, mut took) = (interval(BETWEEN_PROBES), (Vec::new(), Vec::new()));
    every.set_missed_tick_behavior(MissedTickBehavior::Skip);
    for symbol in symbols {
        every.tick().await;
        let put = Instant::now();
        etcd.put(format!("klineRpc/{symbol}/1"), address.clone(), None).await.expect("a put");
        let answer = Instant::now();
        while client.get_kline(ask(symbol)).await.is_err() {}
        took.0.push(put.elapsed());
        took.1.push(answer.elapsed());
    }
    took
}
