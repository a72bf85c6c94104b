//! The exports of an extractor. Decides nothing.

use std::{cell::OnceCell, marker::PhantomData};

use self::bindings::exports::symgate::plugin::extract::{self as wit, Guest};
use crate::extract::{Extractor, Inputs, Need, Outcome};

/// What wit-bindgen makes of `wit/plugin.wit`.
#[expect(missing_docs, reason = "generated")]
pub mod bindings {
    wit_bindgen::generate!({
        world: "extractor",
        export_macro_name: "export_extractor",
        pub_export_macro: true,
        default_bindings_module: "symgate_sdk::guest::extractor::bindings",
        runtime_path: "symgate_sdk::guest::rt",
    });
}

type Policy = Box<dyn Fn(&crate::Call<'_>) -> Outcome>;

thread_local! {
    static POLICY: OnceCell<Policy> = const { OnceCell::new() };
}

/// The exports for the policy `T`.
pub struct Export<T>(PhantomData<T>);

impl<T: Extractor + 'static> Guest for Export<T> {
    fn init(config: String) -> Result<wit::Inputs, String> {
        super::report_panics();
        let (policy, inputs) = T::new(&config)?;
        POLICY
            .with(|slot| slot.set(Box::new(move |call| policy.extract(call))))
            .map_err(|_policy| String::from("init was called twice"))?;
        Ok(inputs.into())
    }

    fn extract(call: wit::Call) -> wit::Outcome {
        let metadata = super::Values::of(call.metadata.as_ref());
        let path = call.path.as_deref().unwrap_or_default();
        let call = crate::Call { path, metadata: metadata.as_slice(), message: call.message.as_deref() };
        POLICY
            .with(|slot| slot.get().map(|policy| policy(&call)))
            .map_or_else(|| super::asked_before_init(), Into::into)
    }
}

impl From<Inputs> for wit::Inputs {
    fn from(Inputs { path, metadata, message, pure }: Inputs) -> Self {
        let message = match message {
            Need::Never => wit::Need::Never,
            Need::OnDemand => wit::Need::OnDemand,
            Need::Always => wit::Need::Always,
        };
        Self { path, metadata, message, pure }
    }
}

impl From<Outcome> for wit::Outcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Symbol(symbol) => Self::Symbol(symbol),
            Outcome::Any => Self::Any,
            Outcome::NeedMessage => Self::NeedMessage,
            Outcome::NoSymbol(reason) => Self::NoSymbol(reason),
            Outcome::Reject(rejection) => Self::Reject(rejection.into()),
        }
    }
}
