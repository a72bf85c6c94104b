//! Clusters of three members that die, freeze, are cut off and are replaced. What is told is what the cluster says, and a
//! key that nobody deleted is never told to be gone.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use etcd_client::Client;
use futures::FutureExt;
use parking_lot::Mutex;
use symgate::{config, control::source::Change};
use symgate_tests::{
    Gateway, Instance,
    client::{ask, assert_owner},
    etcd::Cluster,
    eventually,
    load::Load,
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use toml::Value;

use super::{
    Told, apply,
    etcd::{PREFIX, config, watch},
    link::Link,
};

/// What keys begin with that are never deleted.
const KEPT: &str = "klineRpc/KEPT";
/// How long one write to one member may take before it is given up.
const WRITE: Duration = Duration::from_secs(2);

fn limits(endpoints: &[String]) -> config::Etcd {
    let (timeout, watchdog) = (Duration::from_secs(1), Duration::from_secs(3));
    config::Etcd { timeout, watchdog, ..config(endpoints) }
}

/// Takes in everything that is told.
struct Witness {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    table: BTreeMap<String, Vec<u8>>,
    lost: Option<String>,
    /// Every reason of every loss.
    losses: Vec<String>,
    /// Kept keys that were told to be gone.
    wrong: Vec<String>,
}

impl Seen {
    fn hear(&mut self, change: Change) {
        let before = self.table.clone();
        match change {
            Change::Listed { entries, .. } => {
                self.table = entries.into_iter().map(|entry| (entry.key.to_string(), entry.value)).collect();
                self.lost = None;
            }
            Change::Events { events, .. } => apply(&mut self.table, events),
            Change::Lost { reason } => {
                self.losses.push(reason.clone());
                self.lost = Some(reason);
            }
            _ => {}
        }
        let gone = before.into_keys().filter(|key| key.starts_with(KEPT) && !self.table.contains_key(key));
        self.wrong.extend(gone);
    }
}

impl Witness {
    fn of(mut told: Told) -> Self {
        let seen = Arc::<Mutex<Seen>>::default();
        let hears = seen.clone();
        let task = tokio::spawn(async move {
            while let Some(update) = told.updates.recv().await {
                hears.lock().hear(update.change);
            }
        });
        Self { seen, task }
    }

    fn lost(&self) -> bool {
        self.seen.lock().lost.is_some()
    }

    fn losses(&self) -> Vec<String> {
        self.seen.lock().losses.clone()
    }

    fn kept(&self) -> usize {
        self.seen.lock().table.keys().filter(|key| key.starts_with(KEPT)).count()
    }

    /// Waits until what was told is what the cluster says, and nothing was told to be gone that is there.
    async fn agrees(&self, cluster: &Cluster) {
        eventually!(
            {
                let truth = cluster.entries(PREFIX).await;
                let seen = self.seen.lock();
                seen.lost.is_none() && truth == seen.table
            },
            "what was told differs from what the cluster says; lost: {:?}",
            self.losses()
        );
        assert_eq!(self.seen.lock().wrong, Vec::<String>::new(), "these were never deleted");
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Writes and deletes without pause, by one member after the other, whatever state they are in.
struct Churn {
    written: Arc<AtomicUsize>,
    stopping: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Churn {
    fn start(cluster: &Cluster) -> Self {
        let endpoints = cluster.endpoints();
        let (written, stopping) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let (count, stop) = (written.clone(), stopping.clone());
        let task = tokio::spawn(async move {
            for number in (0_usize..).take_while(|_| !stop.load(SeqCst)) {
                let endpoint = &endpoints[number % endpoints.len()];
                if timeout(WRITE, write(endpoint, number)).await.is_ok_and(|written| written.is_ok()) {
                    count.fetch_add(1, SeqCst);
                }
            }
        });
        Self { written, stopping, task }
    }

    /// Waits until the cluster took this many more.
    async fn more(&self, count: usize) {
        let goal = self.written.load(SeqCst) + count;
        eventually!(self.written.load(SeqCst) >= goal, "the cluster takes no writes");
    }

    async fn stop(self) {
        self.stopping.store(true, SeqCst);
        self.task.await.unwrap();
    }
}

async fn write(endpoint: &str, number: usize) -> Result<(), etcd_client::Error> {
    let mut client = Client::connect([endpoint], None).await?;
    let key = format!("{PREFIX}MOVING{}/1", number % 7);
    if number.is_multiple_of(3) {
        client.delete(key, None).await?;
    } else {
        client.put(key, number.to_string(), None).await?;
    }
    Ok(())
}

/// A cluster that holds some keys for good.
async fn cluster() -> Cluster {
    let cluster = Cluster::start().await;
    for id in 0..20 {
        cluster.put(&format!("{KEPT}{id}/1"), "10.0.0.1:1").await;
    }
    cluster
}

/// A link to each member, and a source that goes through them.
async fn linked(cluster: &Cluster) -> (Vec<Link>, Witness, usize) {
    let mut links = Vec::new();
    for endpoint in cluster.endpoints() {
        links.push(Link::to(&endpoint).await);
    }
    let endpoints: Vec<_> = links.iter().map(Link::endpoint).collect();
    let witness = Witness::of(watch(limits(&endpoints)));
    eventually!(witness.kept() == 20, "the list is told");
    let used = links.iter().position(|link| link.connections() > 0).expect("one of them is used");
    (links, witness, used)
}

/// The same, once the member that is used leads, or does not.
async fn linked_to(cluster: &Cluster, leads: bool) -> (Vec<Link>, Witness, usize) {
    loop {
        let (links, witness, used) = linked(cluster).await;
        cluster.lead(if leads { used } else { (used + 1) % 3 }).await;
        // A change of leaders may move it to another member.
        if !witness.lost() && connections(&links, used) == 0 && links[used].connections() == 1 {
            return (links, witness, used);
        }
    }
}

fn connections(links: &[Link], except: usize) -> usize {
    links.iter().enumerate().filter(|(at, _)| *at != except).map(|(_, link)| link.connections()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_member_dies_the_leader_first() {
    let mut cluster = cluster().await;
    let witness = Witness::of(watch(limits(&cluster.endpoints())));
    eventually!(witness.kept() == 20, "the list is told");
    let churn = Churn::start(&cluster);
    churn.more(20).await;
    let leader = cluster.leader().await;
    for at in [leader, (leader + 1) % 3, (leader + 2) % 3] {
        cluster.member_mut(at).stop();
        cluster.leader().await;
        churn.more(20).await;
        cluster.member_mut(at).restart().await;
        churn.more(10).await;
    }
    churn.stop().await;
    witness.agrees(&cluster).await;
    assert!(!witness.losses().is_empty(), "one of them was the one that was listened to");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_is_cut_off_from_the_others_is_left() {
    let cluster = cluster().await;
    for leads in [true, false] {
        let (links, witness, used) = linked_to(&cluster, leads).await;
        cluster.isolate(used);
        eventually!(witness.lost() || connections(&links, used) > 0, "it says that it has no leader");
        let key = format!("{PREFIX}LATE_{leads}/1");
        cluster.put(&key, "10.0.0.1:1").await;
        eventually!(witness.seen.lock().table.contains_key(&key), "another member tells of it: {:?}", witness.losses());
        assert!(witness.losses()[0].contains("no leader"), "{:?}", witness.losses());
        cluster.delete(&key).await;
        cluster.heal();
        cluster.leader().await;
        witness.agrees(&cluster).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_quorum_nothing_is_gone() {
    let mut cluster = cluster().await;
    let (_links, witness, used) = linked(&cluster).await;
    let others = [(used + 1) % 3, (used + 2) % 3];
    for at in others {
        cluster.member(at).freeze();
    }
    eventually!(witness.lost(), "without a leader it is stale");
    assert_eq!(witness.kept(), 20);
    for at in others {
        cluster.member(at).thaw();
    }
    cluster.leader().await;
    witness.agrees(&cluster).await;

    let losses = witness.losses().len();
    for at in others {
        cluster.member_mut(at).stop();
    }
    eventually!(witness.losses().len() > losses, "without a leader it is stale");
    assert_eq!(witness.kept(), 20);
    let [first, second] = others;
    cluster.restart_both(first, second).await;
    cluster.delete(&format!("{KEPT}0/1")).await;
    eventually!(witness.kept() == 19, "a delete that was meant is told");
    witness.seen.lock().wrong.clear();
    witness.agrees(&cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_says_nothing_is_passed_over() {
    let cluster = cluster().await;
    let mute = Link::to(&cluster.endpoints()[0]).await;
    mute.freeze();
    let (_full, deaf) = full_listener().await;
    let mut endpoints = cluster.endpoints();
    endpoints.splice(1.., [mute.endpoint(), format!("http://{deaf}")]);
    // Each begins with any of them.
    let witnesses: Vec<_> = (0..6).map(|_| Witness::of(watch(limits(&endpoints)))).collect();
    for witness in &witnesses {
        witness.agrees(&cluster).await;
        assert!(witness.losses().iter().all(|reason| reason.contains("no answer within 1s")), "{:?}", witness.losses());
    }
    let (links, witness, used) = linked(&cluster).await;
    links[used].freeze();
    eventually!(connections(&links, used) > 0, "another is used");
    witness.agrees(&cluster).await;
}

/// A listener whose queue is full: to who connects it does not even say no.
async fn full_listener() -> ((TcpListener, Vec<TcpStream>), SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(connected) = timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
        waiting.push(connected.unwrap());
    }
    ((listener, waiting), address)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_are_replaced_one_by_one() {
    let mut cluster = cluster().await;
    let witness = Witness::of(watch(limits(&cluster.endpoints())));
    eventually!(witness.kept() == 20, "the list is told");
    // The last one stays: of those that the configuration names, one is still there.
    for at in 0..2 {
        cluster.replace(at).await;
        let key = format!("{KEPT}_AFTER_{at}/1");
        cluster.put(&key, "10.0.0.1:1").await;
        eventually!(witness.seen.lock().table.contains_key(&key), "it is told: {:?}", witness.losses());
    }
    witness.agrees(&cluster).await;
}

fn endpoints(cluster: &Cluster) -> Value {
    cluster.endpoints().into_iter().map(Value::from).collect::<Vec<_>>().into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_flow_while_members_die_and_the_quorum_is_lost() {
    let mut cluster = Cluster::start().await;
    let btc = Instance::start(&["BTC_USDT"]).await;
    cluster.put("klineRpc/BTC_USDT/1", &btc.address().to_string()).await;
    let builder = Gateway::builder().etcd_within(&cluster.endpoints()[0], "1s");
    let gateway = builder.etcd_key("endpoints", endpoints(&cluster)).etcd_key("watchdog", "3s").start().await;
    gateway.serving(&["BTC_USDT"]).await;
    let call = |mut client: symgate_tests::client::Client, _| {
        async move {
            let reply = client.get_kline(ask("BTC_USDT")).await.expect("the owner is there all the time");
            assert_owner(reply.get_ref(), "BTC_USDT");
        }
        .boxed()
    };
    let mut load = Load::start(&gateway, 4, call);
    for round in 0..3 {
        let leader = cluster.leader().await;
        cluster.member_mut(leader).stop();
        cluster.leader().await;
        load.calls_more(200).await;
        let late = Instance::start(&["ETH_USDT"]).await;
        cluster.put(&format!("klineRpc/ETH_USDT/{round}"), &late.address().to_string()).await;
        gateway.serving(&["ETH_USDT"]).await;
        cluster.member_mut(leader).restart().await;
        cluster.delete(&format!("klineRpc/ETH_USDT/{round}")).await;
        eventually!(gateway.client().get_kline(ask("ETH_USDT")).await.is_err(), "the delete is noticed");
    }
    let [first, second] = cluster.followers().await;
    for at in [first, second] {
        cluster.member_mut(at).stop();
    }
    eventually!(gateway.metric("symgate_registry_stale_seconds", "klineRpc").await > 0.0, "it is stale");
    load.calls_more(500).await;
    cluster.restart_both(first, second).await;
    eventually!(gateway.metric("symgate_registry_stale_seconds", "klineRpc").await == 0.0, "it is right again");
    load.calls_more(200).await;
    load.stop().await;
}
