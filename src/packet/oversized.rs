//! Whose a message is that is too large to be kept, learnt from its bytes as they pass.
//!
//! A client's request may grow into a message beyond every bound on its way through the gateway, and
//! the entries of a spec come in any order. So all of it is looked at, though at most one short field
//! is held: type and session id are short, whatever else is in the packet.

use super::kind::Kind;
use super::packet::{FIELD_SPEC, FIELD_TYPE, split_entry};
use super::spec;
use crate::limits::ID_BYTES_MAX;
use crate::wire::protobuf::{self, FieldReader, FieldValue, ProtobufError};

/// A field that may matter: the session id's entry with its key and lengths. All types are shorter.
const FIELD_BYTES_MAX: u64 = ID_BYTES_MAX as u64 + 32;

/// A packet that is passed over, as far as it has come.
#[derive(Default)]
pub struct Oversized {
    /// What it is, where we know it.
    pub kind: Option<Kind>,
    /// The session id as it came, if it did.
    pub session: Option<Vec<u8>>,
    /// The beginning of a field.
    field: Vec<u8>,
    /// What a short field still lacks.
    missing: usize,
    /// Bytes of a long field that are still to come.
    skip: u64,
    is_broken: bool,
}

impl Oversized {
    /// The next bytes of the message.
    pub fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.is_broken {
            if self.skip > 0 {
                let size = bytes
                    .len()
                    .min(usize::try_from(self.skip).unwrap_or(usize::MAX));
                self.skip -= size as u64;
                bytes = &bytes[size..];
                continue;
            }
            // A field's head comes byte by byte, since only its end shows how long it is.
            let size = self.missing.max(1).min(bytes.len());
            let (part, rest) = bytes.split_at(size);
            bytes = rest;
            self.field.extend_from_slice(part);
            self.missing = self.missing.saturating_sub(size);
            if self.missing == 0 {
                self.look_at_field();
            }
        }
    }

    fn look_at_field(&mut self) {
        match FieldReader::new(&self.field).next() {
            Some(Ok((FIELD_TYPE, FieldValue::Bytes(name)))) => {
                let name = std::str::from_utf8(name).unwrap_or_default();
                self.kind = Kind::from_name(name);
            }
            Some(Ok((FIELD_SPEC, FieldValue::Bytes(entry)))) => {
                if let Ok((key, value)) = split_entry(entry)
                    && key == spec::SESSION_ID.as_bytes()
                {
                    self.session = Some(value.to_vec());
                }
            }
            Some(Err(ProtobufError::Truncated)) => match protobuf::bytes_missing(&self.field) {
                Some(missing) if missing > FIELD_BYTES_MAX => self.skip = missing,
                Some(missing) => {
                    self.missing = usize::try_from(missing).unwrap_or_default();
                    return;
                }
                None => return,
            },
            Some(Err(_)) => self.is_broken = true,
            _ => {}
        }
        self.field.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Packet, encode};
    use super::*;
    use proptest::prelude::*;

    fn passed(message: &[u8], piece: usize) -> Oversized {
        let mut oversized = Oversized::default();
        for part in message.chunks(piece) {
            oversized.pass(part);
            let held = u64::try_from(oversized.field.capacity()).unwrap();
            assert!(held <= 4 * FIELD_BYTES_MAX, "{held} bytes are held");
        }
        oversized
    }

    #[test]
    fn the_session_is_found_wherever_it_lies() {
        let long = vec![b'x'; 300_000];
        let id = (spec::SESSION_ID, &b"an id"[..]);
        let args = (spec::CLIENT_ARGS, &long[..]);
        for entries in [[id, args], [args, id]] {
            for piece in [1, 7, 16_384, 1 << 20] {
                let mut message = Vec::new();
                encode(&mut message, Kind::AgentSessionOpen, &entries, &long);
                let found = passed(&message, piece);
                assert_eq!(found.kind, Some(Kind::AgentSessionOpen));
                assert_eq!(found.session.as_deref(), Some(&b"an id"[..]));
            }
        }
    }

    #[test]
    fn what_is_no_packet_or_too_long_for_an_id_names_nobody() {
        let long = vec![b'x'; 10_000];
        let mut message = Vec::new();
        encode(
            &mut message,
            Kind::AgentSessionOpen,
            &[(spec::SESSION_ID, &long)],
            b"",
        );
        assert_eq!(passed(&message, 100).session, None);
        assert_eq!(passed(&[0xff; 100], 7).session, None);
    }

    proptest! {
        #[test]
        fn it_finds_what_decoding_finds(
            entries in proptest::collection::vec((0usize..3, 0usize..600), 0..6),
            payload in 0usize..600,
            piece in 1usize..700,
        ) {
            let keys = [spec::SESSION_ID, spec::CLIENT_ARGS, ""];
            let text = vec![b'y'; 600];
            let spec: Vec<_> = entries
                .iter()
                .map(|(key, len)| (keys[*key], &text[..(*len).min(if *key == 0 { ID_BYTES_MAX } else { 600 })]))
                .collect();
            let mut message = Vec::new();
            encode(&mut message, Kind::AgentSessionClose, &spec, &text[..payload]);
            let packet = Packet::decode(&message).unwrap();
            let found = passed(&message, piece);
            prop_assert_eq!(found.kind, packet.kind);
            prop_assert_eq!(found.session.as_deref(), packet.spec(spec::SESSION_ID));
        }

        #[test]
        fn arbitrary_bytes_never_panic_and_cuts_change_nothing(
            message: Vec<u8>,
            piece in 1usize..50,
        ) {
            let (whole, cut) = (passed(&message, message.len().max(1)), passed(&message, piece));
            prop_assert_eq!(whole.kind, cut.kind);
            prop_assert_eq!(whole.session, cut.session);
        }
    }
}
