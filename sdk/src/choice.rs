//! Drawing candidates by their weight. Keeps no state: the randomness is the gateway's.

/// Two different indices, drawn by weight, the first draw first; the same one twice when there is no other. `None`
/// when there are no weights. A weight of 0 counts as 1.
///
/// Comparing just two, instead of all, is the power of two choices: nearly as even, and gateways that all see the same
/// figures do not all run to the same candidate.
///
/// ```
/// use symgate_sdk::choice;
///
/// let in_flight = [7, 0, 3];
/// let (first, second) = choice::two(0x1234_5678_9abc_def0, [1, 1, 2].into_iter()).unwrap();
/// assert_ne!(first, second);
/// let chosen = if in_flight[second] < in_flight[first] { second } else { first };
/// # assert!(chosen < 3);
/// ```
pub fn two(random: u64, weights: impl Iterator<Item = u32> + Clone) -> Option<(usize, usize)> {
    let weights = weights.map(|weight| u64::from(weight.max(1)));
    let first = one(random & 0xffff_ffff, weights.clone().enumerate())?;
    let others = weights.enumerate().filter(|(index, _)| *index != first);
    Some((first, one(random >> 32, others).unwrap_or(first)))
}

/// One of `candidates` (index and weight), drawn with 32 random bits.
fn one(random: u64, candidates: impl Iterator<Item = (usize, u64)> + Clone) -> Option<usize> {
    let total: u64 = candidates.clone().map(|(_, weight)| weight).sum();
    let mut left = u64::try_from((u128::from(total) * u128::from(random)) >> 32).unwrap_or(u64::MAX);
    for (index, weight) in candidates {
        match left.checked_sub(weight) {
            Some(rest) => left = rest,
            None => return Some(index),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::two;

    #[test]
    fn few_candidates() {
        assert_eq!(two(7, [].into_iter()), None);
        assert_eq!(two(7, [3].into_iter()), Some((0, 0)));
        assert_eq!(two(0, [1, 1].into_iter()), Some((0, 1)));
        assert_eq!(two(u64::MAX, [1, 0].into_iter()), Some((1, 0)));
    }

    #[test]
    fn draws_follow_the_weights() {
        let steps = 1_000;
        let firsts =
            (0..steps).filter(|step| two(step * (1 << 32) / steps, [3, 1].into_iter()) == Some((0, 1))).count();
        assert_eq!(firsts, 750);
    }

    proptest! {
        #[test]
        fn two_are_different(random: u64, weights in prop::collection::vec(any::<u32>(), 2..64)) {
            let (first, second) = two(random, weights.iter().copied()).unwrap();
            prop_assert!(first != second && first < weights.len() && second < weights.len());
        }
    }
}
