//! The shell around the core: the reactor and the sockets that it turns. Nothing in here knows a
//! protocol; processes, terminals, signals and names are `os`'s.

mod announcer;
mod companion;
pub mod dial;
#[cfg(test)]
mod dial_tests;
mod gateway_socket;
mod ground;
pub mod health;
mod link_socket;
pub mod log;
mod machine;
pub mod reactor;
mod second_socket;
mod serving;
mod targets;
mod tokens;
