//! Rendezvous hashing: the same key goes to the same candidate as long as that one is there, on every gateway, in every
//! build. When a candidate leaves, only its own keys move. Keeps no state.

/// The index of the candidate that `key` belongs to; `None` when there is none.
///
/// Each candidate is its id and weight. One with twice the weight gets twice as many keys; of one with weight 0 every
/// key leaves that can. The order of the candidates does not matter.
///
/// ```
/// use symgate_sdk::hash::rendezvous;
///
/// let all = [(11, 1), (22, 1), (33, 1)];
/// let owner = rendezvous(b"BTC_USDT", all).unwrap();
/// assert_eq!(rendezvous(b"BTC_USDT", all.into_iter().rev()), Some(2 - owner));
/// ```
pub fn rendezvous(key: &[u8], candidates: impl IntoIterator<Item = (u64, u32)>) -> Option<usize> {
    let key = fnv(key);
    let ranked = candidates.into_iter().enumerate().map(|(index, (id, weight))| (score(key, id, weight), id, index));
    ranked.max_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))).map(|(.., index)| index)
}

/// A draw from an exponential distribution whose rate is 1 / weight: the largest of several wins with a chance
/// proportional to its weight.
fn score(key: u64, id: u64, weight: u32) -> f64 {
    // 52 bits and a half: never 0 and never 1.
    #[expect(clippy::cast_precision_loss, reason = "52 bits fit")]
    let uniform = ((mix(key ^ mix(id)) >> 12) as f64 + 0.5) / (1_u64 << 52) as f64;
    f64::from(weight) / -ln(uniform)
}

/// The natural logarithm of a positive normal number. Not `f64::ln`: its last bits differ between platforms, and a
/// built-in and its Wasm twin must agree. These operations are exact everywhere.
fn ln(x: f64) -> f64 {
    const FRACTION: u64 = (1 << 52) - 1;
    let bits = x.to_bits();
    #[expect(clippy::cast_precision_loss, reason = "eleven bits fit")]
    let exponent = (bits >> 52) as f64 - 1023.0;
    let mantissa = f64::from_bits((bits & FRACTION) | (1023 << 52));
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    // 2 * artanh(s) as its series; s is at most 1/3, so that twelve terms leave an error of about 1e-13.
    let series = (0..12).rev().fold(0.0, |sum, k| sum * s * s + 1.0 / f64::from(2 * k + 1));
    exponent * std::f64::consts::LN_2 + 2.0 * s * series
}

/// FNV-1a with 64 bits.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Spreads each bit over all bits: the finalizer of splitmix64.
fn mix(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::{ln, rendezvous};

    fn owners(candidates: &[(u64, u32)]) -> Vec<u64> {
        (0..10_000_u32)
            .map(|key| candidates[rendezvous(&key.to_le_bytes(), candidates.iter().copied()).unwrap()].0)
            .collect()
    }

    fn share(owners: &[u64], id: u64) -> f64 {
        owners.iter().filter(|owner| **owner == id).count() as f64 / owners.len() as f64
    }

    #[test]
    fn only_the_keys_of_a_candidate_that_leaves_move() {
        let before = owners(&[(1, 1), (2, 1), (3, 1)]);
        let after = owners(&[(1, 1), (3, 1)]);
        for (before, after) in before.into_iter().zip(after) {
            assert!(before == 2 || before == after, "a key moved from {before} to {after}");
        }
    }

    #[test]
    fn keys_are_shared_by_weight() {
        let owners = owners(&[(1, 1), (2, 1), (3, 2), (4, 0)]);
        for (id, expected) in [(1, 0.25), (2, 0.25), (3, 0.5), (4, 0.0)] {
            let share = share(&owners, id);
            assert!((share - expected).abs() < 0.02, "candidate {id} owns {share}, not {expected}");
        }
    }

    #[test]
    fn the_choice_is_the_same_in_every_build() {
        let candidates = [(101, 1), (102, 3), (103, 1), (104, 2)];
        let owners =
            ["BTC_USDT", "ETH_USDT", "", "SOL_USDT", "XRP_USDT"].map(|key| rendezvous(key.as_bytes(), candidates));
        assert_eq!(owners, [1, 3, 3, 2, 1].map(Some));
        assert_eq!(rendezvous(b"BTC_USDT", []), None);
    }

    #[test]
    fn the_logarithm_is_one() {
        for x in [1e-16, 0.1, 0.5, 0.999, 1.0, 1.5, 2.0, 1e10] {
            assert!((ln(x) - x.ln()).abs() < 1e-12 * x.ln().abs().max(1.0), "ln({x}) = {}", ln(x));
        }
    }
}
