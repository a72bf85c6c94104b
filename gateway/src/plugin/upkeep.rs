//! What control does with a version and sees of it while workers ask it: its counts, and its sandboxes that no worker has
//! taken. Asks it nothing.

use super::{Counted, Plugin, Policy, Rejected};

impl Plugin {
    /// How often its sandboxes answered and failed, on all workers. Built-ins are not counted.
    pub fn counted(&self) -> Counted {
        self.tally.counted()
    }

    /// Workers that do not ask it now, because it failed too much.
    pub fn cut_off(&self) -> u32 {
        self.tally.cut_off()
    }

    /// Makes what it needs to decide again after [`Plugin::rest`]. Takes the time of some calls to `init`.
    ///
    /// # Errors
    /// When a sandbox cannot be made.
    pub fn wake(&self) -> Result<(), Rejected> {
        match &self.policy {
            Policy::Native(_) => Ok(()),
            Policy::Wasm(wasm) => wasm.fill(),
        }
    }

    /// Makes sandboxes for workers that replace theirs, while it decides. As [`Plugin::wake`].
    ///
    /// # Errors
    /// When a sandbox cannot be made.
    pub fn top_up(&self) -> Result<(), Rejected> {
        match &self.policy {
            Policy::Wasm(wasm) if wasm.recycle().is_wanted() => wasm.fill(),
            Policy::Wasm(_) | Policy::Native(_) => Ok(()),
        }
    }

    /// Sandboxes that no worker has taken yet.
    pub fn spare(&self) -> usize {
        match &self.policy {
            Policy::Native(_) => 0,
            Policy::Wasm(wasm) => wasm.spare(),
        }
    }

    /// Sandboxes that were replaced though they did their work.
    pub fn recycled(&self) -> u64 {
        self.tally.recycled()
    }

    /// Lets go of what it does not need while it does not decide: all but its code.
    pub fn rest(&self) {
        if let Policy::Wasm(wasm) = &self.policy {
            wasm.empty();
        }
    }
}
