//! A registration in a cluster of three members stands whichever of them dies.

use std::time::Duration;

use etcd_client::GetOptions;
use rustix::process::Signal;
use symgate_tests::{
    etcd::Cluster,
    eventually,
    eventually::{Clock, PATIENCE, pause},
};
use tokio::time::timeout;

use super::{EXIT, listening, register};

/// A little longer than two elections.
const SHORT: [&str; 2] = ["--ttl", "6s"];
/// How long one read by one member may take.
const READ: Duration = Duration::from_secs(2);

/// Key and create revision of every entry; `None` while the member does not answer.
async fn entries(cluster: &Cluster, at: usize) -> Option<Vec<(String, i64)>> {
    let read = async {
        let options = GetOptions::new().with_prefix();
        cluster.member(at).client().await.get("klineRpc/BTC_USDT/", Some(options)).await.ok()
    };
    let read = timeout(READ, read).await.ok()??;
    Some(read.kvs().iter().map(|pair| (pair.key_str().unwrap().to_owned(), pair.create_revision())).collect())
}

/// The one entry, once it is there.
async fn entry(cluster: &Cluster) -> (String, i64) {
    let clock = Clock::start(PATIENCE);
    loop {
        if let Some([entry]) = entries(cluster, 0).await.as_deref() {
            return entry.clone();
        }
        assert!(clock.runs(), "nothing is registered");
        pause().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_stands_while_each_member_dies() {
    let mut cluster = Cluster::start().await;
    let (_listener, address) = listening();
    let mut registered = register(&cluster.endpoints().join(","), &address, &SHORT);
    let before = entry(&cluster).await;
    let leader = cluster.leader().await;
    for at in [leader, (leader + 1) % 3, (leader + 2) % 3] {
        cluster.member_mut(at).stop();
        let other = cluster.leader().await;
        // Longer than the lease lives without a renewal, which a new leader begins anew.
        let clock = Clock::start(Duration::from_secs(14));
        while clock.runs() {
            let seen = entries(&cluster, other).await;
            assert!(seen.is_none_or(|seen| seen == [before.clone()]), "there is nothing to register again");
            pause().await;
        }
        cluster.member_mut(at).restart().await;
    }
    registered.signal(Signal::TERM);
    assert!(registered.exited(EXIT).await.success());
    assert_eq!(entries(&cluster, 0).await, Some(Vec::new()), "it is given back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quorum_that_is_away_for_longer_than_the_lease() {
    let mut cluster = Cluster::start().await;
    let (_listener, address) = listening();
    let registered = register(&cluster.endpoints().join(","), &address, &SHORT);
    let before = entry(&cluster).await;
    let [first, second] = cluster.followers().await;
    for at in [first, second] {
        cluster.member_mut(at).stop();
    }
    eventually!(registered.log().says(&["is not kept alive"]), "the outage is noticed");
    cluster.restart_both(first, second).await;
    cluster.leader().await;
    // A new leader lets all leases live on; this one ends as one does that ran out meanwhile.
    let lease = before.0.rsplit('/').next().unwrap().parse().unwrap();
    cluster.revoke(lease).await;
    let again = async || entries(&cluster, 0).await.is_some_and(|seen| seen.iter().any(|entry| entry.1 > before.1));
    eventually!(again().await, "it is registered again");
}
