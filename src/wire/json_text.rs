//! The part of JSON that stands between foreign text and `nanoserde`.
//!
//! `nanoserde` panics or spins on some malformed texts, so nothing reaches it before [`parse`] has
//! found the text to be RFC 8259 JSON of bounded depth. What the values mean is left to the
//! callers' own structs.

use nanoserde::DeJson;

/// Nesting beyond this is refused: the gateway's answers need 3.
const DEPTH_MAX: usize = 64;

/// Decodes `text`; `None` when it is not JSON or not of the shape of `T`.
pub fn parse<T: DeJson>(text: &str) -> Option<T> {
    if !is_json(text) {
        return None;
    }
    T::deserialize_json(text).ok()
}

/// The text is one complete JSON value, nested at most `DEPTH_MAX` deep, without a NUL.
pub fn is_json(text: &str) -> bool {
    let mut scan = Scan::new(text);
    scan.value(0).is_some() && scan.at_end()
}

/// Whether the object that `text` holds says `true` under `name`, in which nothing is escaped; of several the last
/// counts. `None`: it holds no object.
pub fn is_true(text: &str, name: &str) -> Option<bool> {
    let mut found = false;
    let is_object = members(text, &mut |key, value| {
        if key.get(1..key.len() - 1) == Some(name) {
            found = value == "true";
        }
    });
    is_object.then_some(found)
}

/// The elements of the array that `text` holds, each as it was written.
pub fn elements(text: &str) -> Option<Vec<&str>> {
    let mut scan = Scan::new(text);
    let mut found = Vec::new();
    scan.array(|scan| {
        let start = scan.position;
        scan.value(1)?;
        found.push(scan.written(start, scan.position)?);
        Some(())
    })?;
    scan.at_end().then_some(found)
}

/// The value of `name` in the object that `text` holds, as it was written; the last one of several.
pub fn member<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut found = None;
    let is_object = members(text, &mut |key, value| {
        if string(key).is_some_and(|key| key == name) {
            found = Some(value);
        }
    });
    found.filter(|_| is_object)
}

/// The text of `name` in the object that `text` holds; `None` where it has another kind of value, too.
pub fn member_string(text: &str, name: &str) -> Option<String> {
    member(text, name).and_then(string)
}

/// Shows every name and value of the object that `text` holds, as they were written; `false`: it holds none.
pub fn members<'a>(text: &'a str, show: &mut dyn FnMut(&'a str, &'a str)) -> bool {
    let mut scan = Scan::new(text);
    scan.space();
    let is_whole = scan.object(0, &mut |name, value| show(name, value.trim_ascii()));
    is_whole.is_some() && scan.at_end()
}

/// What a JSON string stands for; `None` where `text` is none.
pub fn string(text: &str) -> Option<String> {
    let inner = text.trim_ascii().strip_prefix('"')?.strip_suffix('"')?;
    // Never longer than it was written, so that no copy of a secret is left behind by a growing buffer.
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(c) = rest.next() {
        out.push(match c {
            '"' => return None,
            '\\' => match rest.next()? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'b' => '\u{8}',
                'f' => '\u{c}',
                'u' => unicode(&mut rest)?,
                c @ ('"' | '\\' | '/') => c,
                _ => return None,
            },
            c => c,
        });
    }
    Some(out)
}

/// Behind `\u`: four digits, and the other half of a pair. A lone half is what Go makes of it.
fn unicode(rest: &mut std::str::Chars<'_>) -> Option<char> {
    let four = |rest: &mut std::str::Chars<'_>| {
        (0..4).try_fold(0, |sum, _| Some(sum << 4 | rest.next()?.to_digit(16)?))
    };
    let first = four(rest)?;
    if let Some(c) = char::from_u32(first) {
        return Some(c);
    }
    let mut ahead = rest.clone();
    if first < 0xdc00
        && ahead.next() == Some('\\')
        && ahead.next() == Some('u')
        && let Some(second @ 0xdc00..0xe000) = four(&mut ahead)
    {
        *rest = ahead;
        return char::from_u32(0x10000 + ((first & 0x3ff) << 10 | (second & 0x3ff)));
    }
    Some(char::REPLACEMENT_CHARACTER)
}

