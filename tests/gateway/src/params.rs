//! `AgentConnectionParams` as a gateway sends them (gateway-protocol 5.2).

use crate::gob::{Struct, Value, encode_struct};

/// What a gateway tells an agent about the connection that a session uses. Empty means zero.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct ConnectionParams {
    pub connection_name: String,
    pub connection_type: String,
    pub connection_subtype: String,
    pub user_id: String,
    pub user_email: String,
    /// `<kind>:<NAME>` and base64 text; `None` is Go's nil map.
    pub env_vars: Option<Vec<(String, String)>>,
    pub cmd_list: Vec<String>,
    pub client_args: Vec<String>,
    pub client_verb: String,
    pub client_origin: String,
    pub dlp_provider: String,
    pub dlp_mode: String,
    pub dlp_info_types: Vec<String>,
    pub dlp_gcp_credentials: String,
    pub dlp_presidio_analyzer_url: String,
    pub dlp_presidio_anonymizer_url: String,
    pub data_masking_entity_types: Vec<u8>,
    pub guard_rail_rules: Vec<u8>,
    pub analyzer_metrics_rules: Vec<u8>,
    /// In the order of `AI_FIELDS`.
    pub ai_session_analyzer: Option<Vec<String>>,
}

impl ConnectionParams {
    /// The fields of the AI session analyzer.
    pub const AI_FIELDS: &'static [&'static str] = &[
        "RuleName",
        "Provider",
        "APIURL",
        "APIKey",
        "Model",
        "CustomPrompt",
        "LowRiskAction",
        "MediumRiskAction",
        "HighRiskAction",
    ];

    /// The gob of today's gateway.
    pub fn encode(&self) -> Vec<u8> {
        let text = |text: &String| Value::Text(text.clone());
        let ai = self.ai_session_analyzer.clone();
        encode_struct(&Struct {
            name: "AgentConnectionParams",
            fields: vec![
                ("ConnectionName", text(&self.connection_name)),
                ("ConnectionType", text(&self.connection_type)),
                ("ConnectionSubType", text(&self.connection_subtype)),
                ("UserID", text(&self.user_id)),
                ("UserEmail", text(&self.user_email)),
                ("EnvVars", Value::AnyMap(self.env_vars.clone())),
                ("CmdList", Value::Texts(self.cmd_list.clone())),
                ("ClientArgs", Value::Texts(self.client_args.clone())),
                ("ClientVerb", text(&self.client_verb)),
                ("ClientOrigin", text(&self.client_origin)),
                ("DlpProvider", text(&self.dlp_provider)),
                ("DlpMode", text(&self.dlp_mode)),
                ("DLPInfoTypes", Value::Texts(self.dlp_info_types.clone())),
                ("DlpGcpRawCredentialsJSON", text(&self.dlp_gcp_credentials)),
                (
                    "DlpPresidioAnalyzerURL",
                    text(&self.dlp_presidio_analyzer_url),
                ),
                (
                    "DlpPresidioAnonymizerURL",
                    text(&self.dlp_presidio_anonymizer_url),
                ),
                (
                    "DataMaskingEntityTypesData",
                    Value::Bytes(self.data_masking_entity_types.clone()),
                ),
                (
                    "GuardRailRules",
                    Value::Bytes(self.guard_rail_rules.clone()),
                ),
                (
                    "AnalyzerMetricsRules",
                    Value::Bytes(self.analyzer_metrics_rules.clone()),
                ),
                (
                    "AISessionAnalyzer",
                    Value::Nested("AISessionAnalyzerParams", Self::AI_FIELDS, ai),
                ),
            ],
        })
    }

    /// The gob of a gateway of July 2024, which knows fewer fields.
    pub fn encode_of_2024(&self) -> Vec<u8> {
        let text = |text: &String| Value::Text(text.clone());
        encode_struct(&Struct {
            name: "AgentConnectionParams",
            fields: vec![
                ("ConnectionName", text(&self.connection_name)),
                ("ConnectionType", text(&self.connection_type)),
                ("UserID", text(&self.user_id)),
                ("UserEmail", text(&self.user_email)),
                ("EnvVars", Value::AnyMap(self.env_vars.clone())),
                ("CmdList", Value::Texts(self.cmd_list.clone())),
                ("ClientArgs", Value::Texts(self.client_args.clone())),
                ("ClientVerb", text(&self.client_verb)),
                ("ClientOrigin", text(&self.client_origin)),
                ("DLPInfoTypes", Value::Texts(self.dlp_info_types.clone())),
                ("PluginHookList", Value::NoMaps),
            ],
        })
    }
}
