//! The selector `primary`: the instance that registered first owns the symbol, the others stand by.
//!
//! It has no options. Every gateway chooses alike, because the order is that of etcd's create revisions. When the primary
//! leaves the registry, or cannot be reached, the next oldest takes over; a newcomer never does while an older one
//! stands. An instance that registers anew stands last.

#![deny(unsafe_code)]

use symgate_sdk::{
    Call, Rejection, Selector, StatusCode, config,
    select::{Candidates, Inputs, Outcome},
    serde::Deserialize,
};

symgate_sdk::register_selector!(Primary);

/// Chooses who was there first.
#[derive(Debug)]
pub struct Primary;

#[derive(Deserialize)]
#[serde(crate = "symgate_sdk::serde", deny_unknown_fields)]
struct Options {}

impl Selector for Primary {
    fn new(config: &str) -> Result<(Self, Inputs), String> {
        let Options {} = config::parse(config)?;
        // Keys that were written together have one order; then the id decides, the same on every gateway.
        Ok((Self, Inputs { ids: true, orders: true, skip_single: true, ..Inputs::default() }))
    }

    fn select(&self, _call: &Call<'_>, _symbol: &str, candidates: &Candidates<'_>, _random: u64) -> Outcome {
        let oldest = candidates.iter().enumerate().min_by_key(|(_, candidate)| (candidate.order, candidate.id));
        oldest.map_or_else(
            || Outcome::Reject(Rejection::new(StatusCode::Unavailable, "there is no instance to choose from")),
            |(index, _)| Outcome::candidate(index),
        )
    }
}

#[cfg(test)]
mod tests {
    use symgate_sdk::{
        Selector,
        select::Outcome,
        testkit::{Instance, Instances, Request},
    };

    use crate::Primary;

    /// The id of the chosen one of these instances (id and order), whatever is drawn.
    fn primary(instances: &[(u64, u64)]) -> u64 {
        let all: Instances<'_> = instances.iter().map(|(id, order)| Instance::new(*id).order(*order)).collect();
        let select = |random| match Request::to("/a/B").select::<Primary>("{}", "BTC", &all, random) {
            Outcome::Candidate(index) => instances[index as usize].0,
            Outcome::Reject(rejection) => panic!("{rejection:?}"),
        };
        assert_eq!(select(0), select(u64::MAX));
        select(7)
    }

    #[test]
    fn who_registered_first() {
        assert_eq!(primary(&[(1, 30), (2, 10), (3, 20)]), 2);
        assert_eq!(primary(&[(1, 30), (3, 20)]), 3, "the next one takes over");
        assert_eq!(primary(&[(1, 30), (2, 40), (3, 20)]), 3, "who comes back stands last");
    }

    #[test]
    fn of_two_that_were_written_together_all_gateways_choose_the_same() {
        assert_eq!(primary(&[(9, 10), (4, 10)]), 4);
        assert_eq!(primary(&[(4, 10), (9, 10)]), 4);
    }

    #[test]
    fn there_are_no_options() {
        let refused = Primary::new(r#"{"key":"x"}"#).unwrap_err();
        assert!(refused.starts_with("unknown field `key`"), "{refused}");
    }
}
