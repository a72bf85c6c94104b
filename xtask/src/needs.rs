//! What a bare machine lacks: the Wasm target, etcd, and the tools of other languages. Added when that is possible, else
//! one sentence says how.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};

use crate::{
    cargo::{root, run, succeeds},
    say,
};

const WASM: &str = "wasm32-unknown-unknown";

/// The target that plugins are built for. `rust-toolchain.toml` names it, which adds it to a toolchain that is being
/// installed but not to one that is already there.
pub(crate) fn wasm_target() -> Result<()> {
    let output = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", WASM])
        .current_dir(root())
        .output()
        .context("rustc cannot be run")?;
    let folder = String::from_utf8_lossy(&output.stdout);
    if Path::new(folder.trim()).is_dir() {
        return Ok(());
    }
    let missing = format!("the Rust target {WASM} is missing; add it with `rustup target add {WASM}`");
    if !succeeds("rustup", &["--version"]) {
        bail!("{missing}, or with the package of your distribution (Debian: libstd-rust-dev-wasm32)");
    }
    run(Command::new("rustup").args(["target", "add", WASM]).current_dir(root())).context(missing)
}

/// An etcd to run and its command line client, which restores backups: those that `ETCD` and `ETCDCTL` name, those on
/// PATH, or Debian's packages.
pub(crate) fn etcd() -> Result<()> {
    let there = |variable: &str, program: &str, asked: &str| {
        let named = std::env::var(variable).unwrap_or_else(|_| program.into());
        succeeds(&named, &[asked])
    };
    let both = || there("ETCD", "etcd", "--version") && there("ETCDCTL", "etcdctl", "version");
    if both() {
        return Ok(());
    }
    const MISSING: &str = "etcd or etcdctl is missing: install them (Debian: `apt-get install etcd-server etcd-client`), \
                           put them on PATH, or name the binaries in ETCD and ETCDCTL";
    install(&["etcd-server", "etcd-client"]).context(MISSING)?;
    if !both() {
        bail!(MISSING);
    }
    Ok(())
}

/// A Python that can make virtual environments.
pub(crate) fn python() -> Result<()> {
    let there = || succeeds("python3", &["-c", "import ensurepip, venv"]);
    if there() {
        return Ok(());
    }
    const MISSING: &str = "python3 or its venv is missing: install it (Debian: `apt-get install python3-venv`)";
    install(&["python3-venv"]).context(MISSING)?;
    if !there() {
        bail!(MISSING);
    }
    Ok(())
}

/// Node and its package manager.
pub(crate) fn node() -> Result<()> {
    let there = || succeeds("node", &["--version"]) && succeeds("npm", &["--version"]);
    if there() {
        return Ok(());
    }
    const MISSING: &str = "node or npm is missing: install them (Debian: `apt-get install nodejs npm`)";
    install(&["nodejs", "npm"]).context(MISSING)?;
    if !there() {
        bail!(MISSING);
    }
    Ok(())
}

/// The packages that a list of `pip` names, in a virtual environment.
pub(crate) fn environment(list: &Path, folder: &Path) -> Result<()> {
    once(list, folder, || {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))?;
        let mut pip = Command::new(folder.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
        run(pip.arg(list))
    })
}

/// The packages of npm at the versions of the lock file in `programs`.
pub(crate) fn modules(programs: &Path, folder: &Path) -> Result<()> {
    once(&programs.join("package-lock.json"), folder, || {
        fs::create_dir_all(folder)?;
        for file in ["package.json", "package-lock.json"] {
            fs::copy(programs.join(file), folder.join(file)).with_context(|| format!("{file} cannot be copied"))?;
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
        run(npm.current_dir(folder))
    })
}

/// Installs unless that was done for just this list; the list is kept where it was installed.
fn once(list: &Path, folder: &Path, install: impl FnOnce() -> Result<()>) -> Result<()> {
    let wanted = fs::read(list).with_context(|| format!("{} cannot be read", list.display()))?;
    let done = folder.join("installed");
    if fs::read(&done).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    install()?;
    fs::write(&done, wanted).with_context(|| format!("{} cannot be written", done.display()))
}

/// A C compiler for Wasm, its linker and a C library.
pub(crate) fn clang() -> Result<()> {
    const PACKAGES: [&str; 4] = ["clang", "lld", "wasi-libc", "libclang-rt-dev-wasm32"];
    let there = || {
        let path = Command::new("clang").args(["--target=wasm32-wasi", "-print-file-name=crt1-reactor.o"]).output();
        let path = path.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        Path::new(path.trim()).is_absolute() && succeeds("wasm-ld", &["--version"])
    };
    if there() {
        return Ok(());
    }
    const MISSING: &str = "a C compiler for Wasm or its C library is missing: install them (Debian: `apt-get install clang \
                           lld wasi-libc libclang-rt-dev-wasm32`)";
    install(&PACKAGES).context(MISSING)?;
    if !there() {
        bail!(MISSING);
    }
    Ok(())
}

/// Debian's packages of these names.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let (program, before) = apt().and_then(<[_]>::split_first).context("there is no apt-get, or no right to use it")?;
    say(&format!("installing Debian's packages: {}", packages.join(" ")));
    let apt = |arguments: &[&str]| {
        let mut command = Command::new(program);
        run(command.args(before).args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    apt(&["update", "-qq"])?;
    apt(&[&["install", "-qq", "--yes", "--no-install-recommends"], packages].concat())
}

/// How to run apt-get with the right to install; `None`: there is no way.
fn apt() -> Option<&'static [&'static str]> {
    if !succeeds("apt-get", &["--version"]) {
        return None;
    }
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    if root {
        return Some(&["apt-get"]);
    }
    succeeds("sudo", &["-n", "true"]).then_some(&["sudo", "-n", "apt-get"])
}
