//! What a connection tells its owner.

use super::error::{ErrorCode, Initiator};
use super::fields::FieldList;
use super::stream::StreamId;

/// What the peer did.
#[derive(Debug)]
pub enum Event<'a> {
    /// Its SETTINGS were taken over; the first ones show that it speaks HTTP/2.
    Settings,
    /// A response has begun; informational ones are not reported.
    Headers {
        /// Whose response.
        stream: StreamId,
        /// Valid: `:status` first, the rest in order.
        fields: FieldList,
        /// Nothing follows.
        end_stream: bool,
    },
    /// A piece of content. May be empty, at the end only.
    Data {
        /// Whose content.
        stream: StreamId,
        /// A part of the input.
        bytes: &'a [u8],
        /// Nothing follows.
        end_stream: bool,
    },
    /// The response has ended with these fields.
    Trailers {
        /// Whose response.
        stream: StreamId,
        /// Valid, without pseudo-header fields.
        fields: FieldList,
    },
    /// The stream is closed for both sides, perhaps after its response had ended.
    Reset {
        /// Which one.
        stream: StreamId,
        /// [`ErrorCode::REFUSED_STREAM`] means that the peer did not look at the request.
        code: ErrorCode,
        /// Who closed it.
        initiator: Initiator,
        /// For logs; empty when the peer did it.
        detail: &'static str,
    },
    /// No new streams; those above `last_stream` follow as refused, the others go on.
    GoAway {
        /// The last stream that the peer will handle.
        last_stream: u32,
        /// Why.
        code: ErrorCode,
        /// The peer's words, the first [`crate::limits::H2_DEBUG_BYTES_MAX`] bytes.
        debug: Vec<u8>,
    },
}
