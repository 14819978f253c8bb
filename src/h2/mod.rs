//! HTTP/2, the client's side, for the few streams of one link (RFC 9113, RFC 7541).
//!
//! Start at [`Connection`]. Bounds are in [`crate::limits`].

pub mod connection;
pub mod error;
mod event;
pub mod fields;
pub mod flow;
pub mod frame;
pub mod hpack;
mod ledger;
mod nuisance;
mod reading;
mod receive;
pub mod settings;
pub mod stream;
#[cfg(test)]
pub(crate) mod tests;

pub use connection::Connection;
pub use error::{ConnectionError, ErrorCode, Initiator, OpenError};
pub use event::Event;
pub use fields::FieldList;
pub use settings::LocalSettings;
pub use stream::StreamId;
