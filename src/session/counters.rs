//! What happened since the start.

/// What happened since the start; for logs and metrics.
#[derive(Clone, Copy, Default, Debug)]
pub struct Counters {
    /// Sessions opened.
    pub sessions: u64,
    /// TCP relays opened.
    pub relays: u64,
    /// Commands started.
    pub commands: u64,
    /// Sessions, relays and packets refused by policy or limit.
    pub refused: u64,
    /// Packets that were too large and passed over.
    pub oversized: u64,
    /// Addresses that did not answer.
    pub dial_failures: u64,
    /// Relays closed because their target stalled under pressure.
    pub stalls: u64,
    /// Relays closed because their target acknowledged nothing any more.
    pub vanished: u64,
    /// Payload bytes from targets.
    pub bytes_to_gateway: u64,
    /// Payload bytes to targets.
    pub bytes_to_target: u64,
}
