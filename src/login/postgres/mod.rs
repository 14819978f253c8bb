//! PostgreSQL's frontend/backend protocol, versions 3.0 and 3.2, as far as a login needs it.
//!
//! Untyped messages come first from a client: `length(4) code(4) ...`. All later ones, both ways, are
//! `type(1) length(4) ...`; a length counts itself, not the type; numbers are big-endian.

mod authentication;
mod cancel;
#[allow(clippy::module_inception, reason = "a file's name says what is in it")]
mod login;
pub mod messages;
mod opening;
mod ready;
mod refusal;
mod state;

pub use cancel::Cancel;
pub use state::Login;

#[cfg(test)]
mod tests;
