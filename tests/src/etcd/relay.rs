//! The way to one member for the other members. A test can close it to some of them: who speaks is said in the head of each
//! request.

use std::{collections::BTreeSet, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// The header in which a member says who it is (etcd, `rafthttp`), as it is looked for.
const FROM: &str = "x-server-from: ";
/// No head of etcd's is longer.
const LONGEST_HEAD: usize = 16 << 10;

/// A listener whose connections lead to a member.
pub(super) struct Relay {
    address: SocketAddr,
    shut_out: watch::Sender<BTreeSet<u64>>,
    accepting: JoinHandle<()>,
}

impl Relay {
    /// A way to the member that listens on this port.
    pub(super) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let (shut_out, state) = watch::channel(BTreeSet::new());
        let accepting = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(pass(near, port, state.clone()));
            }
        });
        Self { address, shut_out, accepting }
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends the connections of these members, and those that they open from now on; lets all others through.
    pub(super) fn shut_out(&self, members: impl IntoIterator<Item = u64>) {
        self.shut_out.send_replace(members.into_iter().collect());
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn pass(mut near: TcpStream, port: u16, mut shut_out: watch::Receiver<BTreeSet<u64>>) {
    let Some((head, from)) = head(&mut near).await else { return };
    let Ok(mut far) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    if far.write_all(&head).await.is_err() {
        return;
    }
    tokio::select! {
        biased;
        _ = shut_out.wait_for(|shut_out| from.is_some_and(|from| shut_out.contains(&from))) => {}
        _ = copy_bidirectional(&mut near, &mut far) => {}
    }
}

/// The head of the first request, and who sends it. All on one connection come from one member.
async fn head(near: &mut TcpStream) -> Option<(Vec<u8>, Option<u64>)> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = near.read_buf(&mut head).await.ok()?;
        if read == 0 || head.len() > LONGEST_HEAD {
            return None;
        }
    }
    let text = String::from_utf8_lossy(&head).to_lowercase();
    let from = text.lines().find_map(|line| u64::from_str_radix(line.strip_prefix(FROM)?, 16).ok());
    Some((head, from))
}
