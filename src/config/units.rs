//! Durations, sizes and switches as people type them.

use std::time::Duration;

/// `500ms`, `10s`, `1m` or `2h`; a bare `0` is the only number without a unit.
pub fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "" if number == 0 => 0,
        _ => return None,
    };
    number.checked_mul(millis).map(Duration::from_millis)
}

/// `4096`, `64KiB`, `32MiB`, `1GiB`, or in powers of ten `64kB`, `1MB`, `1GB`; in bytes.
pub fn size(text: &str) -> Option<usize> {
    let (number, unit) = split(text)?;
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "kb" => 1000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return None,
    };
    number.checked_mul(factor)?.try_into().ok()
}

/// A whole number without sign.
pub fn count(text: &str) -> Option<usize> {
    let (number, unit) = split(text)?;
    if !unit.is_empty() {
        return None;
    }
    number.try_into().ok()
}

/// `true` or `false`, also as 1 and 0, yes and no, on and off.
pub fn switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read() {
        for (text, millis) in [
            ("0", 0),
            ("500ms", 500),
            ("10s", 10_000),
            ("1m", 60_000),
            ("2h", 7_200_000),
        ] {
            assert_eq!(duration(text), Some(Duration::from_millis(millis)));
        }
        for text in [
            "",
            "10",
            "s",
            "-1s",
            "1.5s",
            "10 s",
            "10S",
            "1d",
            "99999999999999999h",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_read_in_both_kinds_of_units() {
        for (text, bytes) in [
            ("4096", 4096),
            ("64KiB", 65_536),
            ("32MiB", 33_554_432),
            ("32mib", 33_554_432),
            ("1MB", 1_000_000),
            ("1GiB", 1_073_741_824),
        ] {
            assert_eq!(size(text), Some(bytes));
        }
        for text in ["", "MiB", "1M", "1 MiB", "-1", "99999999999GiB"] {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn counts_and_switches_are_read() {
        assert_eq!(
            (count("16384"), count("1k"), count("")),
            (Some(16384), None, None)
        );
        assert_eq!(
            (switch("ON"), switch("0"), switch("maybe")),
            (Some(true), Some(false), None)
        );
    }

    proptest! {
        #[test]
        fn any_text_gets_an_answer(text in "\\PC{0,30}|[0-9]{0,22}[a-zA-Z]{0,4}") {
            let _ = (duration(&text), size(&text), count(&text), switch(&text));
        }
    }
}
