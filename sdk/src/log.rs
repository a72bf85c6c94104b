//! Lines to the gateway's log; the only thing that a plugin can do besides answering. The gateway adds the plugin's
//! name and version, cuts long lines and limits their rate. Natively nothing is written.
//!
//! ```
//! symgate_sdk::log::warn(&format!("worker {} is no symbol's", 7));
//! ```

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

/// The plugin cannot do its job.
pub fn error(text: &str) {
    write(Level::Error, text);
}

/// Something that the operator should look at.
pub fn warn(text: &str) {
    write(Level::Warn, text);
}

/// Something worth knowing.
pub fn info(text: &str) {
    write(Level::Info, text);
}

/// For the plugin's author.
pub fn debug(text: &str) {
    write(Level::Debug, text);
}

/// Writes a line at a level that is known only at run time.
pub fn write(level: Level, text: &str) {
    #[cfg(target_arch = "wasm32")]
    crate::guest::write(level, text);
    #[cfg(not(target_arch = "wasm32"))]
    let _ = (level, text);
}
