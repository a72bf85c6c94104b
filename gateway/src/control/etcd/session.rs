//! One session: connect to one endpoint, list, watch, until something ends it. Decides nothing about trying again.

use std::{
    convert::Infallible,
    pin::{Pin, pin},
    time::Duration,
};

use tokio::time::timeout;
use tracing::{error, info};

use super::{
    super::{rereads::Reread, source::Change},
    list::{self, List},
    machine::{End, Known, Meaning, Response, Watch},
    member::{Cluster, Member, Stream},
    overlap::Overlap,
    teller::Teller,
    wire::within,
};
use crate::config::Etcd;

/// A list that is being read.
type Reading<'a> = Pin<Box<dyn Future<Output = Result<List, End>> + Send + 'a>>;

/// What sessions have in common, and what one leaves to the next.
pub(super) struct Session<'a, C> {
    cluster: &'a C,
    config: &'a Etcd,
    prefix: &'a str,
    known: Option<Known>,
}

/// A watch that stands, and the list that is being read beside it.
struct Standing<'a, M: Member> {
    member: M,
    stream: M::Stream,
    watch: Watch,
    overlap: Overlap,
    reading: Option<Reading<'a>>,
}

impl<'a, C: Cluster> Session<'a, C> {
    pub(super) fn new(cluster: &'a C, config: &'a Etcd, prefix: &'a str) -> Self {
        Self { cluster, config, prefix, known: None }
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
        self.compare(endpoint, list.now)?;
        let mut stream = member.watch(self.prefix, list.now.revision.saturating_add(1)).await?;
        let mut watch = Watch::after(list.now.revision);
        confirmed(&mut stream, &mut watch, self.config.timeout).await?;
        teller.listed(Change::Listed { revision: list.now.revision, entries: list.entries }).await;
        let mut standing = Standing { member, stream, watch, overlap: Overlap::default(), reading: None };
        loop {
            let response = standing.hear(self, teller, reread).await?;
            if let Meaning::Say(change) = standing.watch.read(response)? {
                teller.say(standing.overlap.watch_says(change)).await;
            }
            self.known = Some(Known { revision: standing.watch.revision(), ..list.now });
        }
    }

    fn of_same_cluster(&self, list: List) -> Result<List, End> {
        let same = self.known.is_none_or(|known| known.cluster == list.now.cluster);
        if same { Ok(list) } else { Err(End::Relist("another cluster answers now".into())) }
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

impl<'a, M: Member> Standing<'a, M> {
    /// Waits for what the watch says; reads the list beside it when that is asked for.
    async fn hear<C: Cluster>(
        &mut self,
        session: &Session<'a, C>,
        teller: &mut Teller,
        reread: &Reread,
    ) -> Result<Response, End> {
        let Self { member, stream, overlap, reading, .. } = self;
        let mut heard = pin!(hear(stream, session.config.watchdog));
        loop {
            tokio::select! {
                response = &mut heard => return response,
                // That it cannot be read ends the watch on the same connection, too.
                read = ended(reading) => {
                    let list = session.of_same_cluster(read?)?;
                    teller.listed(overlap.list_says(list)).await;
                }
                () = reread.notified(), if reading.is_none() => {
                    overlap.begin();
                    *reading = Some(read_aside(member.clone(), session.prefix));
                }
            }
        }
    }
}

/// Begins to read the list once more; the watch goes on meanwhile.
fn read_aside(mut member: impl Member, prefix: &str) -> Reading<'_> {
    info!(prefix, "reading the registry again, beside the watch: an instance cannot be connected");
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
