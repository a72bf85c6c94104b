//! The real gateway binary as a child process: started from a sentence, seen through its log and its admin listener,
//! killed by its own handle.

mod binary;
mod builder;
mod log;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ExitStatus},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy, rt::TokioExecutor};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    client::{self, Client},
    eventually,
    eventually::{Clock, PATIENCE, pause},
};

pub use binary::{check, path as binary, run_in};
pub use builder::{Builder, Plugin, Route};
pub use log::Log;

/// A running gateway.
pub struct Gateway {
    child: Child,
    log: Log,
    folder: TempDir,
    data: SocketAddr,
    admin: SocketAddr,
}

impl Gateway {
    /// Says how the gateway is configured.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Starts the binary on the configuration in `folder` and waits until it listens.
    ///
    /// # Panics
    /// When it ends or does not listen; its log is printed.
    async fn start(folder: TempDir) -> Self {
        let (child, log) = binary::run(&folder.path().join("symgate.toml"));
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut gateway = Self { child, log, folder, data: unknown, admin: unknown };
        let clock = Clock::start(PATIENCE);
        loop {
            if let (Some(data), Some(admin)) = (gateway.log.listener("data"), gateway.log.listener("admin")) {
                gateway.data = data;
                gateway.admin = admin;
                return gateway;
            }
            let ended = gateway.child.try_wait().unwrap();
            assert!(ended.is_none(), "the gateway ended at its start: {}", ended.unwrap_or_default());
            assert!(clock.runs(), "the gateway did not say that it listens");
            pause().await;
        }
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.data
    }

    /// Where operators connect to.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// Its configuration file.
    pub fn config_path(&self) -> PathBuf {
        self.folder.path().join("symgate.toml")
    }

    /// A client on a connection of its own.
    pub fn client(&self) -> Client {
        client::client(self.data)
    }

    /// What it has logged so far.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Waits until `/readyz` says yes.
    pub async fn ready(&self) {
        eventually!(self.admin_get("/readyz").await.0 == 200, "the gateway is not ready");
    }

    /// Waits until calls about each of these symbols reach an instance.
    pub async fn serving(&self, symbols: &[&str]) {
        let mut client = self.client();
        for symbol in symbols {
            eventually!(
                client.get_kline(client::ask(symbol)).await.map_or_else(|status| !client::is_ours(&status), |_| true),
                "no instance of {symbol} is reached"
            );
        }
    }

    /// Status and body of a path of the admin listener; status 0 when there is no answer.
    pub async fn admin_get(&self, path: &str) -> (u16, String) {
        self.admin_ask("GET", path).await
    }

    /// The same, asked with POST.
    pub async fn admin_post(&self, path: &str) -> (u16, String) {
        self.admin_ask("POST", path).await
    }

    async fn admin_ask(&self, method: &str, path: &str) -> (u16, String) {
        let url = format!("http://{}{path}", self.admin);
        let request = http::Request::builder().method(method).uri(url).body(Empty::new()).unwrap();
        let client: legacy::Client<_, Empty<Bytes>> = legacy::Client::builder(TokioExecutor::new()).build_http();
        let Ok(response) = client.request(request).await else { return (0, String::new()) };
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    /// `/table` as JSON.
    pub async fn table(&self) -> Value {
        self.admin_json("/table").await
    }

    /// `/plugins` as JSON.
    pub async fn plugins(&self) -> Value {
        self.admin_json("/plugins").await
    }

    async fn admin_json(&self, path: &str) -> Value {
        let (status, body) = self.admin_get(path).await;
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path} answered {status} {body:?}: {error}"))
    }

    /// The version of a plugin that decides now.
    pub async fn plugin_version(&self, name: &str) -> String {
        let plugins = self.plugins().await;
        let list = plugins.as_array().or_else(|| plugins["plugins"].as_array()).expect("a list of plugins");
        let plugin = list.iter().find(|plugin| plugin["name"] == name).expect("the plugin is listed");
        plugin["version"].as_str().expect("a version").to_owned()
    }

    /// The sum of a metric over all label sets that contain `labels`, a piece of text such as `status="OK"`.
    pub async fn metric(&self, name: &str, labels: &str) -> f64 {
        let (_, text) = self.admin_get("/metrics").await;
        let value = |line: &str| {
            let rest = line.strip_prefix(name)?;
            let value = rest.starts_with(['{', ' ']).then(|| rest.rsplit_once(' '))??;
            value.0.contains(labels).then(|| value.1.parse::<f64>().ok())?
        };
        text.lines().filter_map(value).sum()
    }

    /// Its resident memory in bytes.
    pub fn rss(&self) -> u64 {
        self.status("VmRSS:") * 1024
    }

    /// The CPU time of all its threads so far.
    pub fn cpu(&self) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        tasks.map(|task| on_cpu(&task.unwrap().path())).sum()
    }

    /// The CPU time of its main thread, which is that of the control plane.
    pub fn cpu_of_control(&self) -> Duration {
        on_cpu(format!("/proc/{0}/task/{0}", self.child.id()).as_ref())
    }

    /// Its threads.
    pub fn threads(&self) -> u64 {
        self.status("Threads:")
    }

    /// Its open files, connections among them.
    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// A number that the kernel keeps of the process.
    fn status(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let value = status.lines().find_map(|line| line.strip_prefix(name)).expect("the line is in /proc");
        value.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Kills the processes that compile for it; how many.
    pub fn kill_compilers(&self) -> usize {
        binary::signal_compilers(&self.child, Signal::KILL).len()
    }

    /// Makes the processes that compile for it stand still; their folders in /proc.
    pub fn stop_compilers(&self) -> Vec<PathBuf> {
        binary::signal_compilers(&self.child, Signal::STOP)
    }

    /// Asks it to end, as a service manager does.
    pub fn terminate(&self) {
        binary::terminate(&self.child);
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// When it still runs after the deadline.
    pub async fn exited(&mut self, deadline: Duration) -> ExitStatus {
        let clock = Clock::start(deadline);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(clock.runs(), "the gateway still runs {deadline:?} later");
            pause().await;
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            self.log.print();
        }
    }
}

/// The CPU time of a thread; none when it has ended.
fn on_cpu(task: &Path) -> Duration {
    let times = std::fs::read_to_string(task.join("schedstat")).unwrap_or_default();
    Duration::from_nanos(times.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or_default())
}
