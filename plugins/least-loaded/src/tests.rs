//! The policy natively, asked as the gateway asks it.

use symgate_sdk::{
    Selector,
    select::Outcome,
    testkit::{Instance, Instances, Request},
};

use crate::LeastLoaded;

/// How many of 3,200 evenly spread draws go to each instance.
fn shares(instances: impl IntoIterator<Item = Instance<'static>>) -> Vec<u32> {
    let instances: Instances<'_> = instances.into_iter().collect();
    let mut shares = vec![0; 2];
    for step in 0..3_200_u64 {
        let random = (step.wrapping_mul(0x9e37_79b9_7f4a_7c15) << 5) | (step % 32);
        match Request::to("/k.K/Get").select::<LeastLoaded>("{}", "BTC", &instances, random) {
            Outcome::Candidate(index) => shares[index as usize] += 1,
            Outcome::Reject(rejection) => panic!("{rejection:?}"),
        }
    }
    shares
}

#[track_caller]
fn check(instances: [Instance<'static>; 2], first: std::ops::RangeInclusive<u32>) {
    let shares = shares(instances);
    assert!(first.contains(&shares[0]), "the first got {} of 3200, not {first:?}", shares[0]);
}

/// All but half of the one call in 32 that explores.
const NEARLY_ALL: std::ops::RangeInclusive<u32> = 3_120..=3_180;

#[test]
fn fewer_calls_in_flight_win() {
    check([Instance::new(1).in_flight(3), Instance::new(2).in_flight(4)].map(|it| it.latency_us(900)), NEARLY_ALL);
}

#[test]
fn lower_latency_wins() {
    check([Instance::new(1).latency_us(1_000), Instance::new(2).latency_us(2_100)], NEARLY_ALL);
}

#[test]
fn noise_in_latency_does_not_count() {
    check([Instance::new(1).latency_us(1_100), Instance::new(2).latency_us(1_900)], 1_500..=1_700);
}

#[test]
fn a_newcomer_is_as_fast_as_the_other() {
    check([Instance::new(1), Instance::new(2).latency_us(5_000)], 1_500..=1_700);
    check([Instance::new(1), Instance::new(2).latency_us(5_000).in_flight(1)], NEARLY_ALL);
}

#[test]
fn idle_instances_get_calls_by_weight() {
    check([Instance::new(1).weight(3), Instance::new(2)], 2_300..=2_500);
}

#[test]
fn load_is_in_proportion_to_weight() {
    check([Instance::new(1).weight(3).in_flight(5), Instance::new(2).in_flight(2)], NEARLY_ALL);
}

#[test]
fn every_instance_is_explored() {
    assert!(shares([Instance::new(1).in_flight(1_000), Instance::new(2)])[0] > 0);
}

#[test]
fn a_single_instance_is_chosen() {
    let outcome =
        Request::to("/k.K/Get").select::<LeastLoaded>("{}", "BTC", &Instances::new().with(Instance::new(1)), 5);
    assert_eq!(outcome, Outcome::Candidate(0));
}

#[test]
fn a_lone_instance_is_asked_about_only_where_the_options_say_so() {
    let skips = |config| LeastLoaded::new(config).map(|(_, inputs)| inputs.skip_single);
    assert_eq!(skips("{}"), Ok(true));
    assert_eq!(skips(r#"{"skip_single":false}"#), Ok(false));
}

#[test]
fn unknown_options_are_refused() {
    assert_eq!(LeastLoaded::new(r#"{"x":1}"#).unwrap_err(), "unknown field `x`, expected `skip_single`");
}
