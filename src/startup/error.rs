//! Why the agent does not start, or can't go on, in sentences for whoever started it.

use std::{fmt, io};

use super::publication::PublicationError;
use crate::config::ConfigError;
use crate::tls::TrustError;

/// Why the agent does not run. `main` prints it and ends with status 1 or 2.
#[derive(Debug)]
pub enum StartError {
    /// The configuration.
    Config(ConfigError),
    /// An agent's own key together with flags that publish.
    KeyOfOneAgent,
    /// What is to be published.
    Publication(PublicationError),
    /// The authorities.
    Trust(TrustError),
    /// The name that the certificate should have.
    ServerName(String),
    /// `/etc/passwd` has no such user.
    NoAccount(String),
    /// The system did not let us become this user.
    BecomeUser(String, io::Error),
    /// The reactor could not be made.
    Reactor(io::Error),
    /// The health endpoint's address, which this is.
    Health(String, io::Error),
    /// Waiting for events failed.
    EventLoop(io::Error),
    /// The agent can't run, and this program beside it was not started.
    Beside(Box<StartError>, String),
}

impl StartError {
    /// It is as wrong as a flag can be, and stays so however often the program is started.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Config(error) => error.is_usage(),
            Self::Beside(reason, _) => reason.is_usage(),
            _ => false,
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => write!(f, "{error}"),
            Self::KeyOfOneAgent => f.write_str(
                "this key belongs to one agent and can't publish connections; use an organisation \
                 key, or leave --name, --command, --review, --data-masking and the database (--postgres and \
                 the like, HOOP_DB_URI) away",
            ),
            Self::Publication(error) => write!(f, "{error}"),
            Self::Trust(error) => write!(f, "{error}"),
            Self::ServerName(name) => {
                write!(f, "{name:?} is not a name that a certificate can have")
            }
            Self::NoAccount(name) => {
                write!(f, "HOOP_LITE_USER (--user): /etc/passwd knows no {name:?}")
            }
            Self::BecomeUser(name, error) => write!(
                f,
                "HOOP_LITE_USER (--user): can not become {name}: {error}; only root can, so start \
                 as root or leave it away"
            ),
            Self::Reactor(error) => write!(f, "can not start: {error}"),
            Self::Health(address, error) if error.kind() == io::ErrorKind::AddrInUse => write!(
                f,
                "the health endpoint's address is taken: another program listens on {address}; choose \
                 another one by HOOP_LITE_HEALTH_LISTEN (--health-listen)"
            ),
            Self::Health(address, error) => {
                write!(f, "can not serve the health endpoint on {address}: {error}")
            }
            Self::EventLoop(error) => write!(f, "the event loop failed: {error}"),
            Self::Beside(reason, program) => write!(
                f,
                "{reason}; {program} was not started (--keep-going starts it all the same)"
            ),
        }
    }
}

impl From<ConfigError> for StartError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<TrustError> for StartError {
    fn from(error: TrustError) -> Self {
        Self::Trust(error)
    }
}

impl From<PublicationError> for StartError {
    fn from(error: PublicationError) -> Self {
        Self::Publication(error)
    }
}
