//! etcd-client's words in ours. Decides nothing.

use std::time::Duration;

use etcd_client::{Client, EventType, GetOptions, GetResponse, KeyValue, WatchOptions, WatchResponse, WatchStream};
use tracing::warn;

use super::{
    super::source::{Entry, Event},
    list::{Ask, Page, Pages, Unread, end_of},
    machine::{End, Known, Response},
    member::{Cluster, Member, Stream},
};
use crate::{
    config::Etcd,
    etcd::{self, reason},
};

/// What one message may hold; etcd's own writers are held to 1.5 MiB a request.
const MESSAGE: usize = 16 << 20;

/// One connection to one endpoint.
#[derive(Clone)]
pub(super) struct Connection {
    client: Client,
    timeout: Duration,
}

impl Cluster for Etcd {
    type Member = Connection;

    async fn open(&self, endpoint: &str) -> Result<Connection, End> {
        let client = etcd::connect(self, endpoint).await.map_err(End::Lost)?;
        Ok(Connection { client, timeout: self.timeout })
    }
}

impl Member for Connection {
    type Stream = WatchStream;

    async fn watch(&mut self, prefix: &str, revision: u64) -> Result<WatchStream, End> {
        let options = WatchOptions::new()
            .with_range(end_of(prefix))
            .with_start_revision(revision.cast_signed())
            .with_progress_notify()
            .with_fragment();
        let mut watch = self.client.watch_client().max_decoding_message_size(MESSAGE);
        within(self.timeout, watch.watch(prefix, Some(options))).await?.map_err(lost)
    }
}

impl Stream for WatchStream {
    async fn hear(&mut self) -> Result<Response, End> {
        match self.message().await {
            Ok(Some(response)) => Ok(response.into()),
            Ok(None) => Err(End::Lost("it ended the watch".into())),
            Err(error) => Err(lost(error)),
        }
    }

    async fn ask_for_progress(&mut self) -> Result<(), End> {
        self.request_progress().await.map_err(lost)
    }
}

impl Pages for Connection {
    async fn page(&mut self, ask: Ask) -> Result<Page, Unread> {
        // Keys come in their order. Asked to sort them, etcd reads all that follow for every page.
        let options =
            GetOptions::new().with_range(ask.below).with_limit(ask.limit).with_revision(ask.revision.cast_signed());
        let mut kv = self.client.kv_client().max_decoding_message_size(MESSAGE);
        let answer = within(self.timeout, kv.get(ask.from, Some(options))).await.map_err(Unread::End)?;
        answer.map(Page::from).map_err(unread)
    }
}

impl From<GetResponse> for Page {
    fn from(mut response: GetResponse) -> Self {
        let now = response.header().map_or(Known { cluster: 0, revision: 0 }, |header| Known {
            cluster: header.cluster_id(),
            revision: positive(header.revision()),
        });
        let more = response.more();
        let pairs = response.take_kvs();
        let last = pairs.last().map(|pair| pair.key().to_vec());
        Self { now, entries: pairs.into_iter().filter_map(entry).collect(), last, more }
    }
}

impl From<WatchResponse> for Response {
    fn from(response: WatchResponse) -> Self {
        let pairs = || response.events().iter().filter_map(|event| Some((event.event_type(), event.kv()?)));
        Self {
            watch_id: response.watch_id(),
            created: response.created(),
            canceled: response.canceled(),
            cancel_reason: response.cancel_reason().to_owned(),
            compact_revision: response.compact_revision(),
            revision: response.header().map_or(0, |header| positive(header.revision())),
            last_event: pairs().map(|(_, pair)| positive(pair.mod_revision())).max(),
            events: pairs()
                .filter_map(|(kind, pair)| Some((positive(pair.mod_revision()), event(kind, pair)?)))
                .collect(),
        }
    }
}

fn event(kind: EventType, pair: &KeyValue) -> Option<Event> {
    let entry = entry(pair.clone())?;
    Some(match kind {
        EventType::Put => Event::Put(entry),
        EventType::Delete => Event::Delete { key: entry.key },
    })
}

/// `None` when the key is not text.
fn entry(pair: KeyValue) -> Option<Entry> {
    let (create_revision, mod_revision) = (positive(pair.create_revision()), positive(pair.mod_revision()));
    let (key, value) = pair.into_key_value();
    let key = String::from_utf8(key)
        .inspect_err(|error| {
            let key = String::from_utf8_lossy(error.as_bytes());
            warn!(%key, "a registry key is not UTF-8 text and is left out; rename it");
        })
        .ok()?;
    Some(Entry { key: key.into(), value, create_revision, mod_revision })
}

fn positive(revision: i64) -> u64 {
    u64::try_from(revision).unwrap_or(0)
}

fn unread(error: etcd_client::Error) -> Unread {
    match &error {
        // Both come with the same code.
        etcd_client::Error::GRpcStatus(status) if status.message().contains("has been compacted") => Unread::Compacted,
        etcd_client::Error::GRpcStatus(status) if status.message().contains("message length too large") => {
            Unread::TooLarge
        }
        error => Unread::End(End::Lost(reason(error))),
    }
}

fn lost(error: etcd_client::Error) -> End {
    End::Lost(reason(&error))
}

/// Waits for an answer, but not for ever.
pub(super) async fn within<T>(limit: Duration, answer: impl Future<Output = T>) -> Result<T, End> {
    etcd::within(limit, answer).await.map_err(End::Lost)
}
