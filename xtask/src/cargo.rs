//! Running programs, cargo above all. Knows nothing of what is built.

use std::{
    ffi::OsStr,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::say;

/// The folder of the repository.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Where cargo puts programs: this one is among them.
pub(crate) fn built(program: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("the path of this program is not known")?;
    Ok(own.with_file_name(format!("{program}{}", std::env::consts::EXE_SUFFIX)))
}

/// The cargo that runs this program, in the root of the repository.
pub(crate) fn cargo<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// Builds everything that the tests and the demo run, once: what is built together agrees on the features of
/// dependencies, so that no dependency is built twice.
pub(crate) fn build_all() -> Result<()> {
    run(&mut cargo(["build", "--workspace", "--all-targets"]))
}

/// Shows the command, runs it and fails unless it succeeds.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let arguments: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
    let line = format!("{program} {}", arguments.join(" "));
    say(&line);
    let status = command.status().with_context(|| format!("`{line}` cannot be run"))?;
    if !status.success() {
        bail!("`{line}` failed with {status}");
    }
    Ok(())
}

/// Becomes a program, so that Ctrl-C is that program's alone and the shell waits for its end.
pub(crate) fn become_it(mut program: Command) -> Result<()> {
    let error = program.exec();
    Err(error).with_context(|| format!("{} cannot be run", program.get_program().display()))
}

/// Whether a command succeeds; its output is not shown.
pub(crate) fn succeeds(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}
