//! What an exchange and its owner say to each other.

use super::delivery::Outlet;
use super::site::{Current, Site};
use crate::base::ByteBuf;
use crate::wire::sink::Sink;

/// What an exchange reads and writes during one step. It takes what it has used and leaves the rest.
pub struct Wires<'a> {
    /// The service of the connection.
    pub site: &'a Site,
    /// What of that may have changed.
    pub current: Current<'a>,
    /// From the user.
    pub from_client: &'a mut ByteBuf,
    /// From the service; what TLS carries.
    pub from_remote: &'a mut ByteBuf,
    /// To the service. Used only between [`super::Exchange::connected`] and the next end of that connection.
    pub to_remote: &'a mut dyn Sink,
    /// To the user.
    pub outlet: Outlet<'a>,
}

/// What the owner is to do next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Step again when something has come, or at [`super::Exchange::deadline`].
    Wait,
    /// Connect to the service, with TLS where it has it: `connected` or `not_connected` follows.
    Dial {
        /// A kept connection may be dead: make a new one.
        is_fresh: bool,
    },
    /// Close the connection to the service, drop what came of it, and step again.
    HangUp,
    /// The exchange is over.
    Finished {
        /// The user's side is to be closed as well, and later packets of the id are to be dropped. Else
        /// forget the id: another packet that may open a connection begins a new exchange, which heals a
        /// wrong guess of who is asking.
        is_told: bool,
        /// The connection to the service may serve another request; else it is to be closed.
        is_kept: bool,
    },
}
