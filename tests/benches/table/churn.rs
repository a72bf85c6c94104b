//! A thousand puts a second to a large table, and as many elsewhere, in turns; meanwhile calls flow and new symbols are
//! asked for.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use etcd_client::{Client as EtcdClient, WatchOptions, WatchStream};
use symgate_tests::{
    Etcd, Gateway, Instance,
    client::{Client, ask},
};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};

use super::{
    SYMBOLS, builder,
    fill::{self, entry, fill},
    print,
};

/// Each round writes for this long elsewhere, then to the table.
const ROUNDS: usize = 3;
const TURN: Duration = Duration::from_secs(20);
/// Each puts a hundred times a second.
const WRITERS: usize = 10;
const BETWEEN_PUTS: Duration = Duration::from_millis(10);
const BETWEEN_CALLS: Duration = Duration::from_millis(2);
const BETWEEN_PROBES: Duration = Duration::from_millis(100);
/// Between two calls that ask whether a new symbol is routable yet.
const BETWEEN_LOOKS: Duration = Duration::from_millis(1);

/// What was measured under one of the two kinds of churn.
#[derive(Default)]
struct Figures {
    calls: Vec<Duration>,
    /// From a put, and from etcd's answer to it, to the first call that was routed by it.
    routable: [Vec<Duration>; 2],
    /// From a put to when another watch of the same etcd tells of it.
    told: Vec<Duration>,
    puts: u64,
    time: Duration,
    control: Duration,
    all: Duration,
}

pub(super) async fn measure() {
    let etcd = Etcd::start().await;
    fill(&etcd, "klineRpc", SYMBOLS).await;
    let probes: Vec<_> = (0..2 * ROUNDS).map(probes).collect();
    let owned: Vec<_> = probes.iter().flatten().map(String::as_str).chain(["STEADY"]).collect();
    let instance = Instance::start(&owned).await;
    etcd.put("klineRpc/STEADY/1", instance.address().to_string()).await;
    let shared = "[[service]]\nname = \"klineRpc\"\nexclusive = false";
    let gateway = builder(&etcd).more(shared).start().await;
    gateway.ready().await;
    gateway.serving(&["STEADY"]).await;
    let (before, address) = (gateway.rss() >> 20, instance.address().to_string());

    // What etcd, the writers and the clients take of the machine is no work of the gateway: it is there in both.
    let (mut elsewhere, mut churn) = (Figures::default(), Figures::default());
    for turn in probes.chunks(2) {
        let kinds = [("elsewhere", &mut elsewhere), ("klineRpc", &mut churn)];
        for ((kind, figures), probes) in kinds.into_iter().zip(turn) {
            Box::pin(figures.measure(&etcd, &gateway, kind, (probes, &address))).await;
        }
    }
    elsewhere.print("elsewhere");
    churn.print("klineRpc");
    println!("resident {before} MiB before it, {} MiB after", gateway.rss() >> 20);
}

/// The new symbols of a turn.
fn probes(turn: usize) -> Vec<String> {
    (0..TURN.as_millis() / BETWEEN_PROBES.as_millis()).map(|n| format!("PROBE-{turn}-{n}")).collect()
}

impl Figures {
    /// One turn of writing keys of a service.
    async fn measure(
        &mut self,
        etcd: &Etcd,
        gateway: &Gateway,
        service: &'static str,
        (symbols, address): (&[String], &str),
    ) {
        let (control, all) = (gateway.cpu_of_control(), gateway.cpu());
        let (ended, puts) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            writers.spawn(write(etcd.client().await, service, writer, (ended.clone(), puts.clone())));
        }
        let mut watch = etcd.client().await;
        let told = watch.watch("klineRpc/PROBE-", Some(WatchOptions::new().with_prefix())).await.expect("a watch");
        let start = Instant::now();
        let (told, calls, (put_at, routable)) = tokio::join!(
            tokio::spawn(listen(told, symbols.len())),
            calls(gateway.client()),
            probe(etcd.client().await, gateway.client(), symbols, address),
        );
        self.time += start.elapsed();
        ended.store(true, Relaxed);
        writers.join_all().await;
        self.control += gateway.cpu_of_control() - control;
        self.all += gateway.cpu() - all;
        self.puts += puts.load(Relaxed);
        self.calls.extend(calls);
        self.told.extend(told.expect("it listens").into_iter().zip(put_at).map(|(told, put)| told - put));
        self.routable.iter_mut().zip(routable).for_each(|(all, these)| all.extend(these));
    }

    fn print(self, kind: &str) {
        let time = self.time.as_secs_f64();
        let share = |used: Duration| 100.0 * used.as_secs_f64() / time;
        println!(
            "{:.0} puts/s under {kind}/ for {time:.0} s: the control thread used {:.1} % of a core, all threads {:.1} %",
            self.puts as f64 / time,
            share(self.control),
            share(self.all)
        );
        let [since_put, since_answer] = self.routable;
        print("a call, every 2 ms", self.calls);
        print("put -> another watch of etcd tells of it", self.told);
        print("put -> routable", since_put);
        print("etcd's answer -> routable", since_answer);
    }
}

/// When each of the puts was told of.
async fn listen(mut watch: WatchStream, puts: usize) -> Vec<Instant> {
    let mut told = Vec::new();
    while told.len() < puts {
        let response = watch.message().await.expect("a watch").expect("it goes on");
        told.extend(response.events().iter().map(|_| Instant::now()));
    }
    told
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

/// How long calls took that were made at an even rate.
async fn calls(mut client: Client) -> Vec<Duration> {
    let (start, mut every, mut took) = (Instant::now(), interval(BETWEEN_CALLS), Vec::new());
    every.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while start.elapsed() < TURN {
        every.tick().await;
        let call = Instant::now();
        client.get_kline(ask("STEADY")).await.expect("its instance is there");
        took.push(call.elapsed());
    }
    took
}

/// When each symbol was put, and how long it took from that, and from etcd's answer to it, to the first call that was
/// answered by its instance, which is connected.
async fn probe(
    mut etcd: EtcdClient,
    mut client: Client,
    symbols: &[String],
    address: &str,
) -> (Vec<Instant>, [Vec<Duration>; 2]) {
    let (mut every, mut at, mut took) = (interval(BETWEEN_PROBES), Vec::new(), [Vec::new(), Vec::new()]);
    every.set_missed_tick_behavior(MissedTickBehavior::Skip);
    for symbol in symbols {
        every.tick().await;
        let put = Instant::now();
        etcd.put(format!("klineRpc/{symbol}/1"), address, None).await.expect("a put");
        let answer = Instant::now();
        while client.get_kline(ask(symbol)).await.is_err() {
            sleep(BETWEEN_LOOKS).await;
        }
        at.push(put);
        took[0].push(put.elapsed());
        took[1].push(answer.elapsed());
    }
    (at, took)
}
