//! gRPC's messages and statuses.

use hoop_lite::grpc::{Code, MessageError, Piece, Reassembly, Status, write_prefix};
use hoop_lite::h2::ErrorCode;
use hoop_lite::limits;

use crate::hpack::list_of;
use crate::input::{cuts, split};

/// Length-prefixed messages: the same however they are cut, with memory for what has come only.
pub fn grpc_messages(bytes: &[u8]) -> bool {
    let (mut control, wire) = split(bytes);
    let [whole, single, mixed] = cuts(&mut control, wire).map(|pieces| joined(&pieces));
    assert_eq!(whole, single);
    assert_eq!(whole, mixed);
    let (messages, error) = whole;
    let mut again = Vec::new();
    for (len, message) in &messages {
        again.extend(write_prefix(*len));
        again.extend(message);
    }
    assert!(wire.starts_with(&again));
    error.is_none() && !messages.is_empty()
}

/// Messages as their claimed length and their bytes. An oversized one may be cut short, and is then
/// the last.
type Messages = Vec<(usize, Vec<u8>)>;

fn joined(pieces: &[&[u8]]) -> (Messages, Option<MessageError>) {
    let mut reassembly = Reassembly::new();
    let (mut messages, mut fed): (Messages, usize) = (Vec::new(), 0);
    let mut is_within = false;
    for piece in pieces {
        let mut rest = *piece;
        fed += piece.len();
        loop {
            let (used, message) = match reassembly.feed(rest) {
                Ok(taken) => taken,
                Err(error) => return (messages, Some(error)),
            };
            rest = &rest[used..];
            let is_done = message.is_none() && rest.is_empty();
            match message {
                Some(Piece::Message(message)) => {
                    assert!(!is_within && message.len() <= limits::GRPC_MESSAGE_BYTES_MAX);
                    messages.push((message.len(), message.to_vec()));
                }
                Some(Piece::Joined(message)) => {
                    assert!(!is_within && message.len() <= limits::GRPC_MESSAGE_BYTES_MAX);
                    messages.push((message.len(), message.clone()));
                }
                Some(Piece::Oversized { part, len, is_last }) => {
                    assert!(len as usize > limits::GRPC_MESSAGE_BYTES_MAX);
                    if !std::mem::replace(&mut is_within, !is_last) {
                        messages.push((len as usize, Vec::new()));
                    }
                    let (_, all) = messages.last_mut().expect("it has begun");
                    all.extend(part);
                    assert_eq!(is_last, all.len() == len as usize);
                }
                None => {}
            }
            if is_done {
                break;
            }
        }
        assert!(reassembly.buffered_bytes() <= 2 * fed.max(limits::GRPC_REASSEMBLY_KEEP_BYTES / 2));
    }
    (messages, None)
}

/// The fields that end a call, one a line as `name: value`: one line of bounded text comes out.
pub fn grpc_status(bytes: &[u8]) -> bool {
    let fields: Vec<(&[u8], &[u8])> = bytes
        .split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let at = line.windows(2).position(|pair| pair == b": ")?;
            Some((&line[..at], &line[at + 2..]))
        })
        .take(limits::H2_HEADER_FIELDS_MAX)
        .collect();
    let list = list_of(&fields);
    let check = |status: &Status| {
        assert!(status.message.len() <= limits::GRPC_STATUS_MESSAGE_BYTES_MAX + 128);
        assert!(!status.message.chars().any(char::is_control));
        assert!(status.to_string().starts_with(status.code.name()));
    };
    let trailers = Status::from_trailers(&list);
    check(&trailers);
    let ended = Status::from_headers(&list, true).expect("a call that has ended has a status");
    check(&ended);
    if let Some(status) = Status::from_headers(&list, false) {
        check(&status);
        assert_ne!(status.code, Code::Ok, "no call succeeds before its end");
    }
    let number = fields.first().map_or(0, |(name, _)| name.len());
    check(&Status::from_reset(ErrorCode(
        u32::try_from(number).unwrap_or(0),
    )));
    trailers.code == Code::Ok
}
