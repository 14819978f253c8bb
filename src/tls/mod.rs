//! TLS as a client: the only code that knows rustls.
//!
//! A [`Stream`] turns a socket's bytes into plaintext and back, sans-IO. Whom it believes is a
//! [`Configuration`], made from [`Trust`](crate::base::Trust) and shared by [`Configurations`]; what
//! a failure means to an operator stands in `words`, by the [`Subject`] it happened with. Sockets,
//! deadlines and the protocol inside are left to the owner.

mod configurations;
mod fault;
mod stream;
mod tickets;
mod trust;
mod words;

pub use configurations::{
    Alpn, Client, Configuration, Configurations, NameError, NoIdentity, OwnTickets, Versions,
};
pub use stream::{Progress, RECORD_PLAINTEXT_MAX, Stream, StreamError};
pub use trust::TrustError;
pub use words::Subject;

#[cfg(test)]
mod stream_tests;
#[cfg(test)]
mod tests;
