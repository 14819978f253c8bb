//! The shapes of the gateway's JSON answers, as far as the commands use them. Fields may be
//! absent or null: gateways of different years differ.
// What `DeJson` derives is not ours to rewrite.
#![allow(clippy::question_mark)]

use nanoserde::DeJson;

/// `GET /agents`, one element; `GET /agents/NAME`.
#[derive(DeJson)]
pub struct AgentEntry {
    /// UUID.
    pub id: Option<String>,
    /// Unique in the organisation.
    pub name: Option<String>,
    /// `standard` or `embedded`.
    pub mode: Option<String>,
    /// As the agent told when it connected last.
    pub version: Option<String>,
    /// As the agent told.
    pub hostname: Option<String>,
    /// As the agent told, `linux/amd64`.
    pub platform: Option<String>,
    /// `CONNECTED` or `DISCONNECTED`.
    pub status: Option<String>,
}

/// `POST /agents`.
#[derive(DeJson)]
pub struct Created {
    /// The key, shown this once.
    pub token: Option<String>,
}

/// `GET /publicserverinfo`.
#[derive(DeJson)]
pub struct PublicInfo {
    /// `local`, `oidc` or `saml`.
    pub auth_method: Option<String>,
    /// There is no user yet.
    pub setup_required: Option<bool>,
}

/// `GET /serverinfo`.
#[derive(DeJson)]
pub struct ServerInfo {
    /// Where agents and clients connect.
    pub grpc_url: Option<String>,
}

/// Any answer that is no success.
#[derive(DeJson)]
pub struct Message {
    /// The gateway's words.
    pub message: Option<String>,
}
