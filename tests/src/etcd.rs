//! A real etcd: one process on loopback with a folder of its own, killed when dropped.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::{
    env, fs,
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use etcd_client::{Client, CompactionOptions, ConnectOptions};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};
use tonic::Code;

/// How long etcd may take to answer.
const READY: Duration = Duration::from_secs(30);
/// Starts until one meets no taken port.
const ATTEMPTS: usize = 5;

/// A running or stopped etcd of one member.
pub struct Etcd {
    folder: TempDir,
    client_port: u16,
    peer_port: u16,
    arguments: Vec<String>,
    process: Option<Child>,
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
        let arguments: Vec<_> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let mut log = String::new();
        for _attempt in 0..ATTEMPTS {
            let folder = tempfile::tempdir().expect("a folder for etcd");
            let [client_port, peer_port] = free_ports();
            let mut etcd = Self { folder, client_port, peer_port, arguments: arguments.clone(), process: None };
            if etcd.run().await {
                return etcd;
            }
            // Most likely somebody took the port between our look and etcd's.
            log = etcd.log();
        }
        panic!("etcd did not start in {ATTEMPTS} attempts; it logged:\n{log}");
    }

    /// The URL for clients.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.client_port)
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

    /// Whether it came up.
    async fn run(&mut self) -> bool {
        let binary = env::var_os("ETCD").unwrap_or_else(|| "etcd".into());
        let log = fs::File::create(self.folder.path().join("log")).expect("a log file for etcd");
        let (client, peer) = (self.endpoint(), format!("http://127.0.0.1:{}", self.peer_port));
        let process = Command::new(&binary)
            .args(["--name", "one", "--data-dir"])
            .arg(self.data())
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("one={peer}")])
            // A cluster of one elects itself at once.
            .args(["--heartbeat-interval", "10", "--election-timeout", "100"])
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
        self.answers().await
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
                Ok(Ok(status)) if status.leader() != 0 => return true,
                // It asks for a login, so it is up.
                Ok(Err(etcd_client::Error::GRpcStatus(status))) if status.code() != Code::Unavailable => return true,
                _ => sleep(Duration::from_millis(10)).await,
            }
        }
        false
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

/// Two ports that are free now.
fn free_ports() -> [u16; 2] {
    let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    [listen(), listen()].map(|listener| listener.local_addr().expect("a bound socket").port())
}

fn revision(header: Option<&etcd_client::ResponseHeader>) -> u64 {
    let header = header.expect("every reply has a header");
    header.revision().try_into().expect("revisions are positive")
}
