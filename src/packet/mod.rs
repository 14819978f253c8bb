//! Hoop's messages: the packet of the agent's stream, the parameters that open a session, and
//! the two small unary calls.
//!
//! Promises a borrowed view of what arrived and exact bytes for what leaves. Which packet is
//! allowed when is left to `session` and `agent`.

pub mod kind;
pub mod outbox;
pub mod oversized;
#[expect(
    clippy::module_inception,
    reason = "the packet is what this folder is about"
)]
pub mod packet;
pub mod params;
pub mod preconnect;
pub mod spec;

pub use kind::Kind;
pub use outbox::Outbox;
pub use oversized::Oversized;
pub use packet::{DecodeError, Packet, encode};
pub use params::{ConnectionParams, EnvVars, ParamsError};
pub use preconnect::{PreConnectRequest, PreConnectResponse, STATUS_CONNECT};

/// One entry of a packet's spec: key and value.
pub type SpecEntry<'a> = (&'a str, &'a [u8]);
