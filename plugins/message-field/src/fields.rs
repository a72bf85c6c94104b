//! Which field of which method's message; valid from the moment it exists. Reads no messages.

use std::collections::BTreeMap;

use symgate_sdk::{protobuf::MAX_FIELD, serde::Deserialize};

/// From a gRPC path to a path of field numbers.
#[derive(Debug, Deserialize)]
#[serde(crate = "symgate_sdk::serde", try_from = "BTreeMap<String, Vec<u32>>")]
pub(crate) struct Fields(BTreeMap<String, Vec<u32>>);

impl Fields {
    /// The field for a call to `path`: of its method, else of its service, else of all.
    pub(crate) fn at(&self, path: &str) -> Option<&[u32]> {
        let service = path.rfind('/').and_then(|slash| path.get(..=slash)).unwrap_or_default();
        [path, service, "/"].into_iter().find_map(|key| self.0.get(key)).map(Vec::as_slice)
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
