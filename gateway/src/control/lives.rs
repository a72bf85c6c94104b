//! The live state of every registered address. It belongs to the address and to how it is spoken to: services, symbols
//! and registrations come and go above it. All services without TLS share one book; one with TLS has its own, because a
//! connection without it, or with another name to prove, is none for its calls.

use std::{net::SocketAddr, sync::Arc};

use rustc_hash::FxHashMap;

use crate::routing::{Address, Live};

/// One [`Live`] per registered address, with the count of registrations that name it.
#[derive(Debug)]
pub(crate) struct Lives {
    by_address: FxHashMap<Address, (Arc<Live>, usize)>,
    own: SocketAddr,
    tls: Option<usize>,
}

impl Lives {
    /// None yet; `own` is where the gateway itself listens.
    pub(crate) fn new(own: SocketAddr) -> Self {
        Self { by_address: FxHashMap::default(), own, tls: None }
    }

    /// None yet, of the instances of the service at this place, which are spoken to with TLS.
    pub(crate) fn over_tls(own: SocketAddr, service: usize) -> Self {
        Self { tls: Some(service), ..Self::new(own) }
    }

    /// Whether calls to the address would come back to this gateway.
    pub(crate) fn is_own(&self, address: &Address) -> bool {
        let same_host = address.host().parse().is_ok_and(|host: std::net::IpAddr| {
            host == self.own.ip() || self.own.ip().is_unspecified() && host.is_loopback()
        });
        same_host && address.port() == self.own.port()
    }

    /// One more registration of the address.
    pub(crate) fn acquire(&mut self, address: &Address) {
        let new = || (Arc::new(Live::new(address.clone()).over_tls(self.tls)), 0);
        self.by_address.entry(address.clone()).or_insert_with(new).1 += 1;
    }

    /// A new registration of the address: nothing bad is known of it any more.
    pub(crate) fn announce(&self, address: &Address) {
        if let Some((live, _)) = self.by_address.get(address) {
            live.announce();
        }
    }

    /// One less; the last one tells the workers to let go of its connections.
    pub(crate) fn release(&mut self, address: &Address) {
        let Some((live, count)) = self.by_address.get_mut(address) else { return };
        *count -= 1;
        if *count == 0 {
            live.set_registered(false);
            self.by_address.remove(address);
        }
    }

    /// What is known live of a registered address.
    pub(crate) fn find(&self, address: &Address) -> Option<Arc<Live>> {
        self.by_address.get(address).map(|(live, _)| live.clone())
    }
}
