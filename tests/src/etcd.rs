//! A real etcd: one process on loopback with a folder of its own, killed when dropped. Several make a [`Cluster`].

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::{
    env, fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use etcd_client::{Client, CompactionOptions, ConnectOptions};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};
use tonic::Code;

use crate::tls::Files;

mod cluster;
mod relay;

pub use cluster::Cluster;

/// How long etcd may take to answer.
const READY: Duration = Duration::from_secs(30);
/// Starts until one meets no taken port.
const ATTEMPTS: usize = 5;

/// A running or stopped etcd: one member, most often the only one.
pub struct Etcd {
    name: String,
    folder: TempDir,
    client_port: u16,
    secure_port: u16,
    peer_port: u16,
    /// Where clients with TLS are listened to, too.
    secure: bool,
    /// What is said of the members; `None`: it is the only one.
    membership: Option<Membership>,
    arguments: Vec<String>,
    process: Option<Child>,
}

/// What a member of a cluster is told of it.
struct Membership {
    /// Where others reach it.
    advertised: String,
    /// All members and where they are reached.
    initial: String,
    /// Whether it joins a cluster that is there.
    joins: bool,
}

impl Etcd {
    /// Starts one that answers.
    ///
    /// # Panics
    /// When there is no etcd, or it does not come up; with what it logged.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same, with more command line arguments.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn start_with(arguments: &[&str]) -> Self {
        Self::start_as(arguments, false).await
    }

    /// The same, with a second port where clients speak TLS: it shows the pair `server` of the files, and `mutual` wants a
    /// certificate of `clients.pem` from them. The first port stays as it is, for the test.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn start_secure(files: &Files, mutual: bool) -> Self {
        let path = |name: &str| files.path(name).to_str().expect("text").to_owned();
        let (certificate, key, clients) = (path("server.pem"), path("server.key"), path("clients.pem"));
        let mut arguments = vec!["--cert-file", &certificate, "--key-file", &key];
        if mutual {
            arguments.extend(["--client-cert-auth", "--trusted-ca-file", &clients]);
        }
        Self::start_as(&arguments, true).await
    }

    async fn start_as(arguments: &[&str], secure: bool) -> Self {
        let mut log = String::new();
        for _attempt in 0..ATTEMPTS {
            let mut etcd = Self::new("one", arguments);
            // Another test's etcd may answer at a port that both chose: this is how it is known.
            etcd.name = etcd.folder.path().file_name().expect("a folder with a name").to_string_lossy().into_owned();
            etcd.secure = secure;
            if etcd.run().await {
                return etcd;
            }
            // Most likely somebody took the port between our look and etcd's.
            log = etcd.log();
        }
        panic!("etcd did not start in {ATTEMPTS} attempts; it logged:\n{log}");
    }

    /// One that was not started yet.
    fn new(name: &str, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder for etcd");
        let [client_port, secure_port, peer_port] = free_ports();
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let (name, membership, process) = (name.to_owned(), None, None);
        Self { name, folder, client_port, secure_port, peer_port, secure: false, membership, arguments, process }
    }

    /// The URL for clients.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.client_port)
    }

    /// The URL for clients that speak TLS.
    pub fn secure_endpoint(&self) -> String {
        format!("https://127.0.0.1:{}", self.secure_port)
    }

    /// Where it listens to other members.
    fn peer(&self) -> String {
        format!("http://127.0.0.1:{}", self.peer_port)
    }

    /// A client that is not logged in.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn client(&self) -> Client {
        Client::connect([self.endpoint()], None).await.expect("a client of etcd")
    }

    /// A client that is logged in.
    ///
    /// # Panics
    /// When etcd refuses the login.
    pub async fn client_of(&self, user: &str, password: &str) -> Client {
        let options = ConnectOptions::new().with_user(user, password);
        Client::connect([self.endpoint()], Some(options)).await.expect("a login at etcd")
    }

    /// Writes a value; the revision after it.
    ///
    /// # Panics
    /// When etcd refuses.
    pub async fn put(&self, key: &str, value: impl Into<Vec<u8>>) -> u64 {
        let answer = self.client().await.put(key, value, None).await.expect("a put");
        revision(answer.header())
    }

    /// Removes a key; the revision after it.
    ///
    /// # Panics
    /// When etcd refuses.
    pub async fn delete(&self, key: &str) -> u64 {
        let answer = self.client().await.delete(key, None).await.expect("a delete");
        revision(answer.header())
    }

    /// Forgets all history before now.
    ///
    /// # Panics
    /// When etcd refuses.
    pub async fn compact(&self) {
        let mut client = self.client().await;
        let now = client.get("any", None).await.expect("a get");
        let now = now.header().expect("every reply has a header").revision();
        let options = CompactionOptions::new().with_physical();
        client.compact(now, Some(options)).await.expect("a compaction");
    }

    /// Kills it; the data stays.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It fails when it ended by itself.
            drop(process.kill());
            drop(process.wait());
        }
    }

    /// Makes it stand still: its connections stay and nothing is answered.
    ///
    /// # Panics
    /// When it does not run.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// When it does not run.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().expect("it runs");
        let id = Pid::from_raw(process.id().cast_signed()).expect("a process id");
        kill_process(id, signal).expect("a signal to a child");
    }

    /// Stops it and starts it again with the same data on the same ports.
    ///
    /// # Panics
    /// When it does not come up again.
    pub async fn restart(&mut self) {
        self.stop();
        assert!(self.run().await, "etcd did not start again; it logged:\n{}", self.log());
    }

    /// The same, but all data is lost.
    ///
    /// # Panics
    /// When it does not come up again.
    pub async fn restart_without_data(&mut self) {
        self.stop();
        fs::remove_dir_all(self.data()).expect("the data can be removed");
        self.restart().await;
    }

    /// Keeps what it holds now in a file.
    ///
    /// # Panics
    /// When etcd refuses.
    pub async fn save(&self, file: &Path) {
        let output = ctl().arg("--endpoints").arg(self.endpoint()).args(["snapshot", "save"]).arg(file).output();
        ran(&output.await.expect("etcdctl can be run"));
    }

    /// Stops it and starts it again with what was kept in a file: its revision goes back. The cluster has another id unless
    /// the token is `etcd-cluster`.
    ///
    /// # Panics
    /// When it does not come up again.
    pub async fn restore(&mut self, file: &Path, token: &str) {
        self.stop();
        fs::remove_dir_all(self.data()).expect("the data can be removed");
        let mut restore = ctl();
        restore.args(["snapshot", "restore"]).arg(file).arg("--data-dir").arg(self.data());
        restore.args(["--name", &self.name, "--initial-advertise-peer-urls", &self.peer()]);
        restore.args(["--initial-cluster", &format!("{}={}", self.name, self.peer())]);
        restore.args(["--initial-cluster-token", token]);
        ran(&restore.output().await.expect("etcdctl can be run"));
        self.restart().await;
    }

    /// Whether it came up.
    async fn run(&mut self) -> bool {
        self.spawn();
        self.answers().await
    }

    fn spawn(&mut self) {
        let binary = env::var_os("ETCD").unwrap_or_else(|| "etcd".into());
        let log = fs::File::create(self.folder.path().join("log")).expect("a log file for etcd");
        let (client, peer) = (self.endpoint(), self.peer());
        let listen = if self.secure { format!("{client},{}", self.secure_endpoint()) } else { client.clone() };
        let alone = Membership { advertised: peer.clone(), initial: format!("{}={peer}", self.name), joins: false };
        let membership = self.membership.as_ref().unwrap_or(&alone);
        // A cluster of one elects itself at once.
        let [heartbeat, election] = if self.membership.is_none() { ["10", "100"] } else { ["50", "500"] };
        let process = Command::new(&binary)
            .args(["--name", &self.name, "--data-dir"])
            .arg(self.data())
            .args(["--listen-client-urls", &listen, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &membership.advertised])
            .args(["--initial-cluster", &membership.initial])
            .args(["--initial-cluster-state", if membership.joins { "existing" } else { "new" }])
            .args(["--heartbeat-interval", heartbeat, "--election-timeout", election])
            // 3.4 has another logger by default, 3.5 and later have only this one.
            .args(["--logger", "zap", "--log-level", "warn"])
            .args(&self.arguments)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        let process = process.unwrap_or_else(|error| {
            panic!("{} cannot be run ({error}): install etcd with `apt-get install etcd-server`, or name the binary in $ETCD", binary.display())
        });
        self.process = Some(process);
    }

    /// Waits until it answers; `false` when it ended instead.
    async fn answers(&mut self) -> bool {
        let deadline = Instant::now() + READY;
        while Instant::now() < deadline {
            let process = self.process.as_mut().expect("it was started");
            if process.try_wait().expect("the state of a child").is_some() {
                return false;
            }
            match timeout(Duration::from_secs(1), async { self.client().await.status().await }).await {
                Ok(Ok(status)) if status.leader() != 0 && self.is_member().await => return true,
                // It asks for a login, so it is up.
                Ok(Err(etcd_client::Error::GRpcStatus(status))) if status.code() != Code::Unavailable => return true,
                _ => sleep(Duration::from_millis(10)).await,
            }
        }
        false
    }

    /// Whether who answers knows it, as far as that is said.
    async fn is_member(&self) -> bool {
        let members = async { self.client().await.member_list().await };
        members.await.is_ok_and(|list| list.members().iter().any(|member| member.name() == self.name))
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Ports that are free now.
fn free_ports() -> [u16; 3] {
    let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    [listen(), listen(), listen()].map(|listener| listener.local_addr().expect("a bound socket").port())
}

fn ctl() -> tokio::process::Command {
    let mut command = tokio::process::Command::new(env::var_os("ETCDCTL").unwrap_or_else(|| "etcdctl".into()));
    command.env("ETCDCTL_API", "3").kill_on_drop(true);
    command
}

fn ran(output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "etcdctl ended with {}; it said:\n{said}", output.status);
}

fn revision(header: Option<&etcd_client::ResponseHeader>) -> u64 {
    let header = header.expect("every reply has a header");
    header.revision().try_into().expect("revisions are positive")
}
