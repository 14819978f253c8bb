//! The states of a login, and how it goes from one to the next. The client speaks first.
//!
//! ```text
//!   Fresh --first message--> LookingUp (mongodb+srv) --hosts--> Dialled --> Securing --> ExpectHello
//!                               |                                 ^                          |
//!                               |    another host, or the primary +--------------------------+
//!                               v                                                            v
//!   Asking <--hello, ping--> Idle <------------- a server that will do ----------------------+
//!                             | saslStart, saslContinue
//!                             v
//!   Judging --the client knows noop--> ExpectScramFirst --> DerivingKey --> ExpectScramLast
//!                   |                                                         |
//!                   +--X.509--> ExpectConsent <--------- an empty message ----+
//!                                    v                                        v
//!   Passed <--------- ExpectEmpty (clients that end so) <------------- the server lets us in
//! ```
//! A monitor never goes further than `Idle`, where nobody is in a hurry. What each does stands in `opening`,
//! `waiting`, `proof` and `entry`.

use super::account::MongoAccount;
use super::messages::Asked;
use super::search::{Found, Search};
use crate::login::scram::{self, Hash, server};
use crate::login::{Refusal, next};

/// A login in one of its states.
pub enum MongoLogin {
    /// See the struct of this name.
    Fresh(Box<Fresh>),
    /// See the struct of this name.
    LookingUp(Box<LookingUp>),
    /// See the struct of this name.
    Dialled(Box<Dialled>),
    /// See the struct of this name.
    Securing(Box<Securing>),
    /// See the struct of this name.
    ExpectHello(Box<ExpectHello>),
    /// See the struct of this name.
    Idle(Box<Idle>),
    /// See the struct of this name.
    Asking(Box<Asking>),
    /// See the struct of this name.
    Judging(Box<Judging>),
    /// See the struct of this name.
    ExpectScramFirst(Box<ExpectScramFirst>),
    /// See the struct of this name.
    DerivingKey(Box<DerivingKey>),
    /// See the struct of this name.
    ExpectScramLast(Box<ExpectScramLast>),
    /// See the struct of this name.
    ExpectConsent(Box<ExpectConsent>),
    /// See the struct of this name.
    ExpectEmpty(Box<ExpectEmpty>),
}

pub(super) type Outcome = next::Outcome<MongoLogin>;
pub(super) type Next = next::Next<MongoLogin>;

/// What all states know.
pub struct Bond {
    pub(super) account: MongoAccount,
    pub(super) nonces: Nonces,
    /// Where the session's last primary was.
    pub(super) found: Found,
    /// Of our last message, to either side.
    pub(super) last_id: u32,
    /// What the server says that it takes, the better first.
    pub(super) offered: Option<Hash>,
}

/// From a generator for keys, each used once.
pub struct Nonces {
    /// For the server.
    pub server: [u8; 18],
    /// For the client.
    pub client: [u8; 18],
}

/// A client has connected.
pub struct Fresh {
    pub(super) bond: Bond,
    /// It is to be told as soon as it says something.
    pub(super) refusal: Option<Refusal>,
}

/// A server is looked for, and the client's first message waits.
pub struct Reach {
    pub(super) bond: Bond,
    pub(super) asked: Asked,
    pub(super) search: Search,
}

/// The name server is asked which hosts there are.
pub struct LookingUp {
    pub(super) reach: Reach,
}

/// There is a connection to a host.
pub struct Dialled {
    pub(super) reach: Reach,
}

/// TLS is being agreed.
pub struct Securing {
    pub(super) reach: Reach,
}

/// A host has the client's hello, or one of ours.
pub struct ExpectHello {
    pub(super) reach: Reach,
    pub(super) is_clients: bool,
}

/// The server is there, and it is the client's turn.
pub struct Idle {
    pub(super) bond: Bond,
    pub(super) conversation: Option<Conversation>,
    /// A part of its next message has come.
    pub(super) has_begun: bool,
}

/// The client is to prove itself.
pub struct Conversation {
    pub(super) challenge: server::Challenge,
    pub(super) hash: Hash,
    /// It needs no empty message at the end.
    pub(super) skips_empty: bool,
}

/// The server has a request of the client.
pub struct Asking {
    pub(super) bond: Bond,
    pub(super) asked: Asked,
    pub(super) wishes: Wishes,
}

/// What a hello asks of us and not of the server.
#[derive(Default)]
pub struct Wishes {
    /// The mechanisms of its user.
    pub(super) mechanisms: bool,
    /// To begin logging in.
    pub(super) conversation: Option<Conversation>,
}

/// The client's proof is there, and our key is being made.
pub struct Judging {
    pub(super) entry: Entry,
    pub(super) judging: server::Judging,
    pub(super) hash: Hash,
}

/// The client waits to be let in.
pub struct Entry {
    pub(super) bond: Bond,
    pub(super) asked: Asked,
    pub(super) skips_empty: bool,
}

/// The same, and what it will be told is known.
pub struct Admitted {
    pub(super) entry: Entry,
    /// Proves that we know its password.
    pub(super) verdict: String,
}

/// The server has our first message.
pub struct ExpectScramFirst {
    pub(super) admitted: Admitted,
    pub(super) first: scram::ClientFirst,
    pub(super) hash: Hash,
}

/// The key of the server's user is being made.
pub struct DerivingKey {
    pub(super) admitted: Admitted,
    pub(super) deriving: scram::Deriving,
    /// The server's number for it, as an element.
    pub(super) conversation: Vec<u8>,
}

/// The server has our proof.
pub struct ExpectScramLast {
    pub(super) admitted: Admitted,
    pub(super) proof: scram::ServerProof,
    pub(super) conversation: Vec<u8>,
}

/// The server has all that it needs.
pub struct ExpectConsent {
    pub(super) admitted: Admitted,
}

/// The server has let us in, and the client says something empty.
pub struct ExpectEmpty {
    pub(super) bond: Bond,
}

next::states! {
    MongoLogin:
    Fresh,
    LookingUp,
    Dialled,
    Securing,
    ExpectHello,
    Idle,
    Asking,
    Judging,
    ExpectScramFirst,
    DerivingKey,
    ExpectScramLast,
    ExpectConsent,
    ExpectEmpty,
}
