//! What a login and its owner say to each other.

use std::borrow::Cow;

use super::{CancelKey, Keys, Relay};
use crate::base::plain::beginning;
use crate::base::{Address, ByteBuf, Verify};
use crate::wire::sink::{Packets, Sink};

/// What a login reads and writes during one step. It takes what it has used and leaves the rest.
pub struct Exchange<'a> {
    /// From the client.
    pub from_client: &'a mut ByteBuf,
    /// From the server; what TLS carries once that stands.
    pub from_server: &'a mut ByteBuf,
    /// To the client.
    pub to_client: &'a mut dyn Packets,
    /// To the server, connected or not yet.
    pub to_server: &'a mut dyn Sink,
    /// Derived keys, for all logins of the program.
    pub keys: &'a mut Keys,
}

/// What the owner is to do next.
pub enum Step<L> {
    /// Step again when [`super::Login::waits_for`] has come.
    Wait(L),
    /// Connect to this place, or to the connection's own, on a new socket if one was used, and step again at once.
    Dial(L, Option<Address>),
    /// Ask which hosts the service of this name has, then call `told` or `try_elsewhere`.
    LookUp(L, String),
    /// Put TLS over the server's connection, then call `tls_started` or `tls_failed`.
    StartTls(L, TlsWish),
    /// Go on without TLS on the same connection, and step again at once: it was for what has been sent.
    EndTls(L),
    /// The server knows its client: relay from now on. What had been read has been passed on.
    Passed(Relay),
    /// There is no login: the client wants the query of another connection cancelled.
    Errand(CancelKey),
    /// The client was told, as far as it can be. Close both sides when it has it.
    Refused(Refusal),
    /// The server has left while nobody wanted anything of it.
    Ended,
}

impl<L> Step<L> {
    /// The same step of an enclosing machine.
    pub fn map<M>(self, outer: fn(L) -> M) -> Step<M> {
        match self {
            Self::Wait(login) => Step::Wait(outer(login)),
            Self::Dial(login, place) => Step::Dial(outer(login), place),
            Self::LookUp(login, name) => Step::LookUp(outer(login), name),
            Self::StartTls(login, wish) => Step::StartTls(outer(login), wish),
            Self::EndTls(login) => Step::EndTls(outer(login)),
            Self::Passed(relay) => Step::Passed(relay),
            Self::Errand(key) => Step::Errand(key),
            Self::Refused(refusal) => Step::Refused(refusal),
            Self::Ended => Step::Ended,
        }
    }
}

/// What a waiting login waits for; each has its own deadline (`limits`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// The client's first message.
    Client,
    /// The server's next word, or TLS with it.
    Server,
    /// A key that [`Keys::work`] makes, in turns.
    Turn,
    /// Nobody, for as long as it takes.
    Idle,
}

/// How TLS with the server is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsWish {
    /// Who must vouch for the server.
    pub verify: Verify,
    /// How it lies on the wire.
    pub form: TlsForm,
}

/// How TLS lies on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsForm {
    /// As it is.
    Bare,
    /// TDS 7: its handshake inside PRELOGIN packets, and no version after 1.2, whose handshakes have no end.
    Prelogin,
    /// TDS 8: as it is, by the name of `tds/8.0`.
    Tds8,
}

/// Of a wrong value in an error.
const NAME_SHOWN_MAX: usize = 32;

/// `SSLMODE`, as libpq means it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SslMode {
    /// Never.
    Disable,
    /// Where the server has it; whoever it is.
    Prefer,
    /// Or not at all; whoever it is.
    Require,
    /// Or not at all, and the certificate must fit.
    VerifyFull,
}

impl SslMode {
    /// The mode of this name; an empty one is the default.
    pub fn parse(name: &str) -> Result<Self, Refusal> {
        Ok(match name {
            "disable" => Self::Disable,
            "" | "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-full" => Self::VerifyFull,
            _ => {
                let near = match &name.to_ascii_lowercase()[..] {
                    "verify-ca" => "; verify-full checks that authority, and the name",
                    "allow" => "; prefer tries TLS first",
                    "disable" | "prefer" | "require" | "verify-full" => "; in lower case",
                    _ => "",
                };
                let accepted = "accept only: [disable prefer require verify-full]";
                let name = beginning(name, NAME_SHOWN_MAX);
                let text = format!("wrong option ({name:?}) for SSLMODE, {accepted}{near}");
                return Err(Refusal::new(Cause::Unsupported, text));
            }
        })
    }

    /// Said of a server without TLS. Whoever wants to know the server must not be told to go without.
    pub(super) fn no_tls(self, enable: [&'static str; 2]) -> Refusal {
        let [by_force, verified] = enable;
        let text = match self {
            Self::VerifyFull => verified,
            _ => by_force,
        };
        Refusal::new(Cause::Unreachable, text)
    }

    /// What it asks of TLS; `None` where it wants none.
    pub fn wish(self) -> Option<TlsWish> {
        let verify = match self {
            Self::Disable => return None,
            Self::Prefer | Self::Require => Verify::Nobody,
            Self::VerifyFull => Verify::Full,
        };
        let form = TlsForm::Bare;
        Some(TlsWish { verify, form })
    }
}

/// Why a login ends, for the client in its dialect and for the log: no secret is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which code of the dialect fits.
    pub cause: Cause,
    /// What happened, and what to do.
    pub text: Cow<'static, str>,
}

impl Refusal {
    /// A refusal with these words.
    pub fn new(cause: Cause, text: impl Into<Cow<'static, str>>) -> Self {
        let text = text.into();
        Self { cause, text }
    }

    /// Somebody does not speak the dialect.
    pub(super) fn protocol(text: &'static str) -> Self {
        Self::new(Cause::Protocol, text)
    }
}

/// What kind of end it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The server can't be reached, or left.
    Unreachable,
    /// Somebody does not speak the dialect.
    Protocol,
    /// The credentials do not do.
    Credentials,
    /// Something that we can't do.
    Unsupported,
    /// We are leaving.
    Stopping,
    /// We have no room.
    Full,
    /// The server has said it to the client itself: there is nothing to add.
    Said,
}
