//! Sessions and their relays: everything between a packet of the gateway and a target's bytes.
//!
//! Sans-IO: packets and [`Report`]s go in, [`Output`]s and packets come out; the time is an argument.
//! What it leaves to others: sockets (`io`), processes (`os`), the link and its credit (`agent`).
//!
//! [`Sessions`] only routes. What it routes between is owned by three: `Book` (which sessions there are),
//! `Targets` (every target, its queue and its deadline) and in it `Budget` (what may wait). One session is an
//! `About` and its contents: connections or a command.

mod about;
mod account;
mod between;
mod book;
mod budget;
mod client_variables;
pub mod command;
mod connection;
mod counters;
mod draining;
mod ending;
pub mod environment;
mod errand;
mod error;
mod heap;
mod input;
mod means;
mod middle;
mod names;
mod opening;
mod output;
mod place;
pub mod plan;
pub mod policy;
mod pressure;
mod process;
mod progress;
pub mod protocol;
mod report;
mod reports;
mod said;
mod seam;
#[allow(clippy::module_inception, reason = "a file's name says what is in it")]
mod session;
mod session_limits;
mod sessions;
mod shares;
mod system;
mod target;
mod targets;
#[cfg(test)]
mod tests;
mod to_target;
mod turn;
pub mod variable_error;
mod verdict;
mod web;
mod wire;

pub use counters::Counters;
pub use environment::AgentEnvironment;
pub use error::STALLED;
pub use means::{AuthorityError, Sources};
pub use names::TargetId;
pub use output::{End, Output, Program, Where};
pub use report::{Channel, Exit, Peer, Report};
pub use said::Said;
pub use session_limits::SessionLimits;
pub use sessions::{EXIT_INTERNAL, Sessions};
