//! The exports of a selector. Decides nothing.

use std::{cell::OnceCell, marker::PhantomData};

use self::bindings::exports::symgate::plugin::select::{self as wit, Guest};
use crate::{
    call::Call,
    select::{Candidates, Inputs, Outcome, Selector},
};

/// What wit-bindgen makes of `wit/plugin.wit`; what it shares with an extractor is made there.
#[expect(missing_docs, reason = "generated")]
pub mod bindings {
    wit_bindgen::generate!({
        world: "selector",
        with: {
            "symgate:plugin/types@0.1.0": crate::guest::extractor::bindings::symgate::plugin::types,
            "symgate:plugin/log@0.1.0": crate::guest::extractor::bindings::symgate::plugin::log,
        },
        export_macro_name: "export_selector",
        pub_export_macro: true,
        default_bindings_module: "symgate_sdk::guest::selector::bindings",
        runtime_path: "symgate_sdk::guest::rt",
    });
}

type Policy = Box<dyn Fn(&Call<'_>, &str, &Candidates<'_>, u64) -> Outcome>;

thread_local! {
    static POLICY: OnceCell<Policy> = const { OnceCell::new() };
}

/// The exports for the policy `T`.
pub struct Export<T>(PhantomData<T>);

impl<T: Selector + 'static> Guest for Export<T> {
    fn init(config: String) -> Result<wit::Inputs, String> {
        super::report_panics();
        let (policy, inputs) = T::new(&config)?;
        POLICY
            .with(|slot| {
                slot.set(Box::new(move |call, symbol, from, random| policy.select(call, symbol, from, random)))
            })
            .map_err(|_policy| String::from("init was called twice"))?;
        Ok(inputs.into())
    }

    fn select(call: wit::Call, symbol: String, candidates: wit::Candidates, random: u64) -> wit::Outcome {
        let metadata = super::metadata(&call);
        let call = super::view(&call, &metadata);
        let labels: Vec<_> = candidates.labels.iter().map(Option::as_deref).collect();
        let candidates = Candidates {
            figures: &candidates.figures,
            ids: &candidates.ids,
            orders: &candidates.orders,
            labels: &labels,
        };
        POLICY
            .with(|slot| slot.get().map(|policy| policy(&call, &symbol, &candidates, random)))
            .map_or_else(|| super::asked_before_init(), Into::into)
    }
}

impl From<Inputs> for wit::Inputs {
    fn from(Inputs { metadata, labels, ids, orders, skip_single }: Inputs) -> Self {
        Self { metadata, labels, ids, orders, skip_single }
    }
}

impl From<Outcome> for wit::Outcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Candidate(index) => Self::Candidate(index),
            Outcome::Reject(rejection) => Self::Reject(rejection.into()),
        }
    }
}
