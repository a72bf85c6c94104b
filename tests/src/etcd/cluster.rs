//! A cluster of three members, whose traffic with one another passes relays that a test can close.

use std::time::{Duration, Instant};

use etcd_client::Client;
use futures::future::join_all;
use tokio::time::{sleep, timeout};

use super::{ATTEMPTS, Etcd, Membership, READY, relay::Relay};

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
            drop(self.member(leader).client().await.move_leader(self.members[at].id).await);
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
        let mut client = self.writer().await;
        let id = self.members[at].id;
        client.member_remove(id).await.expect("a member is removed");
        self.members[at].etcd.stop();
        let mut new = self.new_member().await;
        let advertised = new.relay.endpoint();
        let deadline = Instant::now() + READY;
        let others: Vec<_> = (0..3).filter(|other| *other != at).collect();
        let mut client = Client::connect(others.iter().map(|at| self.member(*at).endpoint()).collect::<Vec<_>>(), None)
            .await
            .expect("a client");
        // It may be refused while the members that stay are not connected long enough.
        while let Err(error) = client.member_add([advertised.clone()], None).await {
            assert!(Instant::now() < deadline, "a member is not added: {error}");
            sleep(Duration::from_millis(50)).await;
        }
        let named = |member: &Member| format!("{}={}", member.etcd.name, member.relay.endpoint());
        let initial = others.iter().map(|at| named(&self.members[*at])).chain([named(&new)]);
        let initial = initial.collect::<Vec<_>>().join(",");
        new.etcd.membership = Some(Membership { advertised, initial, joins: true });
        assert!(new.etcd.run().await, "the new member did not start; it logged:\n{}", new.etcd.log());
        self.members[at] = new;
        self.learn_ids().await;
    }

    /// A client of the members that run. It uses any of them for each request.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn writer(&self) -> Client {
        let running = self.members.iter().filter(|member| member.etcd.process.is_some());
        let endpoints: Vec<_> = running.map(|member| member.etcd.endpoint()).collect();
        Client::connect(endpoints, None).await.expect("a client of the cluster")
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
        let list = self.writer().await.member_list().await.expect("the list of members");
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
