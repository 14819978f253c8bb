//! The messages of the two unary calls: PreConnect, with which a key is checked and embedded
//! agents wait to be wanted, and HealthCheck, which has an empty request.

use super::packet::DecodeError;
use crate::wire::protobuf::{self, FieldReader, FieldValue};

/// Status of a PreConnect answer: open the stream now.
pub const STATUS_CONNECT: &str = "CONNECT";

const REQUEST_NAME: u32 = 1;
const REQUEST_TYPE: u32 = 2;
const REQUEST_SUBTYPE: u32 = 3;
const REQUEST_COMMAND: u32 = 4;
const REQUEST_REVIEWERS: u32 = 6;
const REQUEST_REDACT_TYPES: u32 = 7;
const ANSWER_STATUS: u32 = 1;
const ANSWER_MESSAGE: u32 = 2;

/// The connection that `hoop-lite run` asks the gateway to publish. Empty asks for nothing.
#[derive(Clone, Copy, Default)]
pub struct PreConnectRequest<'a> {
    /// Name of the hoop connection.
    pub name: &'a str,
    /// Its type.
    pub connection_type: &'a str,
    /// Its subtype.
    pub connection_subtype: &'a str,
    /// Its command.
    pub command: &'a [String],
    /// Groups whose review it needs.
    pub reviewers: &'a [String],
    /// What is to be redacted from its output.
    pub redact_types: &'a [String],
}

impl PreConnectRequest<'_> {
    /// Appends the message to `out`; nothing for an empty request.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let texts = [
            (REQUEST_NAME, self.name),
            (REQUEST_TYPE, self.connection_type),
            (REQUEST_SUBTYPE, self.connection_subtype),
        ];
        for (number, text) in texts {
            if !text.is_empty() {
                protobuf::write_bytes(out, number, text.as_bytes());
            }
        }
        let lists = [
            (REQUEST_COMMAND, self.command),
            (REQUEST_REVIEWERS, self.reviewers),
            (REQUEST_REDACT_TYPES, self.redact_types),
        ];
        for (number, list) in lists {
            for text in list {
                protobuf::write_bytes(out, number, text.as_bytes());
            }
        }
    }
}

/// The gateway's answer to PreConnect, and to HealthCheck, where it has a status alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreConnectResponse<'a> {
    /// [`STATUS_CONNECT`], `BACKOFF` (nobody waits for this agent) or something newer.
    pub status: &'a str,
    /// Why; may be empty.
    pub message: &'a str,
}

impl<'a> PreConnectResponse<'a> {
    /// Reads the message.
    pub fn decode(message: &'a [u8]) -> Result<Self, DecodeError> {
        let [status, message] = decode_texts(message, [ANSWER_STATUS, ANSWER_MESSAGE])?;
        Ok(Self { status, message })
    }
}

/// The text fields with these numbers; the last of a repeated one counts.
fn decode_texts<const N: usize>(
    message: &[u8],
    numbers: [u32; N],
) -> Result<[&str; N], DecodeError> {
    let mut texts = [""; N];
    for field in FieldReader::new(message) {
        let (number, FieldValue::Bytes(bytes)) = field? else {
            continue;
        };
        for (text, wanted) in texts.iter_mut().zip(numbers) {
            if number == wanted {
                *text = std::str::from_utf8(bytes).map_err(|_| DecodeError::NotText)?;
            }
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::protobuf::ProtobufError;
    use proptest::prelude::*;

    #[test]
    fn an_empty_request_is_the_empty_message() {
        let mut out = Vec::new();
        PreConnectRequest::default().encode(&mut out);
        assert!(out.is_empty());
    }

    #[test]
    fn a_request_has_each_field_under_its_number() {
        let list = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| text.to_string())
                .collect::<Vec<_>>()
        };
        let mut out = Vec::new();
        PreConnectRequest {
            name: "n",
            connection_type: "application",
            connection_subtype: "tcp",
            command: &list(&["bash", ""]),
            reviewers: &list(&["sre"]),
            redact_types: &list(&["EMAIL"]),
        }
        .encode(&mut out);
        assert_eq!(
            out,
            b"\x0a\x01n\x12\x0bapplication\x1a\x03tcp\x22\x04bash\x22\x00\x32\x03sre\x3a\x05EMAIL"
        );
    }

    #[test]
    fn answers_are_read() {
        let answer = PreConnectResponse::decode(b"\x0a\x07BACKOFF\x12\x03why\x1a\x01?");
        let expected = PreConnectResponse {
            status: "BACKOFF",
            message: "why",
        };
        assert_eq!(answer, Ok(expected));
        let empty = PreConnectResponse {
            status: "",
            message: "",
        };
        assert_eq!(PreConnectResponse::decode(b""), Ok(empty));
        assert_eq!(
            PreConnectResponse::decode(b"\x0a\x02OK"),
            Ok(PreConnectResponse {
                status: "OK",
                message: ""
            })
        );
    }

    #[test]
    fn answers_that_are_no_text_or_no_message_are_refused() {
        let bad_text = PreConnectResponse::decode(b"\x12\x01\xff");
        assert_eq!(bad_text, Err(DecodeError::NotText));
        let cut = PreConnectResponse::decode(b"\x0a\x02O");
        assert_eq!(cut, Err(DecodeError::Wire(ProtobufError::Truncated)));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(message: Vec<u8>) {
            if let Ok(answer) = PreConnectResponse::decode(&message) {
                prop_assert!(answer.status.len() + answer.message.len() <= message.len());
            }
        }
    }
}
