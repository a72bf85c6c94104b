//! Paging over a list that changes underneath.

use std::collections::VecDeque;

use super::*;

const CLUSTER: u64 = 7;

/// Answers given in turn, and what was asked for.
struct Script {
    answers: VecDeque<Result<Page, Unread>>,
    asked: Vec<Ask>,
}

impl Script {
    fn new(answers: impl IntoIterator<Item = Result<Page, Unread>>) -> Self {
        Self { answers: answers.into_iter().collect(), asked: Vec::new() }
    }

    async fn read(&mut self) -> Result<List, End> {
        read(self, "a/").await
    }

    fn asked(&self) -> Vec<(&str, u64, i64)> {
        self.asked.iter().map(|ask| (str::from_utf8(&ask.from).unwrap(), ask.revision, ask.limit)).collect()
    }
}

impl Pages for Script {
    async fn page(&mut self, ask: Ask) -> Result<Page, Unread> {
        self.asked.push(ask);
        self.answers.pop_front().expect("one question too many")
    }
}

fn page(revision: u64, keys: &[&str], more: bool) -> Result<Page, Unread> {
    let entry = |key: &&str| Entry { key: (*key).into(), value: Vec::new(), create_revision: 1, mod_revision: 1 };
    Ok(Page {
        now: Known { cluster: CLUSTER, revision },
        entries: keys.iter().map(entry).collect(),
        last: keys.last().map(|key| key.as_bytes().to_vec()),
        more,
    })
}

fn keys(list: &List) -> Vec<&str> {
    list.entries.iter().map(|entry| &*entry.key).collect()
}

#[tokio::test]
async fn later_pages_are_read_at_the_revision_of_the_first() {
    let mut script = Script::new([page(10, &["a/1", "a/2"], true), page(15, &["a/3"], true), page(20, &[], false)]);
    let list = script.read().await.unwrap();
    assert_eq!(keys(&list), ["a/1", "a/2", "a/3"]);
    assert_eq!(list.now.revision, 10, "the watch must follow the first page");
    assert_eq!(script.asked(), [("a/", 0, PAGE), ("a/2\0", 10, PAGE), ("a/3\0", 10, PAGE)]);
    assert!(script.asked.iter().all(|ask| ask.below == b"a0"));
}

#[tokio::test]
async fn compacted_between_pages_begins_again() {
    let compacted = || Err(Unread::Compacted);
    let mut script = Script::new([page(10, &["a/1"], true), compacted(), page(30, &["a/2"], false)]);
    let list = script.read().await.unwrap();
    assert_eq!((keys(&list), list.now.revision), (vec!["a/2"], 30), "nothing of the first attempt is kept");
    assert_eq!(script.asked(), [("a/", 0, PAGE), ("a/1\0", 10, PAGE), ("a/", 0, PAGE)]);

    let mut script = Script::new((0..ATTEMPTS).map(|_| compacted()));
    assert!(matches!(script.read().await, Err(End::Lost(_))), "not for ever");
}

#[tokio::test]
async fn a_page_too_large_is_asked_for_in_halves() {
    let mut script =
        Script::new([page(10, &["a/1"], true), Err(Unread::TooLarge), Err(Unread::TooLarge), page(11, &[], false)]);
    assert_eq!(script.read().await.unwrap().now.revision, 10);
    let limits: Vec<_> = script.asked.iter().map(|ask| (ask.revision, ask.limit)).collect();
    assert_eq!(limits, [(0, PAGE), (10, PAGE), (10, PAGE / 2), (10, PAGE / 4)]);
}

#[tokio::test]
async fn an_entry_too_large_is_named() {
    let mut script = Script::new((0..20).map(|_| Err(Unread::TooLarge)));
    assert!(matches!(script.read().await, Err(End::Lost(reason)) if reason.contains("after key a/ ")));
}

#[tokio::test]
async fn two_clusters_make_no_list() {
    let mut other = page(10, &["a/2"], false);
    other.as_mut().unwrap().now.cluster = CLUSTER + 1;
    let mut script = Script::new([page(10, &["a/1"], true), other]);
    assert!(matches!(script.read().await, Err(End::Lost(_))));
}

#[test]
fn the_end_of_a_prefix() {
    assert_eq!(end_of("klineRpc/"), b"klineRpc0");
    assert_eq!(end_of("é"), [0xc3, 0xaa], "bytes, not letters");
}
