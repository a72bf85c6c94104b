//! The selector `weighted-random`: any instance, drawn by weight, whatever it has to do.
//!
//! It has no options. For instances that are all equally fast, and where each is to get its share of the calls exactly:
//! one with weight 3 gets three times as many as one with weight 1.

#![deny(unsafe_code)]

use symgate_sdk::{
    Call, Rejection, Selector, StatusCode, choice, config,
    select::{Candidates, Inputs, Outcome},
    serde::Deserialize,
};

symgate_sdk::register_selector!(WeightedRandom);

/// Chooses by weight alone.
#[derive(Debug)]
pub struct WeightedRandom;

#[derive(Deserialize)]
#[serde(crate = "symgate_sdk::serde", deny_unknown_fields)]
struct Options {}

impl Selector for WeightedRandom {
    fn new(config: &str) -> Result<(Self, Inputs), String> {
        let Options {} = config::parse(config)?;
        Ok((Self, Inputs { skip_single: true, ..Inputs::default() }))
    }

    fn select(&self, _call: &Call<'_>, _symbol: &str, candidates: &Candidates<'_>, random: u64) -> Outcome {
        choice::two(random, candidates.weights()).map_or_else(
            || Outcome::Reject(Rejection::new(StatusCode::Unavailable, "there is no instance to choose from")),
            |(drawn, _)| Outcome::candidate(drawn),
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

    use crate::WeightedRandom;

    /// How often each instance is drawn, over all of the randomness evenly.
    fn draws(weights: &[u32]) -> Vec<usize> {
        const DRAWS: u64 = 1_000;
        let instances: Instances<'_> =
            (1..).zip(weights).map(|(id, weight)| Instance::new(id).weight(*weight)).collect();
        let mut drawn = vec![0; weights.len()];
        for step in 0..DRAWS {
            match Request::to("/a/B").select::<WeightedRandom>("{}", "BTC", &instances, step * (1 << 32) / DRAWS) {
                Outcome::Candidate(index) => drawn[index as usize] += 1,
                Outcome::Reject(rejection) => panic!("{rejection:?}"),
            }
        }
        drawn
    }

    #[test]
    fn each_gets_its_share() {
        assert_eq!(draws(&[1]), [1_000]);
        assert_eq!(draws(&[3, 1]), [750, 250]);
        assert_eq!(draws(&[2, 2, 4]), [250, 250, 500]);
        assert_eq!(draws(&[0, 1]), [500, 500], "a weight of 0 counts as 1");
    }

    #[test]
    fn there_are_no_options() {
        let refused = WeightedRandom::new(r#"{"key":"x"}"#).unwrap_err();
        assert!(refused.starts_with("unknown field `key`"), "{refused}");
    }
}
