//! What the gateway can be called for, and a call that has one answer.

use super::error::LinkError;
use super::event::{Answer, NoAnswer};
use crate::grpc::{Code, MessageError, Piece, Reassembly, Status};
use crate::h2::{ErrorCode, Fields, StreamId};
use crate::packet::PreConnectResponse;

/// What the gateway can be called for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// The stream of packets.
    Connect,
    /// Whether the key stands, and somebody waits.
    PreConnect,
    /// Whether anybody is there; asked without the key.
    HealthCheck,
}

impl Method {
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Connect => "/protobuf.Transport/Connect",
            Self::PreConnect => "/protobuf.Transport/PreConnect",
            Self::HealthCheck => "/protobuf.Transport/HealthCheck",
        }
    }
}

/// A unary call under way.
pub(super) struct Unary {
    pub(super) stream: StreamId,
    pub(super) method: Method,
    /// The request has left; it waits while the peer's windows do not hold it.
    pub(super) is_sent: bool,
    reassembly: Reassembly,
    answer: Option<Answer>,
    /// Of the response's head.
    date: Option<String>,
}

impl Unary {
    pub(super) fn new(stream: StreamId, method: Method) -> Self {
        Self {
            stream,
            method,
            is_sent: false,
            reassembly: Reassembly::new(),
            answer: None,
            date: None,
        }
    }

    /// The response's head has come.
    pub(super) fn note_head(&mut self, fields: &Fields) {
        let date = fields.get("date");
        let date = date.and_then(|date| std::str::from_utf8(date).ok());
        self.date = date.map(str::to_owned);
    }

    /// Takes what has come. Returns the call's end, if that is it, and what to reset the stream with.
    pub(super) fn receive(
        &mut self,
        data: &[u8],
        status: Option<Status>,
    ) -> Option<(Result<Answer, NoAnswer>, ErrorCode)> {
        if let Err(error) = self.read(data) {
            let code = error.reset_code();
            return Some((Err(NoAnswer::Unreadable(error)), code));
        }
        let status = status?;
        let answer = self.answer.take().filter(|_| status.code == Code::Ok);
        Some((answer.ok_or(NoAnswer::Status(status)), ErrorCode::CANCEL))
    }

    fn read(&mut self, mut data: &[u8]) -> Result<(), LinkError> {
        while !data.is_empty() {
            let (used, piece) = self.reassembly.feed(data).map_err(LinkError::Message)?;
            data = &data[used..];
            let message: &[u8] = match piece {
                None => continue,
                Some(Piece::Message(message)) => message,
                Some(Piece::Joined(message)) => message,
                Some(Piece::Oversized { len, .. }) => {
                    return Err(LinkError::Message(MessageError::TooLarge(len)));
                }
            };
            // The answer to HealthCheck has the same status, and no message.
            let PreConnectResponse { status, message } =
                PreConnectResponse::decode(message).map_err(LinkError::Packet)?;
            self.answer = Some(Answer {
                status: status.to_owned(),
                message: message.to_owned(),
                date: self.date.take(),
            });
        }
        Ok(())
    }
}
