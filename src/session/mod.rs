//! Sessions and their relays: everything between a packet of the gateway and a target's bytes.
//!
//! Sans-IO: packets and [`Report`]s go in, [`Output`]s and packets come out; the time is an argument.
//! What it leaves to others: sockets (`io`), processes (`os`), the link and its credit (`agent`).

mod client_variables;
pub mod command;
mod draining;
mod ending;
pub mod environment;
mod heap;
mod opening;
pub mod output;
pub mod plan;
pub mod policy;
mod pressure;
mod process;
pub mod protocol;
mod relay;
pub mod report;
mod sessions;
mod shares;
mod silence;
mod system;
pub mod target;
mod tcp;
#[cfg(test)]
mod tests;

pub use environment::AgentEnvironment;
pub use output::{Command, End, Output, Size};
pub use pressure::STALLED;
pub use report::{Peer, Report};
pub use sessions::{EXIT_INTERNAL, Sessions, Settings};
pub use target::{Channel, Exit, Said, TargetId};

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
