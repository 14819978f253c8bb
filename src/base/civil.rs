//! Calendar dates in UTC from seconds since 1970: enough for log lines and certificate dates.

use std::fmt;

/// A moment as RFC 3339 text in UTC, written by its `Display`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rfc3339 {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub seconds: u64,
    /// Milliseconds within the second, or `None` to leave the fraction out.
    pub millis: Option<u16>,
}

impl Rfc3339 {
    /// A whole second.
    pub const fn whole(seconds: u64) -> Self {
        Self {
            seconds,
            millis: None,
        }
    }
}

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_date(self.seconds / SECONDS_OF_DAY);
        let rest = self.seconds % SECONDS_OF_DAY;
        let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
        )?;
        if let Some(millis) = self.millis {
            write!(f, ".{millis:03}")?;
        }
        f.write_str("Z")
    }
}

/// The moment of an RFC 3339 text in UTC, in whole seconds since 1970.
pub fn from_rfc3339(text: &str) -> Option<u64> {
    let rest = text
        .strip_suffix('Z')
        .or_else(|| text.strip_suffix("+00:00"))?;
    let (date, time) = rest.split_once(['T', 't', ' '])?;
    let mut date = date.split('-').map(|part| part.parse().ok());
    seconds([date.next()??, date.next()??, date.next()??], time)
}

/// The moment of an HTTP date (RFC 9110, section 5.6.7), as servers write it today.
pub fn from_http_date(text: &str) -> Option<u64> {
    let mut words = text.split_once(", ")?.1.split(' ');
    let day = words.next()?.parse().ok()?;
    let month = words.next()?;
    let month = MONTHS
        .as_bytes()
        .chunks(3)
        .position(|known| known == month.as_bytes())?;
    let year = words.next()?.parse().ok()?;
    seconds([year, month as u64 + 1, day], words.next()?)
}

/// Of a date (year, month, day) and a time of day; a fraction is left out.
fn seconds([year, month, day]: [u64; 3], time: &str) -> Option<u64> {
    let mut parts = time
        .split(':')
        .map(|part| part.get(..2)?.parse::<u64>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    let is_sound = hour < 24 && minute < 60 && second <= 60;
    let days = days(year, month, day).filter(|_| is_sound)?;
    Some(days * SECONDS_OF_DAY + hour * 3600 + minute * 60 + second)
}

const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";

/// Year, month and day of the Gregorian calendar, `days` after 1970-01-01.
///
/// Counts in years that begin on 1 March, so that the leap day comes last.
fn civil_date(days: u64) -> (u64, u64, u64) {
    let days = days.saturating_add(DAYS_FROM_YEAR_ZERO);
    let era = days / DAYS_OF_ERA;
    let day_of_era = days % DAYS_OF_ERA;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

/// Days from 1970-01-01 to a date; `None` for what is none, or before.
pub fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || year > 9999 {
        return None;
    }
    // In years that begin on 1 March.
    let (year, month) = match month {
        3.. => (year, month - 3),
        _ => (year.checked_sub(1)?, month + 9),
    };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year;
    days.checked_sub(DAYS_FROM_YEAR_ZERO)
}

const SECONDS_OF_DAY: u64 = 86_400;
/// From 0000-03-01 to 1970-01-01.
const DAYS_FROM_YEAR_ZERO: u64 = 719_468;
/// 400 years.
const DAYS_OF_ERA: u64 = 146_097;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_moments_are_written_as_the_calendar_has_them() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(Rfc3339::whole(seconds).to_string(), text);
        }
        let with_millis = Rfc3339 {
            seconds: 1,
            millis: Some(7),
        };
        assert_eq!(with_millis.to_string(), "1970-01-01T00:00:01.007Z");
    }

    #[test]
    fn moments_are_read_as_servers_write_them() {
        for (text, wanted) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-11-28T18:04:56Z", Some(1_795_889_096)),
            ("2026-11-28T18:04:56.123Z", Some(1_795_889_096)),
            ("2026-11-28T18:04:56+00:00", Some(1_795_889_096)),
            ("2026-11-28T18:04:56", None),
            ("2026-13-28T18:04:56Z", None),
            ("2026-11-28T24:04:56Z", None),
            ("2026-11Z", None),
            ("1969-12-31T23:59:59Z", None),
            ("", None),
        ] {
            assert_eq!(from_rfc3339(text), wanted, "{text}");
        }
        for (text, wanted) in [
            ("Sat, 28 Nov 2026 18:04:56 GMT", Some(1_795_889_096)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Sat, 28 Foo 2026 18:04:56 GMT", None),
            ("Saturday, 28-Nov-26 18:04:56 GMT", None),
            ("28 Nov 2026 18:04:56", None),
        ] {
            assert_eq!(from_http_date(text), wanted, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_written_moment_is_read_again(seconds in 0u64..253_402_300_799) {
            prop_assert_eq!(from_rfc3339(&Rfc3339::whole(seconds).to_string()), Some(seconds));
        }

        #[test]
        fn no_text_is_too_odd(text in "\\PC{0,40}") {
            let _ = (from_rfc3339(&text), from_http_date(&text));
        }

        #[test]
        fn the_day_after_is_the_next_date(days in 0u64..3_000_000) {
            let (year, month, day) = civil_date(days);
            let next = civil_date(days + 1);
            prop_assert!((1..=12).contains(&month) && (1..=31).contains(&day));
            prop_assert!(
                next == (year, month, day + 1)
                    || next == (year, month + 1, 1)
                    || (month == 12 && day == 31 && next == (year + 1, 1, 1))
            );
        }

        #[test]
        fn a_date_is_as_many_days_as_it_came_from(count in 0u64..2_900_000) {
            let (year, month, day) = civil_date(count);
            prop_assert_eq!(days(year, month, day), Some(count));
        }

        #[test]
        fn any_count_of_seconds_has_a_text(seconds: u64) {
            prop_assert!(Rfc3339::whole(seconds).to_string().ends_with('Z'));
        }
    }
}
