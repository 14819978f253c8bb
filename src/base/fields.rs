//! Fields of a log line: written in front of its message, and taken off again by the log.
//!
//! Promises that a value is bounded, and that no foreign text looks like a field or ends one: the marks
//! between fields are control characters, which no value keeps. Leaves it to the callers that a message
//! does not begin with foreign text, and that it is no longer than a sentence.

use std::fmt::{self, Write};

use super::plain::{Word, shortened};

/// Begins a field that is text.
const TEXT: char = '\u{1f}';
/// Begins a field that is a number.
const NUMBER: char = '\u{1e}';
/// Ends the last field.
const END: char = '\u{1d}';

/// Session ids have 36 bytes, names and addresses of people rarely more.
const NAME_BYTES_MAX: usize = 100;
/// A reason with its advice.
const SENTENCE_BYTES_MAX: usize = 600;

/// Fields in the order in which they will be shown. `Display` is what stands in front of the message.
#[derive(Default)]
pub struct Fields(String);

/// One of them, as it comes back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field<'a> {
    /// Its key.
    pub key: &'a str,
    /// Its value, cleaned and cut.
    pub value: &'a str,
    /// It is text, not a number.
    pub is_text: bool,
}

impl Fields {
    /// Of a session.
    pub fn of_session(id: &str) -> Self {
        // As a word it can be searched for in every form of the log.
        Self::default().text("sid", &Word(id).to_string())
    }

    fn begin(&mut self, mark: char, key: &str) -> &mut String {
        self.0.push(mark);
        self.0.push_str(key);
        self.0.push('=');
        &mut self.0
    }

    /// With a name.
    #[must_use]
    pub fn text(self, key: &str, value: &str) -> Self {
        self.bounded(key, value, NAME_BYTES_MAX)
    }

    /// With a sentence.
    #[must_use]
    pub fn sentence(self, key: &str, value: &str) -> Self {
        self.bounded(key, value, SENTENCE_BYTES_MAX)
    }

    fn bounded(mut self, key: &str, value: &str, bytes_max: usize) -> Self {
        let value = shortened(value, bytes_max);
        self.begin(TEXT, key).push_str(&value);
        self
    }

    /// With a number.
    #[must_use]
    pub fn number(mut self, key: &str, value: u64) -> Self {
        // Writing to a string does not fail.
        let _ = write!(self.begin(NUMBER, key), "{value}");
        self
    }
}

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)?;
        f.write_char(END)
    }
}

/// Takes the fields off a message; what is left is for people.
pub fn take_off(message: &str) -> (&str, &str) {
    match message.starts_with([TEXT, NUMBER]) {
        true => message.split_once(END).unwrap_or((message, "")),
        false => ("", message),
    }
}

/// What [`take_off`] took off, one by one.
pub fn each(fields: &str) -> impl Iterator<Item = Field<'_>> {
    let ends = fields.match_indices([TEXT, NUMBER]).skip(1);
    let ends = ends.map(|(at, _)| at).chain([fields.len()]);
    let mut start = 0;
    ends.filter_map(move |end| {
        let field = fields.get(start..end)?;
        start = end;
        let is_text = field.starts_with(TEXT);
        let (key, value) = field.trim_start_matches([TEXT, NUMBER]).split_once('=')?;
        Some(Field {
            key,
            value,
            is_text,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn back(message: &str) -> (Vec<(String, String, bool)>, String) {
        let (fields, rest) = take_off(message);
        let field = |field: Field<'_>| (field.key.into(), field.value.into(), field.is_text);
        (each(fields).map(field).collect(), rest.to_owned())
    }

    #[test]
    fn fields_come_back_as_they_were_given() {
        let fields = Fields::of_session("a b").text("user", "").number("code", 7);
        let (found, rest) = back(&format!("{fields}session ended"));
        let want = [
            ("sid", "a%20b", true),
            ("user", "", true),
            ("code", "7", false),
        ];
        let want = want.map(|(key, value, is_text)| (key.into(), value.into(), is_text));
        assert_eq!((found, rest.as_str()), (want.to_vec(), "session ended"));
        assert_eq!(back("no fields=1"), (Vec::new(), "no fields=1".into()));
    }

    proptest! {
        #[test]
        fn no_value_is_more_than_one_field(id: String, value: String, message in "\\PC{0,20}") {
            let fields = Fields::of_session(&id).text("a", &value).sentence("b", &value);
            let (found, rest) = back(&format!("{fields}{message}"));
            prop_assert_eq!(rest, message);
            prop_assert_eq!(found.len(), 3);
            for (_, value, _) in &found {
                prop_assert!(value.len() <= SENTENCE_BYTES_MAX + 3);
                prop_assert!(!value.chars().any(char::is_control));
            }
            prop_assert!(found[1].1.len() <= NAME_BYTES_MAX + 3);
        }
    }
}
