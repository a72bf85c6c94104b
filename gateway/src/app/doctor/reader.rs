//! Reads an etcd, and never writes: keys in pages that all show one revision, and how long leases still live.

use std::collections::{BTreeMap, BTreeSet};

use etcd_client::{Client, GetOptions, GetResponse};
use tokio::task::JoinSet;
use tonic::Code;

use crate::{
    config::Etcd,
    control::source::Entry,
    etcd::{connect, reason, within},
};

/// Keys asked for at once; halved while they do not fit into one message. For each page etcd goes over all keys that
/// follow.
const PAGE: i64 = 10_000;
/// What one message may hold.
const MESSAGE: usize = 16 << 20;
/// How often a list is begun again because etcd compacted its revision away.
const ATTEMPTS: usize = 3;
/// Leases that are asked for at a time.
const AT_A_TIME: usize = 64;

/// A connection to the first member that answers.
pub(super) struct Reader {
    etcd: Etcd,
    client: Client,
    pub(super) endpoint: String,
    pub(super) version: String,
    /// The revision of what was read last.
    pub(super) revision: i64,
    pub(super) cluster: u64,
}

/// A key as etcd has it.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) entry: Entry,
    /// The lease that it lives by; 0: none.
    pub(super) lease: i64,
}

/// All keys of a range.
#[derive(Debug, Default)]
pub(super) struct Range {
    pub(super) found: Vec<Found>,
    /// Keys that are no text, shown as well as they can be.
    pub(super) no_text: Vec<String>,
}

/// How long a lease still lives, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeLeft {
    pub(super) left: i64,
    pub(super) granted: i64,
}

/// Why a range was not read.
#[derive(Debug)]
pub(super) enum Unread {
    /// This user may not.
    Denied(String),
    /// It cannot be read by anybody now.
    Failed(String),
}

impl Unread {
    pub(super) fn reason(self) -> String {
        match self {
            Self::Denied(reason) | Self::Failed(reason) => reason,
        }
    }
}

/// What comes of asking for a page.
enum Page {
    Read(GetResponse),
    Compacted,
    TooLarge,
}

impl Reader {
    /// Connects to one member after another until one answers.
    pub(super) async fn open(etcd: &Etcd) -> Result<Self, String> {
        let mut reasons = Vec::new();
        for endpoint in &etcd.endpoints {
            match Self::open_one(etcd, endpoint).await {
                Ok(reader) => return Ok(reader),
                Err(reason) => reasons.push(format!("etcd {endpoint}: {reason}")),
            }
        }
        Err(reasons.join("; "))
    }

    async fn open_one(etcd: &Etcd, endpoint: &str) -> Result<Self, String> {
        let mut client = connect(etcd, endpoint).await?;
        let version = match within(etcd.timeout, client.status()).await? {
            Ok(status) => status.version().to_owned(),
            // It answers, and only does not tell this.
            Err(etcd_client::Error::GRpcStatus(status)) if status.code() == Code::PermissionDenied => String::new(),
            Err(error) => return Err(reason(&error)),
        };
        Ok(Self { etcd: etcd.clone(), client, endpoint: endpoint.to_owned(), version, revision: 0, cluster: 0 })
    }

    /// All keys that start with `prefix`.
    pub(super) async fn read(&mut self, prefix: &str) -> Result<Range, Unread> {
        for _attempt in 0..ATTEMPTS {
            if let Some(range) = self.read_at_one_revision(prefix).await? {
                return Ok(range);
            }
        }
        Err(Unread::Failed(format!("etcd compacted its history {ATTEMPTS} times while {prefix:?} was read")))
    }

    /// `None`: compacted meanwhile.
    async fn read_at_one_revision(&mut self, prefix: &str) -> Result<Option<Range>, Unread> {
        let (mut from, below) = bounds(prefix);
        let (mut range, mut revision, mut limit) = (Range::default(), 0, PAGE);
        loop {
            let options = GetOptions::new().with_range(below.clone()).with_limit(limit).with_revision(revision);
            let mut page = match self.page(from.clone(), options).await? {
                Page::Read(page) => page,
                Page::Compacted => return Ok(None),
                Page::TooLarge if limit > 1 => {
                    limit /= 2;
                    continue;
                }
                Page::TooLarge => {
                    let key = String::from_utf8_lossy(&from).into_owned();
                    return Err(Unread::Failed(format!("the entry at or after key {key:?} is too large to be read")));
                }
            };
            if revision == 0 {
                revision = page.header().map_or(0, etcd_client::ResponseHeader::revision);
                self.revision = revision;
                self.cluster = page.header().map_or(0, etcd_client::ResponseHeader::cluster_id);
            }
            let more = page.more();
            let pairs = page.take_kvs();
            let Some(last) = pairs.last().map(|pair| pair.key().to_vec()) else { return Ok(Some(range)) };
            range.take(pairs);
            if !more {
                return Ok(Some(range));
            }
            from = [last.as_slice(), &[0]].concat();
        }
    }

