//! The shell around the core: everything that touches a descriptor, a process, a signal or the
//! kernel's name resolver. Nothing in here knows a protocol.

pub mod child;
pub mod children;
mod control_groups;
pub mod dial;
pub mod files;
pub mod foreground;
pub mod guardians;
pub mod health;
mod link_socket;
pub mod log;
pub mod notify;
pub mod processes;
pub mod pty;
pub mod reactor;
pub mod resolve;
mod second_socket;
pub mod secret_files;
mod serving;
pub mod signal;
pub mod sys;
pub mod targets;

#[cfg(test)]
mod tests;
