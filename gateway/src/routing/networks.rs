//! Where instances may be: an allow-list of networks and DNS names. Resolves nothing.

use std::net::IpAddr;

use super::Address;

#[cfg(test)]
mod tests;

/// The networks and names that instances of one registry may have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks {
    ranges: Vec<Range>,
    names: Vec<Name>,
}

/// All addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    base: IpAddr,
    bits: u8,
}

/// A DNS name, or with `*.` before it every name below it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    below: bool,
    name: String,
}

impl Networks {
    /// Adds `10.0.0.0/8`, `fd00::/8`, a single IP address, a DNS name, or `*.` and a DNS name.
    ///
    /// # Errors
    /// When it is none of these; says what to write.
    pub fn add(&mut self, text: &str) -> Result<(), String> {
        match (range(text)?, name(text)) {
            (Some(range), _) => self.ranges.push(range),
            (None, Some(name)) => self.names.push(name),
            (None, None) => {
                return Err(format!(
                    "{text:?} is no network and no DNS name; write one like \"10.0.0.0/8\", \"fd00::/8\", \"10.0.0.1\", \
                     \"kline.internal\" or \"*.svc.cluster.local\""
                ));
            }
        }
        Ok(())
    }

    /// Whether an instance may have this address. A name counts by itself; what it stands for is a matter of
    /// [`Networks::allow_ip`], once it is known.
    pub fn allow(&self, address: &Address) -> bool {
        match address.host().parse() {
            Ok(ip) => self.ranges.iter().any(|range| range.holds(ip)),
            Err(_) => self.names.iter().any(|name| name.fits(address.host())),
        }
    }

    /// Whether an instance may be reached at this IP address: any, where names are listed and no network is.
    pub fn allow_ip(&self, ip: IpAddr) -> bool {
        self.ranges.is_empty() || self.ranges.iter().any(|range| range.holds(ip))
    }

    /// Whether it matters what a name stands for.
    pub fn look_behind_names(&self) -> bool {
        !self.ranges.is_empty() && !self.names.is_empty()
    }
}

impl Range {
    /// An IPv4 address in the clothes of IPv6 (`::ffff:10.0.0.1`) is what it is on the wire: IPv4.
    fn holds(&self, ip: IpAddr) -> bool {
        match (self.base, ip.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(ip)) => first_bits(base.to_bits().into(), ip.to_bits().into(), self.bits, 32),
            (IpAddr::V6(base), IpAddr::V6(ip)) => first_bits(base.to_bits(), ip.to_bits(), self.bits, 128),
            _ => false,
        }
    }
}

/// Whether two numbers of `width` bits begin with the same `bits`.
fn first_bits(a: u128, b: u128, bits: u8, width: u32) -> bool {
    (a ^ b).checked_shr(width - u32::from(bits)).unwrap_or(0) == 0
}

impl Name {
    fn fits(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        match host.strip_suffix(&self.name) {
            Some(before) if self.below => before.len() > 1 && before.ends_with('.'),
            Some(before) => before.is_empty(),
            None => false,
        }
    }
}

/// `None` when the text is no IP address at all.
fn range(text: &str) -> Result<Option<Range>, String> {
    let (ip, bits) = text.split_once('/').map_or((text, None), |(ip, bits)| (ip, Some(bits)));
    let Ok(base) = ip.parse::<IpAddr>() else { return Ok(None) };
    if base.to_canonical() != base {
        return Err(format!("{text:?} is IPv4 written as IPv6; write it as IPv4, such as \"10.0.0.0/8\""));
    }
    let width = if base.is_ipv4() { 32 } else { 128 };
    let bits = match bits {
        None => width,
        // Digits only: a number may be written with a plus, a prefix may not.
        Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => bits.parse().unwrap_or(u8::MAX),
        Some(_) => u8::MAX,
    };
    if bits > width {
        return Err(format!("{text:?}: what follows the \"/\" is a number of bits from 0 to {width}"));
    }
    let range = Range { base, bits };
    let first = range.first();
    if first != base {
        return Err(format!(
            "{text:?} has more bits than {bits}; write \"{first}/{bits}\", or \"{base}\" for the one address"
        ));
    }
    Ok(Some(range))
}

impl Range {
    /// Its first address.
    fn first(&self) -> IpAddr {
        let zeros = |width: u32| width - u32::from(self.bits);
        match self.base {
            IpAddr::V4(ip) => IpAddr::V4((ip.to_bits() & u32::MAX.checked_shl(zeros(32)).unwrap_or(0)).into()),
            IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() & u128::MAX.checked_shl(zeros(128)).unwrap_or(0)).into()),
        }
    }
}

/// Names are understood as those of addresses are.
fn name(text: &str) -> Option<Name> {
    let (below, name) = text.strip_prefix("*.").map_or((false, text), |name| (true, name));
    let address: Address = format!("{name}:1").parse().ok()?;
    let name = address.host().trim_end_matches('.').to_owned();
    // Brackets make an IPv6 address, which stands without them here.
    (!text.contains(['[', ':'])).then_some(Name { below, name })
}
