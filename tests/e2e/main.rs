//! The real program in front of the loopback gateway: what its users would see.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod command;
mod console;
mod environment;
mod link;
mod messages;
mod policy;
mod shutdown;
mod tcp;
mod world;
