//! Flow control (RFC 9113 section 5.2): how much may be sent, and how much the peer may send. Numbers only.

use super::settings::MAX_WINDOW;

/// What the peer lets us send; negative after it lowered its initial window (RFC 9113 section 6.9.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SendWindow(i64);

/// What we let the peer send. Room is given back in portions of half the window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Credit {
    size: u32,
    /// What the peer may still send; negative after a window was made smaller that it had used.
    left: i64,
    /// What was taken in, is used up, and was not told to the peer yet.
    used: u32,
}

/// A window would grow over 2^31-1.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Overflow;

/// The peer sent more than it may.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exceeded;

impl SendWindow {
    /// Of this size.
    pub(super) fn new(size: u32) -> Self {
        Self(size.into())
    }

    /// Bytes that may be sent now.
    pub(super) fn room(self) -> usize {
        self.0.max(0) as usize
    }

    /// So many bytes are sent.
    pub(super) fn take(&mut self, bytes: usize) {
        self.0 -= bytes as i64;
    }

    /// The peer opens it, or changes the size that it began with.
    pub(super) fn change(&mut self, by: i64) -> Result<(), Overflow> {
        self.0 += by;
        if self.0 > MAX_WINDOW.into() { Err(Overflow) } else { Ok(()) }
    }
}

impl Credit {
    /// A window of this size, all of it open.
    pub(super) fn new(size: u32) -> Self {
        Self { size, left: size.into(), used: 0 }
    }

    /// So many bytes came.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Exceeded> {
        if bytes as i64 > self.left.max(0) {
            return Err(Exceeded);
        }
        self.left -= bytes as i64;
        Ok(())
    }

    /// For now the peer may send so much more.
    pub(super) fn widen(&mut self, by: u32) {
        self.left += i64::from(by);
    }

    /// It no longer may.
    pub(super) fn narrow(&mut self, by: u32) {
        self.left -= i64::from(by);
    }

    /// Bytes that came and are not used up.
    #[cfg(test)]
    pub(super) fn held(self) -> i64 {
        i64::from(self.size) - self.left - i64::from(self.used)
    }

    /// So many of them are used up; what the peer must be told now, if anything.
    pub(super) fn release(&mut self, bytes: usize) -> Option<u32> {
        self.used = self.used.saturating_add(bytes as u32);
        if self.used < self.size / 2 || self.used == 0 {
            return None;
        }
        let told = std::mem::take(&mut self.used);
        self.left += i64::from(told);
        Some(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_send_window_may_be_negative_but_not_too_large() {
        let mut window = SendWindow::new(10);
        window.take(8);
        window.change(-10).expect("allowed");
        assert_eq!(window.room(), 0, "it is at -8");
        window.change(9).expect("allowed");
        assert_eq!(window.room(), 1);
        assert_eq!(window.change(i64::from(MAX_WINDOW)), Err(Overflow));
    }

    #[test]
    fn room_is_given_back_in_halves() {
        let mut credit = Credit::new(100);
        credit.take(60).expect("within the window");
        assert_eq!(credit.release(49), None);
        assert_eq!(credit.release(11), Some(60));
        credit.take(100).expect("all of it is open again");
        assert_eq!(credit.take(1), Err(Exceeded));
    }

    #[test]
    fn a_window_that_was_larger_at_first_shrinks_to_its_size() {
        let mut credit = Credit::new(100);
        credit.widen(900);
        credit.take(1000).expect("all of it is open");
        credit.narrow(900);
        assert_eq!(credit.take(1), Err(Exceeded));
        credit.take(0).expect("nothing is always allowed");
        assert_eq!(credit.release(1000), Some(1000));
        credit.take(100).expect("its size");
        assert_eq!(credit.take(1), Err(Exceeded));
    }

    #[test]
    fn nothing_is_told_of_nothing() {
        assert_eq!(Credit::new(1).release(0), None);
        assert_eq!(Credit::new(0).release(0), None);
    }
}
