//! A small hoop gateway on loopback, with scripted clients.
//!
//! Built on tonic, hyper and prost on purpose: another implementation of HTTP/2, gRPC and protobuf
//! than the agent's own, so that a mistake cannot hide on both sides. It serves the agent's tests,
//! the demo and the benchmarks, and is never part of the product. The real gateway stays the judge:
//! whatever it does otherwise is a bug here.
//!
//! Everything here blocks, fails the test with what was seen when it waited in vain, and cleans up
//! when dropped: start a [`Gateway`], [`Gateway::register`] an agent, start the agent's program as an
//! [`AgentProcess`], and open sessions with [`Gateway::open_session`].

pub mod aws;
mod conduct;
pub mod database;
pub mod event;
mod forward;
mod gateway;
pub mod gob;
mod hub;
mod identity;
mod inbox;
pub mod mongo;
pub mod mssql;
pub mod mysql;
pub mod packet;
pub mod params;
pub mod postgres;
pub mod process;
pub mod secure;
mod server;
mod service;
mod session;
mod socket;
pub mod start;
pub mod targets;
mod terminal;
pub mod web;

pub use gateway::{Gateway, Setup, deadline};
pub use hub::PreConnectMood;
pub use identity::Security;
pub use packet::Packet;
pub use process::{AgentProcess, waited_for_cpu_here};
pub use service::MESSAGE_BYTES_MAX;
pub use session::{Close, Outcome, Session, SessionRequest, base64, tcp_write};
pub use terminal::OnTerminal;
