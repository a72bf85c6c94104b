//! Compiling in a child process, both ends of it. A compilation takes a hundred megabytes that an allocator does not
//! give back, and it is a large program that reads outside input: the child takes both with it when it ends.
//!
//! The child is the same program. It reads the plugin from its standard input, leaves the compiled code in the cache
//! and answers on its standard output: one byte that says what follows, then a component or the reason why not.

use std::{
    io::{self, Read, Write},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use rustix::{
    fs::Mode,
    process::{Resource, Rlimit, Signal, nice, set_parent_process_death_signal, setrlimit, umask},
};

use super::{Rejected, cache::CodeCache, compile, engine};
use crate::config;

/// How long the child may take. It is the last one to get the processor: on a busy machine that is much longer than what
/// it computes.
pub(super) const LIMIT: Duration = Duration::from_secs(600);
/// CPU time that the child may use, on all cores: a plugin with all of CPython in it takes a sixth of it.
const CPU: Duration = Duration::from_secs(120);
/// Bytes of memory that the child may use.
const MEMORY: u64 = 4 << 30;
/// How far the child stands back behind the threads that serve calls.
const NICE: i32 = 10;

/// What the first byte of an answer says.
const KEPT: u8 = b'k';
const COMPILED: u8 = b'c';
const REFUSED: u8 = b'r';

/// What the child said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// This component's code is in the cache, and was there before.
    Kept(Vec<u8>),
    /// This component's code is in the cache now.
    Compiled(Vec<u8>),
    /// The file cannot be used.
    Refused(String),
}

/// Why the child did not answer, though nothing is wrong with the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unable(pub(super) String);

/// The child's command line: `program` compiling into the cache in `folder`.
pub(super) fn command(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg("compile").arg(folder);
    command
}

