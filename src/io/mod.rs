//! The shell around the core: everything that touches a descriptor, a process, a signal or the
//! kernel's name resolver. Nothing in here knows a protocol.

pub mod child;
pub mod children;
pub mod files;
pub mod pty;
pub mod resolve;
pub mod secret_files;
pub mod signal;
pub mod sys;

#[cfg(test)]
mod tests;
