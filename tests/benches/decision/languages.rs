//! What a plugin costs that is written in another language: `cargo xtask languages --bench` builds those of
//! `plugins/examples` and runs this. Beside them the same in Rust.

use std::{
    env,
    fs::{self, read_to_string},
    hint::black_box,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use rustix::time::ClockId;
use symgate::{
    config::{self, Limits},
    plugin::{Host, Plugin, Sandboxes},
};
use symgate_sdk::Call;

use crate::{measure, timed};

/// Sandboxes that are made and asked to see what one takes, and how often each is asked.
const SANDBOXES: u32 = 30;
const WARM: u32 = 200;

/// Where the built plugins are.
pub(crate) fn folder() -> Option<PathBuf> {
    env::var_os("SYMGATE_LANGUAGES").map(PathBuf::from)
}

/// A line for each language.
pub(crate) fn print(folder: &Path) -> anyhow::Result<()> {
    println!("CPU time; the decision: ns, best / median");
    println!(
        "{:<14} {:>9} {:>9} {:>14} {:>12} {:>12} {:>12} {:>16}",
        "", "file KiB", "compile s", "from cache ms", "sandbox ms", "limit MiB", "sandbox KiB", "decision"
    );
    let mut files = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    files.sort();
    // The same in Rust.
    files.push(Path::new(env!("SYMGATE_WASM_DIR")).join("metadata_key.wasm"));
    files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "wasm")).try_for_each(line)
}

fn line(path: &PathBuf) -> anyhow::Result<()> {
    let name = &*path.file_stem().unwrap_or_default().to_string_lossy();
    let bytes = fs::read(path)?;
    // A folder of its own, so that the first load compiles and the second does not.
    let kept = tempfile::tempdir()?;
    let host = Host::with_compiler(Some(kept.path()), None, config::Sandbox::default())?;
    let config = |memory: usize| config::Plugin {
        limits: Limits { time: Duration::from_secs(10), memory: memory << 20, ..Limits::default() },
        remember: false,
        ..config::Plugin::of_file(path, r#"{"key":"symbol"}"#.into())
    };
    let (compiled, plugin) = timed(ClockId::ProcessCPUTime, || host.load(&config(1_024), &bytes, 1));
    let (fetched, again) = timed(ClockId::ProcessCPUTime, || host.load(&config(1_024), &bytes, 1));
    drop(again?);
    let plugin = plugin?;
    let fits = |memory: &usize| host.load(&config(*memory), &bytes, 1).is_ok();
    let limit = (0..10).map(|power| 1 << power).find(fits).context("no limit is enough")?;

    let mut all: Vec<_> = (0..SANDBOXES + 2).map(|_| Sandboxes::default()).collect();
    let (ready, made) = all.split_at_mut(2);
    ready.iter_mut().for_each(|sandboxes| warm(sandboxes, &plugin, WARM));
    let before = resident_kib()?;
    let (making, ()) =
        timed(ClockId::ThreadCPUTime, || made.iter_mut().for_each(|sandboxes| warm(sandboxes, &plugin, 1)));
    made.iter_mut().for_each(|sandboxes| warm(sandboxes, &plugin, WARM));
    let kib = resident_kib()?.saturating_sub(before) / u64::from(SANDBOXES);
    drop(all);

    let (best, median) = measure(&plugin, &mut |sandboxes, plugin| ask(sandboxes, plugin));
    println!(
        "{name:<14} {:>9} {:>9.2} {:>14.1} {:>12.2} {limit:>12} {kib:>12} {:>16}",
        bytes.len() >> 10,
        compiled.as_secs_f64(),
        fetched.as_secs_f64() * 1e3,
        making.as_secs_f64() * 1e3 / f64::from(SANDBOXES),
        format!("{best} / {median}"),
    );
    Ok(())
}

fn warm(sandboxes: &mut Sandboxes, plugin: &Plugin, times: u32) {
    for _ in 0..times {
        assert!(ask(sandboxes, plugin), "the plugin answers");
    }
}

fn ask(sandboxes: &mut Sandboxes, plugin: &Plugin) -> bool {
    let metadata = [Some(b"BTC_USDT-1f3a9c".as_slice())];
    black_box(sandboxes.extract(0, plugin, &Call { metadata: &metadata, ..Call::default() })).is_ok()
}

fn resident_kib() -> anyhow::Result<u64> {
    let status = read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("Linux says what is resident")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
