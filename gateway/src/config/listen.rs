//! `[listen]`: how clients are listened to.

use std::{net::SocketAddr, time::Duration};

use serde::Deserialize;

use super::{tls::ListenTls, units};

/// The listener that clients connect to.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// Where to listen.
    #[serde(deserialize_with = "units::listen_address")]
    pub address: SocketAddr,
    /// Whether another process may listen there, too (SO_REUSEPORT). Then this one begins when calls can be placed.
    pub reuse_port: bool,
    /// How clients are spoken to with TLS; `None`: without.
    pub tls: Option<ListenTls>,
    /// Data-plane threads.
    #[serde(deserialize_with = "units::count")]
    pub workers: usize,
    /// Open client connections; more wait in the kernel's queue.
    #[serde(deserialize_with = "units::count")]
    pub max_connections: usize,
    /// Streams that one client connection may have open.
    #[serde(deserialize_with = "units::count")]
    pub max_concurrent_streams: u32,
    /// Streams that one client may reset, and streams over its limit that it may open, each second; ten times that at
    /// once. Above it the connection ends with `ENHANCE_YOUR_CALM`.
    #[serde(deserialize_with = "units::count")]
    pub max_resets_per_second: u32,
    /// Frames that carry nothing of a call (PING, SETTINGS, empty DATA, PRIORITY, WINDOW_UPDATE, each counted apart) that
    /// one peer may send each second; ten times that at once. Above it the connection ends with `ENHANCE_YOUR_CALM`.
    #[serde(deserialize_with = "units::count")]
    pub max_control_frames_per_second: u32,
    /// Bytes of header list that a client may send (RFC 9113 section 6.5.2).
    #[serde(deserialize_with = "units::size")]
    pub max_header_bytes: u32,
    /// Receive window of one stream in bytes.
    #[serde(deserialize_with = "units::window")]
    pub stream_window: u32,
    /// Receive window of one connection in bytes.
    #[serde(deserialize_with = "units::window")]
    pub connection_window: u32,
    /// Bytes of replies that may wait for one client connection to be read. A call whose reply does not fit any more ends.
    #[serde(deserialize_with = "units::size")]
    pub max_unread: usize,
    /// How old a client connection may become before it is told to open no more streams. Each gets up to a tenth more or
    /// less.
    #[serde(deserialize_with = "units::some_timeout")]
    pub max_connection_age: Option<Duration>,
    /// How long the calls of such a connection may go on.
    #[serde(deserialize_with = "units::some_timeout")]
    pub max_connection_age_grace: Option<Duration>,
    /// How long calls are still taken after SIGTERM, while `/readyz` says no.
    #[serde(deserialize_with = "units::duration")]
    pub drain_delay: Duration,
    /// How long calls may go on after that.
    #[serde(deserialize_with = "units::duration")]
    pub drain_timeout: Duration,
}
