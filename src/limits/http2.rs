//! HTTP/2 and gRPC (`h2`, `grpc`): what the gateway, or whoever stands in its place, may send.

// -- frames and streams ---------------------------------------------------------------------------

/// Largest frame payload we take: the protocol's default and least value (RFC 9113 section 4.2).
/// grpc-go never sends larger ones, so asking for more would only cost memory.
pub const H2_FRAME_BYTES_MAX: u32 = 16_384;
/// Entries of one SETTINGS frame; six are defined.
pub const H2_SETTINGS_ENTRIES_MAX: usize = 64;
/// Streams of ours at a time: the one of packets, the key check, and some being torn down.
pub const H2_STREAMS_MAX: usize = 16;
/// Streams reset by us that are remembered, because frames for them may still be under way.
pub const H2_STREAMS_RESET_MAX: usize = 32;
/// Debug data of a GOAWAY that is kept: enough for `too_many_pings` and a sentence.
pub const H2_DEBUG_BYTES_MAX: usize = 256;

const _: () = assert!(H2_STREAMS_MAX <= H2_STREAMS_RESET_MAX);
const _: () = assert!(H2_DEBUG_BYTES_MAX < H2_FRAME_BYTES_MAX as usize);

// -- header lists ---------------------------------------------------------------------------------

/// Largest decoded header list in RFC 9113 section 6.5.2 units; a status message fits many times.
pub const H2_HEADER_LIST_BYTES_MAX: u32 = 16_384;
/// Fields of one header list: each may copy a table entry for one byte of ours (HPACK bombs).
pub const H2_HEADER_FIELDS_MAX: usize = 128;
/// Encoded bytes of one header block: twice the list, since Huffman may also lengthen a text.
pub const H2_HEADER_BLOCK_BYTES_MAX: usize = 2 * H2_HEADER_LIST_BYTES_MAX as usize;
/// CONTINUATION frames of one header block; a list within bounds needs two of full size.
pub const H2_CONTINUATIONS_MAX: u32 = 8;
/// HPACK dynamic table that the gateway may fill: the protocol's default.
pub const H2_TABLE_BYTES_MAX: u32 = 4096;
/// Table size updates in front of one block: the least and the final size (RFC 7541 section 4.2).
pub const H2_TABLE_UPDATES_MAX: usize = 2;
/// Informational (1xx) responses of one stream.
pub const H2_INFORMATIONAL_MAX: u8 = 8;

const _: () = assert!(
    H2_HEADER_BLOCK_BYTES_MAX <= (1 + H2_CONTINUATIONS_MAX as usize) * H2_FRAME_BYTES_MAX as usize
);
const _: () = assert!(H2_TABLE_BYTES_MAX <= u16::MAX as u32);

// -- frames that cost us more than the peer -------------------------------------------------------

/// Frames a second that nothing of ours explains and that carry no data: PING, SETTINGS,
/// RST_STREAM, WINDOW_UPDATE, empty or tiny DATA, unknown ones, frames for closed streams.
pub const H2_NUISANCES_PER_SECOND_MAX: u32 = 200;
/// Such frames that real traffic has earned and that may still come, in one burst even.
pub const H2_NUISANCES_EARNED_MAX: u32 = 65_536;
/// Such frames earned by one DATA frame of ours: a WINDOW_UPDATE for stream and connection, and
/// the PING and SETTINGS with which grpc-go measures and widens its window.
pub const H2_NUISANCES_PER_DATA_SENT: u32 = 4;
/// DATA below this is tiny: no gRPC message of the gateway is that short, only tails of some are.
pub const H2_DATA_TINY_BYTES: u32 = 16;
/// PINGs and SETTINGS waiting for our answer while our output is blocked; the gateway has one of
/// each under way.
pub const H2_ACKS_MAX: usize = 16;
/// Above this the connection adds no answers to its control output; they stay counters.
pub const H2_CONTROL_BYTES_HIGH: usize = 4096;

const _: () = assert!(H2_NUISANCES_PER_SECOND_MAX < H2_NUISANCES_EARNED_MAX);

// -- gRPC messages --------------------------------------------------------------------------------

/// One gRPC message of the gateway: its own limit of 17 MiB, and some more because it adds to
/// what a client sent (gateway protocol 1.3).
pub const GRPC_MESSAGE_BYTES_MAX: usize = 17 * 1024 * 1024 + 64 * 1024;
/// Reassembly memory kept between messages; clients send 32 KiB payloads.
pub const GRPC_REASSEMBLY_KEEP_BYTES: usize = 256 * 1024;
/// Text of a status that is kept, in bytes.
pub const GRPC_STATUS_MESSAGE_BYTES_MAX: usize = 1024;

const _: () = assert!(GRPC_REASSEMBLY_KEEP_BYTES < GRPC_MESSAGE_BYTES_MAX);
const _: () = assert!(GRPC_STATUS_MESSAGE_BYTES_MAX < H2_HEADER_LIST_BYTES_MAX as usize);
