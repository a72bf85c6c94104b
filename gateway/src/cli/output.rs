//! The only place that writes for people. A reader that is gone (`symgate check | head`) is no failure.

use std::io::{self, Write};

/// A result, to standard output.
pub(super) fn line(text: &str) {
    drop(writeln!(io::stdout(), "{text}"));
}

/// Why a command failed, from what was wanted to what went wrong, to standard error.
pub(super) fn error(error: &anyhow::Error) {
    drop(writeln!(io::stderr(), "{error:#}"));
}

/// Help or version to standard output, a wrong command line to standard error.
pub(super) fn usage(error: &clap::Error) {
    drop(error.print());
}
