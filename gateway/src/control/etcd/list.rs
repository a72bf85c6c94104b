//! Reads a whole list in pages that all show the same revision. Knows no connection: it is given a way to read a page.

use super::{
    super::source::Entry,
    machine::{End, Known},
};

#[cfg(test)]
mod tests;

/// Entries asked for at once. For each page etcd goes over all keys that follow, so few large ones cost it least.
const PAGE: i64 = 10_000;
/// How often a list is begun again because etcd compacted it away under us.
const ATTEMPTS: usize = 3;

/// A page to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    /// The first key.
    pub(super) from: Vec<u8>,
    /// The key that all are below.
    pub(super) below: Vec<u8>,
    /// 0: as of now.
    pub(super) revision: u64,
    pub(super) limit: i64,
}

/// A page read.
#[derive(Debug)]
pub(super) struct Page {
    /// Who answered, as of when.
    pub(super) now: Known,
    /// Those whose key is text; nothing else can be a registration.
    pub(super) entries: Vec<Entry>,
    /// The last key, text or not.
    pub(super) last: Option<Vec<u8>>,
    /// Whether keys follow.
    pub(super) more: bool,
}

/// A page not read.
#[derive(Debug)]
pub(super) enum Unread {
    /// The revision is gone.
    Compacted,
    /// The page is larger than one message may be.
    TooLarge,
    /// Nothing can be read.
    End(End),
}

/// A whole list.
#[derive(Debug)]
pub(super) struct List {
    pub(super) now: Known,
    pub(super) entries: Vec<Entry>,
}

/// Where pages are read from.
pub(super) trait Pages {
    fn page(&mut self, ask: Ask) -> impl Future<Output = Result<Page, Unread>> + Send;
}

/// Reads everything that starts with `prefix`.
pub(super) async fn read(pages: &mut impl Pages, prefix: &str) -> Result<List, End> {
    for _attempt in 0..ATTEMPTS {
        if let Some(list) = read_at_one_revision(pages, prefix).await? {
            return Ok(list);
        }
    }
    Err(End::Lost(format!("etcd compacted its history {ATTEMPTS} times while the list was read")))
}

/// `None`: compacted meanwhile.
async fn read_at_one_revision(pages: &mut impl Pages, prefix: &str) -> Result<Option<List>, End> {
    let mut ask = Ask { from: prefix.into(), below: end_of(prefix), revision: 0, limit: PAGE };
    let mut list: Option<List> = None;
    loop {
        let Page { now, entries, last, more } = match pages.page(ask.clone()).await {
            Ok(page) => page,
            Err(Unread::Compacted) => return Ok(None),
            Err(Unread::TooLarge) if ask.limit > 1 => {
                ask.limit /= 2;
                continue;
            }
            Err(Unread::TooLarge) => {
                let key = String::from_utf8_lossy(&ask.from).into_owned();
                return Err(End::Lost(format!("the entry at or after key {key} is too large to be read")));
            }
            Err(Unread::End(end)) => return Err(end),
        };
        // Later headers tell later revisions: the first one is the list's.
        let list = list.get_or_insert(List { now, entries: Vec::new() });
        if now.cluster != list.now.cluster {
            return Err(End::Lost("two clusters answer at one endpoint".into()));
        }
        list.entries.extend(entries);
        let Some(last) = last.filter(|_| more) else {
            return Ok(Some(List { now: list.now, entries: std::mem::take(&mut list.entries) }));
        };
        ask = Ask { from: [last.as_slice(), &[0]].concat(), revision: list.now.revision, ..ask };
    }
}

/// The first key after all that start with `prefix`.
pub(super) fn end_of(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    // No byte of UTF-8 text is 0xff, so the last one can be counted up.
    match end.last_mut() {
        Some(last) => *last = last.saturating_add(1),
        None => end.push(0),
    }
    end
}
