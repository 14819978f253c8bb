//! What the gateway sends to open a session: gob, matched by field name, so that gateways of
//! 2024, of today and of tomorrow are read alike.
//!
//! Promises that an unknown field is passed over, that a known one of another kind is an error (as
//! in Go), and that nothing secret has a `Debug` or outlives its owner. Base64 and secret providers
//! in the values of the environment are left to `session`.

use crate::base::Secret;
use crate::wire::gob::{self, Value};
use std::collections::BTreeMap;
use std::fmt;

/// Variables of a session by `<kind>:<NAME>`; the values are base64 text.
pub type EnvVars = BTreeMap<String, Secret>;

/// The parameters of the hoop connection that a session belongs to, and who asks for it.
///
/// Text is as the gateway stores it (UTF-8; anything else is replaced), arguments are bytes. A
/// field that did not arrive is empty.
#[derive(Default)]
pub struct ConnectionParams {
    /// Name of the hoop connection.
    pub connection_name: String,
    /// Its type: `command-line`, `tcp`, `postgres` and others.
    pub connection_type: String,
    /// Its subtype as stored, not sent by gateways of 2024.
    pub connection_subtype: String,
    /// The identity provider's name for the user.
    pub user_id: String,
    /// The user's address.
    pub user_email: String,
    /// The environment of the connection.
    pub env_vars: EnvVars,
    /// The command of the connection.
    pub cmd_list: Vec<Vec<u8>>,
    /// What the client appends to it.
    pub client_args: Vec<Vec<u8>>,
    /// `exec`, `connect` or `plain-exec`.
    pub client_verb: String,
    /// `client`, `client-api` and others.
    pub client_origin: String,
    /// Data masking: `mspresidio`, `gcp`, `alcatraz` or empty.
    pub dlp_provider: String,
    /// Data masking: `best-effort` or `strict`.
    pub dlp_mode: String,
    /// Data masking: what to redact.
    pub dlp_info_types: Vec<String>,
    /// Data masking: credentials for `gcp`.
    pub dlp_gcp_credentials: Secret,
    /// Data masking: URL of the analyzer.
    pub dlp_presidio_analyzer_url: String,
    /// Data masking: URL of the anonymizer.
    pub dlp_presidio_anonymizer_url: String,
    /// Data masking: what to redact, JSON.
    pub data_masking_entity_types: Vec<u8>,
    /// Guard rails, JSON.
    pub guard_rail_rules: Vec<u8>,
    /// What to count, JSON. Demands nothing.
    pub analyzer_metrics_rules: Vec<u8>,
    /// Rule of the AI session analyzer, where one is set.
    pub ai_session_analyzer: Option<String>,
    /// The gateway (of 2024) wants hooks of external plugins to run.
    pub has_plugin_hooks: bool,
}

/// Why bytes are not connection params, client arguments or a client environment.
#[derive(Debug, PartialEq, Eq)]
pub enum ParamsError {
    /// Not gob.
    Gob(gob::Error),
    /// This field is of another kind than it should be.
    Kind(&'static str),
    /// A variable of this Go type, where only strings are of use.
    EnvVar(Box<str>),
}

impl fmt::Display for ParamsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gob(error) => error.fmt(f),
            Self::Kind(field) => write!(f, "wrong type for field {field}"),
            Self::EnvVar(go_type) => {
                write!(
                    f,
                    "decoding env var error, expected string, found={go_type}"
                )
            }
        }
    }
}

impl From<gob::Error> for ParamsError {
    fn from(error: gob::Error) -> Self {
        Self::Gob(error)
    }
}

impl ConnectionParams {
    /// Reads the value of spec key [`super::spec::CONNECTION_PARAMS`].
    pub fn decode(bytes: &[u8]) -> Result<Self, ParamsError> {
        let Value::Struct(fields) = gob::decode(bytes)? else {
            return Err(ParamsError::Kind("AgentConnectionParams"));
        };
        let mut params = Self::default();
        for (name, value) in &fields {
            params.set(name, value)?;
        }
        Ok(params)
    }

