//! A bounded header list, and what HTTP/2 demands of one in a response (RFC 9113 section 8).

use super::hpack::table::ENTRY_OVERHEAD;

/// Where one field ends in [`FieldList::bytes`]; it starts where the one before ends.
#[derive(Clone, Copy, Debug)]
struct Span {
    name_end: u32,
    value_end: u32,
}

/// The fields of one header block in their order, in one piece of memory.
#[derive(Debug, Default)]
pub struct FieldList {
    bytes: Vec<u8>,
    spans: Vec<Span>,
    /// As RFC 9113 section 6.5.2 counts, with fields that did not fit.
    size: usize,
    size_max: usize,
}

impl FieldList {
    /// An empty list for `size_max` accounted bytes: names, values and 32 for each field.
    pub fn new(size_max: u32) -> Self {
        Self {
            size_max: size_max as usize,
            ..Self::default()
        }
    }

    /// Adds a field; beyond the bound it is only counted.
    pub(super) fn push(&mut self, name: &[u8], value: &[u8]) {
        self.size = self
            .size
            .saturating_add(name.len() + value.len() + ENTRY_OVERHEAD);
        let name_end = u32::try_from(self.bytes.len() + name.len());
        let value_end = u32::try_from(self.bytes.len() + name.len() + value.len());
        if let (Ok(name_end), Ok(value_end), false) = (name_end, value_end, self.is_too_large()) {
            self.bytes.extend_from_slice(name);
            self.bytes.extend_from_slice(value);
            self.spans.push(Span {
                name_end,
                value_end,
            });
        }
    }

    /// Fields are missing because the list exceeds its bound.
    pub fn is_too_large(&self) -> bool {
        self.size > self.size_max
    }

    /// Names and values as they came, values without surrounding blanks.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut start = 0;
        self.spans.iter().map(move |span| {
            let (name_end, value_end) = (span.name_end as usize, span.value_end as usize);
            let name = self.bytes.get(start..name_end).unwrap_or_default();
            let value = self.bytes.get(name_end..value_end).unwrap_or_default();
            start = value_end;
            (name, trim(value))
        })
    }

    /// The first value of `name`.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter()
            .find(|(n, _)| *n == name.as_bytes())
            .map(|(_, value)| value)
    }

    /// The three digits of `:status`; `None` in trailers.
    pub fn status(&self) -> Option<u16> {
        let digits = self.get(":status")?;
        if digits.len() != 3 {
            return None;
        }
        digits.iter().try_fold(0u16, |value, digit| {
            digit
                .is_ascii_digit()
                .then(|| value * 10 + u16::from(digit - b'0'))
        })
    }

    /// The status of a list that heads a response; the error says what is malformed.
    pub(super) fn check_response(&self) -> Result<u16, &'static str> {
        let mut pseudo_allowed = true;
        let mut status_seen = false;
        for (name, value) in self.iter() {
            if name.first() != Some(&b':') {
                pseudo_allowed = false;
                check_field(name, value)?;
                continue;
            }
            if name != b":status" || status_seen || !pseudo_allowed {
                return Err("response with a wrong pseudo-header field");
            }
            status_seen = true;
        }
        match self.status() {
            Some(status) if (100..=999).contains(&status) => Ok(status),
            _ => Err("response without a valid status"),
        }
    }

    /// Whether the list may stand behind a response's content.
    pub(super) fn check_trailers(&self) -> Result<(), &'static str> {
        self.iter()
            .try_for_each(|(name, value)| check_field(name, value))
    }
}

/// RFC 9113 sections 8.2.1 and 8.2.2. A colon makes a pseudo-header, not allowed here.
fn check_field(name: &[u8], value: &[u8]) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("header field without a name");
    }
    let bad_in_name = |byte: &u8| matches!(byte, 0..=b' ' | b'A'..=b'Z' | b':' | 0x7f..);
    if name.iter().any(bad_in_name) {
        return Err("header field with an invalid name");
    }
    if value.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')) {
        return Err("header field with an invalid value");
    }
    if CONNECTION_NAMES.contains(&name) || (name == b"te" && value != b"trailers") {
        return Err("header field of HTTP/1");
    }
    Ok(())
}

const CONNECTION_NAMES: [&[u8]; 5] = [
    b"connection",
    b"keep-alive",
    b"proxy-connection",
    b"transfer-encoding",
    b"upgrade",
];

/// RFC 9113 calls a value with blanks around it malformed; grpc-go sends status messages so when
/// an error text ends in a blank, and losing the status would hide why a call failed.
fn trim(value: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let Some(start) = value.iter().position(|byte| !blank(byte)) else {
        return &[];
    };
    let end = value.iter().rposition(|byte| !blank(byte));
    value.get(start..=end.unwrap_or(start)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(fields: &[(&str, &str)]) -> FieldList {
        let mut list = FieldList::new(4096);
        for (name, value) in fields {
            list.push(name.as_bytes(), value.as_bytes());
        }
        list
    }

    #[test]
    fn list_keeps_its_bound() {
        let mut list = FieldList::new(100);
        list.push(b"name", b"value");
        assert!(!list.is_too_large());
        list.push(b"name", &[b'v'; 40]);
        assert!(list.is_too_large());
        list.push(b"a", b"b");
        assert_eq!(list.iter().count(), 1);
    }

    #[test]
    fn status_comes_once_first_and_with_three_digits() {
        assert_eq!(
            list(&[(":status", "200"), ("a", "b")]).check_response(),
            Ok(200)
        );
        for bad in [
            &[("a", "b")][..],
            &[("a", "b"), (":status", "200")],
            &[(":status", "200"), (":status", "200")],
            &[(":status", "200"), (":path", "/")],
            &[(":status", "20")],
            &[(":status", "2000")],
            &[(":status", "099")],
            &[(":status", "+20")],
            &[(":status", "")],
        ] {
            assert!(list(bad).check_response().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn zero_length_header_name_is_malformed() {
        assert!(
            list(&[(":status", "200"), ("", "x")])
                .check_response()
                .is_err()
        );
        assert!(list(&[("", "x")]).check_trailers().is_err());
    }

    #[test]
    fn invalid_names_and_values_are_malformed() {
        for (name, value) in [
            ("Upper", "x"),
            ("with space", "x"),
            ("with:colon", "x"),
            (":status", "200"),
            ("\u{7f}", "x"),
            ("\u{e9}", "x"),
            ("a", "line\nbreak"),
            ("a", "line\rbreak"),
            ("a", "nul\0"),
            ("connection", "close"),
            ("transfer-encoding", "chunked"),
            ("te", "gzip"),
        ] {
            assert!(
                list(&[(name, value)]).check_trailers().is_err(),
                "{name:?}: {value:?}"
            );
        }
        assert_eq!(
            list(&[("te", "trailers"), ("x-1_a.b", "\u{e9}\t x")]).check_trailers(),
            Ok(())
        );
    }

    #[test]
    fn blanks_around_a_value_are_dropped() {
        let list = list(&[("a", " \tx y "), ("b", "  "), ("c", "")]);
        assert_eq!(list.check_trailers(), Ok(()));
        assert_eq!(list.get("a"), Some(&b"x y"[..]));
        assert_eq!(list.get("b"), Some(&b""[..]));
        assert_eq!(list.get("c"), Some(&b""[..]));
    }
}
