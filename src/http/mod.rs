//! HTTP/1.1 (RFC 9112), sans-IO: heads, bodies, whole responses and URLs.
//!
//! Promises: memory within the bounds that each caller gives, the same result however the bytes
//! are cut, no panic on any bytes. What a status, a field or a body means is left to the callers.

pub mod error;
pub mod framing;
pub mod head;
pub mod lines;
pub mod response;
#[cfg(test)]
mod response_tests;
pub mod url;

pub use error::HttpError;
pub use head::is_field_value;
pub use lines::{Fields, HeadBounds};
pub use response::{Bounds, Response, ResponseReader};
pub use url::{BaseUrl, UrlError, encode_segment};
