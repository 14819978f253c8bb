//! Who has written the packets of a connection: they frame requests, and want answers, differently.

use super::request::Request;
use super::view::View;
use crate::limits;

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Producer {
    /// `hoop connect`: one of the user's sockets, with all that he asks on it.
    Client,
    /// hoop's tunnel: the same, of a session of its own and under a name of its own.
    Tunnel,
    /// The gateway's listener: one request, which it has read whole.
    Listener,
}

impl Producer {
    /// By the first request of a connection, its view and the largest packet that brought it.
    pub fn of(view: &View, request: &Request, packet_bytes: usize) -> Self {
        // Only what passes the listener is one of these.
        let is_listener = request.is_http_2
            || view.is_secure()
            || packet_bytes > limits::WEB_CLIENT_PACKET_BYTES_MAX;
        match (is_listener, view.is_clients(), view.port()) {
            (false, true, Some(_)) => Self::Client,
            // A browser sends the cookies of one port of its own machine to all of them, but no name of the
            // tunnel has this one.
            (false, false, None) if view.is_dotted() && !request.has_gateway_cookie => Self::Tunnel,
            _ => Self::Listener,
        }
    }

    /// What is said to this one goes through the gateway's listener.
    pub fn is_listener(self) -> bool {
        self == Self::Listener
    }
}
