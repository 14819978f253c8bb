//! gRPC over one HTTP/2 stream: messages, request fields, status. Pure functions and one buffer.
//!
//! ```text
//! -> HEADERS :method POST :path /service/method ...   <- HEADERS :status 200 content-type ...
//! -> DATA prefix message prefix message ...            <- DATA prefix message ...
//! -> DATA END_STREAM                                   <- HEADERS grpc-status END_STREAM
//! ```
//!
//! An answer may also be a single HEADERS frame with `grpc-status` ("trailers-only"). Compression
//! is neither offered nor accepted.

pub mod message;
pub mod metadata;
pub mod status;
#[cfg(test)]
mod tests;

pub use message::{MessageError, PREFIX_LEN, Piece, Reassembly, write_prefix};
pub use metadata::{Call, request_fields};
pub use status::{Code, Status};
