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

type Policy = Box<dyn Fn(&wit::Question) -> Outcome>;

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
                let inputs = inputs.clone();
                slot.set(Box::new(move |question| answer(&policy, &inputs, question)))
            })
            .map_err(|_policy| String::from("init was called twice"))?;
        Ok(inputs.into())
    }

    fn select(question: wit::Question) -> wit::Outcome {
        POLICY
            .with(|slot| slot.get().map(|policy| policy(&question)))
            .map_or_else(|| super::asked_before_init(), Into::into)
    }
}

fn answer(policy: &impl Selector, inputs: &Inputs, question: &wit::Question) -> Outcome {
    let metadata = super::Values::of(question.metadata.as_ref());
    let path = question.path.as_deref().unwrap_or_default();
    let call = Call { path, metadata: metadata.as_slice(), message: None };
    let labels: Vec<_> = question.labels.iter().flatten().map(Option::as_deref).collect();
    let candidates = Candidates::new(inputs, &question.candidates, &labels);
    policy.select(&call, question.symbol.as_deref().unwrap_or_default(), &candidates, question.random)
}

impl From<Inputs> for wit::Inputs {
    fn from(Inputs { path, symbol, metadata, labels, ids, orders, skip_single }: Inputs) -> Self {
        Self { path, symbol, metadata, labels, ids, orders, skip_single }
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
