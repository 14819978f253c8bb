//! The states of a login, and how it goes from one to the next. The server speaks first.
//!
//! ```text
//!   Fresh --Dial--> ExpectGreeting --greeting--> ExpectResponse --response--> introduced
//!                     ^                                                           |
//!                     | prefer: TLS failed          StartTls (the server has it)  |
//!                     +------------------- Securing <-----------------------------+
//!                                             |                                   |
//!   Passed <--OK-- ExpectVerdict <--response--+-----------------------------------+
//!                   |        ^
//!                   +-switch-+  (once), and the password itself over TLS
//!                   |        |
//!                   +-> ExpectKey  (MYSQL_RSA: the password under the server's public key)
//! ```
//! What each does stands in `opening` and `verdict`.

use super::messages::{Greeting, Response};
use super::proofs::{Challenge, Plugin};
use crate::login::{Account, next};

/// A login in one of its states.
pub enum Login {
    /// A client waits.
    Fresh(Account),
    /// See [`ExpectGreeting`].
    ExpectGreeting(ExpectGreeting),
    /// See [`ExpectResponse`].
    ExpectResponse(ExpectResponse),
    /// See [`Securing`].
    Securing(Securing),
    /// See [`ExpectVerdict`].
    ExpectVerdict(ExpectVerdict),
    /// See [`ExpectKey`].
    ExpectKey(ExpectKey),
}

pub(super) type Outcome = next::Outcome<Login>;
pub(super) type Next = next::Next<Login>;

/// There is a connection to the server; perhaps not the first one, and the client has responded.
pub struct ExpectGreeting {
    pub(super) account: Account,
    pub(super) response: Option<Response>,
}

/// The client has the greeting.
pub struct ExpectResponse {
    pub(super) account: Account,
    pub(super) greeting: Greeting,
}

/// TLS is being agreed.
pub struct Securing {
    pub(super) account: Account,
    pub(super) greeting: Greeting,
    pub(super) response: Response,
}

/// The server has a response or a proof.
pub struct ExpectVerdict {
    pub(super) account: Account,
    pub(super) plugin: Plugin,
    pub(super) challenge: Challenge,
    /// Of what was sent last.
    pub(super) sequence: u8,
    pub(super) is_secure: bool,
    pub(super) has_switched: bool,
    /// The server has the password itself.
    pub(super) has_told: bool,
}

/// The server is asked for the key that the password is to be encrypted with.
pub struct ExpectKey {
    pub(super) login: ExpectVerdict,
    pub(super) seed: [u8; 20],
}

macro_rules! states {
    ($($state:ident,)+) => {
        $(impl From<$state> for Login {
            fn from(state: $state) -> Self {
                Self::$state(state)
            }
        })+
    };
}

states! {
    ExpectGreeting,
    ExpectResponse,
    Securing,
    ExpectVerdict,
    ExpectKey,
}
