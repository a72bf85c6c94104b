//! The selector `least-loaded`: of two instances, drawn by weight, the one that has less to do.
//!
//! | option | default | |
//! |---|---|---|
//! | `skip_single` | `true` | `false`: asked about a lone instance too, which tells what being asked costs |
//!
//! An instance's load is its latency times its calls in flight in proportion to its weight. Two that differ by less
//! than a factor of two in latency are equally fast, and a latency that is not known yet is that of the other: neither
//! noise nor a newcomer draws all calls. One call in 32 goes to the first draw whatever its load, or an instance that
//! was slow once would never be measured again.

#![deny(unsafe_code)]

use symgate_sdk::{
    Call, Rejection, Selector, StatusCode, choice, config,
    select::{Candidate, Candidates, Inputs, Outcome},
    serde::Deserialize,
};

symgate_sdk::register_selector!(LeastLoaded);

/// Chooses the less loaded of two.
#[derive(Debug)]
pub struct LeastLoaded;

#[derive(Deserialize)]
#[serde(crate = "symgate_sdk::serde", deny_unknown_fields)]
struct Options {
    #[serde(default = "yes")]
    skip_single: bool,
}

fn yes() -> bool {
    true
}

impl Selector for LeastLoaded {
    fn new(config: &str) -> Result<(Self, Inputs), String> {
        let Options { skip_single } = config::parse(config)?;
        Ok((Self, Inputs { skip_single, ..Inputs::default() }))
    }

    fn select(&self, _call: &Call<'_>, _symbol: &str, candidates: &Candidates<'_>, random: u64) -> Outcome {
        let Some((first, second)) = choice::two(random, candidates.weights()) else {
            return Outcome::Reject(Rejection::new(StatusCode::Unavailable, "there is no instance to choose from"));
        };
        let explore = random.is_multiple_of(32);
        let lighter = match (candidates.candidate(first), candidates.candidate(second)) {
            (Some(a), Some(b)) if !explore && is_lighter(&b, &a) => second,
            _ => first,
        };
        Outcome::candidate(lighter)
    }
}

/// Whether `a` has less to do than `b`.
fn is_lighter(a: &Candidate<'_>, b: &Candidate<'_>) -> bool {
    // load = (in flight / weight + 1 / lesser weight) * speed, times all the denominators. The added one call makes an
    // idle instance's speed count.
    let lesser = u128::from(a.weight.min(b.weight).max(1));
    let load = |own: &Candidate<'_>, other: &Candidate<'_>| {
        let weight = |candidate: &Candidate<'_>| u128::from(candidate.weight.max(1));
        (u128::from(own.in_flight) * lesser + weight(own)) * speed(own, other) * weight(other)
    };
    load(a, b) < load(b, a)
}

/// The latency of `own`, or what is known of it, as a power of two.
fn speed(own: &Candidate<'_>, other: &Candidate<'_>) -> u128 {
    let latency = if own.latency_us == 0 { other.latency_us } else { own.latency_us };
    1 << latency.max(1).ilog2()
}

#[cfg(test)]
mod tests;
