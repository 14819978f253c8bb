//! The head of a message: its first line and its fields (RFC 9112, sections 2 to 5).
//!
//! The only place that parses one. Reads as much as a caller allows and not a byte more; what
//! status, target and fields mean is left to the caller.

/// What a head may cost.
#[derive(Clone, Copy, Debug)]
pub struct HeadBounds {
    /// Bytes, up to and with the empty line.
    pub bytes: usize,
    /// Fields, at most [`FIELDS_MAX`].
    pub fields: usize,
}

/// Fields for which there is room on the stack, whatever a caller allows.
pub const FIELDS_MAX: usize = 100;

/// Why bytes are no head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadError {
    /// Beyond the bounds.
    TooLarge,
    /// No HTTP/1.
    Malformed,
}

/// The fields of a head, in their order.
#[derive(Default)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// The values of all fields of this (lower-case) name.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let of_name =
            move |(found, value): &'a (String, String)| (found == name).then_some(value.as_str());
        self.0.iter().filter_map(of_name)
    }

    /// The value of the first field of this (lower-case) name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }
}

/// The head of a response.
pub struct ResponseHead {
    /// Three digits.
    pub status: u16,
    /// The fields.
    pub fields: Fields,
    /// Bytes of it.
    pub len: usize,
}

/// The head of a request; nobody asks for its fields.
pub struct RequestHead<'a> {
    /// The method's name.
    pub method: &'a str,
    /// What is asked for.
    pub target: &'a str,
}

/// Visible ASCII and spaces: what cannot break out of a field's line.
pub fn is_field_value(text: &str) -> bool {
    text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}

/// Reads the head of a response at the start of `bytes`; `None` while it is not whole.
pub fn response(bytes: &[u8], bounds: HeadBounds) -> Result<Option<ResponseHead>, HeadError> {
    let mut room = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut parsed = httparse::Response::new(allowed(&mut room, bounds));
    let Some(len) = whole(parsed.parse(beginning(bytes, bounds)), bytes, bounds)? else {
        return Ok(None);
    };
    let field = |field: &httparse::Header<'_>| {
        let value = String::from_utf8_lossy(field.value).into_owned();
        (field.name.to_ascii_lowercase(), value)
    };
    Ok(Some(ResponseHead {
        status: parsed.code.ok_or(HeadError::Malformed)?,
        fields: Fields(parsed.headers.iter().map(field).collect()),
        len,
    }))
}

/// Reads the head of a request at the start of `bytes`; `None` while it is not whole.
pub fn request(bytes: &[u8], bounds: HeadBounds) -> Result<Option<RequestHead<'_>>, HeadError> {
    let mut room = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut parsed = httparse::Request::new(allowed(&mut room, bounds));
    let is_whole = whole(parsed.parse(beginning(bytes, bounds)), bytes, bounds)?.is_some();
    Ok(is_whole.then(|| RequestHead {
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

/// What lies beyond the bounds is not looked at: else it would depend on the cuts what is found
/// wrong first.
fn beginning(bytes: &[u8], bounds: HeadBounds) -> &[u8] {
    &bytes[..bytes.len().min(bounds.bytes)]
}

fn whole(
    parsed: httparse::Result<usize>,
    bytes: &[u8],
    bounds: HeadBounds,
) -> Result<Option<usize>, HeadError> {
    match parsed {
        Ok(httparse::Status::Complete(len)) => Ok(Some(len)),
        Ok(httparse::Status::Partial) if bytes.len() < bounds.bytes => Ok(None),
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            Err(HeadError::TooLarge)
        }
        Err(_) => Err(HeadError::Malformed),
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

    #[test]
    fn a_head_within_its_bounds_is_read() {
        let bytes = b"HTTP/1.1 200 OK\r\nA: b\r\na: c\r\n\r\nbody";
        let head = response(bytes, BOUNDS).unwrap().unwrap();
        assert_eq!((head.status, head.len), (200, bytes.len() - 4));
        assert_eq!(head.fields.all("a").collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!(
            (head.fields.get("a"), head.fields.get("b")),
            (Some("b"), None)
        );
        let head = request(b"GET /x HTTP/1.1\r\n\r\n", BOUNDS)
            .unwrap()
            .unwrap();
        assert_eq!((head.method, head.target), ("GET", "/x"));
    }

    #[test]
    fn each_bound_is_held_to_the_byte() {
        let of = |len: usize| format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(len - 18));
        assert!(request(of(40).as_bytes(), BOUNDS).is_ok_and(|head| head.is_some()));
        let too_long = request(of(41).as_bytes(), BOUNDS).err();
        assert_eq!(too_long, Some(HeadError::TooLarge));
        let many = b"HTTP/1.1 200 OK\r\na: b\r\na: b\r\na: b\r\n";
        assert_eq!(response(many, BOUNDS).err(), Some(HeadError::TooLarge));
        assert_eq!(
            response(b"\x15\x03", BOUNDS).err(),
            Some(HeadError::Malformed)
        );
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
                let of_response = response(&bytes[..len], BOUNDS).map(|head| head.map(|h| h.len));
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
