//! The states of a login, and how it goes from one to the next.
//!
//! ```text
//!  ExpectStartup --Dial--> Dialled ----------------(SSLMODE=disable)---------> ExpectRequest
//!       |                     ^  \--SSLRequest--> ExpectTlsAnswer --N (prefer)-----^  |
//!    Errand                   |                     S|  |                          |  |
//!                             +--prefer: no answer---|--+   StartTls               |  |
//!                             +--prefer: TLS failed--SecuringStartup --tls_started-+  |
//!                             +--prefer: not to be let in over TLS--------------------+
//!                                                                                     |
//!  Passed <--Z-- ExpectReady <--Ok-- ExpectAccess <---cleartext, md5------------------+
//!                   ^                     ^                                           |
//!                   +--Ok (trust)         +-- ExpectScramLast <- DerivingKey <- ExpectScramFirst
//! ```
//! `ExpectStartup` also answers SSLRequest and GSSENCRequest. What each does stands in `opening`,
//! `authentication` and `ready`, in this order.

use crate::base::Secret;
use crate::login::{Account, Refusal, Relay, next, scram};

/// A login in one of its states.
pub enum PostgresLogin {
    /// See the struct of this name.
    ExpectStartup(Box<ExpectStartup>),
    /// See the struct of this name.
    Dialled(Box<Dialled>),
    /// See the struct of this name.
    ExpectTlsAnswer(Box<ExpectTlsAnswer>),
    /// See the struct of this name.
    SecuringStartup(Box<SecuringStartup>),
    /// See the struct of this name.
    ExpectRequest(Box<ExpectRequest>),
    /// See the struct of this name.
    ExpectScramFirst(Box<ExpectScramFirst>),
    /// See the struct of this name.
    DerivingKey(Box<DerivingKey>),
    /// See the struct of this name.
    ExpectScramLast(Box<ExpectScramLast>),
    /// See the struct of this name.
    ExpectAccess(Box<ExpectAccess>),
    /// See the struct of this name.
    ExpectReady(Box<ExpectReady>),
}

pub(super) type Outcome = next::Outcome<PostgresLogin>;
pub(super) type Next = next::Next<PostgresLogin>;

/// Nothing but questions for encryption has come from the client.
pub struct ExpectStartup {
    pub(super) account: Box<Account>,
    pub(super) nonce: [u8; 18],
    /// Such questions so far.
    pub(super) questions: u8,
    /// What the client is told once it has said who it is: until then it does not listen.
    pub(super) refusal: Option<Refusal>,
}

/// Who logs in where, and how.
pub struct Attempt {
    pub(super) account: Box<Account>,
    pub(super) nonce: [u8; 18],
    pub(super) startup: Vec<u8>,
    /// The client has been told which version and options the server knows.
    pub(super) is_negotiated: bool,
    /// What the server said when it did not let us in over TLS.
    pub(super) rejection: Option<Vec<u8>>,
}

/// There is a new connection to the server.
pub struct Dialled {
    pub(super) attempt: Box<Attempt>,
    pub(super) wants_tls: bool,
}

/// The server is asked for TLS.
pub struct ExpectTlsAnswer {
    pub(super) attempt: Box<Attempt>,
}

/// TLS is being agreed.
pub struct SecuringStartup {
    pub(super) attempt: Box<Attempt>,
}

/// The server knows who logs in, and says what it wants for it.
pub struct ExpectRequest {
    pub(super) attempt: Box<Attempt>,
    pub(super) is_secure: bool,
}

/// The SCRAM conversation has begun.
pub struct ExpectScramFirst {
    pub(super) password: Secret,
    pub(super) first: scram::ClientFirst,
}

/// The key is being made.
pub struct DerivingKey {
    pub(super) deriving: scram::Deriving,
}

/// The server has our proof, and owes us its own.
pub struct ExpectScramLast {
    pub(super) proof: scram::ServerProof,
}

/// The server has all that it wanted.
pub struct ExpectAccess {
    pub(super) relay: Relay,
}

/// The client is in; the server tells about itself.
pub struct ExpectReady {
    pub(super) relay: Relay,
    /// Of a message whose beginning has been passed on.
    pub(super) left: usize,
    /// The backend's key has come.
    pub(super) has_key: bool,
}

next::states! {
    PostgresLogin:
    ExpectStartup,
    Dialled,
    ExpectTlsAnswer,
    SecuringStartup,
    ExpectRequest,
    ExpectScramFirst,
    DerivingKey,
    ExpectScramLast,
    ExpectAccess,
    ExpectReady,
}
