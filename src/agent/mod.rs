//! The root machine: link, sessions and shutdown, sans-IO. Start reading at [`Agent`].

#[allow(clippy::module_inception, reason = "a file's name says what is in it")]
mod agent;
mod checking;
mod endpoint;
mod leaving;
mod linking;
mod report;
#[cfg(test)]
mod tests;
mod trouble;

pub use agent::{Action, Agent, AgentSettings, LinkCounters, LinkState, Outcome};
pub use endpoint::{Endpoint, EndpointSource};
pub use report::{Health, health, health_text, log_state, metrics};

pub use crate::link::Wait;