    fn set(&mut self, name: &[u8], value: &Value<'_>) -> Result<(), ParamsError> {
        match name {
            b"ConnectionName" => self.connection_name = text(value, "ConnectionName")?,
            b"ConnectionType" => self.connection_type = text(value, "ConnectionType")?,
            b"ConnectionSubType" => self.connection_subtype = text(value, "ConnectionSubType")?,
            b"UserID" => self.user_id = text(value, "UserID")?,
            b"UserEmail" => self.user_email = text(value, "UserEmail")?,
            b"EnvVars" => self.env_vars = env_vars(value)?,
            b"CmdList" => self.cmd_list = arguments(value, "CmdList")?,
            b"ClientArgs" => self.client_args = arguments(value, "ClientArgs")?,
            b"ClientVerb" => self.client_verb = text(value, "ClientVerb")?,
            b"ClientOrigin" => self.client_origin = text(value, "ClientOrigin")?,
            b"DlpProvider" => self.dlp_provider = text(value, "DlpProvider")?,
            b"DlpMode" => self.dlp_mode = text(value, "DlpMode")?,
            b"DLPInfoTypes" => self.dlp_info_types = texts(value, "DLPInfoTypes")?,
            b"DlpGcpRawCredentialsJSON" => {
                self.dlp_gcp_credentials =
                    Secret::new(raw_text(value, "DlpGcpRawCredentialsJSON")?);
            }
            b"DlpPresidioAnalyzerURL" => {
                self.dlp_presidio_analyzer_url = text(value, "DlpPresidioAnalyzerURL")?;
            }
            b"DlpPresidioAnonymizerURL" => {
                self.dlp_presidio_anonymizer_url = text(value, "DlpPresidioAnonymizerURL")?;
            }
            b"DataMaskingEntityTypesData" => {
                self.data_masking_entity_types = json(value, "DataMaskingEntityTypesData")?;
            }
            b"GuardRailRules" => self.guard_rail_rules = json(value, "GuardRailRules")?,
            b"AnalyzerMetricsRules" => {
                self.analyzer_metrics_rules = json(value, "AnalyzerMetricsRules")?;
            }
            b"AISessionAnalyzer" => self.ai_session_analyzer = Some(rule_name(value)?),
            b"PluginHookList" => {
                self.has_plugin_hooks = !list(value, "PluginHookList")?.is_empty();
            }
            _ => {}
        }
        Ok(())
    }
}

/// Reads a gob `[]string`, such as the value of [`super::spec::CLIENT_ARGS`].
pub fn decode_string_slice(bytes: &[u8]) -> Result<Vec<Vec<u8>>, ParamsError> {
    arguments(&gob::decode(bytes)?, "[]string")
}

/// Reads a gob `map[string]string`, such as the value of [`super::spec::CLIENT_ENV_VARS`].
pub fn decode_string_map(bytes: &[u8]) -> Result<EnvVars, ParamsError> {
    const FIELD: &str = "map[string]string";
    collect(&gob::decode(bytes)?, FIELD, |value| raw_text(value, FIELD))
}

fn env_vars(value: &Value<'_>) -> Result<EnvVars, ParamsError> {
    collect(value, "EnvVars", |value| match value {
        Value::Interface(b"string", value) => raw_text(value, "EnvVars"),
        Value::Interface(name, _) => Err(ParamsError::EnvVar(String::from_utf8_lossy(name).into())),
        Value::Nil => Err(ParamsError::EnvVar("<nil>".into())),
        _ => Err(ParamsError::Kind("EnvVars")),
    })
}

/// A map of text; of a key that occurs twice the last value counts.
fn collect<'v>(
    value: &'v Value<'_>,
    field: &'static str,
    read: impl Fn(&'v Value<'_>) -> Result<&'v [u8], ParamsError>,
) -> Result<EnvVars, ParamsError> {
    let Value::Map(pairs) = value else {
        return Err(ParamsError::Kind(field));
    };
    let mut vars = EnvVars::new();
    for (key, value) in pairs {
        vars.insert(text(key, field)?, Secret::new(read(value)?));
    }
    Ok(vars)
}

fn raw_text<'v>(value: &'v Value<'_>, field: &'static str) -> Result<&'v [u8], ParamsError> {
    match value {
        Value::Text(bytes) => Ok(bytes),
        _ => Err(ParamsError::Kind(field)),
    }
}

fn text(value: &Value<'_>, field: &'static str) -> Result<String, ParamsError> {
    Ok(String::from_utf8_lossy(raw_text(value, field)?).into_owned())
}

fn json(value: &Value<'_>, field: &'static str) -> Result<Vec<u8>, ParamsError> {
    match value {
        Value::Bytes(bytes) => Ok(bytes.to_vec()),
        _ => Err(ParamsError::Kind(field)),
    }
}

fn list<'v, 'a>(value: &'v Value<'a>, field: &'static str) -> Result<&'v [Value<'a>], ParamsError> {
    match value {
        Value::List(values) => Ok(values),
        _ => Err(ParamsError::Kind(field)),
    }
}

fn arguments(value: &Value<'_>, field: &'static str) -> Result<Vec<Vec<u8>>, ParamsError> {
    let values = list(value, field)?.iter();
    values
        .map(|value| Ok(raw_text(value, field)?.to_vec()))
        .collect()
}

fn texts(value: &Value<'_>, field: &'static str) -> Result<Vec<String>, ParamsError> {
    let values = list(value, field)?.iter();
    values.map(|value| text(value, field)).collect()
}

fn rule_name(value: &Value<'_>) -> Result<String, ParamsError> {
    let Value::Struct(fields) = value else {
        return Err(ParamsError::Kind("AISessionAnalyzer"));
    };
    match fields.iter().find(|(name, _)| *name == b"RuleName") {
        Some((_, value)) => text(value, "RuleName"),
        None => Ok(String::new()),
    }
}
