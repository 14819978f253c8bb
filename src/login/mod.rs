//! Logins: each speaks as server to a user's client and as client to a database, puts the stored
//! credentials in, and steps aside.
//!
//! Promises: no byte of a stored password goes to a client, into a refusal or into a log; every login
//! can refuse in every state, in its dialect; what a peer can make it hold is bounded. Leaves to its
//! owner: sockets, TLS, deadlines ([`Login::waits_for`]), and what becomes of the two buffers.
//!
//! ```
//! use hoop_lite::base::{ByteBuf, Secret};
//! use hoop_lite::login::{Account, Exchange, Keys, Login, Step};
//!
//! let account = Account::new("app", Secret::new("s3cret"));
//! let (mut client, mut server, mut keys) = (ByteBuf::new(), ByteBuf::new(), Keys::new());
//! let (mut packets, mut sent) = (Vec::new(), Vec::new());
//! let mut exchange = Exchange {
//!     from_client: &mut client, from_server: &mut server,
//!     to_client: &mut packets, to_server: &mut sent, keys: &mut keys,
//! };
//! exchange.from_client.extend(b"\0\0\0\x13\0\x03\0\0user\0noop\0\0");
//! let Step::Dial(login, None) = Login::postgres(account, [7; 18]).step(&mut exchange) else { panic!() };
//! let Step::Wait(login) = login.step(&mut exchange) else { panic!() };
//! exchange.from_server.extend(b"R\0\0\0\x08\0\0\0\0K\0\0\0\x0c\0\0\0\x01abcdZ\0\0\0\x05I");
//! let Step::Passed(relay) = login.step(&mut exchange) else { panic!() };
//! assert_eq!(sent, b"\0\0\0\x12\0\x03\0\0user\0app\0\0");
//! assert!(relay.cancel_key().is_some_and(|key| key.pid == 1) && !relay.is_busy());
//! assert_eq!(packets[1], b"K\0\0\0\x0c\0\0\0\x01abcd");
//! ```

mod account;
pub mod ed25519;
mod exchange;
#[allow(clippy::module_inception, reason = "a file's name says what is in it")]
mod login;
pub mod md5;
pub mod mongo;
pub mod mssql;
pub mod mysql;
mod next;
pub mod postgres;
mod relay;
pub mod rsa;
pub mod scram;
#[cfg(test)]
mod world;

pub use crate::wire::sink::Packets;
pub use account::Account;
pub use exchange::{Cause, Exchange, Refusal, SslMode, Step, TlsForm, TlsWish, Waits};
pub use login::Login;
pub use relay::{CancelKey, Relay};
pub use scram::Keys;
