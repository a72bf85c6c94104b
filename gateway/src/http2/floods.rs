//! What a peer may do that costs it less than us: each kind has a budget that grows with time, and for some kinds with
//! useful work. Numbers only; who knows the time tells when a second has passed.

use super::code::{Code, Fault};

/// A burst may be this many seconds' worth.
const BURST: u32 = 10;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flood {
    /// Streams that the peer reset, or whose rules it broke.
    Resets,
    /// Streams over the limit that it was told.
    Refused,
    /// PING.
    Pings,
    /// SETTINGS.
    Settings,
    /// Frames that carry nothing: empty DATA and CONTINUATION, interim responses.
    Empty,
    /// PRIORITY and frames of unknown kinds.
    Ignored,
    /// WINDOW_UPDATE.
    WindowUpdates,
}

/// How much of it a second is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Streams reset or refused.
    pub resets: u32,
    /// Frames of each other kind.
    pub frames: u32,
}

/// What is left of each budget.
pub(super) struct Floods {
    rates: Rates,
    left: [u32; 7],
}

impl Flood {
    const ALL: [Self; 7] =
        [Self::Resets, Self::Refused, Self::Pings, Self::Settings, Self::Empty, Self::Ignored, Self::WindowUpdates];

    const fn why(self) -> &'static str {
        match self {
            Self::Resets => "too many streams reset",
            Self::Refused => "too many streams over the limit",
            Self::Pings => "too many PING frames",
            Self::Settings => "too many SETTINGS frames",
            Self::Empty => "too many frames that carry nothing",
            Self::Ignored => "too many frames of no use",
            Self::WindowUpdates => "too many WINDOW_UPDATE frames",
        }
    }

    const fn rate(self, rates: Rates) -> u32 {
        match self {
            Self::Resets | Self::Refused => rates.resets,
            _ => rates.frames,
        }
    }
}

impl Floods {
    /// Full budgets.
    pub(super) fn new(rates: Rates) -> Self {
        Self { rates, left: Flood::ALL.map(|flood| flood.rate(rates).saturating_mul(BURST)) }
    }

    /// One more of these.
    pub(super) fn count(&mut self, flood: Flood) -> Result<(), Fault> {
        let left = self.left.get_mut(flood as usize).and_then(|left| Some((left.checked_sub(1)?, left)));
        let (less, left) = left.ok_or_else(|| Fault::new(Code::ENHANCE_YOUR_CALM, flood.why()))?;
        *left = less;
        Ok(())
    }

    /// A DATA frame went out: a peer answers it with a window update, and some measure the way with a PING.
    pub(super) fn data_sent(&mut self) {
        for flood in [Flood::Pings, Flood::WindowUpdates] {
            self.grow(flood, 2);
        }
    }

    /// A second has passed.
    pub(super) fn second_passed(&mut self) {
        for flood in Flood::ALL {
            self.grow(flood, flood.rate(self.rates));
        }
    }

    fn grow(&mut self, flood: Flood, by: u32) {
        let most = flood.rate(self.rates).saturating_mul(BURST);
        if let Some(left) = self.left.get_mut(flood as usize) {
            *left = left.saturating_add(by).min(most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spend(floods: &mut Floods, flood: Flood) -> u32 {
        (0..).find(|_| floods.count(flood).is_err()).expect("a limit")
    }

    #[test]
    fn each_kind_has_a_burst_and_then_its_rate() {
        let mut floods = Floods::new(Rates { resets: 3, frames: 5 });
        for flood in Flood::ALL {
            let rate = if matches!(flood, Flood::Resets | Flood::Refused) { 3 } else { 5 };
            assert_eq!(spend(&mut floods, flood), rate * BURST, "{flood:?}");
            assert_eq!(floods.count(flood).map_err(|fault| fault.code), Err(Code::ENHANCE_YOUR_CALM));
        }
        floods.second_passed();
        assert_eq!(spend(&mut floods, Flood::Resets), 3);
        assert_eq!(spend(&mut floods, Flood::Pings), 5);
        (0..100).for_each(|_| floods.second_passed());
        assert_eq!(spend(&mut floods, Flood::Pings), 50, "no more than a burst is saved");
    }

    #[test]
    fn work_pays_for_its_answers() {
        let mut floods = Floods::new(Rates { resets: 1, frames: 1 });
        spend(&mut floods, Flood::WindowUpdates);
        spend(&mut floods, Flood::Resets);
        floods.data_sent();
        assert_eq!(spend(&mut floods, Flood::WindowUpdates), 2);
        assert_eq!(spend(&mut floods, Flood::Resets), 0);
    }
}
