//! Values that a call carries: in a metadata key, or in a field of its first message. For extractors whose options say
//! where. Decides nothing about a value.

mod fields;

use std::borrow::Cow;

pub use self::fields::Fields;
use crate::{
    call::{Call, Rejection, StatusCode},
    extract::{Inputs, Need, Outcome},
    protobuf::{self, Value},
};

/// Where a call carries a value: a metadata key, which is tried first, and a field of the first message per method.
///
/// ```
/// use symgate_sdk::{Call, Extractor, carried::{Carried, Fields}, extract::{Inputs, Outcome}, testkit::Request};
///
/// struct ByAccount(Carried);
///
/// impl Extractor for ByAccount {
///     fn new(config: &str) -> Result<(Self, Inputs), String> {
///         let fields: Fields = symgate_sdk::config::parse(config)?;
///         let account = Carried::new(Some("account"), fields);
///         let inputs = account.inputs();
///         Ok((Self(account), inputs))
///     }
///
///     fn extract(&self, call: &Call<'_>) -> Outcome {
///         match self.0.text(call) {
///             Ok(account) => Outcome::Symbol(format!("shard-{}", account.len() % 2)),
///             Err(outcome) => outcome,
///         }
///     }
/// }
///
/// let (config, request) = (r#"{"/":[1]}"#, Request::to("/pb.Accounts/Get"));
/// assert_eq!(request.clone().metadata("account", "bob").extract::<ByAccount>(config), Outcome::Symbol("shard-1".into()));
/// // Field 1 of the message is the text "anna".
/// assert_eq!(request.message(b"\x0a\x04anna").extract::<ByAccount>(config), Outcome::Symbol("shard-0".into()));
/// ```
#[derive(Clone, Debug)]
pub struct Carried {
    key: Option<String>,
    fields: Fields,
}

impl Carried {
    /// In this metadata key, if one is named, else in these fields. The key's case does not matter.
    #[must_use]
    pub fn new(metadata: Option<&str>, fields: Fields) -> Self {
        Self { key: metadata.map(str::to_ascii_lowercase), fields }
    }

    /// What an extractor has to ask for so that [`Carried::text`] finds the value: the key as the first one, and the
    /// message on demand.
    #[must_use]
    pub fn inputs(&self) -> Inputs {
        let by_field = !self.fields.is_empty();
        let message = if by_field { Need::OnDemand } else { Need::Never };
        Inputs {
            path: by_field || self.key.is_none(),
            metadata: self.key.iter().cloned().collect(),
            message,
            pure: true,
        }
    }

    /// The value as text: that of the metadata key, a string field as it is, an integer field in decimal.
    ///
    /// # Errors
    /// What the extractor is to answer instead: that it needs the message, that there is no value (it is missing, empty
    /// or 0, which protobuf's senders leave out), or that what is there is malformed.
    pub fn text<'a>(&self, call: &Call<'a>) -> Result<Cow<'a, str>, Outcome> {
        let key = self.key.as_deref().unwrap_or_default();
        match call.value(0).map(str::from_utf8) {
            Some(Ok("")) | None => {}
            Some(Ok(text)) => return Ok(Cow::Borrowed(text)),
            Some(Err(_)) => return Err(refuse(format!("metadata `{key}` is not UTF-8"))),
        }
        if self.fields.is_empty() && self.key.is_some() {
            return Err(Outcome::NoSymbol(format!("the call carries no metadata `{key}`")));
        }
        let Some(field) = self.fields.at(call.path) else {
            return Err(Outcome::NoSymbol(format!("no field is configured for {}", call.path)));
        };
        let message = call.message.ok_or(Outcome::NeedMessage)?;
        // A sender may leave out a field that has its default value: both must mean the same.
        let sent = |value: &Value<'_>| !value.is_default();
        match protobuf::field(message, field).and_then(|value| value.filter(sent).map(Value::text).transpose()) {
            Ok(Some(text)) => Ok(text),
            Ok(None) => Err(Outcome::NoSymbol(format!("field {field:?} of the request message is empty"))),
            Err(malformed) => Err(refuse(format!("the request message is malformed: {malformed}"))),
        }
    }
}

fn refuse(why: String) -> Outcome {
    Outcome::Reject(Rejection::new(StatusCode::InvalidArgument, why))
}
