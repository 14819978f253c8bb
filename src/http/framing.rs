//! Where the body of a message ends (RFC 9112, sections 6 and 7), for those who pass it on piece by
//! piece: nothing is copied and nothing kept.
//!
//! What two readers could take for the end at two places is an error.

use super::error::HttpError;
use super::lines::{Lines, field, is_value};

/// A chunk's size line with its extensions.
const CHUNK_LINE_BYTES_MAX: usize = 1024;
/// One trailer.
const TRAILER_LINE_BYTES_MAX: usize = 8 * 1024;
/// All trailers of a body.
const TRAILER_BYTES_MAX: usize = 16 * 1024;
/// Digits of a chunk's size: it fits 64 bits, and padding with zeros is as long.
const CHUNK_DIGITS_MAX: usize = 16;

/// How a body is delimited.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framing {
    /// There is none.
    Empty,
    /// So many bytes.
    Length(u64),
    /// In chunks, with a last one.
    Chunked,
    /// By the end of the connection.
    UntilClose,
}

/// How the body of a request with these lines is delimited; [`Framing::Empty`] where nothing says.
pub fn of_request(head: &Lines<'_>, is_http_1_0: bool) -> Result<Framing, HttpError> {
    let length = length(head)?;
    if !has_codings(head) {
        return Ok(length.map_or(Framing::Empty, Framing::Length));
    }
    // Both, or a coding in a version that has none, is how requests are smuggled.
    match length.is_some() || is_http_1_0 {
        true => Err(HttpError::Malformed),
        false => chunked_alone(head),
    }
}

/// How the body of a final response with these lines is delimited, and whether another reader could
/// see it in another way, so that the connection must not be used again.
pub fn of_response(
    head: &Lines<'_>,
    status: u16,
    is_for_head: bool,
    is_http_1_0: bool,
) -> Result<(Framing, bool), HttpError> {
    let length = length(head)?;
    if is_for_head || matches!(status, 204 | 304) {
        return Ok((Framing::Empty, false));
    }
    if has_codings(head) {
        let is_doubtful = length.is_some() || is_http_1_0;
        return Ok((chunked_alone(head)?, is_doubtful));
    }
    Ok((length.map_or(Framing::UntilClose, Framing::Length), false))
}

fn has_codings(head: &Lines<'_>) -> bool {
    head.get("transfer-encoding").is_some()
}

fn chunked_alone(head: &Lines<'_>) -> Result<Framing, HttpError> {
    let mut codings = head.fields().filter(|field| field.is("transfer-encoding"));
    let first = codings.next().map(|field| field.value);
    let is_chunked = first.is_some_and(|value| value.eq_ignore_ascii_case(b"chunked"));
    match is_chunked && codings.next().is_none() {
        true => Ok(Framing::Chunked),
        false => Err(HttpError::UnknownCoding),
    }
}

/// The length that all its fields agree on.
pub fn length(head: &Lines<'_>) -> Result<Option<u64>, HttpError> {
    let mut agreed = None;
    for field in head.fields().filter(|field| field.is("content-length")) {
        for text in field.value.split(|byte| *byte == b',') {
            let length = decimal(text.trim_ascii()).ok_or(HttpError::Malformed)?;
            if agreed.is_some_and(|before| before != length) {
                return Err(HttpError::Malformed);
            }
            agreed = Some(length);
        }
    }
    Ok(agreed)
}

/// Digits alone, below 2^63, which is where other readers stop.
fn decimal(text: &[u8]) -> Option<u64> {
    let is_number = !text.is_empty() && text.len() <= 19 && text.iter().all(u8::is_ascii_digit);
    let digits = is_number.then_some(text)?;
    let number = digits
        .iter()
        .fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    (number <= i64::MAX as u64).then_some(number)
}

/// What the next bytes are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// So many of them; none when more have to come first.
    pub bytes: usize,
    /// Bytes of the body itself, not of what delimits it.
    pub is_data: bool,
}

/// What is to come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    Data(u64),
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    Trailers,
    AnyData,
    Nothing,
}

