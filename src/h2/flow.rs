//! Flow-control windows (RFC 9113 sections 5.2 and 6.9), one direction each.

/// Largest window.
pub const WINDOW_MAX: i64 = 0x7fff_ffff;

/// Window of every stream and of the connection until told otherwise.
pub const WINDOW_DEFAULT: u32 = 65_535;

/// A window would exceed [`WINDOW_MAX`], or the peer sent more than its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowError;

/// What we may send. Signed: a SETTINGS frame may lower it below zero.
#[derive(Clone, Copy, Debug)]
pub struct SendWindow(i64);

impl SendWindow {
    /// A window of `size` bytes.
    pub fn new(size: u32) -> Self {
        Self(i64::from(size))
    }

    /// Bytes that may be sent now.
    pub fn room(self) -> usize {
        usize::try_from(self.0).unwrap_or(0)
    }

    /// `len` bytes of DATA go out; the owner keeps within [`SendWindow::room`].
    pub fn consume(&mut self, len: u32) {
        self.0 -= i64::from(len);
    }

    /// Moves the window by a WINDOW_UPDATE or by a new initial size, which may be less.
    pub fn shift(&mut self, by: i64) -> Result<(), WindowError> {
        let moved = self.0 + by;
        if !(-WINDOW_MAX..=WINDOW_MAX).contains(&moved) {
            return Err(WindowError);
        }
        self.0 = moved;
        Ok(())
    }
}

/// What the peer may send: what it knows of, and credit that is granted but not told yet.
///
/// Invariant: `told >= 0` and `told + untold <= WINDOW_MAX`.
#[derive(Clone, Copy, Debug)]
pub struct RecvWindow {
    told: i64,
    untold: i64,
}

impl RecvWindow {
    /// A window of `size` bytes that the peer knows of.
    pub fn new(size: u32) -> Self {
        Self {
            told: i64::from(size).min(WINDOW_MAX),
            untold: 0,
        }
    }

    /// Credit that has not been used yet, told or not.
    pub fn outstanding(self) -> u32 {
        u32::try_from(self.told + self.untold).unwrap_or(0)
    }

    /// A DATA frame of `len` bytes arrives.
    pub fn receive(&mut self, len: u32) -> Result<(), WindowError> {
        let left = self.told - i64::from(len);
        if left < 0 {
            return Err(WindowError);
        }
        self.told = left;
        Ok(())
    }

    /// Gives credit; beyond the largest window it is dropped.
    pub fn grant(&mut self, bytes: u32) {
        let room = WINDOW_MAX - self.told - self.untold;
        self.untold += i64::from(bytes).min(room);
    }

    /// Credit not told yet.
    pub fn untold(self) -> u32 {
        u32::try_from(self.untold).unwrap_or(0)
    }

    /// The increment of the WINDOW_UPDATE to be sent now.
    pub fn tell(&mut self) -> Option<u32> {
        let increment = self.untold();
        self.told += self.untold;
        self.untold = 0;
        (increment > 0).then_some(increment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn send_window_may_become_negative_and_recovers() {
        let mut window = SendWindow::new(100);
        window.consume(80);
        window.shift(-50).unwrap();
        assert_eq!(window.room(), 0);
        window.shift(31).unwrap();
        assert_eq!(window.room(), 1);
    }

    #[test]
    fn send_window_never_exceeds_its_maximum() {
        let mut window = SendWindow::new(1);
        assert_eq!(window.shift(WINDOW_MAX), Err(WindowError));
        assert_eq!(window.shift(WINDOW_MAX - 1), Ok(()));
        assert_eq!(window.room(), 0x7fff_ffff);
    }

    #[test]
    fn credit_counts_only_when_told() {
        let mut window = RecvWindow::new(10);
        window.grant(5);
        assert_eq!(window.outstanding(), 15);
        assert_eq!(window.receive(11), Err(WindowError));
        assert_eq!(window.tell(), Some(5));
        assert_eq!(window.tell(), None);
        assert_eq!(window.receive(15), Ok(()));
        assert_eq!(window.outstanding(), 0);
    }

    #[test]
    fn credit_stops_at_the_largest_window() {
        let mut window = RecvWindow::new(0x7fff_ffff);
        window.grant(u32::MAX);
        assert_eq!(window.tell(), None);
        window.receive(10).unwrap();
        window.grant(u32::MAX);
        assert_eq!(window.tell(), Some(10));
    }
}
