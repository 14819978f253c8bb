//! What the fuzzer calls: one function for each decoder of bytes from outside.
//!
//! Each takes any bytes, panics when a property does not hold, and answers whether the bytes were
//! accepted, so that `tests/corpus.rs` can see that a corpus reaches both ends. The properties are
//! more than "no panic": what was read can be written and read again, an independent reader agrees,
//! pieces of any size give what the whole gives, bounds hold.
//!
//! A new decoder: a function here, a line in `targets!`, a file in `fuzz/fuzz_targets`, seeds in
//! `fuzz/corpus/NAME`. `tests/corpus.rs` fails while one of them is missing.

mod agent;
mod conversation;
mod database;
mod grpc;
mod hpack;
mod http1;
mod http2;
mod http2_frames;
mod input;
mod login;
mod names;
mod packet;
mod peer;
mod secrets;
mod settings;
mod trust;
mod web;
mod wire;

pub use database::Nonces;

/// A function of this crate and its name.
pub struct Target {
    /// Of its file in `fuzz/fuzz_targets` and its folder in `fuzz/corpus`.
    pub name: &'static str,
    /// Whether the bytes were accepted.
    pub run: fn(&[u8]) -> bool,
}

macro_rules! targets {
    ($($module:ident::$name:ident,)+) => {
        $(pub use $module::$name;)+

        /// Every target.
        pub const TARGETS: &[Target] = &[
            $(Target { name: stringify!($name), run: $module::$name },)+
        ];
    };
}

targets! {
    wire::varint,
    wire::protobuf,
    wire::base64,
    wire::gob,
    wire::json,
    packet::message,
    packet::oversized,
    packet::preconnect,
    packet::session_open,
    hpack::header_blocks,
    hpack::header_tables,
    http2::connection,
    http2_frames::frames,
    grpc::grpc_messages,
    grpc::grpc_status,
    secrets::secret_plan,
    secrets::aws_ini,
    secrets::secret_fetch,
    settings::key,
    settings::environment,
    settings::config_file,
    settings::url,
    http1::response,
    http1::proxy_answer,
    http1::health_request,
    web::head_lines,
    web::body_spans,
    web::web_exchange,
    trust::certificates,
    names::hosts_file,
    names::resolv_conf,
    names::dns_message,
    names::dns_lookup,
    trust::tls,
    login::postgres_messages,
    login::postgres_login,
    login::mysql_messages,
    login::mysql_login,
    login::mongo_messages,
    login::mongo_string,
    login::mongo_login,
    login::mssql_messages,
    login::mssql_login,
    login::rsa_key,
    database::database_session,
    agent::agent,
    conversation::agent_conversation,
}
