//! The keys of a packet's spec.

/// Session id (request id in system requests); opaque text.
pub const SESSION_ID: &str = "gateway.session_id";
/// Type of the hoop connection.
pub const CONNECTION_TYPE: &str = "gateway.connection_type";
/// Which relay of the session; opaque text.
pub const CONNECTION_ID: &str = "client.connection_id";
/// Exit code of a session, decimal text.
pub const EXIT_CODE: &str = "client.exit_code";
/// What guard rails blocked, JSON.
pub const GUARDRAILS_INFO: &str = "client.guardrails_info";
/// Port that the client wants to listen on, decimal text or empty.
pub const REQUEST_PORT: &str = "client.request_port";
/// The command as shown to the user.
pub const COMMAND: &str = "client.command";
/// Arguments of the client, gob `[]string`.
pub const CLIENT_ARGS: &str = "terminal.args";
/// Environment of the client, gob `map[string]string`.
pub const CLIENT_ENV_VARS: &str = "terminal.envvars";
/// Connection params, gob.
pub const CONNECTION_PARAMS: &str = "agent.connection_params";
/// Present, with an empty value, in a relay's first packet when its payload is no data.
pub const TCP_SERVER_CONNECT: &str = "tcp.server_connect";
/// The URL under which the user sees a web service.
pub const HTTP_PROXY_BASE_URL: &str = "httpproxy.base_url";
/// Feature flags, a JSON object of booleans.
pub const FEATURE_FLAGS: &str = "feature-flags";
/// Google credentials for data masking, from gateways that do not send them in the params.
pub const GCP_CREDENTIALS: &str = "agent.gcp_credentials";
/// Deprecated place of the data masking provider.
pub const DLP_PROVIDER: &str = "agent.dlp_provider";
/// Master credentials of a database, from 2024 gateways. Never echoed.
pub const PLUGIN_DCM_DATA: &str = "plugin.dcm_data";
