//! The head of a message for those who want to know what it says: its first line, and its fields
//! (RFC 9112, sections 2 to 5).
//!
//! `httparse` reads answers to ourselves and questions to the health endpoint, within the lines that
//! [`super::lines`] finds and checks; what is passed on to somebody else is those lines alone.

use super::error::HttpError;
use super::lines::{self, Breaks, HeadBounds, Lines};

/// Fields for which there is room on the stack, whatever a caller allows.
const FIELDS_MAX: usize = 100;

/// The head of a response.
pub struct ResponseHead<'a> {
    /// Three digits, 100 to 599.
    pub status: u16,
    /// The server's version is 1.0.
    pub is_http_1_0: bool,
    /// What it consists of.
    pub lines: Lines<'a>,
    /// Bytes of it.
    pub len: usize,
}

/// A request to ourselves; nobody asks for its fields.
pub struct Asked<'a> {
    /// The method's name.
    pub method: &'a str,
    /// What is asked for.
    pub target: &'a str,
}

/// The three parts of a request's first line.
pub struct RequestLine<'a> {
    /// A token.
    pub method: &'a [u8],
    /// What is asked for, not empty.
    pub target: &'a [u8],
    /// Two digits and a dot.
    pub version: &'a [u8],
}

/// Visible ASCII and spaces: what cannot break out of a field's line.
pub fn is_field_value(text: &str) -> bool {
    text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}

/// Reads the head of a response at the start of `bytes`; `None` while it is not whole. `searched` as for
/// [`lines::head_len`].
pub fn response<'a>(
    bytes: &'a [u8],
    searched: &mut usize,
    bounds: HeadBounds,
) -> Result<Option<ResponseHead<'a>>, HttpError> {
    if let Some(error) = foreign(bytes) {
        return Err(error);
    }
    let Some(len) = lines::head_len(bytes, searched, bounds)? else {
        return Ok(None);
    };
    let mut room = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut parsed = httparse::Response::new(allowed(&mut room, bounds));
    parsed.parse(&bytes[..len]).map_err(error)?;
    let lines = lines::lines(&bytes[..len], Breaks::Loose, bounds)?;
    let status = parsed.code.filter(|status| (100..600).contains(status));
    Ok(Some(ResponseHead {
        status: status.ok_or(HttpError::Malformed)?,
        is_http_1_0: parsed.version == Some(0),
        lines,
        len,
    }))
}

/// Reads the head of a request at the start of `bytes`, of which only the first line counts; `None` while it
/// is not whole.
pub fn request(bytes: &[u8], bounds: HeadBounds) -> Result<Option<Asked<'_>>, HttpError> {
    if bytes.first().is_some_and(u8::is_ascii_control) {
        return Err(HttpError::NotHttp);
    }
    let Some(len) = lines::head_len(bytes, &mut 0, bounds)? else {
        return Ok(None);
    };
    let mut room = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut parsed = httparse::Request::new(allowed(&mut room, bounds));
    parsed.parse(&bytes[..len]).map_err(error)?;
    Ok(Some(Asked {
        method: parsed.method.unwrap_or_default(),
        target: parsed.path.unwrap_or_default(),
    }))
}

fn allowed<'a, 'b>(
    room: &'a mut [httparse::Header<'b>; FIELDS_MAX],
    bounds: HeadBounds,
) -> &'a mut [httparse::Header<'b>] {
    &mut room[..bounds.fields.min(FIELDS_MAX)]
}

fn error(error: httparse::Error) -> HttpError {
    match error {
        httparse::Error::TooManyHeaders => HttpError::HeadTooLarge,
        _ => HttpError::Malformed,
    }
}

/// Three words with one blank between them.
pub fn request_line(line: &[u8]) -> Option<RequestLine<'_>> {
    let mut words = line.split(|byte| *byte == b' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let version = version.strip_prefix(b"HTTP/")?;
    let is_version = matches!(version, [b'0'..=b'9', b'.', b'0'..=b'9']);
    let is_line =
        words.next().is_none() && lines::is_token(method) && !target.is_empty() && is_version;
    is_line.then_some(RequestLine {
        method,
        target,
        version,
    })
}

