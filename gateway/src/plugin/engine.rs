//! The Wasm engine: its settings and the clock that interrupts endless calls. Knows no contract.

use std::{
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use wasmtime::{Config, Engine};

/// How often a running call is interrupted to look at its limit. An endless call ends two of these after its limit at
/// the latest; a shorter tick costs every call of a busy worker more than it is worth.
const TICK: Duration = Duration::from_micros(2_500);

/// Address space that each linear memory reserves: the default limit. A plugin with a higher one has its memory moved
/// when it outgrows this.
const RESERVATION: u64 = 16 << 20;
/// Unmapped pages behind each memory, so that the compiler may leave out checks of small offsets.
const GUARD: u64 = 64 << 10;
/// Native stack of one call: a quarter of a thread's.
const STACK: usize = 512 << 10;

/// An engine with everything off that a plugin has no use for. Compiling uses rayon's global threads, one per core,
/// which start with the first compilation and sleep between them.
pub(super) fn engine() -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .memory_reservation(RESERVATION)
        .memory_reservation_for_growth(0)
        .memory_guard_size(GUARD)
        .max_wasm_stack(STACK)
        .wasm_memory64(false);
    Engine::new(&config)
}

/// A thread that advances the engine's epoch each [`TICK`]; dropping this ends it.
pub(super) struct Ticker {
    /// Its end wakes the thread.
    _running: mpsc::Sender<()>,
}

impl Ticker {
    /// Starts the thread.
    pub(super) fn start(engine: Engine) -> std::io::Result<Self> {
        let (running, stopped) = mpsc::channel::<()>();
        thread::Builder::new().name("plugin-epoch".into()).spawn(move || {
            while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                engine.increment_epoch();
            }
        })?;
        Ok(Self { _running: running })
    }
}
