//! The two files of AWS's tools, `config` and `credentials`: sections, `name = value` or `name: value`, and values
//! with parts, which are indented behind a name whose own value is empty.
//!
//! Borrows from the texts, so that no copy of a key is made; bounded by the size of the files.

/// One `name = value`.
struct Entry<'a> {
    section: &'a str,
    /// Of a part.
    parent: &'a str,
    name: &'a str,
    value: &'a str,
}

/// See the module.
#[derive(Default)]
pub struct Ini<'a> {
    entries: Vec<Entry<'a>>,
    sections: Vec<&'a str>,
}

impl<'a> Ini<'a> {
    /// Reads a file. What is no line of its kind is passed over, as Amazon's own readers do.
    pub fn read(text: &'a str) -> Self {
        let mut ini = Self::default();
        let (mut section, mut parent) = (None, "");
        for line in text.lines() {
            let is_indented = line.starts_with([' ', '\t']);
            let line = without_comment(line).trim();
            if line.is_empty() {
                continue;
            }
            if let Some(name) = line.strip_prefix('[') {
                let name = name.split_once(']').map(|(name, _)| name.trim());
                section = name;
                parent = "";
                ini.sections.extend(name);
                continue;
            }
            let (Some(section), Some((name, value))) = (section, line.split_once(['=', ':']))
            else {
                continue;
            };
            let (name, value) = (name.trim(), value.trim());
            if name.is_empty() {
                continue;
            }
            if !is_indented {
                parent = "";
            }
            ini.entries.push(Entry {
                section,
                parent,
                name,
                value,
            });
            if parent.is_empty() && value.is_empty() {
                parent = name;
            }
        }
        ini
    }

    /// There is such a section: `profile x` is written with any space.
    pub fn has(&self, section: &[&str]) -> bool {
        self.sections.iter().any(|known| is_section(known, section))
    }

    /// The value of a name in a section, the last one of several; an empty one is none.
    pub fn get(&self, section: &[&str], name: &str) -> Option<&'a str> {
        self.part(section, "", name)
    }

    /// The same, of a part of a value.
    pub fn part(&self, section: &[&str], parent: &str, name: &str) -> Option<&'a str> {
        let same = |entry: &&Entry<'a>| {
            is_section(entry.section, section)
                && entry.parent.eq_ignore_ascii_case(parent)
                && entry.name.eq_ignore_ascii_case(name)
        };
        let value = self.entries.iter().rev().find(same)?.value;
        Some(value).filter(|value| !value.is_empty())
    }
}

fn is_section(known: &str, wanted: &[&str]) -> bool {
    known.split_ascii_whitespace().eq(wanted.iter().copied())
}

/// A comment begins a line, or stands behind a space.
fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with(['#', ';']) {
        return "";
    }
    let mut before = 'x';
    for (at, c) in line.char_indices() {
        if matches!(c, '#' | ';') && matches!(before, ' ' | '\t') {
            return &line[..at];
        }
        before = c;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "name = nobody's\n\
        [default]\nregion = eu-west-1 # near\r\naws_access_key_id=AK#1\n\n; c\n# c\n\
        [profile  dev ]\nregion=us-east-1\nRegion = us-east-2\nempty =\n\
        services = local\n\
        [ services local ]\nsecretsmanager =\n  endpoint_url = http://127.0.0.1:1\n  x = y\nsts =\n\tendpoint_url = http://127.0.0.1:2\n\
        junk\n= x\n[broken\nregion = nowhere\n\
        [odd]\na: b = c\n  d = e\nf =\n  g : h\ni = j\n  k = l\n";

    #[test]
    fn sections_names_and_parts_are_found() {
        let ini = Ini::read(TEXT);
        assert_eq!(ini.get(&["default"], "region"), Some("eu-west-1"));
        assert_eq!(ini.get(&["default"], "aws_access_key_id"), Some("AK#1"));
        assert_eq!(ini.get(&["profile", "dev"], "region"), Some("us-east-2"));
        assert_eq!(ini.get(&["profile", "dev"], "empty"), None);
        assert_eq!(ini.get(&["dev"], "region"), None);
        let part = |parent| ini.part(&["services", "local"], parent, "endpoint_url");
        assert_eq!(part("secretsmanager"), Some("http://127.0.0.1:1"));
        assert_eq!(part("sts"), Some("http://127.0.0.1:2"));
        assert_eq!(part(""), None);
        assert!(
            ini.has(&["profile", "dev"]) && !ini.has(&["profile", "x"]) && !ini.has(&["broken"])
        );
        assert_eq!(ini.get(&["broken"], "region"), None);
        // Behind a name with a value, an indented line is one of its own.
        let all = ["a", "d", "f", "g", "i", "k"].map(|name| ini.get(&["odd"], name));
        let wanted = [Some("b = c"), Some("e"), None, None, Some("j"), Some("l")];
        assert_eq!(all, wanted);
        assert_eq!(ini.part(&["odd"], "f", "g"), Some("h"));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(\\[[a-z ]{0,4}\\]?|[ \t]?[a-c]? ?=? ?[a-c#;]{0,3}|\\PC{0,5}|\n|\r\n){0,40}") {
            let ini = Ini::read(&text);
            for entry in &ini.entries {
                let section: Vec<&str> = entry.section.split_ascii_whitespace().collect();
                let value = ini.part(&section, entry.parent, entry.name);
                prop_assert!(value.is_some_and(|value| !value.is_empty() && value.trim() == value) || value.is_none());
                prop_assert!(ini.has(&section));
            }
        }
    }
}
