//! What a link tells its owner.

use std::ops::Range;

use crate::grpc::Status;
use crate::h2;
use crate::packet::{Oversized, Packet};

/// What `PreConnect` said.
pub struct Answer {
    /// Somebody waits for this agent: open the stream.
    pub connect: bool,
    /// A sentence for the operator, often empty.
    pub message: String,
}

/// What came in.
pub enum LinkEvent<'a> {
    /// The transport stands: calls can be made.
    Ready,
    /// A packet of the stream.
    Packet(Packet<'a>),
    /// The buffer of that packet, if it can be kept, and where its payload lies.
    Buffer(&'a mut Vec<u8>, Range<usize>),
    /// A packet of the stream that is too large, and its length; its bytes were passed over.
    Oversized(Oversized, u32),
    /// The stream is over.
    StreamEnded(Status),
    /// The unary call was answered.
    Answered(Result<Answer, Status>),
    /// The gateway asks us to leave, and why.
    GoAway(h2::ErrorCode, Vec<u8>),
}
