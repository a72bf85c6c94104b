//! What routing sees of a call.

/// The head of a call, whatever HTTP/2 library read it.
pub trait Head {
    /// The `:path` pseudo-header.
    fn path(&self) -> &str;

    /// The `:authority` pseudo-header; empty when there is none.
    fn authority(&self) -> &str;

    /// The value of a metadata key, given in lower case.
    fn metadata(&self, key: &str) -> Found<'_>;
}

/// The value of a metadata key in one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// The call does not carry the key.
    Absent,
    /// The one value, as it came.
    One(&'a [u8]),
    /// The call carries the key more than once, so that readers may disagree about its value.
    Repeated,
}
