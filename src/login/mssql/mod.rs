//! The Tabular Data Stream (TDS 7.0 to 7.4 and 8.0), as SQL Server and its relatives speak it, as far as a login
//! needs it.
//!
//! Packets are `type(1) status(1) length(2) spid(2) number(1) window(1) payload`, a message is as many of one type
//! as there are up to the one that says so; of the payload, numbers are little-endian and texts UTF-16. Client and server agree
//! in PRELOGIN on encryption: of all, of the login's first packet alone, or (TDS 8.0) by TLS before anything else.
//! The client is told that there is none, since the gateway reads this side.
//!
//! ```
//! use hoop_lite::base::{ByteBuf, Secret, Verify};
//! use hoop_lite::login::mssql::Encryption;
//! use hoop_lite::login::{Account, Exchange, Keys, Login, SslMode, Step};
//!
//! let (mut client, mut server, mut keys) = (ByteBuf::new(), ByteBuf::new(), Keys::new());
//! let (mut packets, mut sent) = (Vec::new(), Vec::new());
//! let mut exchange = Exchange {
//!     from_client: &mut client, from_server: &mut server,
//!     to_client: &mut packets, to_server: &mut sent, keys: &mut keys,
//! };
//! let account = Account::new("app", Secret::new("s3cret")).with_tls(SslMode::VerifyFull);
//! let login = Login::mssql(account, "db.example", Encryption::Full);
//! exchange.from_client.extend(b"\x12\x01\0\x1a\0\0\x01\0\0\0\x0b\0\x06\x01\0\x11\0\x01\xff\x10\0\0\0\0\0\0");
//! let Step::Dial(login, None) = login.step(&mut exchange) else { panic!() };
//! let Step::Wait(login) = login.step(&mut exchange) else { panic!() };
//! exchange.from_server.extend(b"\x04\x01\0\x1a\0\0\x01\0\0\0\x0b\0\x06\x01\0\x11\0\x01\xff\x10\0\0\0\0\0\x01");
//! let Step::Wait(login) = login.step(&mut exchange) else { panic!() };
//! let mut login7 = vec![0; 94];
//! login7[..8].copy_from_slice(b"\x5e\0\0\0\x04\0\0\x74");
//! exchange.from_client.extend(&[b"\x10\x01\0\x66\0\0\x01\0", &login7[..]].concat());
//! let Step::StartTls(login, wish) = login.step(&mut exchange) else { panic!() };
//! assert_eq!(wish.verify, Verify::Full);
//! let Step::Wait(login) = login.tls_started(&mut exchange) else { panic!() };
//! exchange.from_server.extend(b"\x04\x01\0\x1f\0\0\x01\0\xad\x08\0\x01\x74\0\0\x04\0\0\0\xfd\0\0\0\0\0\0\0\0\0\0\0\0");
//! let Step::Passed(relay) = login.step(&mut exchange) else { panic!() };
//! assert!(sent.windows(6).any(|text| text == b"a\0p\0p\0") && !relay.said_goodbye());
//! assert_eq!(packets[0].last(), Some(&2), "no encryption on this side");
//! ```

mod envelope;
#[allow(clippy::module_inception, reason = "a file's name says what is in it")]
mod login;
pub mod login7;
mod opening;
pub mod packets;
pub mod prelogin;
mod refusal;
pub mod reply;
mod state;
mod verdict;

pub use envelope::Envelope;
pub use state::{Encryption, MssqlLogin};

#[cfg(test)]
mod tests;
