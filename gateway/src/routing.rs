//! The pure core: what is registered, which symbol owns which instances, which route a call takes. Knows no I/O, no
//! clock, no async runtime and no plugin.

mod address;
mod call;
mod instance;
mod networks;
mod registration;
mod routes;
mod symbol;
mod table;

pub use address::{Address, BadAddress};
pub use call::{Found, Head};
pub use instance::{Ejected, Ejection, Failure, Instance, Live};
pub use networks::Networks;
pub use registration::{BadRegistration, KeyTemplate, Labels, Layout, Registration};
pub use routes::{Condition, PathMatch, Routes};
pub use symbol::Symbol;
pub use table::{Lookup, ServiceTable};
