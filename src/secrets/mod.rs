//! Secrets where they live: HashiCorp Vault (and OpenBao), AWS Secrets Manager, and tokens that AWS has logged in by.
//!
//! ```text
//!   values of a connection --plan--> wants --Fetch (one for each store)--> values, or causes
//!                                            |        ^
//!                                          Step::Ask  | an answer, or what became of it
//!                                            v        |
//!                                        who owns sockets, TLS, deadlines (session/fetching.rs)
//! ```
//! Sans-IO: the wall clock, files and variables are arguments ([`World`]). Promises: what a user reads is a cause of
//! a fixed table, what a store says goes to the log alone and is made plain; no secret, token, key, body or query is
//! in either; nothing is asked of a store that the connection's own values do not name, and nothing that would hand
//! out what the agent itself logs in by. What is kept between two sessions is in [`Stores`].

mod asking;
mod aws;
mod fetch;
pub mod plan;
mod stores;
mod value;
mod vault;
mod words;

pub use asking::{ANSWER, Ask, Found, Origin, Place, Step, Trouble, World};
pub use aws::identity::{Needs, Role};
pub use aws::ini::Ini;
pub use aws::metadata;
pub use aws::tokens::Mint;
pub use fetch::Fetch;
pub use plan::{Provider, Reference, Refused, Want};
pub use stores::{Settings, Stores, Via};
pub use words::Cause;

#[cfg(test)]
mod testing;
