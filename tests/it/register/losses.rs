//! Whatever is lost is written again, without a human.

use std::time::Duration;

use etcd_client::PutOptions;
use rustix::process::Signal;
use symgate_tests::{
    Cable, Deaf, Etcd, eventually,
    eventually::{Clock, pause},
};

use super::{EXIT, LONG, another_entry, entry, listening, no_entry, register};

/// As short as etcd allows.
const SHORT: [&str; 2] = ["--ttl", "2s"];

#[tokio::test]
async fn a_lease_that_was_revoked() {
    let etcd = Etcd::start().await;
    let (_listener, address) = listening();
    let registered = register(&etcd.endpoint(), &address, &LONG);
    let before = entry(&etcd).await;
    etcd.client().await.lease_revoke(before.lease).await.unwrap();
    let after = another_entry(&etcd, |entry| entry.lease != before.lease).await;
    assert_eq!(after.value, before.value);
    assert!(after.create_revision > before.create_revision, "the later registration has the higher number");
    assert!(registered.log().says(&["the registration is lost", &before.key]));
}

#[tokio::test]
async fn a_key_that_was_deleted() {
    let etcd = Etcd::start().await;
    let (_listener, address) = listening();
    let _registered = register(&etcd.endpoint(), &address, &LONG);
    let mut before = entry(&etcd).await;
    for _round in 0..3 {
        etcd.delete(&before.key).await;
        let after = another_entry(&etcd, |entry| entry.create_revision > before.create_revision).await;
        assert_eq!((&after.key, &after.value), (&before.key, &before.value), "the lease is still good");
        before = after;
    }
}

#[tokio::test]
async fn a_key_that_was_deleted_while_its_watch_is_deaf() {
    let etcd = Etcd::start().await;
    let deaf = Deaf::to(&etcd.endpoint()).await;
    let (_listener, address) = listening();
    let registered = register(&deaf.endpoint(), &address, &["--ttl", "6s"]);
    let before = entry(&etcd).await;
    eventually!(registered.log().says(&["\"registered\"", &before.key]), "it knows that it is registered");
    etcd.delete(&before.key).await;
    // It is read every third of the lease.
    let after = another_entry(&etcd, |entry| entry.create_revision > before.create_revision).await;
    assert_eq!(after.lease, before.lease);
    assert!(registered.log().says(&["the registration is lost", "the key is not there as it was written"]));
}

#[tokio::test]
async fn a_key_that_somebody_else_has_written_to() {
    let etcd = Etcd::start().await;
    let (_listener, address) = listening();
    let _registered = register(&etcd.endpoint(), &address, &LONG);
    let before = entry(&etcd).await;
    etcd.put(&before.key, "10.0.0.1:1").await;
    another_entry(&etcd, |entry| *entry == before).await;
    // The right value, but it would outlive us.
    etcd.put(&before.key, before.value.clone()).await;
    another_entry(&etcd, |entry| *entry == before).await;
    // The right value under a lease that will run out.
    let other = etcd.client().await.lease_grant(600, None).await.unwrap().id();
    let options = PutOptions::new().with_lease(other);
    etcd.client().await.put(&*before.key, &*before.value, Some(options)).await.unwrap();
    another_entry(&etcd, |entry| *entry == before).await;
}

#[tokio::test]
async fn an_etcd_that_restarts_with_its_data_keeps_the_registration() {
    let mut etcd = Etcd::start().await;
    let (_listener, address) = listening();
    let _registered = register(&etcd.endpoint(), &address, &SHORT);
    let before = entry(&etcd).await;
    etcd.restart().await;
    // Longer than the lease, which a restart begins anew.
    let clock = Clock::start(Duration::from_secs(6));
    while clock.runs() {
        assert_eq!(entry(&etcd).await, before, "there is nothing to register again");
        pause().await;
    }
}

#[tokio::test]
async fn an_etcd_that_restarts_without_its_data() {
    let mut etcd = Etcd::start().await;
    let (_listener, address) = listening();
    let mut registered = register(&etcd.endpoint(), &address, &LONG);
    let before = entry(&etcd).await;
    etcd.restart_without_data().await;
    let after = entry(&etcd).await;
    assert_eq!(after.value, before.value);
    registered.signal(Signal::TERM);
    assert!(registered.exited(EXIT).await.success());
    assert_eq!(etcd.entries("klineRpc/").await, []);
}

#[tokio::test]
async fn a_partition_that_outlasts_the_lease() {
    let etcd = Etcd::start().await;
    let cable = Cable::to(etcd.endpoint()).await;
    let (_listener, address) = listening();
    let folder = tempfile::tempdir().unwrap();
    let owner_file = folder.path().join("owner");
    let owner = || std::fs::read_to_string(&owner_file).unwrap_or_default();
    let more = ["--owner-file", owner_file.to_str().unwrap()];
    let registered = register(&cable.endpoint(), &address, &[&SHORT[..], &more].concat());
    let before = entry(&etcd).await;
    eventually!(owner() == format!("{}\n", before.create_revision), "the owner file says {:?}", owner());

    cable.cut();
    no_entry(&etcd).await;
    eventually!(owner().is_empty(), "who is not registered has no number, it is {:?}", owner());
    cable.mend();
    let after = entry(&etcd).await;
    assert!(after.create_revision > before.create_revision);
    eventually!(owner() == format!("{}\n", after.create_revision), "the owner file says {:?}", owner());
    assert!(registered.log().says(&["registered again", &after.key]));
}

#[tokio::test]
async fn a_partition_shorter_than_the_lease_changes_nothing() {
    let etcd = Etcd::start().await;
    let cable = Cable::to(etcd.endpoint()).await;
    let (_listener, address) = listening();
    let registered = register(&cable.endpoint(), &address, &LONG);
    let before = entry(&etcd).await;
    eventually!(registered.log().says(&["\"registered\"", &before.key]), "it knows that it is registered");
    cable.cut();
    eventually!(registered.log().says(&["is not kept alive"]), "the partition is noticed");
    cable.mend();
    eventually!(registered.log().says(&["the registration stands"]), "etcd is heard again");
    assert_eq!(entry(&etcd).await, before);
}

#[tokio::test]
async fn an_etcd_that_comes_later_than_the_instance() {
    let mut etcd = Etcd::start().await;
    etcd.stop();
    let (_listener, address) = listening();
    let registered = register(&etcd.endpoint(), &address, &[]);
    eventually!(registered.log().says(&["not registered; trying again"]), "that is said");
    etcd.restart().await;
    entry(&etcd).await;
}
