//! Names to addresses as Go and glibc find them: a stub resolver without sockets.
//!
//! Promises: the search list in `ndots` order with absolute names, A and AAAA side by side with
//! failures of their own, the hosts of a service (SRV) with their text (TXT), one look-up a name at a
//! time, and bounded memory whatever servers say. Takes
//! datagrams, bytes and `now`, and answers with what to send and when to be called again. Sockets,
//! files and random numbers are `os/resolve.rs`'s. Other sources of names (mDNS, nss modules) are not
//! asked.

mod answer;
mod error;
mod hosts;
mod lookup;
mod message;
mod names;
mod resolv_conf;

pub use answer::{Answer, Sought};
pub use error::LookupError;
pub use hosts::addresses_of;
pub use lookup::{Lookup, Send};
pub use message::{NAME_BYTES_MAX, Question, RecordType, Reply, host, text};
pub use names::{Asker, NameOutcome, NameRequest, Names};
pub use resolv_conf::ResolvConf;

#[cfg(test)]
mod tests;
