//! What the process takes of the system, and what it tells of that.

use std::{
    fs,
    process::{Child, Command, Stdio},
};

use symgate_tests::{Gateway, RegistryFile, eventually, gateway};
use tempfile::TempDir;

/// Killed by its own handle, whatever happens.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test]
async fn a_gateway_takes_as_many_open_files_as_the_system_allows() {
    let (folder, registry) = (TempDir::new().unwrap(), RegistryFile::new());
    let config = folder.path().join("symgate.toml");
    fs::write(&config, Gateway::builder().file(&registry).text()).unwrap();
    // The shell becomes the gateway, which begins with what a shell gives, or less.
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"ulimit -S -n 128 && exec "$0" run --config "$1""#]).arg(gateway::binary()).arg(&config);
    let child = Killed(shell.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());

    let file = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", child.0.id())).unwrap();
    let limits = || {
        let text = file("limits");
        let line = text.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
        let limits: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        (limits[0].clone(), limits[1].clone())
    };
    // From then on the limit is what the shell left, or what the gateway made of it.
    eventually!(file("comm").trim() == "symgate", "the shell does not become the gateway");
    eventually!(limits().0 == limits().1, "the limit stays: {:?}", limits());
}

#[tokio::test]
async fn each_thread_tells_how_many_tasks_it_has() {
    let (_instance, _registry, gateway) = Gateway::builder().listen("workers", 1).over_one().await;
    for thread in ["worker-0", "control"] {
        let labels = format!("thread=\"{thread}\"");
        eventually!(gateway.metric("symgate_tasks", &labels).await >= 3.0, "{thread} has no tasks");
    }
}
