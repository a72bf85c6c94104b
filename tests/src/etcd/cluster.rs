//! A cluster of three members, whose traffic with one another passes relays that a test can close.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use etcd_client::{Client, Error, GetOptions, KeyValue};
use futures::future::join_all;
use tokio::time::{sleep, timeout};
use tonic::Code;

use super::{ATTEMPTS, Etcd, Membership, READY, relay::Relay};

/// How long one member may take for one request.
const WORK: Duration = Duration::from_secs(2);

/// Three members.
pub struct Cluster {
    members: Vec<Member>,
    /// How many there were; each has a name of its own.
    count: usize,
}

struct Member {
    etcd: Etcd,
    relay: Relay,
    id: u64,
}

impl Cluster {
    /// Starts one that has a leader.
    ///
    /// # Panics
    /// When there is no etcd, or it does not come up; with what its members logged.
    pub async fn start() -> Self {
        let mut log = String::new();
        for _attempt in 0..ATTEMPTS {
            let mut cluster = Self { members: Vec::new(), count: 0 };
            for _member in 0..3 {
                let member = cluster.new_member().await;
                cluster.members.push(member);
            }
            let initial = cluster.initial();
            for Member { etcd, relay, .. } in &mut cluster.members {
                let membership = Membership { advertised: relay.endpoint(), initial: initial.clone(), joins: false };
                etcd.membership = Some(membership);
            }
            if join_all(cluster.members.iter_mut().map(|member| member.etcd.run())).await.iter().all(|up| *up) {
                cluster.learn_ids().await;
                return cluster;
            }
            log = cluster.members.iter().map(|member| member.etcd.log()).collect();
        }
        panic!("the cluster did not start in {ATTEMPTS} attempts; its members logged:\n{log}");
    }

    /// The URLs of all members.
    pub fn endpoints(&self) -> Vec<String> {
        self.members.iter().map(|member| member.etcd.endpoint()).collect()
    }

    /// A member.
    pub fn member(&self, at: usize) -> &Etcd {
        &self.members[at].etcd
    }

    /// The same, to be stopped or started.
    pub fn member_mut(&mut self, at: usize) -> &mut Etcd {
        &mut self.members[at].etcd
    }

    /// The place of the leader, once the members agree on one.
    ///
    /// # Panics
    /// When there is none for long.
    pub async fn leader(&self) -> usize {
        let deadline = Instant::now() + READY;
        loop {
            for (at, member) in self.members.iter().enumerate() {
                if member.etcd.process.is_some() && said_leader(&member.etcd).await == Some(member.id) {
                    return at;
                }
            }
            assert!(Instant::now() < deadline, "the cluster has no leader");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// The places of the members that do not lead.
    ///
    /// # Panics
    /// As [`Self::leader`].
    pub async fn followers(&self) -> [usize; 2] {
        let leader = self.leader().await;
        [(leader + 1) % 3, (leader + 2) % 3]
    }

    /// Makes a member the leader.
    ///
    /// # Panics
    /// When it does not become it.
    pub async fn lead(&self, at: usize) {
        let deadline = Instant::now() + READY;
        loop {
            let leader = self.leader().await;
            if leader == at {
                return;
            }
            assert!(Instant::now() < deadline, "the member does not become the leader");
            // A leader that is not sure of the other yet refuses.
            let id = self.members[at].id;
            drop(timeout(WORK, async { self.member(leader).client().await.move_leader(id).await }).await);
        }
    }

    /// Starts two stopped members at once: one alone would wait for the other.
    ///
    /// # Panics
    /// When they do not come up again.
    pub async fn restart_both(&mut self, first: usize, second: usize) {
        let members = self.members.iter_mut().enumerate().filter(|(at, _)| [first, second].contains(at));
        join_all(members.map(|(_, member)| member.etcd.restart())).await;
    }

    /// Ends what a member and the others say to one another; its clients stay.
    pub fn isolate(&self, at: usize) {
        let id = self.members[at].id;
        for (other, member) in self.members.iter().enumerate() {
            let shut_out: Vec<_> =
                if other == at { self.members.iter().map(|member| member.id).collect() } else { vec![id] };
            member.relay.shut_out(shut_out);
        }
    }

    /// Lets all members speak with one another again.
    pub fn heal(&self) {
        for member in &self.members {
            member.relay.shut_out([]);
        }
    }

    /// Removes a member for ever and adds another one in its place, on other ports.
    ///
    /// # Panics
    /// When the cluster refuses, or the new member does not come up.
    pub async fn replace(&mut self, at: usize) {
        let id = self.members[at].id;
        self.by_any(|mut client| async move {
            match client.member_remove(id).await {
                // A member that was asked before did it, and was too slow to say so.
                Err(error) if error.to_string().contains("member not found") => Ok(()),
                done => done.map(drop),
            }
        })
        .await;
        self.members[at].etcd.stop();
        let mut new = self.new_member().await;
        let advertised = new.relay.endpoint();
        self.by_any(|mut client| {
            let advertised = advertised.clone();
            async move { client.member_add([advertised], None).await }
        })
        .await;
        let named = |member: &Member| format!("{}={}", member.etcd.name, member.relay.endpoint());
        let others = self.members.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, member)| named(member));
        let initial = others.chain([named(&new)]).collect::<Vec<_>>().join(",");
        new.etcd.membership = Some(Membership { advertised, initial, joins: true });
        assert!(new.etcd.run().await, "the new member did not start; it logged:\n{}", new.etcd.log());
        self.members[at] = new;
        self.learn_ids().await;
    }

