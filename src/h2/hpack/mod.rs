//! HPACK, the header compression of HTTP/2 (RFC 7541).
//!
//! Decoding keeps the peer's dynamic table within [`crate::limits::H2_TABLE_BYTES_MAX`] and takes
//! a bounded number of fields. Encoding never uses a dynamic table: what we send are a few short
//! requests, so the state would cost more than it saves.
//!
//! A field is one of (RFC 7541 section 6):
//!
//! ```text
//! 1xxxxxxx  indexed: name and value from a table
//! 01xxxxxx  literal, put into the dynamic table    name: index, or 0 and a string
//! 0000xxxx  literal, not put there
//! 0001xxxx  literal, never to be put there by anybody
//! 001xxxxx  not a field: new size of the dynamic table
//! ```

pub mod decode;
pub mod encode;
pub mod huffman;
pub mod table;

pub use decode::{Decoder, HpackError};
