//! The selector `rendezvous-hash`: calls with the same key go to the same instance, on every gateway.
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `key` | the symbol | the metadata key whose value is the key; a call without it is placed by its symbol |
//!
//! When an instance comes or goes, only the keys that are its own move. Keys are shared by weight.

#![deny(unsafe_code)]

use symgate_sdk::{
    Call, Rejection, Selector, StatusCode, config, hash,
    select::{Candidates, Inputs, Outcome},
    serde::Deserialize,
};

symgate_sdk::register_selector!(RendezvousHash);

/// Chooses by the hash of a key.
#[derive(Debug)]
pub struct RendezvousHash;

#[derive(Deserialize)]
#[serde(crate = "symgate_sdk::serde", deny_unknown_fields)]
struct Options {
    key: Option<String>,
}

impl Selector for RendezvousHash {
    fn new(config: &str) -> Result<(Self, Inputs), String> {
        let Options { key } = config::parse(config)?;
        let metadata = key.iter().map(|key| key.to_ascii_lowercase()).collect();
        Ok((Self, Inputs { symbol: true, metadata, ids: true, skip_single: true, ..Inputs::default() }))
    }

    fn select(&self, call: &Call<'_>, symbol: &str, candidates: &Candidates<'_>, _random: u64) -> Outcome {
        let key = call.value(0).unwrap_or(symbol.as_bytes());
        let weighted = candidates.iter().map(|candidate| (candidate.id.unwrap_or_default(), candidate.weight));
        hash::rendezvous(key, weighted).map_or_else(
            || Outcome::Reject(Rejection::new(StatusCode::Unavailable, "there is no instance to choose from")),
            Outcome::candidate,
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

    use crate::RendezvousHash;

    const BY_USER: &str = r#"{"key":"User"}"#;

    /// The id of the chosen instance.
    fn owner(config: &str, request: &Request<'_>, symbol: &str, ids: &[u64]) -> u64 {
        let instances: Instances<'_> = ids.iter().map(|id| Instance::new(*id)).collect();
        match request.select::<RendezvousHash>(config, symbol, &instances, 0) {
            Outcome::Candidate(index) => ids[index as usize],
            Outcome::Reject(rejection) => panic!("{rejection:?}"),
        }
    }

    #[test]
    fn a_key_stays_when_another_instance_leaves() {
        for user in 0..100_u32 {
            let user = user.to_string();
            let request = Request::to("/a/B").metadata("user", &user);
            let before = owner(BY_USER, &request, "BTC", &[1, 2, 3]);
            let after = owner(BY_USER, &request, "BTC", &[3, 1]);
            assert!(before == 2 || before == after, "user {user} moved from {before} to {after}");
        }
    }

    #[test]
    fn users_are_spread() {
        let owners: Vec<_> = (0..100_u32)
            .map(|user| owner(BY_USER, &Request::to("/a/B").metadata("user", &user.to_string()), "BTC", &[1, 2, 3]))
            .collect();
        for id in 1..=3 {
            assert!(
                owners.iter().filter(|owner| **owner == id).count() > 15,
                "instance {id} owns too few of {owners:?}"
            );
        }
    }

    #[test]
    fn the_symbol_is_the_key_without_metadata() {
        let ids: Vec<_> = (1..=64).collect();
        let by_symbol = owner("{}", &Request::to("/a/B"), "BTC", &ids);
        assert_eq!(owner(BY_USER, &Request::to("/a/B"), "BTC", &ids), by_symbol);
        assert_eq!(owner(BY_USER, &Request::to("/a/B").metadata("user", "BTC"), "ETH", &ids), by_symbol);
        assert_ne!(owner("{}", &Request::to("/a/B"), "ETH", &ids), by_symbol);
    }

    #[test]
    fn wrong_options_are_refused() {
        assert_eq!(RendezvousHash::new(r#"{"kee":"x"}"#).unwrap_err(), "unknown field `kee`, expected `key`");
    }
}
