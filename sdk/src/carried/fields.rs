//! Which field of which method's message; valid from the moment it exists. Reads no messages.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::protobuf::MAX_FIELD;

/// From a gRPC path to the path of field numbers of a value in the method's first message, for an option that is called
/// `fields`.
///
/// A gRPC path is a method (`/pb.KlineService/GetKline`), a service (`/pb.KlineService/`) or all (`/`); the longest match
/// counts.
///
/// ```
/// use symgate_sdk::{carried::Fields, serde::Deserialize};
///
/// #[derive(Deserialize)]
/// #[serde(crate = "symgate_sdk::serde", deny_unknown_fields)]
/// struct Options {
///     fields: Fields,
/// }
///
/// let Options { fields } = symgate_sdk::config::parse(r#"{"fields":{"/pb.OrderService/":[1,2]}}"#)?;
/// assert_eq!(fields.at("/pb.OrderService/Cancel"), Some(&[1, 2][..]));
/// assert_eq!(fields.at("/pb.KlineService/GetKline"), None);
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(try_from = "BTreeMap<String, Vec<u32>>")]
pub struct Fields(BTreeMap<String, Vec<u32>>);

impl Fields {
    /// The field for a call to `path`: of its method, else of its service, else of all.
    #[must_use]
    pub fn at(&self, path: &str) -> Option<&[u32]> {
        let service = path.rfind('/').and_then(|slash| path.get(..=slash)).unwrap_or_default();
        [path, service, "/"].into_iter().find_map(|key| self.0.get(key)).map(Vec::as_slice)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<BTreeMap<String, Vec<u32>>> for Fields {
    type Error = String;

    fn try_from(fields: BTreeMap<String, Vec<u32>>) -> Result<Self, String> {
        for (path, field) in &fields {
            if !is_path(path) {
                return Err(format!("fields: \"{path}\" is not \"/service/method\", \"/service/\" or \"/\""));
            }
            if field.is_empty() {
                return Err(format!("fields: \"{path}\" has no field number"));
            }
            if let Some(number) = field.iter().find(|number| !(1..=MAX_FIELD).contains(*number)) {
                return Err(format!("fields: \"{path}\": {number} is not a field number, those are 1 to {MAX_FIELD}"));
            }
        }
        Ok(Self(fields))
    }
}

fn is_path(path: &str) -> bool {
    match path.strip_prefix('/').map(|rest| rest.split_once('/')) {
        Some(Some((service, method))) => !service.is_empty() && !method.contains('/'),
        Some(None) => path == "/",
        None => false,
    }
}
