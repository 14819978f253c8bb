//! The real program in front of the loopback gateway: what its users would see.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod addresses;
mod authority;
mod beside;
mod beside_signals;
mod command;
mod console;
mod databases;
mod ends;
mod environment;
mod evening;
mod exhaustion;
mod first_process;
mod flood;
mod health;
mod kubernetes;
mod link;
mod log_fields;
mod logs;
mod messages;
mod mongo;
mod never_waits;
mod plaintext;
mod policy;
mod proxy;
mod revocation;
mod separation;
mod shutdown;
mod sql_server;
mod suspension;
mod tcp;
mod web;
mod world;
