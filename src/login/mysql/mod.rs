//! The MySQL protocol, as servers of MySQL 5.7 to 9 and MariaDB 10 and 11 speak it, as far as a login
//! needs it.
//!
//! Packets are `length(3) sequence(1) payload`, numbers little-endian. Sequence numbers run on through
//! the whole login: 0 the greeting, 1 the client's response, 2 the verdict. Towards the server there
//! may be more in between, so the verdict is numbered anew for the client.

#[allow(clippy::module_inception, reason = "a file's name says what is in it")]
mod login;
pub mod messages;
mod proofs;

pub use login::Login;

#[cfg(test)]
mod tests;
