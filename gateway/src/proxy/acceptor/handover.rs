//! Several gateways listen on one address (SO_REUSEPORT), and one of them goes. Closing its listener would reset the
//! connections that the kernel holds ready for it and those whose handshake is under way, so it has new ones sent to
//! another listener before.
//!
//! The kernel spreads connections over the listeners by a hash, unless a program that any of them attached says which
//! one gets them, by its place in the group. Nobody can ask for their own place, so it is tried out. Linux only;
//! elsewhere nothing is sent away. Decides nothing about connections that are open.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::AsFd,
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// No listener's place: the kernel goes by its hash.
const NOBODY: u32 = u32::MAX;
/// How long finding another listener may take.
const SEARCH: Duration = Duration::from_secs(2);
/// How long a connection may take from being open to being accepted.
const ARRIVAL: Duration = Duration::from_millis(200);
/// When no handshake has ended for so long, none is under way: more than a round trip to any client.
const QUIET: Duration = Duration::from_millis(300);
/// Handshakes that were under way end within it.
const LAST: Duration = Duration::from_secs(3);

/// A listener has joined the others: what one that went left behind counts no more.
pub(super) fn begin(listener: &impl AsFd) {
    if let Err(error) = choose(listener, NOBODY) {
        tracing::warn!(%error, "new connections cannot be sent to another gateway; at a handover a few may be reset");
    }
}

/// Has new connections sent to another listener, if there is one, and takes those that still come.
pub(super) async fn send_away(listener: &TcpListener, mut take: impl FnMut(std::net::TcpStream)) {
    match timeout(SEARCH, choose_another(listener, &mut take)).await {
        Ok(Ok(true)) => tracing::info!("another gateway gets the new connections"),
        Ok(Ok(false)) => return tracing::info!("no other gateway listens here"),
        Ok(Err(error)) => return tracing::warn!(%error, "new connections cannot be sent to another gateway"),
        Err(_elapsed) => return tracing::warn!("new connections cannot be sent to another gateway in time"),
    }
    let last = async {
        while let Ok(Ok((tcp, _))) = timeout(QUIET, listener.accept()).await {
            tcp.into_std().into_iter().for_each(&mut take);
        }
    };
    let _ = timeout(LAST, last).await;
}

/// Whether there is another.
async fn choose_another(listener: &TcpListener, take: &mut impl FnMut(std::net::TcpStream)) -> io::Result<bool> {
    // Of two places one is another's, or nobody's: then the kernel goes by its hash, and that finds this one.
    for place in [0, 1] {
        choose(listener, place)?;
        if !arrives(listener, take).await? {
            return Ok(true);
        }
    }
    choose(listener, NOBODY)?;
    Ok(false)
}

/// Whether a new connection comes here.
async fn arrives(listener: &TcpListener, take: &mut impl FnMut(std::net::TcpStream)) -> io::Result<bool> {
    let probe = TcpStream::connect(reachable(listener.local_addr()?)).await?;
    let own = probe.local_addr()?;
    let found = async {
        loop {
            match listener.accept().await? {
                (_, from) if from == own => return Ok(true),
                (tcp, _) => take(tcp.into_std()?),
            }
        }
    };
    timeout(ARRIVAL, found).await.unwrap_or(Ok(false))
}

/// Where to connect to who listens there.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

/// The listener at this place of the group gets all new connections.
#[cfg(target_os = "linux")]
fn choose(listener: &impl AsFd, place: u32) -> io::Result<()> {
    use nix::{
        libc::{BPF_K, BPF_RET, sock_filter, sock_fprog},
        sys::socket::{setsockopt, sockopt::AttachReusePortCbpf},
    };
    let code = u16::try_from(BPF_RET | BPF_K).map_err(io::Error::other)?;
    let mut program = [sock_filter { code, jt: 0, jf: 0, k: place }];
    let program = sock_fprog { len: 1, filter: program.as_mut_ptr() };
    Ok(setsockopt(listener, AttachReusePortCbpf, &program)?)
}

#[cfg(not(target_os = "linux"))]
fn choose(_: &impl AsFd, _: u32) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
