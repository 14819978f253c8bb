//! Web services: HTTP/1.1 between a user and a service, with stored headers put in. The one protocol
//! whose middle the agent never leaves.
//!
//! An [`Exchange`] is one connection id of a session. It promises: every request reaches the service as
//! one message that can be read in one way alone, and every answer the user whole or visibly cut, never
//! mixed with another one; a stored value stands in no answer of ours; what it holds is bounded. It
//! leaves to its owner: sockets, TLS, sessions, the packets' own framing, and the budget that
//! [`Exchange::held_bytes`] counts in.
//!
//! ```
//! use hoop_lite::base::ByteBuf;
//! use hoop_lite::web::{Current, Exchange, Outlet, Site, Step, View, Wanted, Wires};
//!
//! let variables = [("REMOTE_URL", &b"http://grafana:3000"[..]), ("HEADER_X_USER", b"ops")];
//! let site = Site::of_httpproxy(&Wanted { variables: &variables }).unwrap();
//! let (mut client, mut remote, now) = (ByteBuf::new(), ByteBuf::new(), std::time::Instant::now());
//! let (mut packets, mut sent) = (Vec::new(), Vec::new());
//! let outlet = Outlet { packets: &mut packets, packet_bytes: 1 << 20, may_hold: true, now };
//! let mut wires = Wires {
//!     site: &site, current: Current::default(), from_client: &mut client, from_remote: &mut remote,
//!     to_remote: &mut sent, outlet,
//! };
//! let mut exchange = Exchange::new(View::parse(b"http://127.0.0.1:8081").unwrap(), now);
//! let request = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8081\r\n\r\n";
//! assert!(!exchange.packet(now, wires.from_client, request));
//! assert_eq!(exchange.step(&mut wires), Step::Dial { is_fresh: false });
//! exchange.connected(now, false);
//! assert_eq!(exchange.step(&mut wires), Step::Wait);
//! wires.from_remote.extend(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
//! assert_eq!(exchange.step(&mut wires), Step::Wait);
//! assert_eq!(sent, b"GET / HTTP/1.1\r\nHost: grafana:3000\r\nX-USER: ops\r\n\r\n");
//! assert_eq!(packets[0], b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
//! ```

mod answering;
mod bodies;
mod delivery;
mod exchange;
mod fields;
mod framed;
pub mod kubernetes;
mod page;
mod producer;
mod reply;
mod request;
mod site;
mod view;
mod wires;

pub use crate::wire::sink::Packets;
pub use delivery::Outlet;
pub use exchange::Exchange;
pub use kubernetes::{Cluster, ServiceAccount};
pub use page::{Failure, Fault};
pub use producer::Producer;
pub use site::{Current, Features, Site, SiteError, Wanted};
pub use view::View;
pub use wires::{Step, Wires};

#[cfg(test)]
mod tests;
