//! Which of the symbol's instances gets the call? Here it is the least busy one of a zone, or of
//! all when the zone has none.
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `label` | `"zone"` | the label of instances that is looked at |
//! | `value` | `"a"` | the value that goes first |

use symgate_sdk::{
    Call, Rejection, Selector, StatusCode, config,
    select::{Candidates, Inputs, Outcome},
    serde::Deserialize,
};

symgate_sdk::register_selector!(Near);

/// Prefers the instances of one zone.
struct Near(Options);

/// `[plugin.config]` of the `[[plugin]]`.
#[derive(Deserialize)]
#[serde(crate = "symgate_sdk::serde", default, deny_unknown_fields)]
struct Options {
    label: String,
    value: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            label: "zone".into(),
            value: "a".into(),
        }
    }
}

impl Selector for Near {
    fn new(config: &str) -> Result<(Self, Inputs), String> {
        let options: Options = config::parse(config)?;
        let inputs = Inputs {
            // Candidates are given with these labels only, and in this order.
            labels: vec![options.label.clone()],
            // There is nothing to decide about a single candidate.
            skip_single: true,
            ..Inputs::default()
        };
        Ok((Self(options), inputs))
    }

    fn select(&self, _: &Call<'_>, _: &str, candidates: &Candidates<'_>, random: u64) -> Outcome {
        // Of candidates that are alike, `random` says at which one to begin.
        let count = candidates.len().max(1);
        let first = usize::try_from(random % count as u64).unwrap_or_default();
        let chosen = (0..count)
            .map(|step| (first + step) % count)
            .filter_map(|index| Some((index, candidates.candidate(index)?)))
            .min_by_key(|(_, it)| (it.label(0) != Some(self.0.value.as_str()), it.in_flight));
        match chosen {
            Some((index, _)) => Outcome::candidate(index),
            None => Outcome::Reject(Rejection::new(StatusCode::Unavailable, "no instance")),
        }
    }
}

#[cfg(test)]
mod tests {
    use symgate_sdk::testkit::{Instance, Instances, Request};

    use super::*;

    fn chosen(instances: &[(&str, u32)], config: &str) -> Outcome {
        let all: Instances<'_> = (1..)
            .zip(instances)
            .map(|(id, (zone, calls))| Instance::new(id).label("zone", zone).in_flight(*calls))
            .collect();
        Request::to("/pb.OrderService/Place").select::<Near>(config, "BTC_USDT", &all, 7)
    }

    #[test]
    fn the_least_busy_of_the_zone() {
        let instances = [("b", 0), ("a", 3), ("a", 2)];
        assert_eq!(chosen(&instances, "{}"), Outcome::Candidate(2));
        assert_eq!(
            chosen(&instances, r#"{"value":"b"}"#),
            Outcome::Candidate(0)
        );
    }

    #[test]
    fn of_all_when_the_zone_has_none() {
        let instances = [("b", 2), ("c", 1)];
        assert_eq!(chosen(&instances, "{}"), Outcome::Candidate(1));
    }

    #[test]
    fn wrong_options_are_refused() {
        assert!(Near::new(r#"{"zone":"a"}"#).is_err());
    }
}
