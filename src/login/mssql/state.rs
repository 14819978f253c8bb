//! The states of a login, and how it goes from one to the next. The client speaks first.
//!
//! ```text
//!   ExpectPrelogin --PRELOGIN--> Dialling --Dial--> Dialling --PRELOGIN--> ExpectAnswer
//!                                  ^  ^                |                    |   ^
//!                                  |  |  TLS first: Securing --tls_started--|---+
//!                                  |  +-- no answer: once more, TLS first --+
//!                                  |                                        answer
//!                                  |                                        v
//!                                  |           Securing <--LOGIN7-- ExpectLogin --no TLS, or all in it--+
//!                                  |            |   | the first packet alone                            |
//!                                  |            |   +--EndTls--> SendingRest --+                        |
//!                                  |            v                              v                        |
//!                                  +--route-- ExpectReply <--------------------+------------------------+
//!                                             |
//!                                   Passed <--+
//!   any, before the client's LOGIN7 --refusal--> Refusing --LOGIN7--> Refused
//! ```
//! What each does stands in `opening` and `verdict`.

use super::login7::Login7;
use crate::base::Address;
use crate::login::{Account, Refusal, next};

/// How a server is to be talked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// The login alone, unless the server wants more.
    Login,
    /// All, or nobody logs in. A server without any encryption is the account's affair.
    Full,
    /// TLS before anything else (TDS 8.0).
    Strict,
}

/// A login in one of its states.
pub enum MssqlLogin {
    /// See the struct of this name.
    ExpectPrelogin(Box<ExpectPrelogin>),
    /// See the struct of this name.
    Dialling(Box<Dialling>),
    /// See the struct of this name.
    ExpectAnswer(Box<ExpectAnswer>),
    /// See the struct of this name.
    ExpectLogin(Box<ExpectLogin>),
    /// See the struct of this name.
    Securing(Box<Securing>),
    /// See the struct of this name.
    SendingRest(Box<SendingRest>),
    /// See the struct of this name.
    ExpectReply(Box<ExpectReply>),
    /// See the struct of this name.
    Refusing(Box<Refusing>),
}

pub(super) type Outcome = next::Outcome<MssqlLogin>;
pub(super) type Next = next::Next<MssqlLogin>;

/// The client has said nothing.
pub struct ExpectPrelogin {
    pub(super) account: Account,
    /// As it is called there.
    pub(super) server_name: String,
    pub(super) encryption: Encryption,
}

/// Who logs in where, and how.
pub struct Attempt {
    pub(super) account: Account,
    pub(super) server_name: String,
    pub(super) encryption: Encryption,
    /// The client's.
    pub(super) prelogin: Vec<u8>,
    /// The client has an answer to that, or asked nothing.
    pub(super) is_answered: bool,
    pub(super) client: Option<Login7>,
    /// Where a server has sent us.
    pub(super) route: Option<Address>,
    /// TLS comes first since the server has hung up on a PRELOGIN.
    pub(super) is_second: bool,
}

/// What of the connection to the server is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cover {
    Nothing,
    Login,
    All,
}

/// A connection is wanted, or there is a new one.
pub struct Dialling {
    pub(super) attempt: Attempt,
    pub(super) is_dialled: bool,
}

/// The server has the PRELOGIN.
pub struct ExpectAnswer {
    pub(super) attempt: Attempt,
}

/// Both have agreed; the client is to say who it is, if it has not.
pub struct ExpectLogin {
    pub(super) attempt: Attempt,
    pub(super) cover: Cover,
    /// TLS stands.
    pub(super) is_secure: bool,
}

/// TLS is being agreed. `None`: before anything else.
pub struct Securing {
    pub(super) attempt: Attempt,
    pub(super) cover: Option<Cover>,
}

/// TLS has done its part: the login's first packet.
pub struct SendingRest {
    pub(super) attempt: Attempt,
    pub(super) rest: Vec<u8>,
}

/// The server knows who logs in.
pub struct ExpectReply {
    pub(super) attempt: Attempt,
    pub(super) cover: Cover,
}

/// There is no login: the client is told as soon as it listens, which it does after its LOGIN7.
pub struct Refusing {
    pub(super) refusal: Refusal,
    pub(super) hearing: Hearing,
}

/// What the client would take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hearing {
    /// It has said nothing yet.
    Nothing,
    /// An answer to its PRELOGIN.
    Answer,
    /// It is about to send its LOGIN7.
    Later,
    /// A reply to that.
    Reply,
}

next::states! {
    MssqlLogin:
    ExpectPrelogin,
    Dialling,
    ExpectAnswer,
    ExpectLogin,
    Securing,
    SendingRest,
    ExpectReply,
    Refusing,
}
