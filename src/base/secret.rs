//! A value that cannot be printed by accident and does not outlive its use in memory.

use std::fmt;
use std::sync::Arc;

/// Text that must never reach a log line, an error or a child's environment.
///
/// `Debug` prints a placeholder, there is no `Display`, and the bytes are overwritten when the last of
/// its clones is dropped: they share one copy, so that its page can be locked.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Arc<Wiped>);

#[derive(Default, PartialEq, Eq)]
struct Wiped(Vec<u8>);

impl Secret {
    /// Wraps `bytes`; the caller gives up the only copy.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Arc::new(Wiped(bytes.into())))
    }

    /// The secret itself. Every caller of this is a place to audit.
    pub fn expose(&self) -> &[u8] {
        &self.0.0
    }

    /// Bytes that it takes, used or not.
    pub fn capacity(&self) -> usize {
        self.0.0.capacity()
    }

    /// The secret as text, where it is text.
    pub fn expose_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0.0).ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Overwrites what must not outlive its use.
pub fn wipe<T: Copy + Default>(values: &mut [T]) {
    values.fill(T::default());
    // Keeps the compiler from seeing the stores above as dead.
    std::hint::black_box(&*values);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Secret::new("xagt-abc")), "Secret(..)");
    }

    #[test]
    fn clones_share_one_copy() {
        let secret = Secret::new("abc");
        let clone = secret.clone();
        assert!(std::ptr::eq(secret.expose(), clone.expose()));
    }

    #[test]
    fn text_is_exposed_only_when_it_is_text() {
        assert_eq!(Secret::new("abc").expose_text(), Some("abc"));
        assert_eq!(Secret::new(vec![0xff]).expose_text(), None);
    }
}
