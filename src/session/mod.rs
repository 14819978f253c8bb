//! Sessions and their relays: everything between a packet of the gateway and a target's bytes.
//!
//! Sans-IO: packets and [`Report`]s go in, [`Output`]s and packets come out; the time is an argument.
//! What it leaves to others: sockets (`io`), processes (`os`), the link and its credit (`agent`).
//!
//! [`Sessions`] only routes. What it routes between is owned by three: `Book` (which sessions there are),
//! `Targets` (every target, its queue and its deadline) and in it `Budget` (what may wait). One session is an
//! `About` and its contents: connections or a command.
//!
//! ```
//! use hoop_lite::packet::{Kind, Outbox, Packet, encode, spec};
//! use hoop_lite::session::{AgentEnvironment, Channel, Output, Report, SessionLimits, Sessions};
//! # use loopback_gateway::SessionRequest;
//!
//! let (now, mut outbox, mut packet) = (std::time::Instant::now(), Outbox::new(), Vec::new());
//! let mut sessions = Sessions::new(SessionLimits::default(), AgentEnvironment::default());
//! sessions.note_room(now, true);
//! # let open = SessionRequest::new("tcp", "connect").env("HOST", "db").env("PORT", "5432").open_packet("s");
//! # let open: Vec<(&str, &[u8])> = open.spec.iter().map(|(key, value)| (&key[..], &value[..])).collect();
//! encode(&mut packet, Kind::AgentSessionOpen, &open, b"");
//! sessions.handle_packet(now, &Packet::decode(&packet).unwrap(), &mut outbox);
//! let Some(Output::Dial { target, .. }) = sessions.poll_output() else { panic!() };
//! sessions.handle_report(now, target, Report::Started { peer: None }, &mut outbox);
//! assert!(!outbox.is_empty(), "the session is open");
//!
//! let connection = [(spec::SESSION_ID, b"s" as &[u8]), (spec::CONNECTION_ID, b"1")];
//! packet.clear();
//! encode(&mut packet, Kind::AgentTCPConnectionWrite, &connection, b"hello");
//! sessions.handle_packet(now, &Packet::decode(&packet).unwrap(), &mut outbox);
//! assert_eq!(sessions.poll_dirty(), Some(target), "the address check was its connection");
//! assert_eq!(sessions.pending_parts(target).flatten().count(), 5);
//! sessions.handle_report(now, target, Report::Wrote { size: 5 }, &mut outbox);
//!
//! let before = outbox.len();
//! let slot = sessions.read_slot(target, Channel::Output, 4096, &mut outbox).unwrap();
//! slot[..2].copy_from_slice(b"hi");
//! sessions.handle_report(now, target, Report::Received { size: 2 }, &mut outbox);
//! assert!(outbox.len() > before);
//! packet.clear();
//! encode(&mut packet, Kind::AgentSessionClose, &connection[..1], b"");
//! sessions.handle_packet(now, &Packet::decode(&packet).unwrap(), &mut outbox);
//! sessions.handle_report(now, target, Report::Ended { channel: Channel::Output }, &mut outbox);
//! assert!(sessions.is_empty() && matches!(sessions.poll_output(), Some(Output::Close { .. })));
//! ```

mod about;
mod account;
mod admission;
mod between;
mod book;
mod budget;
mod client_variables;
pub mod command;
mod connection;
mod counters;
mod draining;
mod ending;
pub mod environment;
mod errand;
mod error;
mod events;
mod fetches;
mod fetching;
mod figures;
mod heap;
mod hears;
mod input;
mod means;
mod middle;
mod names;
mod opening;
mod output;
mod place;
pub mod plan;
pub mod policy;
mod pressure;
mod process;
mod progress;
pub mod protocol;
mod report;
mod reports;
mod said;
mod seam;
#[allow(clippy::module_inception, reason = "a file's name says what is in it")]
mod session;
mod session_limits;
mod sessions;
mod shares;
mod system;
mod tally;
mod target;
mod targets;
#[cfg(test)]
mod tests;
mod to_target;
mod tokens;
mod turn;
pub mod variable_error;
mod verdict;
mod web;
mod wire;

pub use counters::{Counters, Failure};
pub use ending::EXIT_INTERNAL;
pub use environment::{AgentEnvironment, Given};
pub use error::STALLED;
pub use fetches::is_open;
pub use figures::Figures;
pub use means::{AuthorityError, Sources};
pub use names::TargetId;
pub use output::{End, Output, Program, Where};
pub use report::{Channel, Exit, Peer, Report, Unreached};
pub use said::Said;
pub use session_limits::SessionLimits;
pub use sessions::Sessions;
