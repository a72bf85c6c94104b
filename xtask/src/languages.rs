//! `cargo xtask languages`: plugins in C, JavaScript and Python, built from the contract alone, loaded by the real gateway
//! and asked. Their sources are in `plugins/examples`; this prepares their tools, builds them and runs the tests.

use std::{fs, path::PathBuf, process::Command, time::Instant};

use anyhow::{Context, Result, bail};

use crate::{
    cargo::{build_all, built, cargo, root, run as run_command},
    needs, say,
};

/// The contract, and the part of it that the examples implement.
const WIT: &str = "sdk/wit";
const WORLD: &str = "extractor";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only this language: c, javascript or python. What it needs and cannot be had is an error then.
    #[arg(long)]
    only: Option<String>,
    /// Measures them, too: builds the benchmark of decisions as for a release, which takes minutes.
    #[arg(long)]
    bench: bool,
}

/// Where things are.
struct Places {
    /// `plugins/examples`.
    examples: PathBuf,
    /// What is installed, below cargo's target folder.
    work: PathBuf,
    /// The plugins that were built.
    plugins: PathBuf,
}

/// Prepares a language's tools and says how its plugin is built from then on.
type Prepare = fn(&Places) -> Result<Vec<Command>>;

const LANGUAGES: [(&str, Prepare); 3] = [("c", c), ("javascript", javascript), ("python", python)];

pub(crate) fn run(options: &Options) -> Result<()> {
    let wanted = |name: &str| options.only.as_deref().is_none_or(|only| only == name);
    if !LANGUAGES.iter().any(|(name, _)| wanted(name)) {
        bail!("there is no example in this language; those are in plugins/examples");
    }
    needs::wasm_target()?;
    build_all()?;
    let places = Places::find()?;
    let mut done = Vec::new();
    for (name, prepare) in LANGUAGES.iter().filter(|(name, _)| wanted(name)) {
        match prepare(&places) {
            Ok(commands) => {
                build(name, commands, &places)?;
                done.push(*name);
            }
            Err(why) if options.only.is_none() => say(&format!("{name} is LEFT OUT: {why:#}")),
            Err(why) => return Err(why.context(format!("{name} cannot be built"))),
        }
    }
    if done.is_empty() {
        bail!("none of the languages could be built");
    }
    test(&done, &places)?;
    if options.bench {
        let mut bench = cargo(["bench", "--workspace", "--bench", "decision"]);
        run_command(bench.env("SYMGATE_LANGUAGES", &places.plugins))?;
    }
    say(&format!("tested: {}; the files are in {}", done.join(", "), places.plugins.display()));
    Ok(())
}

fn build(name: &str, commands: Vec<Command>, places: &Places) -> Result<()> {
    let started = Instant::now();
    for mut command in commands {
        run_command(&mut command)?;
    }
    let size = fs::metadata(places.file(name)).with_context(|| format!("{name} was not built"))?.len();
    say(&format!("{name}: {} KiB, built in {:.1} s", size >> 10, started.elapsed().as_secs_f32()));
    Ok(())
}

/// Runs what `tests/it/languages.rs` has for these languages.
fn test(languages: &[&str], places: &Places) -> Result<()> {
    let mut test = cargo(["test", "--workspace", "--test", "it", "--", "--ignored"]);
    test.args(languages.iter().map(|name| format!("languages::{name}")));
    run_command(test.env("SYMGATE_BIN", built("symgate")?).env("SYMGATE_LANGUAGES", &places.plugins))
}

impl Places {
    fn find() -> Result<Self> {
        let own = built("xtask")?;
        let work = own.ancestors().nth(2).context("this program is not in cargo's target folder")?.join("languages");
        let plugins = work.join("plugins");
        fs::create_dir_all(&plugins).with_context(|| format!("{} cannot be made", plugins.display()))?;
        Ok(Self { examples: root().join("plugins/examples"), work, plugins })
    }

    fn file(&self, language: &str) -> PathBuf {
        self.plugins.join(language).with_extension("wasm")
    }
}

/// clang, and a C library of which nothing that needs WASI is used.
fn c(places: &Places) -> Result<Vec<Command>> {
    needs::clang()?;
    let bindings = places.work.join("c");
    let mut generate = Command::new(built("c-bindings")?);
    generate.arg(root().join(WIT)).arg(WORLD).arg(&bindings);
    let mut compile = Command::new("clang");
    compile.args(["--target=wasm32-wasi", "-mexec-model=reactor", "-O2", "-Wall", "-Werror", "-I"]).arg(&bindings);
    compile.arg(places.examples.join("c/plugin.c"));
    compile.args(["extractor.c", "extractor_component_type.o"].map(|generated| bindings.join(generated)));
    compile.args(["-Wl,--strip-debug", "-o"]).arg(places.file("c"));
    Ok(vec![generate, compile])
}

/// QuickJS with the module in it, at the version of the lock file.
fn javascript(places: &Places) -> Result<Vec<Command>> {
    needs::node()?;
    let (programs, folder) = (places.examples.join("javascript"), places.work.join("javascript"));
    needs::modules(&programs, &folder)?;
    let mut componentize = Command::new(folder.join("node_modules/.bin/componentize-qjs"));
    componentize.args(["--sync", "--stub-wasi", "--world", WORLD, "--wit"]).arg(root().join(WIT));
    componentize.arg("--js").arg(programs.join("plugin.js")).arg("--output").arg(places.file("javascript"));
    Ok(vec![componentize])
}

/// CPython with the module in it, at the version of the list.
fn python(places: &Places) -> Result<Vec<Command>> {
    needs::python()?;
    let (programs, folder) = (places.examples.join("python"), places.work.join("python"));
    needs::environment(&programs.join("requirements.txt"), &folder)?;
    // A copy, because CPython leaves its bytecode beside the source.
    let sources = folder.join("plugin");
    fs::create_dir_all(&sources)?;
    fs::copy(programs.join("by_order_prefix.py"), sources.join("by_order_prefix.py"))?;
    let mut componentize = Command::new(folder.join("bin/componentize-py"));
    componentize.arg("--wit-path").arg(root().join(WIT)).args(["--world", WORLD, "componentize", "--stub-wasi"]);
    componentize.arg("--python-path").arg(&sources).arg("by_order_prefix");
    componentize.arg("--output").arg(places.file("python"));
    Ok(vec![componentize])
}
