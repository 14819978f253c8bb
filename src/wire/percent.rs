//! Percent-decoding as URLs use it (RFC 3986, section 2.1).

/// The bytes that `text` stands for; `None` when a `%` is not followed by two hex digits.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = digit(bytes.next()?)?;
            let low = digit(bytes.next()?)?;
            out.push(high << 4 | low);
        } else {
            out.push(byte);
        }
    }
    Some(out)
}

/// As [`decode`], for parts that are shown to people.
pub fn decode_text(text: &str) -> Option<String> {
    decode(text).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn broken_escapes_are_refused() {
        for text in ["%", "%4", "%zz", "a%", "%4%41"] {
            assert_eq!(decode(text), None, "{text}");
        }
        assert_eq!(decode("a%40b%2f").as_deref(), Some(&b"a@b/"[..]));
    }

    proptest! {
        #[test]
        fn escaped_bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..50)) {
            let text: String = bytes.iter().map(|b| format!("%{b:02x}")).collect();
            prop_assert_eq!(decode(&text), Some(bytes));
        }
    }
}
