//! The flat part of TOML that `~/.hoop/config.toml` is written in: `key = "text"` and
//! `key = true|false`, one a line, with comments.
//!
//! Anything else is an error that names its line, never a guess. Reading a file is left to
//! `credentials`.

use std::fmt;

use crate::wire::json::write_string;

/// A file beyond this is not ours: a token and a certificate bundle need a tenth of it.
pub const FILE_BYTES_MAX: usize = 256 * 1024;
const ENTRIES_MAX: usize = 256;

/// What stands behind a key.
#[derive(Clone, PartialEq, Eq)]
pub enum TomlValue {
    /// A string.
    Text(String),
    /// A boolean.
    Flag(bool),
}

/// The entries of a file in their order.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TomlTable {
    entries: Vec<(String, TomlValue)>,
}

/// Why a file cannot be used. Never carries what the file says, which may be a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TomlError {
    /// The line, counted from 1, is not of the forms above.
    Line(usize),
    /// The line, counted from 1, sets a key again.
    Twice(usize),
    /// More bytes or entries than the bounds allow.
    TooLarge,
}

impl fmt::Display for TomlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(n) => write!(
                f,
                "line {n} is neither key = \"text\" nor key = true or false"
            ),
            Self::Twice(n) => write!(f, "line {n} sets a key for the second time"),
            Self::TooLarge => f.write_str("it is too large"),
        }
    }
}

impl TomlTable {
    /// Reads a whole file.
    pub fn parse(text: &str) -> Result<Self, TomlError> {
        if text.len() > FILE_BYTES_MAX {
            return Err(TomlError::TooLarge);
        }
        let mut table = Self::default();
        for (index, line) in text.split('\n').enumerate() {
            let line = line.strip_suffix('\r').unwrap_or(line);
            let entry = parse_line(line).ok_or(TomlError::Line(index + 1))?;
            let Some((key, value)) = entry else { continue };
            if table.get(&key).is_some() {
                return Err(TomlError::Twice(index + 1));
            }
            if table.entries.len() == ENTRIES_MAX {
                return Err(TomlError::TooLarge);
            }
            table.entries.push((key, value));
        }
        Ok(table)
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&TomlValue> {
        self.entries
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }

    /// The string behind `key`; an empty one counts as absent.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.get(key) {
            Some(TomlValue::Text(text)) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// The boolean behind `key`.
    pub fn flag(&self, key: &str) -> Option<bool> {
        match self.get(key) {
            Some(TomlValue::Flag(flag)) => Some(*flag),
            _ => None,
        }
    }

    /// Sets `key`, which must be a bare key, to a string.
    pub fn set_text(&mut self, key: &str, text: &str) {
        let value = TomlValue::Text(text.to_owned());
        match self.entries.iter_mut().find(|(name, _)| name == key) {
            Some(entry) => entry.1 = value,
            None => self.entries.push((key.to_owned(), value)),
        }
    }

    /// The table as a file.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        for (key, value) in &self.entries {
            out.push_str(key);
            out.push_str(" = ");
            match value {
                // A JSON string is a TOML basic string: the same quotes and escapes.
                TomlValue::Text(text) => write_string(&mut out, text),
                TomlValue::Flag(flag) => out.push_str(if *flag { "true" } else { "false" }),
            }
            out.push('\n');
        }
        out
    }
}

/// One line: `Some(None)` for a blank one, `None` for one that is not understood.
fn parse_line(line: &str) -> Option<Option<(String, TomlValue)>> {
    let line = line.trim_matches([' ', '\t']);
    if line.is_empty() || line.starts_with('#') {
        return Some(None);
    }
    let (key, rest) = line.split_once('=')?;
    let key = key.trim_matches([' ', '\t']);
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if key.is_empty() || !key.chars().all(is_bare) {
        return None;
    }
    let rest = rest.trim_start_matches([' ', '\t']);
    let (value, tail) = if let Some(quoted) = rest.strip_prefix('"') {
        basic_string(quoted)?
    } else if let Some(quoted) = rest.strip_prefix('\'') {
        let (text, tail) = quoted.split_once('\'')?;
        (TomlValue::Text(text.to_owned()), tail)
    } else if let Some(tail) = rest.strip_prefix("true") {
        (TomlValue::Flag(true), tail)
    } else {
        (TomlValue::Flag(false), rest.strip_prefix("false")?)
    };
    let tail = tail.trim_start_matches([' ', '\t']);
    (tail.is_empty() || tail.starts_with('#')).then(|| Some((key.to_owned(), value)))
}

