//! One session: connect to one endpoint, list, watch, until something ends it. Decides nothing about trying again.

use std::{
    convert::Infallible,
    pin::{Pin, pin},
    time::Duration,
};

use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, error, info};

use super::{
    super::rereads::Reread,
    list::{self, List},
    machine::{End, Known, Meaning, Response, Watch},
    member::{Cluster, Member, Stream},
    teller::Teller,
    told::Told,
    wire::within,
};
use crate::config::Etcd;

/// Lists are compared between this and as much above one times `audit`.
const SOONEST: f64 = 0.75;

/// A list that is being read.
type Reading<'a> = Pin<Box<dyn Future<Output = Result<List, End>> + Send + 'a>>;

/// What sessions have in common, and what one leaves to the next.
pub(super) struct Session<'a, C> {
    cluster: &'a C,
    config: &'a Etcd,
    prefix: &'a str,
    known: Option<Known>,
    told: Told,
}

/// A watch that stands, and the list that is being read beside it.
struct Standing<'a, M: Member> {
    member: M,
    stream: M::Stream,
    watch: Watch,
    reading: Option<Reading<'a>>,
    /// When the next list is due.
    audit: Instant,
}

impl<'a, C: Cluster> Session<'a, C> {
    pub(super) fn new(cluster: &'a C, config: &'a Etcd, prefix: &'a str) -> Self {
        let told = Told::new(config.audit.mul_f64(SOONEST));
        Self { cluster, config, prefix, known: None, told }
    }

    /// Everything anew each time, the login too: a token may be the very reason why the last session ended.
    pub(super) async fn run(
        &mut self,
        endpoint: &str,
        teller: &mut Teller,
        reread: &Reread,
    ) -> Result<Infallible, End> {
        let mut member = self.cluster.open(endpoint).await?;
        let list = list::read(&mut member, self.prefix).await?;
        let now = list.now;
        self.compare(endpoint, now)?;
        let mut stream = member.watch(self.prefix, now.revision.saturating_add(1)).await?;
        let mut watch = Watch::after(now.revision);
        confirmed(&mut stream, &mut watch, self.config.timeout).await?;
        teller.listed(self.told.begin(list)).await;
        let mut standing = Standing { member, stream, watch, reading: None, audit: self.next_audit() };
        loop {
            let response = self.hear(&mut standing, teller, reread).await?;
            for change in self.told.watch_says(standing.watch.read(response)?) {
                teller.say(change).await;
            }
            self.known = Some(Known { revision: self.told.revision(), ..now });
        }
    }

    /// Waits for what the watch says; reads the list beside it now and then, or when an instance is doubted.
    async fn hear(
        &mut self,
        standing: &mut Standing<'a, C::Member>,
        teller: &Teller,
        reread: &Reread,
    ) -> Result<Response, End> {
        let Standing { member, stream, reading, audit, .. } = standing;
        let mut heard = pin!(hear(stream, self.config.watchdog));
        loop {
            tokio::select! {
                response = &mut heard => return response,
                // That it cannot be read ends the watch on the same connection, too.
                read = ended(reading) => {
                    self.audit(read?, teller).await?;
                    continue;
                }
                () = reread.notified(), if reading.is_none() => {
                    info!(prefix = self.prefix, "reading the registry again, beside the watch: an instance cannot be connected");
                }
                () = sleep_until(*audit), if reading.is_none() => {}
            }
            *audit = self.next_audit();
            *reading = Some(read_aside(member.clone(), self.prefix));
            self.told.list_is_asked();
        }
    }

    /// Tells what differs between the list and what was told; most often nothing does.
    async fn audit(&mut self, list: List, teller: &Teller) -> Result<(), End> {
        if self.known.is_some_and(|known| known.cluster != list.now.cluster) {
            return Err(End::Relist("another cluster answers now".into()));
        }
        debug!(prefix = self.prefix, revision = list.now.revision, entries = list.entries.len(), "registry audited");
        for change in self.told.list_says(list, Instant::now().into_std()) {
            teller.say(change).await;
        }
        Ok(())
    }

    /// Many gateways do not ask all at once.
    fn next_audit(&self) -> Instant {
        let latest = 2.0 - SOONEST;
        Instant::now() + self.config.audit.mul_f64(SOONEST + (latest - SOONEST) * fastrand::f64())
    }

    /// The list counts, whatever was known: a watch from a revision that the cluster has not reached stays silent.
    fn compare(&mut self, endpoint: &str, now: Known) -> Result<(), End> {
        if now.revision == 0 {
            return Err(End::Lost("it answers with revision 0, which no etcd has".into()));
        }
        if let Some(odd) = self.known.and_then(|known| known.oddity(now)) {
            error!(prefix = self.prefix, endpoint, "{odd}: was it restored from a backup? its list is taken as it is");
        }
        self.known = Some(now);
        Ok(())
    }
}

/// Begins to read the list once more; the watch goes on meanwhile.
fn read_aside(mut member: impl Member, prefix: &str) -> Reading<'_> {
    Box::pin(async move { list::read(&mut member, prefix).await })
}

/// Waits for a list that is being read, if one is.
async fn ended(reading: &mut Option<Reading<'_>>) -> Result<List, End> {
    let Some(running) = reading else { return std::future::pending().await };
    let list = running.await;
    *reading = None;
    list
}

/// Waits until etcd says that the watch stands.
async fn confirmed(stream: &mut impl Stream, watch: &mut Watch, limit: Duration) -> Result<(), End> {
    within(limit, async {
        loop {
            let response = stream.hear().await?;
            // Nothing that comes earlier tells anything.
            if watch.read(response)? == Meaning::Confirmed {
                return Ok(());
            }
        }
    })
    .await?
}

/// Waits for the next response; a third of the watchdog time without one makes us ask, all of it is the end.
async fn hear(stream: &mut impl Stream, watchdog: Duration) -> Result<Response, End> {
    for _third in 0..3 {
        match timeout(watchdog / 3, stream.hear()).await {
            Ok(response) => return response,
            Err(_elapsed) => stream.ask_for_progress().await?,
        }
    }
    Err(End::Lost(format!("nothing was heard for {watchdog:?}")))
}
