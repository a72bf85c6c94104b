//! The control plane: one task, the only writer of snapshots. Hears the registry, the plugin files and the
//! configuration file; never touches a call.

pub mod source;
