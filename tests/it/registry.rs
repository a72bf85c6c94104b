//! What the registry sources tell, of a real etcd and of real files.

#![expect(clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod audit;
mod auth;
mod cluster;
mod etcd;
mod file;
mod link;
mod storm;
mod tls;

use std::{collections::BTreeMap, time::Duration};

use symgate::control::source::{Change, Entry, Event, Update};
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};

/// How long a source may take to say what is expected.
const SOON: Duration = Duration::from_secs(30);

/// A source at work.
struct Told {
    updates: mpsc::Receiver<Update>,
    /// Whether an outage was told that is not over.
    lost: bool,
    task: JoinHandle<()>,
}

/// A list, as tests look at it.
#[derive(Debug)]
struct Listed {
    revision: u64,
    entries: Vec<Entry>,
}

impl Told {
    fn by<F: Future<Output = ()> + Send + 'static>(source: impl FnOnce(mpsc::Sender<Update>) -> F) -> Self {
        let (sender, updates) = mpsc::channel(4);
        Self { updates, lost: false, task: tokio::spawn(source(sender)) }
    }

    async fn next(&mut self) -> Update {
        let update = timeout(SOON, self.updates.recv()).await;
        update.expect("nothing was told").expect("the source ended")
    }

    /// The next change that is more than a sign of life. Signs of life without end are not waited for.
    async fn change(&mut self) -> Change {
        let change = async {
            loop {
                match self.next().await.change {
                    Change::Alive { .. } => {}
                    change => return change,
                }
            }
        };
        timeout(SOON, change).await.expect("no change was told")
    }

    /// The next that is told is a list; before it only other reasons why the outage goes on that was told.
    async fn listed(&mut self) -> Listed {
        loop {
            match self.change().await {
                Change::Listed { revision, entries } => {
                    self.lost = false;
                    return Listed { revision, entries };
                }
                Change::Lost { .. } if self.lost => {}
                other => panic!("a list was expected, told was {other:?}"),
            }
        }
    }

    /// The next list, whatever is told before it; with how often it was lost meanwhile.
    async fn relisted(&mut self) -> (Listed, usize) {
        let mut lost = 0;
        loop {
            match self.change().await {
                Change::Listed { revision, entries } => return (Listed { revision, entries }, lost),
                Change::Lost { .. } => lost += 1,
                _ => {}
            }
        }
    }

    /// Waits until the list was read: beside the watch, or with another one, after whatever was lost meanwhile.
    async fn read_again(&mut self) -> Option<Listed> {
        loop {
            match self.change().await {
                Change::Audited => return None,
                Change::Listed { revision, entries } => return Some(Listed { revision, entries }),
                _ => {}
            }
        }
    }

    async fn lost(&mut self) -> String {
        match self.change().await {
            Change::Lost { reason } => {
                self.lost = true;
                reason
            }
            other => panic!("a loss was expected, told was {other:?}"),
        }
    }

    /// Whether the next that is told is a reason of an outage that holds this text.
    async fn heard(&mut self, text: &str) -> bool {
        matches!(self.next().await.change, Change::Lost { reason } if reason.contains(text))
    }

    async fn events(&mut self) -> (u64, Vec<Event>) {
        match self.change().await {
            Change::Events { revision, events } => (revision, events),
            other => panic!("events were expected, told were {other:?}"),
        }
    }
}

impl Listed {
    fn keys(&self) -> Vec<&str> {
        self.entries.iter().map(|entry| &*entry.key).collect()
    }

    fn table(self) -> BTreeMap<String, Vec<u8>> {
        self.entries.into_iter().map(|entry| (entry.key.to_string(), entry.value)).collect()
    }
}

/// What a table becomes.
fn apply(table: &mut BTreeMap<String, Vec<u8>>, events: Vec<Event>) {
    for event in events {
        match event {
            Event::Put(entry) => table.insert(entry.key.to_string(), entry.value),
            Event::Delete { key } => table.remove(&*key),
        };
    }
}
