//! What the system gives: processes and their guardians, terminals, signals, names, secret files.
//!
//! Descriptors that are to be watched are handed out with their `mio` sources; whose turn it is, is
//! the reactor's business (`io`). `sys` holds the calls that std does not have, and all unsafe code.

pub mod bundle;
pub mod child;
pub mod children;
mod control_groups;
pub mod files;
pub mod foreground;
pub mod guardians;
pub mod notify;
pub mod processes;
pub mod pty;
pub mod resolve;
pub mod secret_files;
pub mod signal;
pub mod sys;

#[cfg(test)]
pub(crate) mod tests;
