//! The `symgate` program: a command line, an exit code. Everything else is in the library.

use std::process::ExitCode;

use symgate::{cli, plugin};

/// A call makes and drops a few dozen small values; the C library's allocator costs a tenth more CPU per call.
/// Without transparent huge pages (`no_thp`): each thread's few small values would take 2 MiB of them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => cli::failed(&error),
    }
}

fn run() -> anyhow::Result<ExitCode> {
    cli::Arguments::read()?.run(plugin::this_program())
}