    async fn page(&mut self, from: Vec<u8>, options: GetOptions) -> Result<Page, Unread> {
        let mut kv = self.client.kv_client().max_decoding_message_size(MESSAGE);
        match within(self.etcd.timeout, kv.get(from, Some(options))).await.map_err(Unread::Failed)? {
            Ok(page) => Ok(Page::Read(page)),
            Err(etcd_client::Error::GRpcStatus(status)) if status.message().contains("has been compacted") => {
                Ok(Page::Compacted)
            }
            Err(etcd_client::Error::GRpcStatus(status)) if status.message().contains("message length too large") => {
                Ok(Page::TooLarge)
            }
            Err(etcd_client::Error::GRpcStatus(status)) if status.code() == Code::PermissionDenied => {
                Err(Unread::Denied(status.message().to_owned()))
            }
            Err(error) => Err(Unread::Failed(reason(&error))),
        }
    }

    /// How long these leases still live; those that are gone by now are left out. Also why not all could be asked for.
    pub(super) async fn leases(&self, leases: BTreeSet<i64>) -> (BTreeMap<i64, TimeLeft>, Option<String>) {
        let (mut known, mut running, mut trouble) = (BTreeMap::new(), JoinSet::new(), None);
        let mut waiting = leases.into_iter();
        loop {
            while running.len() < AT_A_TIME
                && trouble.is_none()
                && let Some(lease) = waiting.next()
            {
                running.spawn(time_left(self.client.clone(), self.etcd.timeout, lease));
            }
            match running.join_next().await {
                None => return (known, trouble),
                Some(Ok((lease, Ok(time)))) => known.extend(time.map(|time| (lease, time))),
                Some(Ok((_, Err(reason)))) => trouble = Some(reason),
                Some(Err(error)) => trouble = Some(error.to_string()),
            }
        }
    }
}

async fn time_left(
    mut client: Client,
    limit: std::time::Duration,
    lease: i64,
) -> (i64, Result<Option<TimeLeft>, String>) {
    let answer = within(limit, client.lease_time_to_live(lease, None)).await;
    let answer = answer.and_then(|answer| answer.map_err(|error| reason(&error)));
    let time = answer.map(|answer| TimeLeft { left: answer.ttl(), granted: answer.granted_ttl() });
    (lease, time.map(|time| Some(time).filter(|time| time.left >= 0 && time.granted > 0)))
}

impl Range {
    /// All keys, text or not.
    pub(super) fn len(&self) -> usize {
        self.found.len() + self.no_text.len()
    }

    fn take(&mut self, pairs: Vec<etcd_client::KeyValue>) {
        for pair in pairs {
            let positive = |revision: i64| u64::try_from(revision).unwrap_or(0);
            let (create_revision, mod_revision) = (positive(pair.create_revision()), positive(pair.mod_revision()));
            let lease = pair.lease();
            let (key, value) = pair.into_key_value();
            match String::from_utf8(key) {
                Ok(key) => {
                    self.found
                        .push(Found { entry: Entry { key: key.into(), value, create_revision, mod_revision }, lease });
                }
                Err(error) => self.no_text.push(String::from_utf8_lossy(error.as_bytes()).into_owned()),
            }
        }
    }
}

/// The first key that starts with a prefix, and the first one after all that do. Both are a zero byte for all keys there
/// are: etcd takes no empty key.
fn bounds(prefix: &str) -> (Vec<u8>, Vec<u8>) {
    let mut end = prefix.as_bytes().to_vec();
    // No byte of UTF-8 text is 0xff, so the last one can be counted up.
    match end.last_mut() {
        Some(last) => *last = last.saturating_add(1),
        None => return (vec![0], vec![0]),
    }
    (prefix.into(), end)
}
