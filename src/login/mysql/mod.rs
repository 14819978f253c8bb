//! The MySQL protocol, as servers of MySQL 5.7 to 9 and MariaDB 10 and 11 speak it, as far as a login
//! needs it.
//!
//! Packets are `length(3) sequence(1) payload`, numbers little-endian. Sequence numbers run on through
//! the whole login: 0 the greeting, 1 the client's response, 2 the verdict (3 for a client that waits
//! for two words). Towards the server there may be more in between, so the verdict is numbered anew for
//! the client.
//!
//! ```
//! use hoop_lite::base::{ByteBuf, Secret};
//! use hoop_lite::login::{Account, Exchange, Keys, Login, Step};
//!
//! let (mut client, mut server, mut keys) = (ByteBuf::new(), ByteBuf::new(), Keys::new());
//! let (mut packets, mut sent) = (Vec::new(), Vec::new());
//! let mut exchange = Exchange {
//!     from_client: &mut client, from_server: &mut server,
//!     to_client: &mut packets, to_server: &mut sent, keys: &mut keys,
//! };
//! let login = Login::mysql(Account::new("app", Secret::new("s3cret")));
//! let Step::Dial(login, None) = login.step(&mut exchange) else { panic!() };
//! exchange.from_server.extend(b"\x49\0\0\0\x0a10.11\0\x01\0\0\0abcdefgh\0\xff\xff\x2d\x02\0\xff\x81\x15");
//! exchange.from_server.extend(b"\0\0\0\0\0\0\x1d\0\0\0ijklmnopqrst\0mysql_native_password\0");
//! let Step::Wait(login) = login.step(&mut exchange) else { panic!() };
//! exchange.from_client.extend(b"\x27\0\0\x01\0\x82\0\0\0\0\0\x01\x2d                       noop\0\x01x");
//! let Step::Wait(login) = login.step(&mut exchange) else { panic!() };
//! exchange.from_server.extend(b"\x07\0\0\x02\0\0\0\x02\0\0\0");
//! let Step::Passed(relay) = login.step(&mut exchange) else { panic!() };
//! assert!(sent.windows(4).any(|text| text == b"app\0") && !relay.said_goodbye());
//! ```

#[allow(clippy::module_inception, reason = "a file's name says what is in it")]
mod login;
pub mod messages;
mod opening;
mod proofs;
mod refusal;
mod state;
mod verdict;

pub use state::MysqlLogin;

#[cfg(test)]
mod tests;
