//! AWS: who the agent is there, its secrets, and the tokens that it may make of that.

mod answers;
mod chain;
mod credentials;
mod endpoints;
pub(in crate::secrets) mod identity;
pub(in crate::secrets) mod ini;
pub mod metadata;
mod profiles;
mod questions;
mod region;
pub(in crate::secrets) mod sigv4;
pub(in crate::secrets) mod store;
pub(in crate::secrets) mod tokens;

#[cfg(test)]
mod tests;