/// Follows a body: [`BodySpans::next`] until [`BodySpans::is_done`].
pub struct BodySpans {
    expected: Expected,
    trailer_bytes: usize,
}

impl BodySpans {
    /// At the first byte of a body.
    pub fn new(framing: Framing) -> Self {
        let expected = match framing {
            Framing::Empty | Framing::Length(0) => Expected::Nothing,
            Framing::Length(length) => Expected::Data(length),
            Framing::Chunked => Expected::ChunkSize,
            Framing::UntilClose => Expected::AnyData,
        };
        Self {
            expected,
            trailer_bytes: 0,
        }
    }

    /// The body is whole; what follows is none of it.
    pub fn is_done(&self) -> bool {
        self.expected == Expected::Nothing
    }

    /// What stands at the start of `bytes`, which are consumed with that.
    pub fn next(&mut self, bytes: &[u8]) -> Result<Span, HttpError> {
        let (left, next) = match self.expected {
            Expected::Nothing => (0, Expected::Nothing),
            Expected::AnyData => (u64::MAX, Expected::Nothing),
            Expected::Data(left) => (left, Expected::Nothing),
            Expected::ChunkData(left) => (left, Expected::ChunkEnd),
            Expected::ChunkSize | Expected::ChunkEnd | Expected::Trailers => {
                return self.line(bytes);
            }
        };
        let taken = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        let left = left - taken as u64;
        self.expected = match self.expected {
            Expected::Data(_) if left > 0 => Expected::Data(left),
            Expected::ChunkData(_) if left > 0 => Expected::ChunkData(left),
            Expected::AnyData => Expected::AnyData,
            _ => next,
        };
        Ok(Span {
            bytes: taken,
            is_data: true,
        })
    }

    /// So many bytes follow, which are consumed where all of them are data of a body whose length was told.
    pub fn take_data(&mut self, bytes: usize) -> bool {
        let Expected::Data(left) = self.expected else {
            return false;
        };
        let Some(left) = left.checked_sub(bytes as u64) else {
            return false;
        };
        self.expected = match left {
            0 => Expected::Nothing,
            left => Expected::Data(left),
        };
        true
    }

    /// The connection has ended: of some bodies that is the end.
    pub fn close(&mut self) -> Result<(), HttpError> {
        match self.expected {
            Expected::Nothing | Expected::AnyData => {
                self.expected = Expected::Nothing;
                Ok(())
            }
            _ => Err(HttpError::Truncated),
        }
    }

    /// One line of a chunked body: a size, the end of a chunk, or a trailer.
    fn line(&mut self, bytes: &[u8]) -> Result<Span, HttpError> {
        let bytes_max = match self.expected {
            Expected::Trailers => TRAILER_LINE_BYTES_MAX,
            _ => CHUNK_LINE_BYTES_MAX,
        };
        let seen = &bytes[..bytes.len().min(bytes_max)];
        let Some(end) = seen.iter().position(|byte| *byte == b'\n') else {
            return match seen.len() == bytes_max {
                true => Err(HttpError::Malformed),
                false => Ok(Span {
                    bytes: 0,
                    is_data: false,
                }),
            };
        };
        let line = seen[..end]
            .strip_suffix(b"\r")
            .ok_or(HttpError::Malformed)?;
        self.expected = match self.expected {
            Expected::ChunkEnd if line.is_empty() => Expected::ChunkSize,
            Expected::ChunkEnd => return Err(HttpError::Malformed),
            Expected::Trailers if line.is_empty() => Expected::Nothing,
            Expected::Trailers => {
                self.trailer_bytes += end + 1;
                let is_sound = field(line).is_some() && self.trailer_bytes <= TRAILER_BYTES_MAX;
                is_sound
                    .then_some(Expected::Trailers)
                    .ok_or(HttpError::Malformed)?
            }
            _ => match chunk_size(line).ok_or(HttpError::Malformed)? {
                0 => Expected::Trailers,
                size => Expected::ChunkData(size),
            },
        };
        Ok(Span {
            bytes: end + 1,
            is_data: false,
        })
    }
}

