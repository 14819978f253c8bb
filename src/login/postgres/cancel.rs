//! The errand of a cancel request: over TLS where the session has it, and without an answer.

use super::messages;
use crate::base::ByteBuf;
use crate::login::{CancelKey, Cause, Refusal, Step, TlsWish};
use crate::wire::sink::Sink;

/// A connection of its own, to the address of the query's. It is over when the server closes it.
pub enum Cancel {
    /// Connected, or about to be.
    Dialled(CancelKey, Option<TlsWish>),
    /// The server is asked for TLS.
    ExpectTlsAnswer(CancelKey, TlsWish),
    /// TLS is being agreed.
    Securing(CancelKey),
    /// The server has the request, and says nothing to it.
    Sent,
}

impl Cancel {
    /// `tls`: as the query's own connection has it.
    pub fn new(key: CancelKey, tls: Option<TlsWish>) -> Self {
        Self::Dialled(key, tls)
    }

    /// Bytes have come, or the connection.
    pub fn step(self, from_server: &mut ByteBuf, to_server: &mut dyn Sink) -> Step<Self> {
        match self {
            Self::Dialled(key, None) => send(&key, to_server),
            Self::Dialled(key, Some(wish)) => {
                to_server.put(messages::SSL_REQUEST);
                Step::Wait(Self::ExpectTlsAnswer(key, wish))
            }
            Self::ExpectTlsAnswer(key, wish) => match from_server.filled() {
                [] => Step::Wait(Self::ExpectTlsAnswer(key, wish)),
                [b'S'] => {
                    from_server.consume(1);
                    Step::StartTls(Self::Securing(key), wish)
                }
                _ => Step::Refused(Refusal::new(
                    Cause::Unreachable,
                    "the server does not take a cancel request over TLS",
                )),
            },
            other => {
                from_server.clear();
                Step::Wait(other)
            }
        }
    }

    /// TLS stands.
    pub fn tls_started(self, to_server: &mut dyn Sink) -> Step<Self> {
        match self {
            Self::Securing(key) => send(&key, to_server),
            other => Step::Wait(other),
        }
    }
}

fn send(key: &CancelKey, to_server: &mut dyn Sink) -> Step<Cancel> {
    to_server.put(&messages::cancel_request(key));
    Step::Wait(Cancel::Sent)
}