/// Has the bytes of a file compiled within `limit`.
pub(super) fn ask(mut command: Command, bytes: Vec<u8>, limit: Duration) -> Result<Answer, Unable> {
    let unable = |error: io::Error| Unable(format!("the compiler's process does not run: {error}"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(unable)?;
    let said = converse(&mut child, bytes, limit);
    if !matches!(said, Ok(Some(_))) {
        // It may have ended by itself in this moment.
        drop(child.kill());
    }
    let status = child.wait().map_err(unable)?;
    match said.map_err(unable)? {
        None => Ok(Answer::Refused(format!("it does not compile: the compiler was ended after {limit:?}"))),
        Some(said) => understand(said, status),
    }
}

/// Tells the child the bytes and hears it to the end; `None`: the time is over.
fn converse(child: &mut Child, bytes: Vec<u8>, limit: Duration) -> io::Result<Option<Vec<u8>>> {
    let (Some(mut input), Some(mut output)) = (child.stdin.take(), child.stdout.take()) else { return Ok(None) };
    let (sender, answer) = mpsc::channel();
    // A thread, because reading knows no time limit; it ends with the child.
    thread::Builder::new().name("plugin-compile".into()).spawn(move || {
        // A child that ends early says why on its other end.
        drop(input.write_all(&bytes));
        drop(input);
        let mut said = Vec::new();
        drop(sender.send(output.read_to_end(&mut said).map(|_| said)));
    })?;
    match answer.recv_timeout(limit) {
        Ok(said) => said.map(Some),
        Err(RecvTimeoutError::Timeout) => Ok(None),
        Err(RecvTimeoutError::Disconnected) => Err(io::ErrorKind::BrokenPipe.into()),
    }
}

fn understand(mut said: Vec<u8>, status: ExitStatus) -> Result<Answer, Unable> {
    if let Some(signal) = status.signal() {
        return match Signal::from_named_raw(signal) {
            // These come from outside: an operator, or the system that is short of memory.
            Some(Signal::KILL | Signal::TERM | Signal::INT | Signal::HUP | Signal::QUIT) => {
                Err(Unable(format!("the compiler's process was ended by signal {signal}")))
            }
            Some(Signal::XCPU) => {
                Ok(Answer::Refused(format!("it does not compile: the compiler used more than its {CPU:?} of CPU time")))
            }
            // These are the compiler's own; here they would have ended the gateway.
            _ => Ok(Answer::Refused(format!("it does not compile: the compiler broke down with signal {signal}"))),
        };
    }
    match (said.first(), status.success()) {
        (Some(&kind @ (KEPT | COMPILED)), true) => {
            said.remove(0);
            Ok(if kind == KEPT { Answer::Kept(said) } else { Answer::Compiled(said) })
        }
        (Some(&REFUSED), true) => {
            said.remove(0);
            Ok(Answer::Refused(String::from_utf8_lossy(&said).into_owned()))
        }
        _ => Err(Unable(format!("the compiler's process failed: {status}"))),
    }
}

/// The child's side: compiles what standard input holds into the cache in `folder`.
///
/// # Errors
/// When it cannot be asked or the folder cannot be used. A file that is refused is an answer.
pub fn compile_apart(folder: &Path) -> Result<(), Rejected> {
    stand_back();
    let deaf = |error: io::Error| Rejected(format!("the gateway is not heard: {error}"));
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes).map_err(deaf)?;
    let cache = CodeCache::open(folder).map_err(Rejected)?;
    let unable = |error: wasmtime::Error| Rejected(format!("the Wasm engine does not start: {error:#}"));
    // Nothing runs here: how much stack a call may use is no part of the code.
    let engine = engine::engine(Some(cache.cache().clone()), config::Sandbox::default().stack).map_err(unable)?;
    let (kind, rest) = match compile::component(&engine, &bytes) {
        Ok((component, _)) => (if cache.hits() > 0 { KEPT } else { COMPILED }, component.into_owned()),
        Err(Rejected(reason)) => (REFUSED, reason.into_bytes()),
    };
    let mut output = io::stdout().lock();
    output.write_all(&[kind]).and_then(|()| output.write_all(&rest)).and_then(|()| output.flush()).map_err(deaf)
}

/// Ends with the gateway, bounds itself, and leaves the gateway the processors. What the system refuses of this is done
/// without.
fn stand_back() {
    let at_most = |most| Rlimit { current: Some(most), maximum: Some(most) };
    umask(Mode::RWXG | Mode::RWXO);
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    // Above the limit that is told of comes the one that kills.
    let _ = setrlimit(Resource::Cpu, Rlimit { current: Some(CPU.as_secs()), maximum: Some(CPU.as_secs() + 5) });
    let _ = setrlimit(Resource::Data, at_most(MEMORY));
    let _ = setrlimit(Resource::Core, at_most(0));
    let _ = nice(NICE);
}

/// The program that runs, to be run again, also when its file was replaced meanwhile.
pub fn this_program() -> Option<PathBuf> {
    let linked = Path::new("/proc/self/exe");
    if linked.exists() { Some(linked.into()) } else { std::env::current_exe().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is made of a child that does what the shell script says.
    fn child(script: &str) -> Result<Answer, Unable> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        ask(command, vec![b'x'; 1 << 20], Duration::from_secs(20))
    }

    #[test]
    fn answers_are_understood() {
        assert_eq!(child("cat > /dev/null; printf kcode"), Ok(Answer::Kept(b"code".to_vec())));
        assert_eq!(child("cat > /dev/null; printf ccode"), Ok(Answer::Compiled(b"code".to_vec())));
        assert_eq!(child("printf 'rnot this one'"), Ok(Answer::Refused("not this one".into())));
    }

    #[test]
    fn all_of_the_file_arrives() {
        let counted = child("printf c; wc -c | tr -d ' \\n'");
        assert_eq!(counted, Ok(Answer::Compiled((1 << 20).to_string().into_bytes())));
    }

    #[test]
    fn a_child_that_fails_or_is_killed_is_no_verdict() {
        assert_eq!(child("exit 1"), Err(Unable("the compiler's process failed: exit status: 1".into())));
        assert_eq!(child("printf what"), Err(Unable("the compiler's process failed: exit status: 0".into())));
        assert_eq!(child("printf ccode; exit 3"), Err(Unable("the compiler's process failed: exit status: 3".into())));
        let killed = Unable("the compiler's process was ended by signal 9".into());
        assert_eq!(child("printf ccode; kill -KILL $$"), Err(killed));
        let nowhere = ask(command(Path::new("/no/such/program"), Path::new("/")), Vec::new(), LIMIT);
        assert!(nowhere.is_err_and(|Unable(reason)| reason.starts_with("the compiler's process does not run: ")));
    }

    #[test]
    fn a_compiler_that_breaks_down_refuses_the_file() {
        let broken = Answer::Refused("it does not compile: the compiler broke down with signal 11".into());
        assert_eq!(child("kill -SEGV $$"), Ok(broken));
        let slow = Answer::Refused("it does not compile: the compiler used more than its 120s of CPU time".into());
        assert_eq!(child("kill -XCPU $$"), Ok(slow));
    }

    #[test]
    fn a_child_that_takes_too_long_is_ended() {
        let mut command = Command::new("/bin/sh");
        // It neither reads nor ends.
        command.args(["-c", "exec sleep 1000"]);
        let late = Answer::Refused("it does not compile: the compiler was ended after 50ms".into());
        assert_eq!(ask(command, vec![b'x'; 1 << 20], Duration::from_millis(50)), Ok(late));
    }
}
