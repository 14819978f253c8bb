//! The one message of the agent's stream, in both directions.
//!
//! Protobuf fields: 1 component (unused), 2 type, 3 spec (map entries: 1 key, 2 value), 4 payload.
//! Decoding lends everything from the message and allocates nothing. A spec may hold secrets, so
//! there is no `Debug`.

use super::kind::Kind;
use crate::base::Fields;
use crate::wire::protobuf::{self, FieldReader, FieldValue, ProtobufError};
use crate::wire::sink::{Count, Room, Sink};
use crate::wire::varint;
use std::fmt;
use std::ops::Range;

const FIELD_COMPONENT: u32 = 1;
pub(super) const FIELD_TYPE: u32 = 2;
pub(super) const FIELD_SPEC: u32 = 3;
const FIELD_PAYLOAD: u32 = 4;
const ENTRY_KEY: u32 = 1;
const ENTRY_VALUE: u32 = 2;

/// Why a message is no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Not protobuf.
    Wire(ProtobufError),
    /// A type, component or spec key that is not UTF-8.
    NotText,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wire(error) => error.fmt(f),
            Self::NotText => f.write_str("text is not UTF-8"),
        }
    }
}

impl From<ProtobufError> for DecodeError {
    fn from(error: ProtobufError) -> Self {
        Self::Wire(error)
    }
}

/// A packet that arrived, borrowed from its message.
#[derive(Clone, Copy)]
pub struct Packet<'a> {
    /// What it is, where we know it.
    pub kind: Option<Kind>,
    /// The type as it stands on the wire.
    pub kind_name: &'a str,
    /// The payload; its meaning depends on the kind.
    pub payload: &'a [u8],
    /// The buffer that it lies in may be kept: it is offered next.
    pub can_be_kept: bool,
    message: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads one whole message and checks all of it. Unknown fields, and known ones of another
    /// wire type, are passed over; of a repeated one the last counts.
    pub fn decode(message: &'a [u8]) -> Result<Self, DecodeError> {
        let mut kind_name = "";
        let mut payload: &[u8] = &[];
        for field in FieldReader::new(message) {
            match field? {
                (FIELD_COMPONENT, FieldValue::Bytes(bytes)) => {
                    text(bytes)?;
                }
                (FIELD_TYPE, FieldValue::Bytes(bytes)) => kind_name = text(bytes)?,
                (FIELD_SPEC, FieldValue::Bytes(entry)) => {
                    text(split_entry(entry)?.0)?;
                }
                (FIELD_PAYLOAD, FieldValue::Bytes(bytes)) => payload = bytes,
                _ => {}
            }
        }
        Ok(Self {
            kind: Kind::from_name(kind_name),
            kind_name,
            payload,
            can_be_kept: false,
            message,
        })
    }

    /// Where in its message the payload lies.
    pub fn payload_range(&self) -> Range<usize> {
        if self.payload.is_empty() {
            return 0..0;
        }
        let start = self.payload.as_ptr().addr() - self.message.as_ptr().addr();
        start..start + self.payload.len()
    }

    /// The value of a spec key. An empty value and an absent key are different things.
    pub fn spec(&self, key: &str) -> Option<&'a [u8]> {
        let mut found = None;
        for (name, value) in self.entries() {
            if name == key.as_bytes() {
                found = Some(value);
            }
        }
        found
    }

    /// Tells the log of it: its kind and size, never what is in it. Lines of the log are passed over, or
    /// each would make another.
    #[cold]
    pub fn trace(&self, direction: &str) {
        if self.kind == Some(Kind::ClientAgentLogs) {
            return;
        }
        let id = self.spec(super::spec::SESSION_ID).unwrap_or_default();
        let fields = Fields::of_session(&String::from_utf8_lossy(id))
            .text("direction", direction)
            .text("kind", self.kind_name)
            .number("size", self.payload.len() as u64);
        log::trace!("{fields}packet");
    }

    /// The spec in wire order; `decode` has seen that no entry is an error.
    fn entries(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        FieldReader::new(self.message).filter_map(|field| match field {
            Ok((FIELD_SPEC, FieldValue::Bytes(entry))) => split_entry(entry).ok(),
            _ => None,
        })
    }
}

fn text(bytes: &[u8]) -> Result<&str, DecodeError> {
    std::str::from_utf8(bytes).map_err(|_| DecodeError::NotText)
}

