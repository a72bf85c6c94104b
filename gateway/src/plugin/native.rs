//! The policies that are linked into the gateway: the same crates as the shipped Wasm files. They need no limits.

use least_loaded::LeastLoaded;
use message_field::MessageField;
use metadata_key::MetadataKey;
use primary::Primary;
use rendezvous_hash::RendezvousHash;
use symgate_sdk::{Call, Extractor, Selector, extract, select};
use weighted_random::WeightedRandom;

use super::{Failure, Inputs, Question, Rejected};
use crate::config::Builtin;

/// A policy that is linked into the gateway.
pub(super) enum Native {
    MetadataKey(MetadataKey),
    MessageField(MessageField),
    LeastLoaded(LeastLoaded),
    RendezvousHash(RendezvousHash),
    WeightedRandom(WeightedRandom),
    Primary(Primary),
}

impl Native {
    /// Makes one from its configuration (JSON text), with the inputs that it asks for.
    pub(super) fn new(builtin: Builtin, config: &str) -> Result<(Self, Inputs), Rejected> {
        match builtin {
            Builtin::MetadataKey => extractor(config, Self::MetadataKey),
            Builtin::MessageField => extractor(config, Self::MessageField),
            Builtin::LeastLoaded => selector(config, Self::LeastLoaded),
            Builtin::RendezvousHash => selector(config, Self::RendezvousHash),
            Builtin::WeightedRandom => selector(config, Self::WeightedRandom),
            Builtin::Primary => selector(config, Self::Primary),
        }
    }

    pub(super) fn extract(&self, call: &Call<'_>) -> Result<extract::Outcome, Failure> {
        match self {
            Self::MetadataKey(policy) => Ok(policy.extract(call)),
            Self::MessageField(policy) => Ok(policy.extract(call)),
            _ => Err(Failure::not_an("extractor")),
        }
    }

    pub(super) fn select(&self, question: &Question<'_>) -> Result<select::Outcome, Failure> {
        let Question { call, symbol, candidates, random } = question;
        match self {
            Self::LeastLoaded(policy) => Ok(policy.select(call, symbol, candidates, *random)),
            Self::RendezvousHash(policy) => Ok(policy.select(call, symbol, candidates, *random)),
            Self::WeightedRandom(policy) => Ok(policy.select(call, symbol, candidates, *random)),
            Self::Primary(policy) => Ok(policy.select(call, symbol, candidates, *random)),
            Self::MetadataKey(_) | Self::MessageField(_) => Err(Failure::not_an("selector")),
        }
    }
}

fn extractor<E: Extractor>(config: &str, policy: fn(E) -> Native) -> Result<(Native, Inputs), Rejected> {
    let (extractor, inputs) = E::new(config).map_err(refused)?;
    Ok((policy(extractor), Inputs { extract: Some(inputs), select: None }))
}

fn selector<S: Selector>(config: &str, policy: fn(S) -> Native) -> Result<(Native, Inputs), Rejected> {
    let (selector, inputs) = S::new(config).map_err(refused)?;
    Ok((policy(selector), Inputs { extract: None, select: Some(inputs) }))
}

fn refused(text: String) -> Rejected {
    Rejected(format!("it refuses its configuration: {text}"))
}
