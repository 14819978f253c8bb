//! The real program in front of the loopback gateway: what its users would see.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod authority;
mod beside;
mod command;
mod console;
mod environment;
mod exhaustion;
mod first_process;
mod health;
mod link;
mod logs;
mod messages;
mod never_waits;
mod plaintext;
mod policy;
mod proxy;
mod revocation;
mod shutdown;
mod suspension;
mod tcp;
mod world;
