//! What each kind of watch response means.

use super::*;

const ID: i64 = 3;

/// A confirmed watch that follows a list of revision 10.
fn watch() -> Watch {
    let mut watch = Watch::after(10);
    let confirmation = Response { watch_id: ID, created: true, revision: 99, ..Response::default() };
    assert_eq!(watch.read(confirmation), Ok(Meaning::Confirmed));
    assert_eq!(watch.revision, 10, "the header of the confirmation moves nothing");
    watch
}

fn events(watch_id: i64, last: u64) -> Response {
    let events = vec![(last, Event::Delete { key: "a/b".into() })];
    Response { watch_id, revision: 99, events, last_event: Some(last), ..Response::default() }
}

fn progress(watch_id: i64, revision: u64) -> Response {
    Response { watch_id, revision, ..Response::default() }
}

#[test]
fn events_move_the_revision_to_the_last_of_them_not_to_the_header() {
    let mut watch = watch();
    let events_ = events(ID, 12).events;
    assert_eq!(watch.read(events(ID, 12)), Ok(Meaning::Events { events: events_, last: 12 }));
    assert_eq!(watch.revision, 12);
}

#[test]
fn events_that_are_not_understood_move_it_too() {
    let mut watch = watch();
    let response = Response { events: Vec::new(), ..events(ID, 13) };
    assert_eq!(watch.read(response), Ok(Meaning::Events { events: Vec::new(), last: 13 }));
}

#[test]
fn a_revision_in_two_fragments_is_told_twice() {
    let mut watch = watch();
    for _ in 0..2 {
        assert!(matches!(watch.read(events(ID, 12)), Ok(Meaning::Events { last: 12, .. })));
    }
}

#[test]
fn timed_progress_moves_the_revision() {
    let mut watch = watch();
    assert_eq!(watch.read(progress(ID, 20)), Ok(Meaning::Alive { revision: Some(20) }));
    assert_eq!(watch.revision, 20);
}

#[test]
fn a_reply_to_a_requested_progress_proves_liveness_only() {
    let mut watch = watch();
    assert_eq!(watch.read(progress(-1, 5_000)), Ok(Meaning::Alive { revision: None }));
    assert_eq!(watch.revision, 10, "events up to 5000 may still be under way");
    assert!(matches!(watch.read(events(ID, 11)), Ok(Meaning::Events { last: 11, .. })));
}

#[test]
fn another_watch_tells_nothing() {
    let mut watch = watch();
    assert_eq!(watch.read(events(ID + 1, 50)), Ok(Meaning::Alive { revision: None }));
    assert_eq!(watch.revision, 10);
}

#[test]
fn nothing_is_told_before_the_confirmation() {
    let mut watch = Watch::after(10);
    for response in [events(0, 11), progress(0, 11), progress(-1, 11)] {
        assert_eq!(watch.read(response), Ok(Meaning::Alive { revision: None }));
    }
    assert_eq!(watch.revision, 10);
}

#[test]
fn compacted_means_list_again() {
    for canceled in [true, false] {
        let response = Response { watch_id: ID, canceled, compact_revision: 40, ..Response::default() };
        assert!(matches!(watch().read(response), Err(End::Relist(reason)) if reason.contains("40")));
    }
}

#[test]
fn canceled_means_lost_with_the_reason() {
    let cancel_reason = "permission denied".to_owned();
    let refused = Response { watch_id: -1, created: true, canceled: true, cancel_reason, ..Response::default() };
    for mut watch in [watch(), Watch::after(10)] {
        let meaning = watch.read(refused.clone());
        assert!(matches!(meaning, Err(End::Lost(reason)) if reason.contains("permission denied")));
    }
}

#[test]
fn going_back_means_list_again() {
    for response in [events(ID, 9), progress(ID, 9)] {
        assert!(matches!(watch().read(response), Err(End::Relist(reason)) if reason.contains("from revision 10 to 9")));
    }
}

#[test]
fn a_list_of_another_cluster_or_an_older_time_is_odd() {
    let known = Known { cluster: 0xa, revision: 10 };
    let oddity = |cluster, revision| known.oddity(Known { cluster, revision });
    assert_eq!(oddity(0xa, 10), None);
    assert_eq!(oddity(0xa, 11), None);
    assert_eq!(oddity(0xa, 9).unwrap(), "etcd went back from revision 10 to 9");
    assert_eq!(oddity(0xb, 11).unwrap(), "cluster b answers instead of cluster a");
}
