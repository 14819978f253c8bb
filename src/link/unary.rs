//! One unary call, `PreConnect`: its request, and what becomes of it. A fault in it is the end of that call
//! only.

use super::error::LinkError;
use super::event::Answer;
use crate::grpc::{self, Code, MessageError, Piece, Reassembly, Status};
use crate::h2::{Connection, ErrorCode, StreamId};
use crate::packet::outbox::FRAME_HEAD_BYTES;
use crate::packet::{DecodeError, PreConnectResponse, STATUS_CONNECT};

/// See the module.
pub(super) struct Unary {
    stream: StreamId,
    /// The request has left; it waits while the peer's windows do not hold it.
    is_sent: bool,
    reassembly: Reassembly,
    answer: Option<Answer>,
}

impl Unary {
    /// A call on this stream, whose header list is on its way.
    pub(super) fn new(stream: StreamId) -> Self {
        Self {
            stream,
            is_sent: false,
            reassembly: Reassembly::new(),
            answer: None,
        }
    }

    pub(super) fn stream(&self) -> StreamId {
        self.stream
    }

    /// The whole request, once and in one frame, as soon as the peer's windows hold it: it is a few bytes
    /// long, but bulk on the stream of packets may have used the connection's up.
    pub(super) fn send(&mut self, request: &[u8], http2: &mut Connection) {
        if self.is_sent {
            return;
        }
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

    /// A piece of the answer, perhaps the end of the call. Its outcome, when it has one, and what the
    /// stream is reset with then.
    pub(super) fn receive(
        &mut self,
        data: &[u8],
        status: Option<Status>,
    ) -> Option<(Result<Answer, Status>, ErrorCode)> {
        if let Err(error) = self.take_messages(data) {
            let status = Status::new(Code::Internal, error.to_string());
            return Some((Err(status), error.reset_code()));
        }
        let status = status?;
        let answer = self.answer.take().filter(|_| status.code == Code::Ok);
        Some((answer.ok_or(status), ErrorCode::CANCEL))
    }

    fn take_messages(&mut self, mut data: &[u8]) -> Result<(), LinkError> {
        while !data.is_empty() {
            let (used, piece) = self.reassembly.feed(data).map_err(LinkError::Message)?;
            data = &data[used..];
            let answer = match piece {
                None => continue,
                Some(Piece::Message(message)) => decode(message),
                Some(Piece::Joined(message)) => decode(message),
                Some(Piece::Oversized { len, .. }) => {
                    return Err(LinkError::Message(MessageError::TooLarge(len)));
                }
            };
            self.answer = Some(answer.map_err(LinkError::Packet)?);
        }
        Ok(())
    }
}

fn decode(message: &[u8]) -> Result<Answer, DecodeError> {
    let PreConnectResponse { status, message } = PreConnectResponse::decode(message)?;
    Ok(Answer {
        connect: status == STATUS_CONNECT,
        message: message.to_owned(),
    })
}
