//! The states of a login, and how it goes from one to the next. The server speaks first.
//!
//! ```text
//!   Fresh --Dial--> ExpectGreeting --greeting--> ExpectResponse --response--> introduced
//!                     ^                                                           |
//!                     | prefer: TLS failed          StartTls (the server has it)  |
//!                     +--------------- SecuringResponse <-------------------------+
//!                                             |                                   |
//!   Passed <--OK-- ExpectVerdict <--response--+-----------------------------------+
//!                   |        ^
//!                   +-switch-+  (once), and the password itself over TLS
//!                   |        |
//!                   +-> ExpectKey  (MYSQL_RSA: the password under the server's public key)
//! ```
//! What each does stands in `opening` and `verdict`.

use super::messages::{Greeting, HandshakeResponse};
use super::proofs::{Challenge, Plugin};
use crate::login::{Account, next};

/// A login in one of its states.
pub enum MysqlLogin {
    /// A client waits.
    Fresh(Box<Account>),
    /// See the struct of this name.
    ExpectGreeting(Box<ExpectGreeting>),
    /// See the struct of this name.
    ExpectResponse(Box<ExpectResponse>),
    /// See the struct of this name.
    SecuringResponse(Box<SecuringResponse>),
    /// See the struct of this name.
    ExpectVerdict(Box<ExpectVerdict>),
    /// See the struct of this name.
    ExpectKey(Box<ExpectKey>),
}

pub(super) type Outcome = next::Outcome<MysqlLogin>;
pub(super) type Next = next::Next<MysqlLogin>;

/// There is a connection to the server; perhaps not the first one, and the client has responded.
pub struct ExpectGreeting {
    pub(super) account: Box<Account>,
    pub(super) response: Option<HandshakeResponse>,
}

/// The client has the greeting.
pub struct ExpectResponse {
    pub(super) account: Box<Account>,
    pub(super) greeting: Greeting,
}

/// TLS is being agreed.
pub struct SecuringResponse {
    pub(super) account: Box<Account>,
    pub(super) greeting: Greeting,
    pub(super) response: HandshakeResponse,
}

/// The server has a response or a proof.
pub struct ExpectVerdict {
    pub(super) account: Box<Account>,
    pub(super) plugin: Plugin,
    pub(super) challenge: Challenge,
    /// Of what was sent last.
    pub(super) sequence: u8,
    pub(super) is_secure: bool,
    pub(super) is_mariadb: bool,
    pub(super) has_switched: bool,
    /// The client waits for more than OK.
    pub(super) expects_more: bool,
    /// The server has asked for the password itself, and is not given it again.
    pub(super) has_told: bool,
}

/// The server is asked for the key that the password is to be encrypted with.
pub struct ExpectKey {
    pub(super) login: Box<ExpectVerdict>,
    pub(super) seed: [u8; 20],
}

next::states! {
    MysqlLogin:
    ExpectGreeting,
    ExpectResponse,
    SecuringResponse,
    ExpectVerdict,
    ExpectKey,
}
