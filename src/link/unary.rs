//! What the gateway can be called for, and one unary call: its request, and what becomes of it. A fault in
//! it is the end of that call only.

use super::error::LinkError;
use super::event::{Answer, NoAnswer};
use crate::grpc::{self, Code, MessageError, Piece, Reassembly, Status};
use crate::h2::{Connection, ErrorCode, FieldList, StreamId};
use crate::packet::PreConnectResponse;
use crate::packet::outbox::FRAME_HEAD_BYTES;

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

/// See the module.
pub(super) struct Unary {
    stream: StreamId,
    method: Method,
    /// The request has left; it waits while the peer's windows do not hold it.
    is_sent: bool,
    reassembly: Reassembly,
    answer: Option<Answer>,
    /// Of the response's head.
    date: Option<String>,
}

impl Unary {
    /// A call on this stream, whose header list is on its way.
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

    pub(super) fn stream(&self) -> StreamId {
        self.stream
    }

    /// The whole request, once and in one frame, as soon as the peer's windows hold it: it is a few bytes
    /// long, but bulk on the stream of packets may have used the connection's up.
    pub(super) fn send(&mut self, preconnect: &[u8], http2: &mut Connection) {
        if self.is_sent {
            return;
        }
        let request = match self.method {
            Method::PreConnect => preconnect,
            Method::Connect | Method::HealthCheck => &[],
        };
        let prefix = grpc::write_prefix(request.len());
        let size = prefix.len() + request.len();
        if http2.send_room(self.stream) < size {
            return;
        }
        self.is_sent = true;
        let mut head = [0; FRAME_HEAD_BYTES];
        http2.write_data_head(self.stream, size, true, &mut head);
        let control = http2.control_output();
        control.extend(&head);
        control.extend(&prefix);
        control.extend(request);
    }

    /// The response's head has come.
    pub(super) fn note_head(&mut self, fields: &FieldList) {
        let date = fields.get("date");
        let date = date.and_then(|date| std::str::from_utf8(date).ok());
        self.date = date.map(str::to_owned);
    }

    /// A piece of the answer, perhaps the end of the call. Its outcome, when it has one, and what the
    /// stream is reset with then.
    pub(super) fn receive(
        &mut self,
        data: &[u8],
        status: Option<Status>,
    ) -> Option<(Result<Answer, NoAnswer>, ErrorCode)> {
        if let Err(error) = self.take_messages(data) {
            let code = error.reset_code();
            return Some((Err(NoAnswer::Unreadable(error)), code));
        }
        let status = status?;
        let answer = self.answer.take().filter(|_| status.code == Code::Ok);
        Some((answer.ok_or(NoAnswer::Status(status)), ErrorCode::CANCEL))
    }

    fn take_messages(&mut self, mut data: &[u8]) -> Result<(), LinkError> {
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
