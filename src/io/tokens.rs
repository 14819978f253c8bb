//! Which token stands for which source, and which number for which question of a name.

use mio::Token;

use super::health::HealthServer;

/// The link's socket.
pub(super) const LINK: Token = Token(0);
/// The pipe that signals are reported by.
pub(super) const SIGNALS: Token = Token(1);
/// The socket beside the link.
pub(super) const SECOND: Token = Token(2);
/// The health server's sources begin here.
pub(super) const HEALTH: usize = 3;
/// Those of targets begin here.
pub(super) const TARGETS: usize = 16;
/// Sockets to name servers begin here, behind those of more targets than there may be.
pub(super) const NAMES: usize = 1 << (usize::BITS - 2);

const _: () = assert!(HEALTH + HealthServer::TOKENS <= TARGETS);

/// Request number of the link at the resolver; targets use their keys, which are never this.
pub(super) const LINK_REQUEST: u64 = u64::MAX;
/// The same of the connection beside the link.
pub(super) const SECOND_REQUEST: u64 = u64::MAX - 1;

/// Stands for the foreground program among the owners of processes.
pub(super) const FOREGROUND_OWNER: usize = usize::MAX;
