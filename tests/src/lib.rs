//! The harness of the end-to-end tests and of the demo: the real gateway as a child process, real instances, a real
//! etcd, real clients. Knows nothing of the gateway's insides: it sees what an operator sees.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking and says why"
)]

pub mod cable;
pub mod client;
pub mod deaf;
pub mod etcd;
pub mod eventually;
pub mod faulty;
pub mod gateway;
pub mod instance;
pub mod load;
pub mod raw;
pub mod registered;
pub mod registry_file;
pub mod rounds;
pub mod sieve;
pub mod stamp;
pub mod tls;
pub mod wasm;

pub use cable::Cable;
pub use deaf::Deaf;
pub use etcd::Etcd;
pub use gateway::{Gateway, Plugin, Route};
pub use instance::Instance;
pub use registry_file::RegistryFile;
pub use sieve::Sieve;
pub use symgate_proto::pb;
pub use wasm::Wasm;
