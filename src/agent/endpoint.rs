//! Where the gateway is and how to present ourselves there; made anew for every attempt, so that a
//! rotated key or certificate is picked up without a restart.

use crate::link::{AgentIdentity, Transport, TransportError};
use crate::tls::Client;

/// Everything that one attempt needs.
pub struct Endpoint {
    /// What is dialled: the gateway, or the proxy that leads to it.
    pub host: String,
    /// See [`Endpoint::host`].
    pub port: u16,
    /// The same for people.
    pub place: String,
    /// The request for a tunnel, when `host` is a proxy.
    pub tunnel: Option<Vec<u8>>,
    /// TLS, unless the key says plaintext.
    pub tls: Option<Client>,
    /// Calls.
    pub identity: AgentIdentity,
}

/// Makes an [`Endpoint`], or says why it can't (an unreadable key file).
pub type EndpointSource = Box<dyn FnMut() -> Result<Endpoint, String>>;

/// What carries a connection to an endpoint.
pub(super) fn transport(tls: Option<Client>) -> Result<Transport, TransportError> {
    match tls {
        None => Ok(Transport::plaintext()),
        Some(client) => Transport::tls(client),
    }
}
