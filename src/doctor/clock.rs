//! Whether this machine's clock is right, as far as anybody tells.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::base::civil::{Rfc3339, from_http_date};

/// Seconds that a clock may be off before it is worth a word.
const SKEW_MAX: u64 = 120;
/// No program is older than itself: 2025-11-01.
const BUILT_AFTER: u64 = 1_761_955_200;

/// Seconds since 1970 as this machine has them.
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// The clock says a time that cannot be.
pub fn is_absurd(now: u64) -> bool {
    now < BUILT_AFTER
}

/// The moment as text.
pub fn text(seconds: u64) -> String {
    Rfc3339::whole(seconds).to_string()
}

/// The server's time, as text, if an HTTP `date` says one that is not ours.
pub fn other_time(now: u64, date: &str) -> Option<String> {
    let server = from_http_date(date)?;
    (now.abs_diff(server) > SKEW_MAX).then(|| text(server))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_a_differing_time_is_told() {
        // 2026-11-24T19:45:12Z
        let now = 1_795_549_512;
        assert_eq!(text(now), "2026-11-24T19:45:12Z");
        assert_eq!(other_time(now, "Tue, 24 Nov 2026 19:45:12 GMT"), None);
        assert_eq!(other_time(now, "Tue, 24 Nov 2026 19:43:13 GMT"), None);
        assert_eq!(
            other_time(now, "Tue, 24 Nov 2026 19:48:00 GMT").as_deref(),
            Some("2026-11-24T19:48:00Z")
        );
        for odd in [
            "",
            "now",
            "Tue, 24 Nov 2026 19:48 GMT",
            "Tue, 24 Foo 2026 19:48:00 GMT",
        ] {
            assert_eq!(other_time(now, odd), None);
        }
    }

    #[test]
    fn a_clock_that_starts_at_1970_is_absurd() {
        assert!(is_absurd(0) && is_absurd(86_400 * 365) && !is_absurd(now()));
    }

    proptest! {
        #[test]
        fn arbitrary_dates_never_panic(date: String) {
            let _ = other_time(0, &date);
        }
    }
}