/// The string up to the closing quote, and what follows it.
fn basic_string(quoted: &str) -> Option<(TomlValue, &str)> {
    let mut text = String::new();
    let mut rest = quoted.chars();
    loop {
        match rest.next()? {
            '"' => return Some((TomlValue::Text(text), rest.as_str())),
            '\\' => text.push(match rest.next()? {
                'b' => '\u{8}',
                't' => '\t',
                'n' => '\n',
                'f' => '\u{c}',
                'r' => '\r',
                '"' => '"',
                '\\' => '\\',
                'u' => code_point(&mut rest, 4)?,
                'U' => code_point(&mut rest, 8)?,
                _ => return None,
            }),
            c => text.push(c),
        }
    }
}

fn code_point(rest: &mut std::str::Chars<'_>, digits: usize) -> Option<char> {
    let mut code = 0u32;
    for _ in 0..digits {
        code = code.checked_mul(16)? + rest.next()?.to_digit(16)?;
    }
    char::from_u32(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn upstreams_file_is_read() {
        let text = "# saved by login\r\ntoken = \"a.b.c\"\napi_url = 'https://h/x'  # note\n\n\
                    grpc_url=\"grpcs://h:8010\"\nskip_tls_verify = true\ntls_ca = \"\"\n";
        let table = TomlTable::parse(text).unwrap_or_default();
        assert_eq!(table.text("token"), Some("a.b.c"));
        assert_eq!(table.text("api_url"), Some("https://h/x"));
        assert_eq!(table.text("grpc_url"), Some("grpcs://h:8010"));
        assert_eq!(table.flag("skip_tls_verify"), Some(true));
        assert_eq!(table.text("tls_ca"), None);
        assert_eq!(table.text("other"), None);
    }

    #[test]
    fn escapes_are_undone() {
        let table = TomlTable::parse(r#"a = "\"\\\t\u00e9\U0001F600#" # x"#).unwrap_or_default();
        assert_eq!(table.text("a"), Some("\"\\\té😀#"));
    }

    #[test]
    fn what_is_not_understood_names_its_line_and_nothing_else() {
        for bad in [
            "a",
            "a = ",
            "a = \"x",
            "a = x",
            "= \"x\"",
            "a b = true",
            "a = true x",
            "[t]",
            "a = \"\\q\"",
            "a = \"\\ud800\"",
            "a = 'x",
            "a = 1",
            "a = \"\"\"x\"\"\"",
        ] {
            let text = format!("ok = true\n{bad}\n");
            assert_eq!(
                TomlTable::parse(&text).err(),
                Some(TomlError::Line(2)),
                "{bad}"
            );
        }
        let twice = TomlTable::parse("a = true\na = false").err();
        assert_eq!(twice, Some(TomlError::Twice(2)));
    }

    #[test]
    fn size_is_bounded() {
        let long = "#".repeat(FILE_BYTES_MAX + 1);
        assert_eq!(TomlTable::parse(&long).err(), Some(TomlError::TooLarge));
        let many: String = (0..=ENTRIES_MAX)
            .map(|n| format!("k{n} = true\n"))
            .collect();
        assert_eq!(TomlTable::parse(&many).err(), Some(TomlError::TooLarge));
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text: String, soup in "[a-c=\"'\\\\u0 \n\r#true]{0,60}") {
            let _ = TomlTable::parse(&text);
            let _ = TomlTable::parse(&soup);
        }

        #[test]
        fn what_is_written_reads_back(entries in proptest::collection::btree_map("[a-z_]{1,8}", any::<String>(), 0..8)) {
            let mut table = TomlTable::default();
            for (key, text) in &entries {
                table.set_text(key, text);
            }
            let again = TomlTable::parse(&table.to_text()).unwrap_or_default();
            prop_assert!(again == table);
        }
    }
}
