//! What sessions, targets and connections are called.

use std::sync::Arc;

use crate::base::Key;
use crate::limits;
use crate::packet::{Packet, spec};

/// Names a target in the core and in the reactor.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TargetId(pub Key);

/// Names a session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SessionKey(pub Key);

/// The client's name for one of its connections; opaque, compared exactly.
pub type ConnectionId = Arc<[u8]>;

/// A session id as it came: opaque text of bounded length.
pub(super) fn session_id(bytes: &[u8]) -> Option<&str> {
    let usable = !bytes.is_empty() && bytes.len() <= limits::ID_BYTES_MAX;
    std::str::from_utf8(bytes).ok().filter(|_| usable)
}

/// The connection that a packet is about.
pub(super) fn connection_id<'a>(packet: &Packet<'a>) -> Option<&'a [u8]> {
    packet
        .spec(spec::CONNECTION_ID)
        .filter(|id| !id.is_empty() && id.len() <= limits::ID_BYTES_MAX)
}
