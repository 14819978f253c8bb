//! The path to the gateway: HTTP/2 and gRPC calls, in TLS, and how long to wait between attempts.
//!
//! Sans-IO like everything below it. Knows packets, but no session.

mod backoff;
mod calls;
mod error;
mod event;
mod gather;
mod identity;
#[allow(clippy::module_inception, reason = "a file's name says what is in it")]
mod link;
mod pace;
pub mod proxy;
mod transport;
mod unary;

pub use backoff::{Backoff, LossCause};
pub use error::{LinkError, proxy_advice};
pub use event::{Answer, LinkEvent, NoAnswer};
pub use gather::Wait;
pub use identity::AgentIdentity;
pub use link::Link;
pub use transport::{Transport, TransportError};

pub use crate::h2::OpenError;
