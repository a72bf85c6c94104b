//! What entries of one service mean, for somebody who looks at them once. It is what the gateway itself would make of them.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    index::{Index, Remark},
    lives::Lives,
    own::Own,
    source::Entry,
};
use crate::routing::{Address, Layout, Networks, Registration, Symbol};

/// How the entries of a service are understood.
#[derive(Clone, Debug)]
pub struct Terms {
    /// How its keys are made.
    pub layout: Layout,
    /// Whether an address may own one symbol only.
    pub exclusive: bool,
    /// Where its instances may be; `None`: anywhere.
    pub networks: Option<Arc<Networks>>,
    /// What leads back to the gateway.
    pub own: Own,
}

/// What they mean.
#[derive(Debug)]
pub struct Examined {
    /// Each entry that announces an instance, by key.
    pub read: BTreeMap<String, Registration>,
    /// The entries that announce nothing, by key, each with its reason.
    pub rejected: Arc<BTreeMap<String, String>>,
    /// The entries that are not believed, by key, each with its reason.
    pub suspended: Arc<BTreeMap<String, String>>,
    /// The keys of entries that are odd but used, each with what is odd.
    pub odd: Vec<(String, String)>,
    /// Who owns which symbol.
    pub owners: BTreeMap<Symbol, Vec<Address>>,
}

/// Reads all entries of a service.
pub fn examine(terms: Terms, entries: Vec<Entry>) -> Examined {
    let mut lives = Lives::new(terms.own);
    let mut index = Index::new(terms.layout, terms.exclusive).within(terms.networks);
    let odd = index.list(entries, &mut lives).into_iter().filter_map(|remark| match remark {
        Remark::Odd { key, warning } => Some((key, warning)),
        Remark::Rejected { .. } | Remark::Suspended { .. } => None,
    });
    let odd = odd.collect();
    let owners = index.changes(&lives).into_iter().map(|(symbol, instances)| {
        (symbol, instances.iter().map(|instance| instance.live.address().clone()).collect())
    });
    let owners = owners.filter(|(_, instances): &(_, Vec<_>)| !instances.is_empty()).collect();
    Examined {
        read: index.read().map(|(key, registration)| (key.to_owned(), registration.clone())).collect(),
        rejected: index.rejected().clone(),
        suspended: index.suspended().clone(),
        odd,
        owners,
    }
}
