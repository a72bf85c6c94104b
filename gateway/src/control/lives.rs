//! The live state of every registered address. It belongs to the address and to how it is spoken to: services, symbols
//! and registrations come and go above it. All services without TLS share one book; one with TLS has its own, because a
//! connection without it, or with another name to prove, is none for its calls. So has one whose registry says in which
//! networks a name may lead: a connection to where it may not lead is none for its calls either.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::own::Own;
use crate::routing::{Address, Live, Networks};

/// One [`Live`] per registered address.
#[derive(Debug)]
pub(crate) struct Lives {
    by_address: FxHashMap<Address, Named>,
    /// Whose last registration went, or that nobody holds any more, until [`Self::settle`].
    parting: Vec<Address>,
    own: Own,
    tls: Option<usize>,
    networks: Option<Arc<Networks>>,
}

/// What is known live of an address, and by whom it is named.
#[derive(Debug)]
struct Named {
    live: Arc<Live>,
    registrations: u32,
    /// Those who want it kept though it may be registered no longer.
    holders: u32,
}

impl Lives {
    /// None yet; `own` is where the gateway itself listens.
    pub(crate) fn new(own: Own) -> Self {
        Self { by_address: FxHashMap::default(), parting: Vec::new(), own, tls: None, networks: None }
    }

    /// Of instances that are spoken to with TLS, as the service at this place says; `None`: without.
    pub(crate) fn over_tls(self, service: Option<usize>) -> Self {
        Self { tls: service, ..self }
    }

    /// Of instances whose names may lead into these networks only.
    pub(crate) fn within(self, networks: Option<Arc<Networks>>) -> Self {
        Self { networks, ..self }
    }

    /// Why the address is no instance: calls to it would come back to this gateway.
    pub(crate) fn refuse(&self, address: &Address) -> Option<String> {
        self.own.refuse(address)
    }

    /// One more registration of the address.
    pub(crate) fn acquire(&mut self, address: &Address) {
        let live = || Live::new(address.clone()).over_tls(self.tls).within(self.networks.clone());
        let new = || Named { live: Arc::new(live()), registrations: 0, holders: 0 };
        let named = self.by_address.entry(address.clone()).or_insert_with(new);
        named.registrations += 1;
        named.live.set_parted(false);
    }

    /// A new registration of the address: nothing bad is known of it any more.
    pub(crate) fn announce(&self, address: &Address) {
        if let Some(named) = self.by_address.get(address) {
            named.live.announce();
        }
    }

    /// One registration less.
    pub(crate) fn release(&mut self, address: &Address) {
        if let Some(named) = self.by_address.get_mut(address) {
            named.registrations -= 1;
            if named.registrations == 0 {
                self.parting.push(address.clone());
            }
        }
    }

    /// Keeps an address that may be registered no longer: what is open stays open.
    pub(crate) fn hold(&mut self, address: &Address) {
        if let Some(named) = self.by_address.get_mut(address) {
            named.holders += 1;
        }
    }

    /// The end of that.
    pub(crate) fn let_go(&mut self, address: &Address) {
        if let Some(named) = self.by_address.get_mut(address) {
            named.holders -= 1;
            self.parting.push(address.clone());
        }
    }

    /// Tells the workers of the addresses that are registered no longer: to open nothing new, or, where nobody holds
    /// them, to let go of all. Whether there are any of the latter.
    pub(crate) fn settle(&mut self) -> bool {
        let before = self.by_address.len();
        for address in std::mem::take(&mut self.parting) {
            let Some(named) = self.by_address.get(&address).filter(|named| named.registrations == 0) else { continue };
            named.live.set_parted(true);
            if named.holders == 0 {
                named.live.set_registered(false);
                self.by_address.remove(&address);
            }
        }
        self.by_address.len() < before
    }

    /// What is known live of an address.
    pub(crate) fn find(&self, address: &Address) -> Option<Arc<Live>> {
        self.by_address.get(address).map(|named| named.live.clone())
    }
}
