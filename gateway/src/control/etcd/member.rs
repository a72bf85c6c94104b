//! What a session needs of etcd. `wire` is a real one; tests script theirs.

use super::{
    list::Pages,
    machine::{End, Response},
};

/// Where members are reached.
pub(super) trait Cluster: Sync {
    type Member: Member;

    /// Connects to one and logs in.
    fn open(&self, endpoint: &str) -> impl Future<Output = Result<Self::Member, End>> + Send;
}

/// A connection to one member; a clone uses the same.
pub(super) trait Member: Pages + Clone + Send + 'static {
    type Stream: Stream;

    /// A watch that begins with this revision; it stands once etcd confirmed it.
    fn watch(&mut self, prefix: &str, revision: u64) -> impl Future<Output = Result<Self::Stream, End>> + Send;
}

/// What a watch says.
pub(super) trait Stream: Send {
    /// The next response. Nothing is missed when it is not waited for to the end.
    fn hear(&mut self) -> impl Future<Output = Result<Response, End>> + Send;

    /// Asks for a sign of life.
    fn ask_for_progress(&mut self) -> impl Future<Output = Result<(), End>> + Send;
}
