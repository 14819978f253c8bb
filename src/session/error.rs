//! Why a session is refused or closed, in the sentences that its user reads.

use std::fmt;

use super::command::CommandError;
use super::counters::Failure;
use super::shares::Full;
use super::variable_error::VariableError;
use crate::base::plain::beginning;
use crate::limits;
use crate::login::Refusal;
use crate::login::mongo::UriError;
use crate::packet::Kind;
use crate::packet::params::ParamsError;

/// See the module.
#[derive(Debug)]
pub(super) enum SessionError {
    /// The agent takes no new ones.
    Stopping,
    /// Two clients use one id.
    SameId,
    /// What the gateway says about the connection can't be read, or is too much.
    Params(ParamsError),
    /// The same, of the variables that the client sets.
    ClientVariables(ParamsError),
    /// It demands what this agent can't enforce; the sentence names it.
    Demand(String),
    /// Its variables can't be had.
    Variables(VariableError),
    /// Its command can't be started.
    Command(CommandError),
    /// Nobody can be logged in with what the connection says.
    Account(Refusal),
    /// The type is not served.
    NotServed(&'static str),
    /// Something is not to be had.
    Full(Full),
    /// Nobody new can be told apart from the others.
    TooManyUsers,
    /// A database lacks what every one needs: which of it.
    MissingSecrets(String, [(&'static str, bool); 3]),
    /// Nobody has said where it is.
    MissingAddress,
    /// HOST is none. It may be a URL with a password, and is not repeated.
    Host,
    /// PORT is none.
    Port(String),
    /// The text that holds all of it can't be read.
    ConnectionString(String, UriError),
    /// The address did not answer.
    Unreachable {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
        /// What the system says.
        reason: String,
    },
    /// A packet that its protocol does not know.
    Kind(String, Kind),
    /// A packet of a connection that does not say of which.
    NoConnectionId,
    /// A packet beyond all bounds.
    Oversized(Kind, u32),
    /// Its target took nothing, for too long.
    Stalled,
}

/// What the user of a relay is told that was closed for the others' sake.
pub const STALLED: &str =
    "the target stopped reading and held the memory that other sessions need; closed by the agent";

impl From<VariableError> for SessionError {
    fn from(error: VariableError) -> Self {
        Self::Variables(error)
    }
}

impl From<CommandError> for SessionError {
    fn from(error: CommandError) -> Self {
        Self::Command(error)
    }
}

impl From<Refusal> for SessionError {
    fn from(refusal: Refusal) -> Self {
        Self::Account(refusal)
    }
}

impl From<Full> for SessionError {
    fn from(full: Full) -> Self {
        Self::Full(full)
    }
}

impl SessionError {
    /// Its kind, for whoever counts.
    pub(super) fn failure(&self) -> Failure {
        match self {
            Self::Stopping => Failure::Stopping,
            Self::Demand(_) => Failure::Policy,
            Self::Command(_) => Failure::Command,
            Self::NotServed(_) => Failure::NotServed,
            Self::Account(_) => Failure::Login,
            Self::Unreachable { .. } => Failure::Unreachable,
            Self::Full(_) | Self::TooManyUsers | Self::Stalled => Failure::Limit,
            Self::SameId
            | Self::Params(_)
            | Self::ClientVariables(_)
            | Self::Kind(..)
            | Self::NoConnectionId
            | Self::Oversized(..) => Failure::Protocol,
            Self::Variables(_)
            | Self::MissingSecrets(..)
            | Self::MissingAddress
            | Self::Host
            | Self::Port(_)
            | Self::ConnectionString(..) => Failure::Variables,
        }
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopping => f.write_str("the agent is shutting down, try again"),
            Self::SameId => f.write_str(
                "another session was opened with the id of this one; closed by the agent, connect \
                 again",
            ),
            Self::Params(
                error @ (ParamsError::EnvVar(_) | ParamsError::Arguments | ParamsError::Variables),
            )
            | Self::ClientVariables(error @ ParamsError::Variables) => error.fmt(f),
            Self::Params(_) => f.write_str("internal error, failed decoding connection params"),
            Self::ClientVariables(_) => {
                f.write_str("internal error, failed decoding client env vars")
            }
            Self::Demand(text) => f.write_str(text),
            Self::Variables(error) => error.fmt(f),
            Self::Command(error) => error.fmt(f),
            Self::Account(refusal) => f.write_str(&refusal.text),
            Self::NotServed(text) => f.write_str(text),
            Self::Full(full) => full.fmt(f),
            Self::TooManyUsers => f.write_str("too many users"),
            Self::MissingSecrets(of, missing) => {
                write!(
                    f,
                    "missing required secrets for {of} connection [HOST, USER, PASS]: not set, or empty:"
                )?;
                let mut missing = missing.iter().filter(|(_, is_missing)| *is_missing);
                missing.try_for_each(|(name, _)| write!(f, " {name}"))
            }
            Self::MissingAddress => {
                f.write_str("missing required environment for connection [HOST, PORT]")
            }
            Self::Host => f.write_str(
                "HOST of the connection is a name or an address, not a URL: put the port into PORT, and a user, a \
                 password and a database into USER, PASS and DB",
            ),
            Self::Port(of) => write!(f, "PORT is not a port number for connection {of}"),
            Self::ConnectionString(of, error) => {
                write!(f, "failed parsing {of} connection string: {error}")
            }
            Self::Unreachable { host, port, reason } => write!(
                f,
                "failed connecting to remote host={host}, port={port}, reason={reason}"
            ),
            Self::Kind(of, kind) => write!(
                f,
                "this session of type {} does not accept {} packets",
                beginning(of, limits::TYPE_ECHO_BYTES_MAX),
                kind.name()
            ),
            Self::NoConnectionId => f.write_str("tcp connection id not found"),
            Self::Oversized(kind, size) => write!(
                f,
                "a {} packet of {size} bytes is larger than the {} that the agent takes: send less \
                 at once",
                kind.name(),
                limits::GRPC_MESSAGE_BYTES_MAX
            ),
            Self::Stalled => f.write_str(STALLED),
        }
    }
}
