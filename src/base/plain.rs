//! Foreign text made harmless for terminals, log files and tables.

use std::fmt;

/// Appends `text` without what could steer a terminal or reorder a line: control characters of C0
/// and C1, the byte order mark, and the marks of text direction. White space becomes a blank.
pub fn push_plain(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => out.push(' '),
            c if is_steering(c) => {}
            c => out.push(c),
        }
    }
}

/// [`push_plain`] into a new text.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    push_plain(&mut out, text);
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
        fn no_control_character_survives(text: String) {
            prop_assert!(!plain(&text).chars().any(|c| c.is_control() || is_steering(c)));
        }
    }
}
