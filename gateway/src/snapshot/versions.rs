//! What operators see of a plugin's versions. Nothing is decided by it.

use std::{sync::Arc, time::SystemTime};

use crate::plugin::Plugin;

/// What is known of a plugin's versions beside the one that decides.
#[derive(Clone)]
pub struct Versions {
    /// Since when that one decides.
    pub since: SystemTime,
    /// What made it decide.
    pub by: By,
    /// Earlier versions that can be gone back to; the one that decided last is the last.
    pub kept: Vec<Arc<Plugin>>,
    /// Versions that were refused or gone back from, the newest last.
    pub rejections: Vec<Rejection>,
    /// Whether the newest of these came after the version that decides: the file is another one than that.
    pub is_refused: bool,
}

/// What made a version decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The gateway started with it.
    Start,
    /// Its file changed.
    File,
    /// An operator said so.
    Admin,
    /// The gateway went back to it by itself.
    Automatic,
}

/// A version that does not decide, and why.
#[derive(Clone, Debug)]
pub struct Rejection {
    /// When.
    pub at: SystemTime,
    /// Which; `None`: the file could not be read.
    pub version: Option<String>,
    /// Why.
    pub reason: String,
}

impl Versions {
    /// Of a plugin that has decided since `since`, when the gateway started.
    pub fn at_start(since: SystemTime) -> Self {
        Self { since, by: By::Start, kept: Vec::new(), rejections: Vec::new(), is_refused: false }
    }

    /// The newest version, if it was refused.
    pub fn refused(&self) -> Option<&Rejection> {
        self.rejections.last().filter(|_| self.is_refused)
    }
}

impl By {
    /// One word for logs, metrics and `/plugins`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::File => "file",
            Self::Admin => "admin",
            Self::Automatic => "automatic",
        }
    }
}
