//! How the agent presents itself to the gateway.

use crate::base::Secret;

/// How calls present themselves.
pub struct AgentIdentity {
    /// The calls go over TLS.
    pub is_encrypted: bool,
    /// `host:port`, or the TLS server name that was asked for.
    pub authority: String,
    /// The token, sent as it was configured.
    pub token: Secret,
    /// Further metadata of `Connect` (name and value).
    pub metadata: Vec<(&'static str, String)>,
    /// Request message of `PreConnect`.
    pub preconnect: Vec<u8>,
    /// `user-agent` of every call.
    pub user_agent: String,
}
