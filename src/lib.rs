//! hoop-lite: joins a private network to a hoop gateway.
//!
//! The library exists so that tests, benchmarks and fuzz targets can link the parts; the binary
//! is `main.rs`. Read `docs/ARCHITECTURE.md` first.

pub mod admin;
pub mod agent;
pub mod base;
pub mod cli;
pub mod config;
pub mod dns;
pub mod doctor;
pub mod grpc;
pub mod h2;
pub mod http;
pub mod io;
pub mod limits;
pub mod link;
pub mod login;
pub mod os;
pub mod packet;
pub mod secrets;
pub mod session;
pub mod startup;
pub mod tls;
pub mod web;
pub mod wire;
