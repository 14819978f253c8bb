//! The deterministic simulation: agent, gateway, network, targets and clock in one process, all
//! chance from one seed. See `world.rs` for how it runs and `model.rs` for what it checks.

#![allow(clippy::unwrap_used, missing_docs)]

mod clients;
mod content;
mod databases;
mod deadlines;
mod dice;
mod frames;
mod gateway;
mod gateway_hears;
mod hpack;
mod link;
mod logs;
mod model;
mod net;
mod owed;
mod packets;
mod programs;
mod relays;
mod scenarios;
mod second;
mod secure;
mod sent;
mod setup;
mod shell;
mod stores;
mod sweep;
mod target;
mod users;
mod web;
mod world;
