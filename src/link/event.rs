//! What a link tells its owner.

use std::ops::Range;

use super::error::LinkError;
use crate::grpc::{Code, Status};
use crate::h2;
use crate::packet::{Oversized, Packet, STATUS_CONNECT};

/// What a unary call was answered.
pub struct Answer {
    /// The gateway's word for it.
    pub status: String,
    /// A sentence for the operator, often empty.
    pub message: String,
    /// When that was by the clock of whoever answered, if it says so.
    pub date: Option<String>,
}

impl Answer {
    /// Somebody waits for this agent: open the stream.
    pub fn connects(&self) -> bool {
        self.status == STATUS_CONNECT
    }
}

/// Why a unary call has no answer.
pub enum NoAnswer {
    /// It ended with another status than OK, or without a message.
    Status(Status),
    /// The message can't be read.
    Unreadable(LinkError),
}

impl NoAnswer {
    /// What gRPC has for it.
    pub fn into_status(self) -> Status {
        match self {
            Self::Status(status) => status,
            Self::Unreadable(error) => Status::new(Code::Internal, error.to_string()),
        }
    }
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
    Answered(Result<Answer, NoAnswer>),
    /// The gateway asks us to leave, and why.
    GoAway(h2::ErrorCode, Vec<u8>),
}