/// The size at the start of a chunk's line; extensions are passed over.
fn chunk_size(line: &[u8]) -> Option<u64> {
    if !is_value(line) {
        return None;
    }
    let size = line.split(|byte| *byte == b';').next()?;
    // Some servers pad the size with blanks.
    let size = size.trim_ascii_end();
    let is_number = !size.is_empty()
        && size.len() <= CHUNK_DIGITS_MAX
        && size.iter().all(u8::is_ascii_hexdigit);
    let digits = is_number.then_some(size)?;
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => byte - b'0',
        _ => (byte | 0x20) - b'a' + 10,
    };
    let number = digits
        .iter()
        .fold(0, |sum, byte| sum << 4 | u64::from(digit(*byte)));
    (number <= i64::MAX as u64).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::super::lines::{Breaks, HeadBounds, lines};
    use super::*;
    use proptest::prelude::*;

    const BOUNDS: HeadBounds = HeadBounds {
        bytes: 1000,
        fields: 9,
    };

    fn head(fields: &str) -> String {
        format!("X\r\n{fields}\r\n")
    }

    fn request(fields: &str) -> Result<Framing, HttpError> {
        let head = head(fields);
        of_request(
            &lines(head.as_bytes(), Breaks::Exact, BOUNDS).unwrap(),
            false,
        )
    }

    fn response(fields: &str) -> Result<(Framing, bool), HttpError> {
        let head = head(fields);
        of_response(
            &lines(head.as_bytes(), Breaks::Loose, BOUNDS).unwrap(),
            200,
            false,
            false,
        )
    }

    #[test]
    fn a_request_says_one_thing_or_is_refused() {
        use Framing::{Chunked, Empty, Length};
        for (fields, framing) in [
            ("", Ok(Empty)),
            ("Content-Length: 0\r\n", Ok(Length(0))),
            ("Content-Length: 5\r\nContent-Length: 5\r\n", Ok(Length(5))),
            ("Content-Length: 5, 5\r\n", Ok(Length(5))),
            ("Transfer-Encoding: Chunked\r\n", Ok(Chunked)),
            (
                "Content-Length: 5\r\nContent-Length: 6\r\n",
                Err(HttpError::Malformed),
            ),
            ("Content-Length: +5\r\n", Err(HttpError::Malformed)),
            ("Content-Length: 0x5\r\n", Err(HttpError::Malformed)),
            ("Content-Length:\r\n", Err(HttpError::Malformed)),
            (
                "Content-Length: 9223372036854775808\r\n",
                Err(HttpError::Malformed),
            ),
            (
                "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                Err(HttpError::Malformed),
            ),
            (
                "Transfer-Encoding: gzip, chunked\r\n",
                Err(HttpError::UnknownCoding),
            ),
            (
                "Transfer-Encoding: chunked, chunked\r\n",
                Err(HttpError::UnknownCoding),
            ),
            (
                "Transfer-Encoding: identity\r\n",
                Err(HttpError::UnknownCoding),
            ),
            ("Transfer-Encoding:\r\n", Err(HttpError::UnknownCoding)),
            (
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n",
                Err(HttpError::UnknownCoding),
            ),
        ] {
            assert_eq!(request(fields), framing, "{fields}");
        }
    }

    #[test]
    fn a_response_may_be_doubtful() {
        assert_eq!(response(""), Ok((Framing::UntilClose, false)));
        let both = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n";
        assert_eq!(response(both), Ok((Framing::Chunked, true)));
        assert!(response("Content-Length: 5\r\nContent-Length: 6\r\n").is_err());
        let head = head("Content-Length: 5\r\n");
        let head = lines(head.as_bytes(), Breaks::Loose, BOUNDS).unwrap();
        for (status, is_for_head) in [(204, false), (304, false), (200, true)] {
            let framing = of_response(&head, status, is_for_head, false);
            assert_eq!(framing, Ok((Framing::Empty, false)));
        }
    }

    /// Everything of a body, or its error; and what is left behind it.
    fn read(framing: Framing, pieces: &[&[u8]]) -> Result<(Vec<u8>, Vec<u8>), HttpError> {
        let (mut spans, mut body, mut waiting) = (BodySpans::new(framing), vec![], vec![]);
        for piece in pieces {
            waiting.extend_from_slice(piece);
            while !spans.is_done() && !waiting.is_empty() {
                let span = spans.next(&waiting)?;
                if span.is_data {
                    body.extend_from_slice(&waiting[..span.bytes]);
                }
                waiting.drain(..span.bytes);
                if span.bytes == 0 {
                    break;
                }
            }
        }
        spans.close()?;
        Ok((body, waiting))
    }

    #[test]
    fn bodies_end_where_they_say() {
        let chunks = b"2;x=\"y\"\r\nhi\r\n00A \r\n0123456789\r\n0\r\nT: v\r\n\r\nnext";
        let (body, rest) = read(Framing::Chunked, &[chunks]).unwrap();
        assert_eq!(
            (body.as_slice(), rest.as_slice()),
            (&b"hi0123456789"[..], &b"next"[..])
        );
        let (body, rest) = read(Framing::Length(2), &[b"hinext"]).unwrap();
        assert_eq!(
            (body.as_slice(), rest.as_slice()),
            (&b"hi"[..], &b"next"[..])
        );
        assert_eq!(read(Framing::UntilClose, &[b"hi"]).unwrap().0, b"hi");
        for framing in [Framing::Empty, Framing::Length(0)] {
            assert_eq!(read(framing, &[b"next"]).unwrap().1, b"next");
        }
    }

    #[test]
    fn chunks_that_could_be_read_in_two_ways_are_errors() {
        for chunks in [
            &b"1\na\r\n0\r\n\r\n"[..],
            b"1\r\na\n0\r\n\r\n",
            b"1\r\nab\r\n0\r\n\r\n",
            b"0x1\r\na\r\n0\r\n\r\n",
            b"-1\r\na\r\n0\r\n\r\n",
            b"+1\r\na\r\n0\r\n\r\n",
            b" 1\r\na\r\n0\r\n\r\n",
            b"\r\na\r\n0\r\n\r\n",
            b";x\r\na\r\n0\r\n\r\n",
            b"1;a\rb\r\na\r\n0\r\n\r\n",
            b"1_0\r\na\r\n0\r\n\r\n",
            b"ffffffffffffffff\r\na",
            b"00000000000000001\r\na\r\n0\r\n\r\n",
            b"0\r\nbroken\r\n\r\n",
            b"0\r\n a: b\r\n\r\n",
            b"0\r\na: b\n\r\n",
        ] {
            let error = read(Framing::Chunked, &[chunks]).err();
            assert_eq!(
                error,
                Some(HttpError::Malformed),
                "{}",
                chunks.escape_ascii()
            );
        }
        let cut = read(Framing::Chunked, &[b"1\r\na\r\n0\r\n"]).err();
        assert_eq!(cut, Some(HttpError::Truncated));
        assert_eq!(
            read(Framing::Length(3), &[b"hi"]).err(),
            Some(HttpError::Truncated)
        );
    }

    #[test]
    fn lines_are_bounded() {
        let long = [b"1;".as_slice(), &[b'x'; CHUNK_LINE_BYTES_MAX]].concat();
        assert_eq!(
            read(Framing::Chunked, &[&long]).err(),
            Some(HttpError::Malformed)
        );
        let trailers = [b"0\r\n".as_slice(), &b"A: b\r\n".repeat(TRAILER_BYTES_MAX)].concat();
        assert_eq!(
            read(Framing::Chunked, &[&trailers]).err(),
            Some(HttpError::Malformed)
        );
    }

    proptest! {
        #[test]
        fn the_result_does_not_depend_on_the_cuts(
            text in "(1|5|0|a|0A)(;x)?\r\n|([0-9a-f]{1,2}|\r\n|hello|A: b\r\n){0,12}",
            length in 0..40u64,
        ) {
            for framing in [Framing::Chunked, Framing::Length(length), Framing::UntilClose] {
                let single: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
                prop_assert_eq!(read(framing, &single), read(framing, &[text.as_bytes()]));
            }
        }
    }
}
