//! What is counted and shown of registries and tables.

/// What happened to a registry's entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistryEvent {
    /// An entry was written.
    Put,
    /// An entry was removed.
    Delete,
    /// The whole list was read.
    List,
    /// An entry announced nothing.
    Rejected,
    /// The list was read beside the watch and compared with what that told.
    Audit,
    /// A key of which the watch had lost a change was put right.
    Repaired,
    /// The connection or the watch was lost.
    Lost,
    /// The list that was kept on disk was taken.
    Kept,
    /// The list that was kept on disk was refused.
    KeptRefused,
    /// The list could not be kept on disk.
    KeepFailed,
    /// An instance serves on though it left the registry.
    Spared,
    /// Such an instance serves no longer, or is registered again.
    Released,
}

impl RegistryEvent {
    /// Its label.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Delete => "delete",
            Self::List => "list",
            Self::Rejected => "rejected",
            Self::Audit => "audit",
            Self::Repaired => "repaired",
            Self::Lost => "lost",
            Self::Kept => "kept",
            Self::KeptRefused => "kept_refused",
            Self::KeepFailed => "keep_failed",
            Self::Spared => "spared",
            Self::Released => "released",
        }
    }
}

/// What [`Metrics::table`](super::Metrics::table) shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct TableFigures {
    /// The registry's revision.
    pub revision: u64,
    /// How long the registry has not been heard.
    pub stale_seconds: f64,
    /// Symbols known.
    pub symbols: usize,
    /// Instances, once per symbol that they own.
    pub instances: usize,
    /// Of these, those that left the registry and serve on.
    pub spared: usize,
}
