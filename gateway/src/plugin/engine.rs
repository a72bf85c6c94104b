//! The Wasm engine: its settings and the clock that interrupts endless calls. Knows no contract.

use std::{
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use rustix::process::{Resource, getrlimit};
use wasmtime::{Cache, Config, Engine};

/// How often a running call is interrupted to look at its limit. An endless call ends two of these after its limit at
/// the latest; a shorter tick costs every call of a busy worker more than it is worth.
pub(super) const TICK: Duration = Duration::from_micros(2_500);

/// Address space around one linear memory.
struct Room {
    /// Reserved for the memory itself; one that outgrows it is moved.
    memory: u64,
    /// Never mapped, behind it.
    guard: u64,
}

/// All that a plugin can address: no access needs a check, which saves a twentieth of a small call and a seventh of a
/// large one. It costs addresses, of which a 64-bit process has thousands of times as many, and no memory.
const WHOLE: Room = Room { memory: 4 << 30, guard: 32 << 20 };
/// The default limit of memory, and a guard so that the compiler may leave out checks of small offsets.
const SMALL: Room = Room { memory: 16 << 20, guard: 64 << 10 };

/// An engine with everything off that a plugin has no use for. Compiling uses rayon's global threads, one per core,
/// which start with the first compilation that `cache` has nothing for, and sleep between them. A call may use `stack` bytes
/// of its thread's: wasmtime knows one number for all that an engine runs.
pub(super) fn engine(cache: Option<Cache>, stack: usize) -> wasmtime::Result<Engine> {
    let Room { memory, guard } = room();
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .memory_reservation(memory)
        .memory_reservation_for_growth(0)
        .memory_guard_size(guard)
        .max_wasm_stack(stack)
        .wasm_memory64(false)
        .cache(cache);
    Engine::new(&config)
}

/// As much as the process may take. The child that compiles must find the same, or its code would be another engine's:
/// it bounds its data, not its addresses.
fn room() -> Room {
    if getrlimit(Resource::As).current.is_some() { SMALL } else { WHOLE }
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
