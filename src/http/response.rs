//! A response to one request, whole.
//!
//! [`ResponseReader`] takes it in pieces of any size. Redirects, status codes and what a body means
//! are left to the caller.

use super::error::HttpError;
use super::framing::{self, BodySpans, Framing};
use super::head;
use super::lines::{Fields, HeadBounds};
use crate::base::{ByteBuf, wipe};

/// Interim (1xx) responses before the final one.
pub(super) const INTERIM_MAX: usize = 8;

/// What a response may cost.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Its head, and each interim one.
    pub head: HeadBounds,
    /// Bytes of its body.
    pub body_bytes: usize,
}

/// A complete response.
#[derive(Default)]
pub struct Response {
    /// The final status, 200 to 599.
    pub status: u16,
    fields: Fields,
    /// The body, within the reader's bounds.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of that name, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.fields.get(name)
    }
}

/// Takes a response in pieces: [`ResponseReader::handle_bytes`] until [`ResponseReader::is_done`],
/// [`ResponseReader::handle_close`] when the connection ends before, then `into_response`.
pub struct ResponseReader {
    bounds: Bounds,
    /// Bytes that have come and are not used yet.
    pending: ByteBuf,
    /// Bytes of `pending` whose lines make no whole head.
    searched: usize,
    interim_count: usize,
    /// Stands when the head does.
    body: Option<BodySpans>,
    response: Response,
}

/// Answers may be secrets; what was taken out of here is its owner's to wipe.
impl Drop for ResponseReader {
    fn drop(&mut self) {
        self.pending.wipe();
        wipe(&mut self.response.body);
    }
}

impl ResponseReader {
    /// For a response of at most this size.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            pending: ByteBuf::new(),
            searched: 0,
            interim_count: 0,
            body: None,
            response: Response::default(),
        }
    }

    /// The response is complete; further bytes are ignored.
    pub fn is_done(&self) -> bool {
        self.body.as_ref().is_some_and(BodySpans::is_done)
    }

    /// The next bytes have come.
    pub fn handle_bytes(&mut self, bytes: &[u8]) -> Result<(), HttpError> {
        if self.is_done() {
            return Ok(());
        }
        self.pending.extend(bytes);
        while self.body.is_none() && self.head()? {}
        self.take_body()
    }

    /// The connection has ended.
    pub fn handle_close(&mut self) -> Result<(), HttpError> {
        if let Some(body) = &mut self.body {
            return body.close();
        }
        Err(match self.pending.is_empty() && self.interim_count == 0 {
            true => HttpError::NoAnswer,
            false => HttpError::Truncated,
        })
    }

    /// What was read; of use once done.
    pub fn into_response(mut self) -> Response {
        std::mem::take(&mut self.response)
    }

    /// Takes one head; `false` when more bytes are needed.
    fn head(&mut self) -> Result<bool, HttpError> {
        let pending = self.pending.filled();
        let Some(head) = head::response(pending, &mut self.searched, self.bounds.head)? else {
            return Ok(false);
        };
        match head.status {
            // Nothing was asked that could switch protocols.
            101 => return Err(HttpError::Malformed),
            100..=199 => {
                self.interim_count += 1;
                if self.interim_count > INTERIM_MAX {
                    return Err(HttpError::Malformed);
                }
            }
            status => {
                let (framing, _) =
                    framing::of_response(&head.lines, status, false, head.is_http_1_0)?;
                if let Framing::Length(length) = framing {
                    let bytes_max = self.bounds.body_bytes;
                    let length = usize::try_from(length).ok();
                    let length = length.filter(|length| *length <= bytes_max);
                    // What grows leaves copies behind.
                    let length = length.ok_or(HttpError::BodyTooLarge(bytes_max))?;
                    self.response.body.reserve_exact(length);
                }
                self.body = Some(BodySpans::new(framing));
                self.response.status = status;
                self.response.fields = head.lines.kept();
            }
        }
        let len = head.len;
        self.pending.consume(len);
        self.searched = 0;
        Ok(true)
    }

    /// Takes of the body what has come.
    fn take_body(&mut self) -> Result<(), HttpError> {
        let Some(spans) = &mut self.body else {
            return Ok(());
        };
        let (body, body_bytes) = (&mut self.response.body, self.bounds.body_bytes);
        while !spans.is_done() {
            let span = spans.next(self.pending.filled())?;
            if span.bytes == 0 {
                break;
            }
            if span.is_data && body.len() + span.bytes > body_bytes {
                return Err(HttpError::BodyTooLarge(body_bytes));
            }
            if span.is_data {
                body.extend_from_slice(&self.pending.filled()[..span.bytes]);
            }
            self.pending.consume(span.bytes);
        }
        Ok(())
    }
}
