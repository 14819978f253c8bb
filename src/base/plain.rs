//! Foreign text made harmless for terminals, log files and tables, and of bounded length.

use std::borrow::Cow;
use std::fmt;

/// `text` without what could steer a terminal or reorder a line: control characters of C0 and C1, the
/// byte order mark, and the marks of text direction. White space becomes a blank.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => out.push(' '),
            c if is_steering(c) => {}
            c => out.push(c),
        }
    }
    out
}

/// [`plain`] of the beginning of `text`; what is longer shows it.
pub fn shortened(text: &str, bytes_max: usize) -> String {
    let mut out = plain(beginning(text, bytes_max));
    if text.len() > bytes_max {
        out.push_str("...");
    }
    out
}

/// Foreign text as one word of visible ASCII, as a field of a log line needs it: every other byte,
/// and the percent sign, becomes `%XX`, so that no two texts look the same.
pub struct Word<'a>(pub &'a str);

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_shown = |c: char| c.is_ascii_graphic() && c != '%';
        if self.0.chars().all(is_shown) {
            return f.write_str(self.0);
        }
        for byte in self.0.bytes() {
            match char::from(byte) {
                c if is_shown(c) => fmt::Write::write_char(f, c)?,
                _ => write!(f, "%{byte:02X}")?,
            }
        }
        Ok(())
    }
}

/// The longest beginning of `text` that has at most `bytes_max` bytes.
pub fn beginning(text: &str, bytes_max: usize) -> &str {
    let mut ends = (0..=bytes_max.min(text.len())).rev();
    let end = ends.find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default()).unwrap_or_default()
}

/// What a text ends with that was longer.
const CUT_MARK: &[u8] = b"...";

/// `text` in at most `bytes_max` bytes: what is longer is cut between characters, and shows it.
pub fn cut(text: &[u8], bytes_max: usize) -> Cow<'_, [u8]> {
    if text.len() <= bytes_max {
        return Cow::Borrowed(text);
    }
    let mut end = bytes_max.saturating_sub(CUT_MARK.len());
    // A character of UTF-8 has three such bytes at most; of other bytes any place is as good.
    let earliest = end.saturating_sub(3);
    while end > earliest && text.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) {
        end -= 1;
    }
    Cow::Owned([text.get(..end).unwrap_or_default(), CUT_MARK].concat())
}

fn is_steering(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{feff}' | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_steers_a_terminal_is_dropped_and_line_ends_become_blanks() {
        let text = "a\u{1b}[2Jb\u{9b}c\u{feff}d\u{202e}e\u{2067}f\r\ng\u{7f}\u{200f}ü→";
        assert_eq!(plain(text), "a[2Jbcdef  gü→");
    }

    #[test]
    fn a_beginning_ends_between_characters() {
        assert_eq!(beginning("aü→", 2), "a");
        assert_eq!(beginning("aü→", 3), "aü");
        assert_eq!(beginning("aü→", 99), "aü→");
    }

    #[test]
    fn what_is_cut_ends_between_characters_and_shows_it() {
        assert_eq!(&*cut(b"short", 5), b"short");
        assert_eq!(&*cut(b"longer", 5), b"lo...");
        assert_eq!(&*cut("aü→bcdef".as_bytes(), 8), "aü...".as_bytes());
        assert_eq!(cut(&[0x80; 100], 10).len(), 7, "what is no text");
    }

    #[test]
    fn a_word_is_one_and_tells_texts_apart() {
        for (text, word) in [
            ("4f-1_x", "4f-1_x"),
            ("a b", "a%20b"),
            ("a%20b", "a%2520b"),
            ("ü\n", "%C3%BC%0A"),
        ] {
            assert_eq!(Word(text).to_string(), word);
        }
    }

    proptest! {
        #[test]
        fn a_cut_text_is_bounded_and_stays_text(text: String, bytes_max in 3usize..50) {
            let short = cut(text.as_bytes(), bytes_max);
            prop_assert!(short.len() <= bytes_max);
            prop_assert!(std::str::from_utf8(&short).is_ok());
            prop_assert_eq!(&*short == text.as_bytes(), text.len() <= bytes_max);
        }

        #[test]
        fn no_control_character_survives(text: String) {
            prop_assert!(!plain(&text).chars().any(|c| c.is_control() || is_steering(c)));
        }
    }
}
