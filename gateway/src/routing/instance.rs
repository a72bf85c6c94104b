//! One backend process, and what is known of it live.

mod ejection;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
};

pub use self::ejection::{Ejected, Ejection, Failure};
use super::{Address, Labels, Networks};

/// Values of [`Live::health`].
const SERVES: u32 = 1;
const SERVES_NOT: u32 = 2;

/// One backend process as the registry announces it.
#[derive(Debug)]
pub struct Instance {
    /// Labels of the newest registration.
    pub labels: Labels,
    /// Weight of the newest registration.
    pub weight: u32,
    /// The lowest create revision of its live registrations: who was there first.
    pub order: u64,
    /// The highest create revision of its live registrations: the fencing token sent as `symgate-owner`.
    pub owner: u64,
    /// It wants no new calls: its label `draining` says `true`.
    pub draining: bool,
    /// What is known of the process behind the address; outlives any change of the registration.
    pub live: Arc<Live>,
}

/// Live figures of one address, as it is spoken to. They survive re-lists; a cache line of its own keeps workers from slowing each other.
#[derive(Debug)]
#[repr(align(64))]
pub struct Live {
    in_flight: AtomicU32,
    latency_us: AtomicU32,
    connections: AtomicU32,
    registered: AtomicBool,
    parted: AtomicBool,
    ejection: Ejection,
    announced: AtomicU32,
    health: AtomicU32,
    tls_failed: AtomicBool,
    tls: Option<usize>,
    networks: Option<Arc<Networks>>,
    id: u64,
    address: Address,
}

impl Live {
    /// Of an address that was just registered.
    pub fn new(address: Address) -> Self {
        Self {
            in_flight: AtomicU32::new(0),
            latency_us: AtomicU32::new(0),
            connections: AtomicU32::new(0),
            registered: AtomicBool::new(true),
            parted: AtomicBool::new(false),
            ejection: Ejection::default(),
            announced: AtomicU32::new(0),
            health: AtomicU32::new(0),
            tls_failed: AtomicBool::new(false),
            tls: None,
            networks: None,
            id: address.id(),
            address,
        }
    }

    /// Spoken to with TLS, as the service at this place says; `None`: without.
    #[must_use]
    pub fn over_tls(self, service: Option<usize>) -> Self {
        Self { tls: service, ..self }
    }

    /// Reached in these networks only, whatever its name stands for; `None`: anywhere.
    #[must_use]
    pub fn within(self, networks: Option<Arc<Networks>>) -> Self {
        Self { networks, ..self }
    }

    /// The networks that it may be reached in; `None`: all.
    pub fn networks(&self) -> Option<&Networks> {
        self.networks.as_deref()
    }

    /// The place of the service that says how TLS is spoken with it; `None`: it is not.
    pub fn tls(&self) -> Option<usize> {
        self.tls
    }

    /// Whether TLS with it failed the last time before.
    pub fn tls_failed(&self, now: bool) -> bool {
        self.tls_failed.swap(now, Relaxed)
    }

    /// Where the instance listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// A number made from the address, the same on every gateway.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Calls of this gateway under way there.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// Moving average of the time to response headers in microseconds; 0 while unknown.
    pub fn latency_us(&self) -> u32 {
        self.latency_us.load(Relaxed)
    }

    /// Open connections of all workers.
    pub fn connections(&self) -> u32 {
        self.connections.load(Relaxed)
    }

    /// False once the registry took back the last registration.
    pub fn registered(&self) -> bool {
        self.registered.load(Relaxed)
    }

    /// Said by the one writer of the table.
    pub fn set_registered(&self, registered: bool) {
        self.registered.store(registered, Relaxed);
    }

    /// Whether the registry took it back a moment ago: what is open may serve on, nothing new is opened, because whoever
    /// listens there next may be another process.
    pub fn parted(&self) -> bool {
        self.parted.load(Relaxed)
    }

    /// Said by the one writer of the table.
    pub fn set_parted(&self, parted: bool) {
        self.parted.store(parted, Relaxed);
    }

    /// Whether calls keep away from it because of how it failed.
    pub fn ejection(&self) -> &Ejection {
        &self.ejection
    }

    /// Said by the one writer of the table when the address is registered once more: whoever listens there now may be
    /// another process, of which nothing bad is known.
    pub fn announce(&self) {
        self.ejection.clear();
        self.announced.fetch_add(1, Relaxed);
    }

    /// How often the address was registered once more.
    pub fn announced(&self) -> u32 {
        self.announced.load(Relaxed)
    }

    /// What the instance said last of its health; `None`: nothing.
    pub fn health(&self) -> Option<bool> {
        match self.health.load(Relaxed) {
            0 => None,
            said => Some(said == SERVES),
        }
    }

    /// The instance says whether it serves; `None`: it does not say so any more. For who looks on; what is decided by
    /// is each worker's own.
    pub fn set_health(&self, serves: Option<bool>) {
        let said = match serves {
            None => 0,
            Some(true) => SERVES,
            Some(false) => SERVES_NOT,
        };
        self.health.store(said, Relaxed);
    }

    /// A call was given to the instance.
    pub fn call_started(&self) {
        self.in_flight.fetch_add(1, Relaxed);
    }

    /// That call ended, however it ended.
    pub fn call_ended(&self) {
        self.in_flight.fetch_sub(1, Relaxed);
    }

    /// Response headers came after this many microseconds: an eighth of the difference moves the average.
    pub fn observe_latency(&self, us: u32) {
        let old = self.latency_us.load(Relaxed);
        let new = if old == 0 { us } else { old - old / 8 + us / 8 };
        // Two workers may lose one of two updates, which an average forgives.
        self.latency_us.store(new.max(1), Relaxed);
    }

    /// A worker opened a connection.
    pub fn connection_opened(&self) {
        self.connections.fetch_add(1, Relaxed);
    }

    /// A worker lost or closed a connection.
    pub fn connection_closed(&self) {
        self.connections.fetch_sub(1, Relaxed);
    }
}
