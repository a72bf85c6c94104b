//! symgate: a gateway that forwards each gRPC call to the instance that owns the symbol it is about.
//!
//! The modules are floors; imports go down only. See `ARCHITECTURE.md`.

// F6: commands
pub mod cli;
// F5: the composition root
pub mod app;
// F4: data plane, control plane, admin, registration; none of them imports another
pub mod admin;
pub mod control;
pub mod proxy;
pub mod register;
// F3: the only meeting point
pub mod snapshot;
// F2: the plugin host, the HTTP/2 engine, TLS, the way to etcd
pub mod etcd;
pub mod http2;
pub mod plugin;
pub mod tls;
// F1: the configuration
pub mod config;
// F0: pure values and small foundations
pub mod interfaces;
pub mod metrics;
pub mod routing;
pub mod shutdown;
pub mod telemetry;
