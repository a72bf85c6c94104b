//! Which addresses lead back to this gateway. Connects to nothing and resolves no name.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use tracing::warn;

use crate::{config::Config, interfaces, routing::Address};

/// The gateway's own listeners, and the addresses of the machine that they are reached by.
#[derive(Clone, Debug, Default)]
pub struct Own {
    data: Option<SocketAddr>,
    admin: Option<SocketAddr>,
    /// As of the start: an address that an interface is given later is not known.
    machine: Arc<[IpAddr]>,
}

impl Own {
    /// Of a gateway with this configuration, on this machine.
    pub fn of(config: &Config) -> Self {
        let machine = interfaces::addresses().unwrap_or_else(|error| {
            warn!(%error, "the interfaces cannot be listed; an entry that names this gateway by one is not known as its own");
            Vec::new()
        });
        Self { data: Some(config.listen.address), admin: Some(config.admin.address), machine: machine.into() }
    }

    /// Why the address is no instance; `None`: it may be one.
    pub(crate) fn refuse(&self, address: &Address) -> Option<String> {
        if self.reach(self.data, address) {
            return Some(format!("{address} is this gateway itself"));
        }
        let admin = self.reach(self.admin, address);
        admin.then(|| format!("{address} is the admin listener of this gateway"))
    }

    /// Whether who connects to the address gets to the listener. Other ports of the machine are others' own.
    fn reach(&self, listener: Option<SocketAddr>, address: &Address) -> bool {
        let Some(listener) = listener.filter(|listener| listener.port() == address.port()) else { return false };
        let is_here = |host: IpAddr| {
            let host = connected(host);
            match listener.ip() {
                // Of IPv6 only: one that listens on all of it takes IPv4, too.
                IpAddr::V4(all) if all.is_unspecified() => host.is_ipv4() && self.is_of_machine(host),
                all if all.is_unspecified() => self.is_of_machine(host),
                one => connected(one) == host,
            }
        };
        match address.host().parse() {
            Ok(host) => is_here(host),
            Err(_) => {
                let local = address.host().trim_end_matches('.') == "localhost";
                local && [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()].into_iter().any(is_here)
            }
        }
    }

    fn is_of_machine(&self, host: IpAddr) -> bool {
        host.is_loopback() || self.machine.contains(&host)
    }
}

/// Where a connection to an IP address goes: that to 0.0.0.0 or :: stays on the machine.
fn connected(host: IpAddr) -> IpAddr {
    match host.to_canonical() {
        IpAddr::V4(any) if any.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(any) if any.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        host => host,
    }
}

#[cfg(test)]
impl From<SocketAddr> for Own {
    fn from(data: SocketAddr) -> Self {
        Self { data: Some(data), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(data: &str, own: &[&str], others: &[&str]) {
        let machine = ["127.0.0.1", "10.0.0.5", "::1", "fd00::5"].map(|ip| ip.parse().expect("an IP")).into();
        let address = |text: &str| Some(text.parse().expect("an address"));
        let gateway = Own { data: address(data), admin: address("127.0.0.1:9901"), machine };
        let refuse = |text: &&str| gateway.refuse(&text.parse().expect("an address"));
        for text in own {
            assert_eq!(refuse(text), Some(format!("{text} is this gateway itself")), "listening on {data}");
        }
        for text in others {
            assert_eq!(refuse(text), None, "{text} is none of {data}");
        }
    }

    #[test]
    fn a_listener_on_all_interfaces_is_reached_by_each() {
        let own = ["127.0.0.1:9000", "127.8.8.8:9000", "10.0.0.5:9000", "localhost:9000", "0.0.0.0:9000"];
        let others = ["10.0.0.5:9001", "127.0.0.1:9001", "10.0.0.6:9000", "[::1]:9000", "[fd00::5]:9000", "kline:9000"];
        check("0.0.0.0:9000", &own, &others);
        let own = ["127.0.0.1:9000", "10.0.0.5:9000", "[::1]:9000", "[fd00::5]:9000", "localhost.:9000", "[::]:9000"];
        check("[::]:9000", &own, &["[fd00::6]:9000", "10.0.0.6:9000"]);
    }

    #[test]
    fn a_listener_on_one_address_is_reached_by_that() {
        check("10.0.0.5:9000", &["10.0.0.5:9000"], &["127.0.0.1:9000", "10.0.0.6:9000", "localhost:9000"]);
        check("127.0.0.1:9000", &["127.0.0.1:9000", "localhost:9000", "0.0.0.0:9000"], &["10.0.0.5:9000"]);
    }

    #[test]
    fn this_machine_is_known() {
        let config = Config::parse("[[route]]\nmatch = '/'\nservice = 'k'\n", "", std::path::Path::new(""));
        let gateway = Own::of(&config.expect("a configuration"));
        let interfaces = interfaces::addresses().expect("the interfaces");
        assert!(!interfaces.is_empty());
        for ip in interfaces.into_iter().filter(IpAddr::is_ipv4) {
            let refuse = |port: u16| gateway.refuse(&format!("{ip}:{port}").parse().expect("an address"));
            assert!(refuse(9000).is_some(), "{ip} is this machine");
            assert_eq!(refuse(9002), None, "another port is somebody else's");
        }
    }

    #[test]
    fn the_admin_listener_is_no_instance() {
        let gateway = Own { admin: Some(([127, 0, 0, 1], 9901).into()), ..Own::default() };
        let reason = gateway.refuse(&"127.0.0.1:9901".parse().expect("an address"));
        assert_eq!(reason.as_deref(), Some("127.0.0.1:9901 is the admin listener of this gateway"));
    }

    #[test]
    fn ipv4_in_the_clothes_of_ipv6_is_the_same_place() {
        let gateway = Own::from(SocketAddr::from(([127, 0, 0, 1], 9000)));
        assert!(gateway.refuse(&"[::ffff:127.0.0.1]:9000".parse().expect("an address")).is_some());
    }
}