/// Key and value of a map entry; either may be left out when it is empty.
pub(super) fn split_entry(entry: &[u8]) -> Result<(&[u8], &[u8]), DecodeError> {
    let (mut key, mut value): (&[u8], &[u8]) = (&[], &[]);
    for field in FieldReader::new(entry) {
        match field? {
            (ENTRY_KEY, FieldValue::Bytes(bytes)) => key = bytes,
            (ENTRY_VALUE, FieldValue::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    Ok((key, value))
}

/// Appends a whole packet to `out`.
pub fn encode(out: &mut Vec<u8>, kind: Kind, spec: &[(&str, &[u8])], payload: &[u8]) {
    write_kind_and_spec(out, kind, spec);
    if !payload.is_empty() {
        protobuf::write_bytes(out, FIELD_PAYLOAD, payload);
    }
}

/// Bytes that [`write_header`] needs in front of the payload, whatever the payload's length.
pub fn header_len(kind: Kind, spec: &[(&str, &[u8])]) -> usize {
    let mut count = Count::default();
    write_all_but_payload(&mut count, kind, spec);
    count.bytes()
}

/// Fills `out`, which is [`header_len`] bytes long, with everything of a packet that precedes
/// its payload. That is empty until [`write_payload_len`] says otherwise.
pub fn write_header(out: &mut [u8], kind: Kind, spec: &[(&str, &[u8])]) {
    let mut room = Room::new(out);
    write_all_but_payload(&mut room, kind, spec);
    debug_assert_eq!(room.left(), 0, "the header was measured too long");
}

/// Announces in a `header` by [`write_header`] that so many bytes behind it complete the message;
/// fewer than [`varint::PADDED_LIMIT`].
pub fn write_payload_len(header: &mut [u8], payload_len: usize) {
    if let Some(place) = header.last_chunk_mut::<{ varint::PADDED_LEN }>() {
        varint::write_padded(&mut Room::new(place), payload_len);
    }
}

fn write_all_but_payload(sink: &mut dyn Sink, kind: Kind, spec: &[(&str, &[u8])]) {
    write_kind_and_spec(sink, kind, spec);
    protobuf::write_bytes_head_padded(sink, FIELD_PAYLOAD, 0);
}

fn write_kind_and_spec(sink: &mut dyn Sink, kind: Kind, spec: &[(&str, &[u8])]) {
    protobuf::write_bytes(sink, FIELD_TYPE, kind.name().as_bytes());
    for (key, value) in spec {
        let mut count = Count::default();
        write_entry(&mut count, key, value);
        protobuf::write_bytes_head(sink, FIELD_SPEC, count.bytes());
        write_entry(sink, key, value);
    }
}

fn write_entry(sink: &mut dyn Sink, key: &str, value: &[u8]) {
    protobuf::write_bytes(sink, ENTRY_KEY, key.as_bytes());
    protobuf::write_bytes(sink, ENTRY_VALUE, value);
}

#[cfg(test)]
mod tests {
    use super::super::spec;
    use super::*;
    use proptest::prelude::*;

    fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        protobuf::write_bytes(&mut out, number, bytes);
        out
    }

    fn decode(message: &[u8]) -> Packet<'_> {
        Packet::decode(message).expect("a packet")
    }

    #[test]
    fn a_packet_encodes_byte_for_byte_as_go_does() {
        let mut out = Vec::new();
        encode(&mut out, Kind::ClientSessionClose, &[("a", b"1")], b"bye");
        assert_eq!(
            out,
            b"\x12\x12ClientSessionClose\x1a\x06\x0a\x01a\x12\x011\x22\x03bye"
        );
        out.clear();
        encode(&mut out, Kind::GatewayKeepAlive, &[], b"");
        assert_eq!(out, b"\x12\x10GatewayKeepAlive");
    }

    #[test]
    fn the_empty_message_is_a_packet_of_no_kind() {
        let packet = decode(&[]);
        assert_eq!((packet.kind, packet.kind_name), (None, ""));
        assert_eq!((packet.payload, packet.spec("")), (b"".as_slice(), None));
    }

    #[test]
    fn an_unknown_type_keeps_its_name() {
        let message = field(2, b"AgentFromTheFuture");
        let packet = decode(&message);
        assert_eq!(
            (packet.kind, packet.kind_name),
            (None, "AgentFromTheFuture")
        );
    }

    #[test]
    fn an_empty_value_is_present() {
        let message = [
            field(3, &field(1, b"tcp.server_connect")),
            field(3, &field(2, b"x")),
        ];
        let message = message.concat();
        let packet = decode(&message);
        assert_eq!(packet.spec(spec::TCP_SERVER_CONNECT), Some(b"".as_slice()));
        assert_eq!(packet.spec(""), Some(b"x".as_slice()));
        assert_eq!(packet.spec(spec::SESSION_ID), None);
    }

    #[test]
    fn the_last_duplicate_wins() {
        let entry = |value: &[u8]| field(3, &[field(1, b"k"), field(2, value)].concat());
        let message = [
            entry(b"1"),
            field(2, b"AgentSessionOpen"),
            field(4, b"old"),
            entry(b"2"),
            field(2, b"AgentSessionClose"),
            field(4, b"new"),
        ];
        let message = message.concat();
        let packet = decode(&message);
        assert_eq!(packet.spec("k"), Some(b"2".as_slice()));
        assert_eq!(packet.kind, Some(Kind::AgentSessionClose));
        assert_eq!(packet.payload, b"new");
        assert_eq!(packet.entries().count(), 2);
    }

    #[test]
    fn fields_of_another_wire_type_are_passed_over() {
        let mut message = field(2, b"AgentSessionOpen");
        message.extend([0x10, 7, 0x18, 1, 0x20, 1, 0x7a, 1, 0]);
        let packet = decode(&message);
        assert_eq!(packet.kind, Some(Kind::AgentSessionOpen));
        assert_eq!(packet.entries().count(), 0);
        assert!(packet.payload.is_empty());
    }

    #[test]
    fn text_that_is_not_utf_8_is_refused_and_bytes_are_not() {
        let bad = b"\xff";
        for message in [field(1, bad), field(2, bad), field(3, &field(1, bad))] {
            assert_eq!(Packet::decode(&message).err(), Some(DecodeError::NotText));
        }
        for message in [field(4, bad), field(3, &field(2, bad))] {
            assert!(Packet::decode(&message).is_ok());
        }
    }

    #[test]
    fn a_broken_spec_entry_breaks_the_packet() {
        let error = Packet::decode(&field(3, &[0x0a, 5, b'k'])).err();
        assert_eq!(error, Some(DecodeError::Wire(ProtobufError::Truncated)));
    }

    type Spec = Vec<(String, Vec<u8>)>;

    fn any_packet() -> impl Strategy<Value = (Kind, Spec, Vec<u8>)> {
        (
            proptest::sample::select(Kind::ALL),
            proptest::collection::vec((any::<String>(), any::<Vec<u8>>()), 0..6),
            proptest::collection::vec(any::<u8>(), 0..300),
        )
    }

    fn lend(spec: &Spec) -> Vec<(&str, &[u8])> {
        spec.iter()
            .map(|(key, value)| (key.as_str(), value.as_slice()))
            .collect()
    }

    fn entries<'a>(packet: &Packet<'a>) -> Vec<(&'a str, &'a [u8])> {
        let checked = |(key, value)| (text(key).expect("a key is text"), value);
        packet.entries().map(checked).collect()
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded((kind, spec, payload) in any_packet()) {
            let mut out = Vec::new();
            encode(&mut out, kind, &lend(&spec), &payload);
            let packet = decode(&out);
            prop_assert_eq!(packet.kind, Some(kind));
            prop_assert_eq!(packet.payload, &payload);
            prop_assert_eq!(entries(&packet), lend(&spec));
            for (key, _) in &spec {
                let last = spec.iter().rfind(|(other, _)| other == key);
                prop_assert_eq!(packet.spec(key), last.map(|(_, value)| value.as_slice()));
            }
        }

        #[test]
        fn a_header_and_its_payload_are_the_same_packet((kind, spec, payload) in any_packet()) {
            let spec = lend(&spec);
            let header_len = header_len(kind, &spec);
            let mut message = vec![0xaa; header_len];
            message.extend(&payload);
            write_header(&mut message[..header_len], kind, &spec);
            write_payload_len(&mut message[..header_len], payload.len());
            let packet = decode(&message);
            prop_assert_eq!(packet.kind, Some(kind));
            prop_assert_eq!(packet.payload, &payload);
            prop_assert_eq!(entries(&packet), spec);
        }

        #[test]
        fn arbitrary_bytes_never_panic(message: Vec<u8>) {
            if let Ok(packet) = Packet::decode(&message) {
                prop_assert!(packet.payload.len() <= message.len());
                for (key, _) in entries(&packet) {
                    prop_assert!(packet.spec(key).is_some());
                }
            }
        }

        #[test]
        fn mutated_packets_never_panic(
            (kind, spec, payload) in any_packet(),
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut message = Vec::new();
            encode(&mut message, kind, &lend(&spec), &payload);
            for (place, byte) in changes {
                let place = place.index(message.len());
                message[place] = byte;
            }
            if let Ok(packet) = Packet::decode(&message) {
                prop_assert!(packet.entries().count() <= message.len());
            }
        }
    }
}
