//! This machine's addresses, and which of them others reach it by. Sends nothing.

use std::{io, net::IpAddr};

/// The addresses of all interfaces as of now; they may change later.
///
/// # Errors
/// When they cannot be listed.
pub fn addresses() -> io::Result<Vec<IpAddr>> {
    Ok(if_addrs::get_if_addrs()?.iter().map(if_addrs::Interface::ip).collect())
}

/// The first private address of an interface that is up; IPv4 before IPv6.
///
/// # Errors
/// When there is none; names those that there are.
pub fn private_address() -> Result<IpAddr, String> {
    let interfaces = if_addrs::get_if_addrs().map_err(|error| format!("the interfaces cannot be listed: {error}"))?;
    let up = interfaces.into_iter().filter(if_addrs::Interface::is_oper_up);
    let addresses: Vec<_> = up.map(|interface| (interface.ip(), interface.name)).collect();
    choose(&addresses)
}

fn choose(addresses: &[(IpAddr, String)]) -> Result<IpAddr, String> {
    let ips = || addresses.iter().map(|(ip, _)| *ip);
    let v4 = ips().find(|ip| matches!(ip, IpAddr::V4(v4) if v4.is_private()));
    v4.or_else(|| ips().find(|ip| matches!(ip, IpAddr::V6(v6) if v6.is_unique_local()))).ok_or_else(|| {
        let found: Vec<_> = addresses.iter().map(|(ip, name)| format!("{ip} on {name}")).collect();
        format!("no interface has a private address, only {}; name the address", found.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(addresses: &[&str], expected: Result<&str, &str>) {
        let addresses: Vec<_> = addresses.iter().map(|ip| (ip.parse().expect("an IP"), "eth".to_owned())).collect();
        let chosen = choose(&addresses).map(|ip| ip.to_string());
        assert_eq!(chosen.as_deref().map_err(|error| &**error), expected);
    }

    #[test]
    fn the_first_private_one_is_chosen() {
        check(&["127.0.0.1", "8.8.8.8", "fd00::1", "192.168.2.9", "10.0.0.1"], Ok("192.168.2.9"));
        check(&["::1", "fe80::1", "fd00::1"], Ok("fd00::1"));
    }

    #[test]
    fn loopback_is_not_announced() {
        let text = "no interface has a private address, only 127.0.0.1 on eth, ::1 on eth; name the address";
        check(&["127.0.0.1", "::1"], Err(text));
    }
}
