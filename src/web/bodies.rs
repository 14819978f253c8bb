//! Bodies on their way, both ways: a request's in a framing of our own, an answer's as the user can take it.

use super::delivery::{Delivery, Outlet};
use super::fields;
use crate::base::ByteBuf;
use crate::http::HttpError;
use crate::http::framing::BodySpans;
use crate::wire::sink::Sink;

/// A body on its way to the user.
pub struct BodyCopy {
    /// Where it is.
    pub spans: BodySpans,
    /// Its framing goes along.
    pub is_verbatim: bool,
    /// The connection can serve another request.
    pub is_kept: bool,
}

/// Takes of a body what has come, and puts it in a framing of our own where somebody wants it.
pub fn pass(
    spans: &mut BodySpans,
    is_chunked: bool,
    from: &mut ByteBuf,
    mut to: Option<&mut dyn Sink>,
) -> Result<(), HttpError> {
    while !spans.is_done() {
        let span = spans.next(from.filled())?;
        if span.bytes == 0 {
            return Ok(());
        }
        if let Some(to) = to.as_deref_mut().filter(|_| span.is_data) {
            let data = &from.filled()[..span.bytes];
            match is_chunked {
                true => put_chunk(data, to),
                false => to.put(data),
            }
        }
        from.consume(span.bytes);
    }
    if let Some(to) = to.filter(|_| is_chunked) {
        to.put(b"0\r\n\r\n");
    }
    Ok(())
}

/// Appends one chunk.
pub fn put_chunk(data: &[u8], to: &mut dyn Sink) {
    if data.is_empty() {
        return;
    }
    let mut size = Vec::with_capacity(20);
    fields::push_number(&mut size, data.len() as u64, 16);
    size.extend_from_slice(b"\r\n");
    for part in [size.as_slice(), data, b"\r\n"] {
        to.put(part);
    }
}

/// Takes of an answer's body what has come. What was sound goes on, also in front of an error.
pub fn copy(
    body: &mut BodyCopy,
    from: &mut ByteBuf,
    delivery: &mut Delivery,
    outlet: &mut Outlet<'_>,
) -> Result<(), HttpError> {
    let mut sound_bytes = 0;
    let mut outcome = Ok(());
    while !body.spans.is_done() {
        let rest = &from.filled()[sound_bytes..];
        let span = match body.spans.next(rest) {
            Ok(span) => span,
            Err(error) => {
                outcome = Err(error);
                break;
            }
        };
        if span.bytes == 0 {
            break;
        }
        if span.is_data && !body.is_verbatim {
            delivery.body(&rest[..span.bytes], outlet);
        }
        sound_bytes += span.bytes;
    }
    if body.is_verbatim {
        delivery.body(&from.filled()[..sound_bytes], outlet);
    }
    from.consume(sound_bytes);
    outcome
}