    /// Writes a value.
    ///
    /// # Panics
    /// When no member takes it for long.
    pub async fn put(&self, key: &str, value: &str) {
        self.by_any(|mut client| async move { client.put(key, value, None).await }).await;
    }

    /// Removes a key.
    ///
    /// # Panics
    /// As [`Self::put`].
    pub async fn delete(&self, key: &str) {
        self.by_any(|mut client| async move { client.delete(key, None).await }).await;
    }

    /// Ends a lease, unless it has ended.
    ///
    /// # Panics
    /// As [`Self::put`].
    pub async fn revoke(&self, lease: i64) {
        self.by_any(|mut client| async move {
            match client.lease_revoke(lease).await {
                Err(Error::GRpcStatus(status)) if status.code() == Code::NotFound => Ok(()),
                answer => answer.map(drop),
            }
        })
        .await;
    }

    /// Everything that starts with `prefix`, as the cluster says together.
    ///
    /// # Panics
    /// When no member can tell for long.
    pub async fn entries(&self, prefix: &str) -> BTreeMap<String, Vec<u8>> {
        let options = || Some(GetOptions::new().with_prefix());
        let answer = self.by_any(|mut client| async move { client.get(prefix, options()).await }).await;
        let entry = |pair: &KeyValue| (pair.key_str().expect("text").to_owned(), pair.value().to_vec());
        answer.kvs().iter().map(entry).collect()
    }

    /// Asks one running member after the other until one does it. One that was cut off may have done it, too.
    async fn by_any<T, F: Future<Output = Result<T, Error>>>(&self, work: impl Fn(Client) -> F) -> T {
        let deadline = Instant::now() + READY;
        let mut last = String::new();
        while Instant::now() < deadline {
            for member in self.members.iter().filter(|member| member.etcd.process.is_some()) {
                match timeout(WORK, async { work(member.etcd.client().await).await }).await {
                    Ok(Ok(done)) => return done,
                    Ok(Err(error)) => last = error.to_string(),
                    Err(_elapsed) => last = "no answer".into(),
                }
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("no member of the cluster does it: {last}");
    }

    async fn new_member(&mut self) -> Member {
        self.count += 1;
        let etcd = Etcd::new(&format!("m{}", self.count), &[]);
        let relay = Relay::to(etcd.peer_port).await;
        Member { etcd, relay, id: 0 }
    }

    fn initial(&self) -> String {
        let named = |member: &Member| format!("{}={}", member.etcd.name, member.relay.endpoint());
        self.members.iter().map(named).collect::<Vec<_>>().join(",")
    }

    async fn learn_ids(&mut self) {
        let list = self.by_any(|mut client| async move { client.member_list().await }).await;
        for member in &mut self.members {
            let known = list.members().iter().find(|known| known.name() == member.etcd.name);
            member.id = known.expect("each member is listed").id();
        }
    }
}

/// Whom a member takes for the leader.
async fn said_leader(etcd: &Etcd) -> Option<u64> {
    let asked = timeout(Duration::from_secs(1), async { etcd.client().await.status().await.ok() });
    asked.await.ok()?.map(|status| status.leader()).filter(|leader| *leader != 0)
}
