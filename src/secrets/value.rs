//! What becomes of a secret's fields: text as it is, numbers and booleans as they were written, the rest as JSON.

use super::words::{self, Cause};
use crate::base::Secret;
use crate::limits;
use crate::wire::json_text;

/// Which values a store's fields may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Takes {
    /// Text alone.
    Text,
    /// Everything but null.
    Any,
}

/// The value of `key` in the JSON object of `text`; all of it where the key is empty.
pub fn of_key(text: &str, key: &str, takes: Takes) -> Result<Secret, Cause> {
    if key.is_empty() {
        return bounded(text.trim_ascii().as_bytes());
    }
    let Some(written) = json_text::member(text, key) else {
        return Err(match json_text::members(text, &mut |_, _| {}) {
            true => words::NO_KEY,
            false => words::NO_OBJECT,
        });
    };
    match json_text::string(written) {
        Some(value) => {
            let value = Secret::new(value);
            is_bounded(value.expose()).then_some(value)
        }
        // Upstream's map of texts has it so.
        None if written == "null" && takes == Takes::Text => Some(Secret::default()),
        None if written == "null" => return Err(words::NULL),
        None if takes == Takes::Text => return Err(words::NO_TEXT),
        None => return bounded(written.as_bytes()),
    }
    .ok_or(words::TOO_LARGE)
}

/// A whole value.
pub fn bounded(value: &[u8]) -> Result<Secret, Cause> {
    match is_bounded(value) {
        true => Ok(Secret::new(value)),
        false => Err(words::TOO_LARGE),
    }
}

fn is_bounded(value: &[u8]) -> bool {
    value.len() <= limits::SECRET_VALUE_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_as_they_were_written() {
        const TEXT: &str = r#" {"t":"a\nb","i":5432,"f":1.50,"e":1000000,"b":true,"o":{"a": 1},"l":[1,"x"],"n":null,"":"e"} "#;
        for (key, wanted) in [
            ("t", Ok("a\nb")),
            ("i", Ok("5432")),
            ("f", Ok("1.50")),
            ("e", Ok("1000000")),
            ("b", Ok("true")),
            ("o", Ok("{\"a\": 1}")),
            ("l", Ok("[1,\"x\"]")),
            ("n", Err(words::NULL)),
            ("x", Err(words::NO_KEY)),
            ("", Ok(TEXT.trim())),
        ] {
            let value = of_key(TEXT, key, Takes::Any);
            let text = value.as_ref().map(|value| value.expose_text().unwrap());
            assert_eq!(text, wanted.as_ref().map(|text| *text), "{key}");
        }
        for key in ["i", "b", "o", "l"] {
            assert_eq!(of_key(TEXT, key, Takes::Text), Err(words::NO_TEXT), "{key}");
        }
        assert!(of_key(TEXT, "t", Takes::Text).is_ok());
        for text in ["plain", "[1]", "\"x\"", "{", ""] {
            assert_eq!(
                of_key(text, "k", Takes::Any),
                Err(words::NO_OBJECT),
                "{text}"
            );
            assert!(of_key(text, "", Takes::Any).is_ok());
        }
        let long = |size: usize| format!("{{\"k\":\"{}\"}}", "x".repeat(size));
        assert!(of_key(&long(limits::SECRET_VALUE_BYTES_MAX), "k", Takes::Any).is_ok());
        let beyond = of_key(&long(limits::SECRET_VALUE_BYTES_MAX + 1), "k", Takes::Any);
        assert_eq!(beyond, Err(words::TOO_LARGE));
    }
}
