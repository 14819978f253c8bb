//! The body of a response: how it is delimited, and its bytes without that (RFC 9112, sections 6
//! and 7).

use super::error::HttpError;
use super::head::Fields;
use crate::base::ByteBuf;

/// A chunk's size line with its extensions.
const CHUNK_LINE_BYTES_MAX: usize = 1024;

/// What is to come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expecting {
    /// Bytes of body.
    Length(usize),
    ChunkSize,
    /// Bytes of the chunk.
    ChunkData(usize),
    ChunkEnd,
    Trailers,
    UntilClose,
    Done,
}

/// Takes a body in pieces: [`BodyReader::receive`] until [`BodyReader::is_done`], or
/// [`BodyReader::close`] when the connection ends before.
pub struct BodyReader {
    state: Expecting,
    bytes_max: usize,
    trailer_bytes_max: usize,
    trailer_bytes: usize,
}

impl BodyReader {
    /// For the body of a response with this head (section 6.3), of `bytes_max` bytes at most;
    /// trailers behind it may be as large as the head.
    pub fn of_response(
        status: u16,
        fields: &Fields,
        bytes_max: usize,
        trailer_bytes_max: usize,
    ) -> Result<Self, HttpError> {
        Ok(Self {
            state: first_state(status, fields, bytes_max)?,
            bytes_max,
            trailer_bytes_max,
            trailer_bytes: 0,
        })
    }

    /// The body is whole; what follows is none of it.
    pub fn is_done(&self) -> bool {
        self.state == Expecting::Done
    }

    /// Moves what belongs to the body from `pending` to the end of `body`.
    pub fn receive(&mut self, pending: &mut ByteBuf, body: &mut Vec<u8>) -> Result<(), HttpError> {
        while self.step(pending, body)? {}
        Ok(())
    }

    /// The connection has ended: of some bodies that is the end.
    pub fn close(&mut self) -> Result<(), HttpError> {
        match self.state {
            Expecting::Done | Expecting::UntilClose => {
                self.state = Expecting::Done;
                Ok(())
            }
            _ => Err(HttpError::Truncated),
        }
    }

    /// One step forward; `false` when more bytes are needed.
    fn step(&mut self, pending: &mut ByteBuf, body: &mut Vec<u8>) -> Result<bool, HttpError> {
        let (size, next) = match self.state {
            Expecting::Done => return Ok(false),
            Expecting::UntilClose => (usize::MAX, Expecting::Done),
            Expecting::Length(size) => (size, Expecting::Done),
            Expecting::ChunkData(size) => (size, Expecting::ChunkEnd),
            Expecting::ChunkSize | Expecting::ChunkEnd | Expecting::Trailers => {
                return self.line(pending);
            }
        };
        let taken = size.min(pending.len());
        if body.len() + taken > self.bytes_max {
            return Err(HttpError::BodyTooLarge(self.bytes_max));
        }
        body.extend_from_slice(&pending.filled()[..taken]);
        pending.consume(taken);
        self.state = match self.state {
            _ if taken == size => next,
            Expecting::Length(_) => Expecting::Length(size - taken),
            Expecting::ChunkData(_) => Expecting::ChunkData(size - taken),
            other => other,
        };
        Ok(taken == size)
    }

    /// One line of a chunked body: a size, the end of a chunk, or a trailer.
    fn line(&mut self, pending: &mut ByteBuf) -> Result<bool, HttpError> {
        let end = pending.filled().iter().position(|byte| *byte == b'\n');
        if end.unwrap_or(pending.len()) > CHUNK_LINE_BYTES_MAX {
            return Err(HttpError::Malformed);
        }
        let Some(end) = end else { return Ok(false) };
        let line = &pending.filled()[..end];
        let text = line.strip_suffix(b"\r").unwrap_or(line);
        self.state = match self.state {
            Expecting::ChunkEnd if text.is_empty() => Expecting::ChunkSize,
            Expecting::ChunkEnd => return Err(HttpError::Malformed),
            Expecting::Trailers if text.is_empty() => Expecting::Done,
            Expecting::Trailers => {
                self.trailer_bytes += end + 1;
                if self.trailer_bytes > self.trailer_bytes_max {
                    return Err(HttpError::HeadTooLarge);
                }
                Expecting::Trailers
            }
            _ => match chunk_size(text, self.bytes_max)? {
                0 => Expecting::Trailers,
                size => Expecting::ChunkData(size),
            },
        };
        pending.consume(end + 1);
        Ok(true)
    }
}

fn first_state(status: u16, fields: &Fields, bytes_max: usize) -> Result<Expecting, HttpError> {
    if matches!(status, 204 | 304) {
        return Ok(Expecting::Done);
    }
    let mut codings = fields.all("transfer-encoding").peekable();
    if codings.peek().is_some() {
        let is_chunked = codings.all(|coding| coding.trim().eq_ignore_ascii_case("chunked"));
        return is_chunked
            .then_some(Expecting::ChunkSize)
            .ok_or(HttpError::UnknownCoding);
    }
    let mut lengths = fields.all("content-length").map(str::trim);
    let Some(first) = lengths.next() else {
        return Ok(Expecting::UntilClose);
    };
    let is_number = !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || lengths.any(|other| other != first) {
        return Err(HttpError::Malformed);
    }
    match first.parse::<usize>() {
        Ok(0) => Ok(Expecting::Done),
        Ok(length) if length <= bytes_max => Ok(Expecting::Length(length)),
        _ => Err(HttpError::BodyTooLarge(bytes_max)),
    }
}

/// The size at the start of a chunk's line; extensions are ignored.
fn chunk_size(line: &[u8], bytes_max: usize) -> Result<usize, HttpError> {
    let size = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let size = size.trim_ascii_end();
    let is_number = !size.is_empty() && size.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(size).map_err(|_| HttpError::Malformed)?;
    if !is_number {
        return Err(HttpError::Malformed);
    }
    match usize::from_str_radix(text, 16) {
        Ok(size) if size <= bytes_max => Ok(size),
        _ => Err(HttpError::BodyTooLarge(bytes_max)),
    }
}
