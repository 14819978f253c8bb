//! The real program in front of the loopback gateway: what its users would see.

mod command;
mod console;
mod environment;
mod link;
mod policy;
mod shutdown;
mod tcp;
mod world;
