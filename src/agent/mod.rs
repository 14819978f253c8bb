//! The root machine: link, sessions and shutdown, sans-IO. Start reading at [`Agent`].

mod agenda;
#[allow(clippy::module_inception, reason = "a file's name says what is in it")]
mod agent;
mod endpoint;
mod history;
mod key_check;
mod leaving;
mod linking;
mod news;
mod phase;
mod report;
mod second;
#[cfg(test)]
mod tests;
mod trouble;

pub use agenda::{Action, Outcome};
pub use agent::{Agent, AgentSettings, LinkState};
pub use endpoint::{Endpoint, EndpointSource};
pub use history::{KeyState, LinkCounters, Loss};
pub use report::{Health, Machine, health, health_text, log_state, metrics};

pub use crate::link::Wait;
