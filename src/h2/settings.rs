//! SETTINGS (RFC 9113 section 6.5): what we ask for and what the peer asks for.

use super::error::{ErrorCode, Fault};
use super::flow::{WINDOW_DEFAULT, WINDOW_MAX};
use crate::base::ByteBuf;
use crate::limits::{
    H2_FRAME_BYTES_MAX, H2_HEADER_LIST_BYTES_MAX, H2_SETTINGS_ENTRIES_MAX, H2_TABLE_BYTES_MAX,
};

const HEADER_TABLE_SIZE: u16 = 0x1;
const ENABLE_PUSH: u16 = 0x2;
const MAX_CONCURRENT_STREAMS: u16 = 0x3;
const INITIAL_WINDOW_SIZE: u16 = 0x4;
const MAX_FRAME_SIZE: u16 = 0x5;
const MAX_HEADER_LIST_SIZE: u16 = 0x6;

/// What we let the peer do. Windows above 2^31-1 are cut to it.
#[derive(Clone, Copy, Debug)]
pub struct LocalSettings {
    /// Bytes that may come on a new stream before the owner grants more.
    pub stream_window: u32,
    /// Bytes under way on all streams; not below the protocol's 65,535.
    pub connection_window: u32,
    /// Header list bound, at most [`H2_HEADER_LIST_BYTES_MAX`].
    pub header_list_bytes_max: u32,
}

impl LocalSettings {
    /// The values within the protocol's and our bounds.
    pub(super) fn bounded(self) -> Self {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // A constant, 2^31-1.
        let window_max = WINDOW_MAX as u32;
        Self {
            stream_window: self.stream_window.min(window_max),
            connection_window: self.connection_window.clamp(WINDOW_DEFAULT, window_max),
            header_list_bytes_max: self.header_list_bytes_max.min(H2_HEADER_LIST_BYTES_MAX),
        }
    }

    /// The payload of our SETTINGS frame.
    pub(super) fn payload(self) -> Vec<u8> {
        let mut payload = Vec::with_capacity(30);
        for (id, value) in [
            (HEADER_TABLE_SIZE, H2_TABLE_BYTES_MAX),
            (ENABLE_PUSH, 0),
            (MAX_CONCURRENT_STREAMS, 0),
            (INITIAL_WINDOW_SIZE, self.stream_window),
            (MAX_HEADER_LIST_SIZE, self.header_list_bytes_max),
        ] {
            payload.extend_from_slice(&id.to_be_bytes());
            payload.extend_from_slice(&value.to_be_bytes());
        }
        payload
    }
}

/// What the peer lets us do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PeerSettings {
    pub(super) table_size: u32,
    pub(super) streams_max: u32,
    pub(super) stream_window: u32,
    pub(super) frame_bytes_max: u32,
}

impl Default for PeerSettings {
    /// As before the first SETTINGS frame.
    fn default() -> Self {
        Self {
            table_size: H2_TABLE_BYTES_MAX,
            streams_max: u32::MAX,
            stream_window: WINDOW_DEFAULT,
            frame_bytes_max: H2_FRAME_BYTES_MAX,
        }
    }
}

impl PeerSettings {
    /// Takes the entries of a SETTINGS payload over, in their order; unknown ones are ignored.
    pub(super) fn apply(&mut self, payload: &[u8]) -> Result<(), Fault> {
        let (entries, rest) = payload.as_chunks::<6>();
        if !rest.is_empty() {
            return Err(Fault::frame_size("SETTINGS with a part of an entry"));
        }
        if entries.len() > H2_SETTINGS_ENTRIES_MAX {
            return Err(Fault::connection(
                ErrorCode::ENHANCE_YOUR_CALM,
                "SETTINGS with too many entries",
            ));
        }
        for &[i0, i1, v0, v1, v2, v3] in entries {
            let id = u16::from_be_bytes([i0, i1]);
            self.apply_entry(id, u32::from_be_bytes([v0, v1, v2, v3]))?;
        }
        Ok(())
    }

