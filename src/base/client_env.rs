//! Which variables a client may set for its commands, as an operator says.

/// See the module.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub enum ClientEnv {
    /// Any but those by which programs find code.
    #[default]
    Default,
    /// None.
    None,
    /// Names, and beginnings of names.
    Names(Vec<String>),
}

impl ClientEnv {
    /// `default`, `none`, or names and `NAME*` with commas between; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
        let is_usable = |name: &String| {
            let bare = name.strip_suffix('*').unwrap_or(name);
            !bare.is_empty() && bare.bytes().all(is_name)
        };
        match text.trim() {
            "default" => Some(Self::Default),
            "none" => Some(Self::None),
            _ => names.iter().all(is_usable).then_some(Self::Names(names)),
        }
    }
}

/// `name` is this one, or begins with it where that ends with `*`.
pub fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_lists_are_told_apart() {
        let names = |list: &[&str]| {
            let list = list.iter().map(|name| (*name).to_owned());
            Some(ClientEnv::Names(list.collect()))
        };
        for (text, want) in [
            ("default", Some(ClientEnv::Default)),
            ("none", Some(ClientEnv::None)),
            ("A", names(&["A"])),
            (" A, B_* ", names(&["A", "B_*"])),
            ("", None),
            ("A,,B", None),
            ("*", None),
            ("A*B", None),
            ("A=B", None),
        ] {
            assert_eq!(ClientEnv::parse(text), want, "{text:?}");
        }
        assert!(matches("B_*", "B_C") && !matches("B_*", "B") && !matches("B", "BC"));
    }
}
