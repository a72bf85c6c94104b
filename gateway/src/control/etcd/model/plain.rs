//! Single histories that matter by themselves.

use super::{
    Seconds,
    Step::{Compact, Cut, Delete, Doubt, Drop, Late, Other, Overtake, Progress, Put, Restore, Together, Wait},
    play,
};

/// Plays a history; the keys that an audit repaired.
#[track_caller]
fn check(steps: &[super::Step], repaired: &[&str]) {
    assert_eq!(play(steps).unwrap_or_else(|wrong| panic!("{wrong}")), repaired);
}

const MOMENT: super::Step = Wait(Seconds(1));
const TWO_AUDITS: super::Step = Wait(Seconds(160));

#[test]
fn a_change_that_the_watch_lost_is_counted_once() {
    check(&[Put(0, 0), MOMENT, Drop, Delete(0), TWO_AUDITS], &["kline/A/0"]);
    check(&[MOMENT, Drop, Put(0, 0), TWO_AUDITS], &["kline/A/0"]);
    check(&[MOMENT, Drop, Put(0, 0), MOMENT, Put(1, 1), MOMENT, Put(2, 2), TWO_AUDITS], &["kline/A/0"]);
}

#[test]
fn a_doubt_finds_what_the_watch_lost_at_once() {
    let steps = [Put(0, 0), MOMENT, Drop, Delete(0), MOMENT, Put(2, 1), MOMENT, Put(2, 2), Doubt, MOMENT];
    check(&steps, &["kline/A/0"]);
}

#[test]
fn what_is_only_late_is_not_lost() {
    let late = Late(2_000, 10, false);
    check(&[late, Put(0, 0), Doubt, MOMENT, Delete(0), Doubt, Put(0, 1), MOMENT, Progress, TWO_AUDITS], &[]);
}

#[test]
fn a_reply_that_overtakes_events_moves_nothing() {
    check(&[Late(2_000, 0, false), MOMENT, Put(0, 0), Put(1, 1), Overtake, Doubt, MOMENT, Cut, TWO_AUDITS], &[]);
}

#[test]
fn compacted_while_late_and_while_away() {
    check(&[Late(2_000, 0, false), MOMENT, Put(0, 0), Compact(true), Delete(0), TWO_AUDITS], &[]);
    check(&[Put(0, 0), MOMENT, Cut, Delete(0), Other, Compact(false), TWO_AUDITS], &[]);
}

#[test]
fn a_revision_in_parts_and_a_list_between_them() {
    check(&[Late(900, 100, false), MOMENT, Put(1, 1), Together(0, 1, 2, true), Doubt, MOMENT, TWO_AUDITS], &[]);
}

#[test]
fn a_backup_is_taken_as_it_is() {
    for other in [false, true] {
        check(&[Put(0, 0), Put(1, 1), MOMENT, Restore(2, other), MOMENT, Put(2, 2), TWO_AUDITS], &[]);
    }
}