/// A cursor over the text; every step answers `None` at the first byte that is no JSON.
struct Scan<'a> {
    whole: &'a str,
    text: &'a [u8],
    position: usize,
}

impl<'a> Scan<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            whole: text,
            text: text.as_bytes(),
            position: 0,
        }
    }

    fn written(&self, start: usize, end: usize) -> Option<&'a str> {
        self.whole.get(start..end)
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.position).copied()
    }

    fn take(&mut self, expected: u8) -> Option<()> {
        (self.peek()? == expected).then(|| self.position += 1)
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.position += 1;
        }
    }

    fn at_end(&mut self) -> bool {
        self.space();
        self.position == self.text.len()
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        if depth > DEPTH_MAX {
            return None;
        }
        self.space();
        match self.peek()? {
            b'{' => self.object(depth, &mut |_, _| {}),
            b'[' => self.array(|scan| scan.value(depth + 1)),
            b'"' => self.string(),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.number(),
        }
    }

    fn array(&mut self, mut element: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.space();
        self.take(b'[')?;
        self.space();
        if self.take(b']').is_some() {
            return Some(());
        }
        loop {
            self.space();
            element(self)?;
            self.space();
            if self.take(b',').is_none() {
                return self.take(b']');
            }
        }
    }

    /// `member` is shown every name, quotes included, and its value, as they were written.
    fn object(&mut self, depth: usize, member: &mut dyn FnMut(&'a str, &'a str)) -> Option<()> {
        self.take(b'{')?;
        self.space();
        if self.take(b'}').is_some() {
            return Some(());
        }
        loop {
            self.space();
            let name = self.position;
            self.string()?;
            let name_end = self.position;
            self.space();
            self.take(b':')?;
            let value = self.position;
            self.value(depth + 1)?;
            member(
                self.written(name, name_end)?,
                self.written(value, self.position)?,
            );
            self.space();
            if self.take(b',').is_none() {
                return self.take(b'}');
            }
        }
    }

    fn string(&mut self) -> Option<()> {
        self.take(b'"')?;
        loop {
            match self.peek()? {
                b'"' => return self.take(b'"'),
                b'\\' => {
                    self.position += 1;
                    self.escape()?;
                }
                0..0x20 => return None,
                _ => self.position += 1,
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        let kind = self.peek()?;
        self.position += 1;
        match kind {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => {
                for _ in 0..4 {
                    self.peek().filter(u8::is_ascii_hexdigit)?;
                    self.position += 1;
                }
                Some(())
            }
            _ => None,
        }
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        let rest = self.text.get(self.position..)?;
        rest.starts_with(word).then(|| self.position += word.len())
    }

    fn number(&mut self) -> Option<()> {
        let _ = self.take(b'-');
        if self.take(b'0').is_none() {
            self.digits()?;
        }
        if self.take(b'.').is_some() {
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.position += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.position += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.position;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.position += 1;
        }
        (self.position > start).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(DeJson)]
    struct Created {
        token: String,
    }

    #[test]
    fn members_are_found_as_they_were_written() {
        let text =
            " {\"a\" : 1e+06 , \"b\\u0063\":\"x\\\"y\", \"a\": [1, {\"q\":2}] , \"n\":null} ";
        assert_eq!(member(text, "a"), Some("[1, {\"q\":2}]"));
        assert_eq!(member(text, "bc"), Some("\"x\\\"y\""));
        assert_eq!(member(text, "n"), Some("null"));
        assert_eq!(member(text, "q"), None);
        for wrong in ["", "[1]", "{\"a\":1", "{\"a\":1} x", "{a:1}", "\"a\""] {
            assert_eq!(member(wrong, "a"), None, "{wrong}");
        }
    }

    #[test]
    fn strings_are_decoded() {
        for (text, wanted) in [
            ("\"\"", Some("")),
            ("\"a\\n\\\"\\\\\\/\\u00e9\"", Some("a\n\"\\/\u{e9}")),
            ("\"\\ud83d\\udd11\"", Some("\u{1f511}")),
            ("\"\\ud83dx\"", Some("\u{fffd}x")),
            ("\"\\udd11\\ud83d\"", Some("\u{fffd}\u{fffd}")),
            ("\"a\"b\"", None),
            ("\"\\x\"", None),
            ("\"\\u12\"", None),
            ("12", None),
            ("\"", None),
        ] {
            assert_eq!(string(text).as_deref(), wanted, "{text}");
        }
    }

    proptest! {
        #[test]
        fn members_agree_with_an_independent_reader(
            map in proptest::collection::btree_map(any::<String>(), any::<String>(), 0..5)
        ) {
            let text = serde_json::to_string(&map).unwrap();
            prop_assume!(!text.contains("\\u0000"));
            for (name, value) in &map {
                let found = member_string(&text, name);
                prop_assert_eq!(found.as_ref(), Some(value));
            }
        }
    }

    #[test]
    fn accepts_json_and_nothing_else() {
        let good = [
            "{}",
            " [ ] ",
            "null",
            "-0.5e+10",
            "\"\\u00e9\\n\"",
            "{\"a\":[1,{\"b\":true}],\"c\":null}",
        ];
        for text in good {
            assert!(is_json(text), "{text}");
        }
        let bad = [
            "",
            "{",
            "[",
            "[1,]",
            "{\"a\":}",
            "{\"a\" 1}",
            "{,}",
            "01",
            "1.",
            "\"\\x\"",
            "\"\n\"",
            "tru",
            "[1] 2",
            "// c\n1",
            "<html>",
            "\"\\u12\"",
            "{\"a\":[",
        ];
        for text in bad {
            assert!(!is_json(text), "{text}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |n: usize| "[".repeat(n) + &"]".repeat(n);
        assert!(is_json(&nested(DEPTH_MAX)));
        assert!(!is_json(&nested(DEPTH_MAX + 2)));
        assert!(!is_json(&nested(1_000_000)));
    }

    #[test]
    fn texts_that_nanoserde_cannot_bear_are_refused_before_it() {
        for text in ["{\"x\":}", "{\"x\":[", "{\"x\":{", "{\"x\":]}"] {
            assert!(parse::<Created>(text).is_none());
        }
        let probe = parse::<Created>("{\"other\":{\"deep\":[1,2]},\"token\":\"abc\"}");
        assert_eq!(probe.map(|probe| probe.token).as_deref(), Some("abc"));
    }

    #[test]
    fn elements_come_as_written() {
        let found = elements(" [ {\"a\": [1, 2]} , \"x,]\" ,3] \n");
        assert_eq!(found, Some(vec!["{\"a\": [1, 2]}", "\"x,]\"", "3"]));
        assert_eq!(elements("[]"), Some(Vec::new()));
        assert_eq!(elements("{}"), None);
        assert_eq!(elements("[1] x"), None);
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics_or_hangs(text in "\\PC{0,200}", soup in "[\\[\\]{}\",:0-9a-z\\\\/* \n]{0,80}") {
            for text in [text, soup] {
                let ours = is_json(&text);
                let _ = elements(&text);
                let _ = parse::<Created>(&text);
                prop_assert_eq!(ours, serde_json::from_str::<serde_json::Value>(&text).is_ok());
            }
        }

        #[test]
        fn written_strings_read_back(text in any::<String>()) {
            let mut out = String::new();
            crate::wire::json::write_string(&mut out, &text);
            prop_assert!(is_json(&out));
            prop_assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }
    }
}
