//! What both directions do with fields.

use crate::http::lines::{Field, Lines};

/// Fields that are about one connection, or that say where a body ends: never passed on as they are.
const OF_THE_CONNECTION: &[&[u8]] = &[
    b"connection",
    b"content-length",
    b"expect",
    b"http2-settings",
    b"keep-alive",
    b"proxy-authorization",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
];

/// Whether the agent alone decides about the field of this name.
pub fn is_framing(name: &[u8]) -> bool {
    OF_THE_CONNECTION.iter().any(|known| is_alike(known, name))
}

/// Whether two names are one, also to programs behind CGI and WSGI, which take `_` for `-`.
pub fn is_alike(a: &[u8], b: &[u8]) -> bool {
    let fold = |byte: &u8| match byte {
        b'_' => b'-',
        other => other.to_ascii_lowercase(),
    };
    a.len() == b.len() && a.iter().map(fold).eq(b.iter().map(fold))
}

/// The fields that `Connection` names. So many that it would cost to look are no honest head's.
pub struct Named<'a>(Vec<&'a [u8]>);

const NAMED_COUNT_MAX: usize = 32;

impl<'a> Named<'a> {
    /// Those of this head; `None` when there are too many.
    pub fn of(head: &Lines<'a>) -> Option<Self> {
        let mut names = Vec::new();
        for field in head.fields().filter(|field| field.is("connection")) {
            for name in field.value.split(|byte| *byte == b',') {
                names.push(name.trim_ascii());
                if names.len() > NAMED_COUNT_MAX {
                    return None;
                }
            }
        }
        Some(Self(names))
    }

    /// Whether a field goes no further: one of the connection, or one that `Connection` names.
    pub fn end_here(&self, name: &[u8]) -> bool {
        is_framing(name) || self.0.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// Whether it offers no protocol for a WebSocket, over which some programs stumble.
pub fn is_empty_offer(field: Field<'_>) -> bool {
    field.value.is_empty() && field.is("sec-websocket-protocol")
}

/// What stands in front of the first `separator`, and what behind it: nothing where there is none.
pub fn halves(text: &[u8], separator: u8) -> (&[u8], &[u8]) {
    match text.iter().position(|byte| *byte == separator) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, b""),
    }
}

/// Appends one field.
pub fn push(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    for part in [name, b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

/// Appends `Content-Length`.
pub fn push_length(out: &mut Vec<u8>, length: u64) {
    out.extend_from_slice(b"Content-Length: ");
    push_number(out, length, 10);
    out.extend_from_slice(b"\r\n");
}

/// Appends a number in base 10 or 16.
pub fn push_number(out: &mut Vec<u8>, mut number: u64, base: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        let digit = usize::try_from(number % base).unwrap_or_default();
        digits[start] = b"0123456789abcdef"[digit];
        number /= base;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// Whether these credentials, or this demand for them, log in a connection instead of a request.
pub fn logs_in_connection(value: &[u8]) -> bool {
    let is_scheme = |name: &[u8]| {
        let scheme = value.get(..name.len());
        let end = value.get(name.len());
        scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(name))
            && end.is_none_or(|byte| matches!(byte, b' ' | b','))
    };
    is_scheme(b"ntlm") || is_scheme(b"negotiate")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_both_bases() {
        for (number, base, text) in [
            (0, 10, "0"),
            (u64::MAX, 10, "18446744073709551615"),
            (0xa0f, 16, "a0f"),
        ] {
            let mut out = Vec::new();
            push_number(&mut out, number, base);
            assert_eq!(out, text.as_bytes());
        }
    }

    #[test]
    fn logins_of_a_connection_are_known_by_their_scheme() {
        for (value, is_one) in [
            (&b"NTLM"[..], true),
            (b"Negotiate oYG=", true),
            (b"negotiate, Basic", true),
            (b"Basic x", false),
            (b"NTLMv9", false),
            (b"", false),
        ] {
            assert_eq!(logs_in_connection(value), is_one);
        }
    }
}
