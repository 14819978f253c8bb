//! PostgreSQL's frontend/backend protocol, versions 3.0 and 3.2, as far as a login needs it.
//!
//! Untyped messages come first from a client: `length(4) code(4) ...`. All later ones, both ways, are
//! `type(1) length(4) ...`; a length counts itself, not the type; numbers are big-endian.
//!
//! ```
//! use hoop_lite::base::{ByteBuf, Secret};
//! use hoop_lite::login::{Account, Exchange, Keys, Login, SslMode, Step};
//!
//! let (mut client, mut server, mut keys) = (ByteBuf::new(), ByteBuf::new(), Keys::new());
//! let (mut packets, mut sent) = (Vec::new(), Vec::new());
//! let mut exchange = Exchange {
//!     from_client: &mut client, from_server: &mut server,
//!     to_client: &mut packets, to_server: &mut sent, keys: &mut keys,
//! };
//! let account = Account::new("app", Secret::new("s3cret")).with_tls(SslMode::Require);
//! exchange.from_client.extend(b"\0\0\0\x08\x04\xd2\x16\x2f\0\0\0\x13\0\x03\0\0user\0noop\0\0");
//! let Step::Dial(login, None) = Login::postgres(account, [7; 18]).step(&mut exchange) else { panic!() };
//! let Step::Wait(login) = login.step(&mut exchange) else { panic!() };
//! exchange.from_server.extend(b"S");
//! let Step::StartTls(login, _) = login.step(&mut exchange) else { panic!() };
//! let Step::Wait(login) = login.tls_started(&mut exchange) else { panic!() };
//! exchange.from_server.extend(b"R\0\0\0\x08\0\0\0\x03");
//! let Step::Wait(login) = login.step(&mut exchange) else { panic!() };
//! exchange.from_server.extend(b"R\0\0\0\x08\0\0\0\0K\0\0\0\x0c\0\0\0\x01abcdZ\0\0\0\x05I");
//! let Step::Passed(relay) = login.step(&mut exchange) else { panic!() };
//! assert!(sent.ends_with(b"p\0\0\0\x0bs3cret\0") && !relay.is_busy());
//! assert_eq!(packets[0], b"N", "TLS with the client is not ours to have");
//! ```

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
pub use state::PostgresLogin;

#[cfg(test)]
mod tests;