/// Status of a response's first line, and whether its version is 1.0.
pub fn status(line: &[u8]) -> Option<(u16, bool)> {
    let (version, rest) = line.split_at_checked(b"HTTP/1.x".len())?;
    let is_http_1_0 = match version {
        b"HTTP/1.0" => true,
        b"HTTP/1.1" => false,
        _ => return None,
    };
    let [b' ', digits @ ..] = rest else {
        return None;
    };
    let (digits, reason) = digits.split_at_checked(3)?;
    if !digits.iter().all(u8::is_ascii_digit) || !matches!(reason, [] | [b' ', ..]) {
        return None;
    }
    let status = digits
        .iter()
        .fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    (100..600)
        .contains(&status)
        .then_some((status, is_http_1_0))
}

/// What is no answer in HTTP/1, by its first bytes.
pub fn foreign(bytes: &[u8]) -> Option<HttpError> {
    /// Record type of a TLS alert: what a TLS server makes of a plain request.
    const TLS_ALERT: u8 = 21;
    match bytes.first() {
        None => None,
        Some(&TLS_ALERT) => Some(HttpError::Tls),
        Some(_) => {
            let is_http = bytes.iter().zip(b"HTTP/1.").all(|(got, http)| got == http);
            (!is_http).then_some(HttpError::NotHttp)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOUNDS: HeadBounds = HeadBounds {
        bytes: 40,
        fields: 2,
    };

    fn response(bytes: &[u8]) -> Result<Option<ResponseHead<'_>>, HttpError> {
        super::response(bytes, &mut 0, BOUNDS)
    }

    #[test]
    fn a_head_within_its_bounds_is_read() {
        let bytes = b"HTTP/1.1 200 OK\r\nA: b\r\na: c\r\n\r\nbody";
        let head = response(bytes).unwrap().unwrap();
        assert_eq!((head.status, head.len), (200, bytes.len() - 4));
        let fields = head.lines.kept();
        assert_eq!(fields.all("a").collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!((fields.get("A"), fields.get("b")), (Some("b"), None));
        let asked = request(b"GET /x HTTP/1.1\nA: b\n\n", BOUNDS).unwrap();
        let asked = asked.unwrap();
        assert_eq!((asked.method, asked.target), ("GET", "/x"));
    }

    #[test]
    fn each_bound_is_held_to_the_byte() {
        let of = |len: usize| format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(len - 18));
        assert!(request(of(40).as_bytes(), BOUNDS).is_ok_and(|head| head.is_some()));
        let too_long = request(of(41).as_bytes(), BOUNDS).err();
        assert_eq!(too_long, Some(HttpError::HeadTooLarge));
        let many = b"HTTP/1.1 200 OK\r\na: b\r\na: b\r\na: b\r\n\r\n";
        assert_eq!(response(many).err(), Some(HttpError::HeadTooLarge));
        for (other, error) in [
            (&b"\x15\x03"[..], HttpError::Tls),
            (b"SSH-2", HttpError::NotHttp),
        ] {
            assert_eq!(response(other).err(), Some(error));
        }
        assert_eq!(request(b"\x16\x03", BOUNDS).err(), Some(HttpError::NotHttp));
    }

    #[test]
    fn line_breaks_are_no_field_value() {
        assert!(is_field_value("Bearer abc|~"));
        for bad in ["a\r\nX: y", "a\n", "\u{e9}", "a\0"] {
            assert!(!is_field_value(bad));
        }
    }

    proptest! {
        /// What a prefix says, no further byte changes.
        #[test]
        fn a_verdict_stands(text in "(HTTP/1\\.1 2[0-9]{2} OK|GET / HTTP/1\\.1)(\r?\n|a: b|\\PC){0,12}") {
            let bytes = text.as_bytes();
            let verdicts = |len: usize| {
                let of_response = response(&bytes[..len]).map(|head| head.map(|h| h.len));
                (of_response, request(&bytes[..len], BOUNDS).map(|head| head.is_some()))
            };
            for len in 1..bytes.len() {
                let (before, after) = (verdicts(len - 1), verdicts(len));
                prop_assert!(before.0 == Ok(None) || before.0 == after.0);
                prop_assert!(before.1 == Ok(false) || before.1 == after.1);
            }
        }
    }
}
