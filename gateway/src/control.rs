//! The control plane: one task, the only writer of snapshots. Hears the registry and the plugin files; never touches a
//! call.

pub mod source;

mod index;
mod lives;
