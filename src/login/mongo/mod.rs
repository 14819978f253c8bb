//! The MongoDB protocol, as servers since 3.6 speak it, as far as a login needs it.
//!
//! A driver opens several connections: monitors, which say hello for ever and never log in, and those of its
//! pool. Each is a login of its own here: until its client has proven itself, we answer in the server's place,
//! with what the server says where that is for anybody. The client logs in to us with any user and the password
//! `noop`, since it believes no server that does not know its password; we log in to the server meanwhile.
//!
//! ```
//! use hoop_lite::base::{ByteBuf, Service};
//! use hoop_lite::login::mongo::{MongoAccount, Nonces};
//! use hoop_lite::login::{Exchange, Keys, Login, Step, Waits};
//!
//! let (mut client, mut server, mut keys) = (ByteBuf::new(), ByteBuf::new(), Keys::new());
//! let (mut packets, mut sent) = (Vec::new(), Vec::new());
//! let mut exchange = Exchange {
//!     from_client: &mut client, from_server: &mut server,
//!     to_client: &mut packets, to_server: &mut sent, keys: &mut keys,
//! };
//! let account = MongoAccount::parse("mongodb://app:s3cret@db.internal/?authSource=admin").unwrap();
//! let nonces = Nonces { server: [1; 18], client: [2; 18] };
//! let login = Login::mongo(account, nonces, Default::default());
//! exchange.from_client.extend(b"\x25\0\0\0\x07\0\0\0\0\0\0\0\xdd\x07\0\0\0\0\0\0\0");
//! exchange.from_client.extend(b"\x10\0\0\0\x10hello\0\x01\0\0\0\0");
//! let Step::Dial(login, Some(place)) = login.step(&mut exchange) else { panic!() };
//! assert_eq!((&place.host[..], place.port), ("db.internal", 27017));
//! let Step::Wait(login) = login.step(&mut exchange) else { panic!() };
//! exchange.from_server.extend(b"\x36\0\0\0\0\0\0\0\x01\0\0\0\xdd\x07\0\0\0\0\0\0\0");
//! exchange.from_server.extend(b"\x21\0\0\0\x10ok\0\x01\0\0\0\x08isWritablePrimary\0\x01\0");
//! let Step::Wait(login) = login.step(&mut exchange) else { panic!() };
//! assert!(login.waits_for() == Waits::Idle && packets.len() == 1);
//! ```

mod account;
pub mod bson;
mod client;
mod entry;
mod hello;
#[allow(clippy::module_inception, reason = "a file's name says what is in it")]
mod login;
pub mod messages;
mod opening;
mod proof;
mod refusal;
mod search;
mod state;
mod waiting;

pub use account::{MongoAccount, PORT_DEFAULT, SERVICE_SCHEME, UriError};
pub use search::Found;
pub use state::{MongoLogin, Nonces};

#[cfg(test)]
mod tests;
