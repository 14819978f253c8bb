//! What happened since the start.

/// Why a session or a connection failed, for whoever counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// Its target did not answer.
    Unreachable,
    /// Its command could not be started.
    Command,
    /// Variables, or secrets that they stand for, could not be had.
    Variables,
    /// The connection demands what this agent can't enforce.
    Policy,
    /// Its type is not served.
    NotServed,
    /// A server did not let the stored account in.
    Login,
    /// Something is used up, or its target stalled.
    Limit,
    /// What the gateway or a client sent was not in order.
    Protocol,
    /// The agent is stopping.
    Stopping,
}

impl Failure {
    /// All of them, in their order.
    pub const ALL: [(Self, &'static str); 9] = [
        (Self::Unreachable, "unreachable"),
        (Self::Command, "command"),
        (Self::Variables, "variables"),
        (Self::Policy, "policy"),
        (Self::NotServed, "not_served"),
        (Self::Login, "login"),
        (Self::Limit, "limit"),
        (Self::Protocol, "protocol"),
        (Self::Stopping, "stopping"),
    ];
}

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
    /// Sessions and connections that failed, by [`Failure`].
    pub failures: [u64; Failure::ALL.len()],
    /// Payload bytes from targets.
    pub bytes_to_gateway: u64,
    /// Payload bytes to targets.
    pub bytes_to_target: u64,
}

impl Counters {
    /// One more has failed.
    pub(super) fn note_failure(&mut self, why: Failure) {
        self.failures[why as usize] += 1;
    }
}
