//! Codecs between bytes and values: protobuf, Go's gob, base64, JSON, DER.
//!
//! Promises: no state beyond a cursor, no panic and no growth by claimed lengths, whatever the
//! bytes. What the values mean is left to `packet`.

pub mod base64;
pub mod der;
pub mod gob;
pub mod json;
pub mod json_text;
pub mod percent;
pub mod protobuf;
pub mod sink;
pub mod varint;