    fn apply_entry(&mut self, id: u16, value: u32) -> Result<(), Fault> {
        match id {
            HEADER_TABLE_SIZE => self.table_size = value,
            // A server may not even say 1.
            ENABLE_PUSH if value != 0 => {
                return Err(Fault::protocol("SETTINGS with ENABLE_PUSH from a server"));
            }
            MAX_CONCURRENT_STREAMS => self.streams_max = value,
            INITIAL_WINDOW_SIZE => {
                if i64::from(value) > WINDOW_MAX {
                    return Err(Fault::connection(
                        ErrorCode::FLOW_CONTROL_ERROR,
                        "SETTINGS with INITIAL_WINDOW_SIZE above 2^31-1",
                    ));
                }
                self.stream_window = value;
            }
            MAX_FRAME_SIZE => {
                if !(FRAME_BYTES_LEAST..1 << 24).contains(&value) {
                    return Err(Fault::protocol("SETTINGS with MAX_FRAME_SIZE out of range"));
                }
                self.frame_bytes_max = value;
            }
            // MAX_HEADER_LIST_SIZE is advice, and our lists are short.
            _ => {}
        }
        Ok(())
    }
}

/// What every endpoint has to take (RFC 9113 section 6.5.2).
const FRAME_BYTES_LEAST: u32 = 16_384;

/// Appends the frame that answers SETTINGS.
pub(super) fn write_ack(out: &mut ByteBuf) {
    super::frame::write(
        out,
        super::frame::FrameKind::SETTINGS,
        super::frame::ACK,
        0,
        &[],
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn apply(entries: &[(u16, u32)]) -> Result<PeerSettings, ErrorCode> {
        let mut payload = Vec::new();
        for (id, value) in entries {
            payload.extend_from_slice(&id.to_be_bytes());
            payload.extend_from_slice(&value.to_be_bytes());
        }
        let mut settings = PeerSettings::default();
        match settings.apply(&payload) {
            Ok(()) => Ok(settings),
            Err(Fault::Connection(error)) => Err(error.code),
            Err(Fault::Stream(..)) => panic!("SETTINGS concern the connection"),
        }
    }

    #[test]
    fn last_of_equal_entries_counts_and_unknown_ones_do_not() {
        let settings = apply(&[(3, 1), (0x99, 7), (3, 2), (4, 9), (1, 0), (2, 0), (6, 1)]).unwrap();
        assert_eq!(settings.streams_max, 2);
        assert_eq!(settings.stream_window, 9);
        assert_eq!(settings.table_size, 0);
    }

    #[test]
    fn max_frame_size_zero_or_out_of_range_is_a_protocol_error() {
        for bad in [0, 1, 16_383, 1 << 24, u32::MAX] {
            assert_eq!(apply(&[(5, bad)]), Err(ErrorCode::PROTOCOL_ERROR), "{bad}");
        }
        for good in [16_384, (1 << 24) - 1] {
            assert_eq!(apply(&[(5, good)]).map(|s| s.frame_bytes_max), Ok(good));
        }
    }

    #[test]
    fn bad_values_have_the_code_of_the_rfc() {
        assert_eq!(apply(&[(2, 1)]), Err(ErrorCode::PROTOCOL_ERROR));
        assert_eq!(apply(&[(2, 2)]), Err(ErrorCode::PROTOCOL_ERROR));
        assert_eq!(apply(&[(4, 1 << 31)]), Err(ErrorCode::FLOW_CONTROL_ERROR));
        assert!(apply(&[(4, (1 << 31) - 1)]).is_ok());
    }

    #[test]
    fn too_many_entries_are_refused() {
        assert!(apply(&[(3, 1); 64]).is_ok());
        assert_eq!(apply(&[(3, 1); 65]), Err(ErrorCode::ENHANCE_YOUR_CALM));
    }

    proptest! {
        #[test]
        fn arbitrary_payloads_never_panic(payload in proptest::collection::vec(any::<u8>(), 0..500)) {
            let mut settings = PeerSettings::default();
            let _ = settings.apply(&payload);
            prop_assert!((16_384..1 << 24).contains(&settings.frame_bytes_max));
            prop_assert!(settings.stream_window < 1 << 31);
        }
    }
}
