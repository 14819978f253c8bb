//! Byte-for-byte against Go's own output, over every vector of these types.

use serde_json::Value as Json;

use super::*;
use crate::params::ConnectionParams;

fn vectors() -> Vec<Json> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/gob-vectors.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
        .collect()
}

fn text(json: &Json, name: &str) -> String {
    json[name].as_str().unwrap_or_default().to_owned()
}

fn texts(json: &Json) -> Vec<String> {
    json.as_array()
        .into_iter()
        .flatten()
        .map(|v| v.as_str().unwrap().to_owned())
        .collect()
}

fn bytes(json: &Json, name: &str) -> Vec<u8> {
    unhex(json[name]["$bytes"].as_str().unwrap_or_default())
}

fn entries(json: &Json) -> Vec<(String, String)> {
    json.as_object()
        .into_iter()
        .flatten()
        .map(|(k, v)| (k.clone(), v.as_str().unwrap().to_owned()))
        .collect()
}

/// Every order of up to four entries: Go's maps come in any.
fn orders(entries: &[(String, String)]) -> Vec<Vec<(String, String)>> {
    if entries.len() < 2 {
        return vec![entries.to_vec()];
    }
    let mut all = Vec::new();
    for (index, first) in entries.iter().enumerate() {
        let mut rest = entries.to_vec();
        rest.remove(index);
        for mut order in orders(&rest) {
            order.insert(0, first.clone());
            all.push(order);
        }
    }
    all
}

fn params(json: &Json) -> ConnectionParams {
    ConnectionParams {
        connection_name: text(json, "ConnectionName"),
        connection_type: text(json, "ConnectionType"),
        connection_subtype: text(json, "ConnectionSubType"),
        user_id: text(json, "UserID"),
        user_email: text(json, "UserEmail"),
        env_vars: json.get("EnvVars").map(entries),
        cmd_list: texts(&json["CmdList"]),
        client_args: texts(&json["ClientArgs"]),
        client_verb: text(json, "ClientVerb"),
        client_origin: text(json, "ClientOrigin"),
        dlp_provider: text(json, "DlpProvider"),
        dlp_mode: text(json, "DlpMode"),
        dlp_info_types: texts(&json["DLPInfoTypes"]),
        dlp_gcp_credentials: text(json, "DlpGcpRawCredentialsJSON"),
        dlp_presidio_analyzer_url: text(json, "DlpPresidioAnalyzerURL"),
        dlp_presidio_anonymizer_url: text(json, "DlpPresidioAnonymizerURL"),
        data_masking_entity_types: bytes(json, "DataMaskingEntityTypesData"),
        guard_rail_rules: bytes(json, "GuardRailRules"),
        analyzer_metrics_rules: bytes(json, "AnalyzerMetricsRules"),
        ai_session_analyzer: json.get("AISessionAnalyzer").map(|nested| {
            ConnectionParams::AI_FIELDS
                .iter()
                .map(|name| text(nested, name))
                .collect()
        }),
    }
}

fn only_texts(json: &Json) -> bool {
    json["EnvVars"]
        .as_object()
        .is_none_or(|map| map.values().all(Json::is_string))
}

#[test]
fn params_of_today_come_out_as_go_writes_them() {
    let mut compared = 0;
    for vector in vectors() {
        let name = vector["name"].as_str().unwrap();
        let json = &vector["json"];
        let small = json["EnvVars"].as_object().is_none_or(|map| map.len() < 5);
        if !name.starts_with("head-") || !only_texts(json) || !small {
            continue;
        }
        let wanted = vector["hex"].as_str().unwrap();
        let mut params = params(json);
        let found = orders(params.env_vars.as_deref().unwrap_or_default())
            .into_iter()
            .any(|order| {
                params.env_vars = params.env_vars.as_ref().map(|_| order);
                hex(&params.encode()) == wanted
            });
        assert!(found, "{name}: {}", hex(&params.encode()));
        compared += 1;
    }
    assert!(compared >= 12, "only {compared} vectors compared");
}

/// Type ids are counters of Go's process, so only what follows them can be compared.
#[test]
fn params_of_2024_have_the_length_that_go_gives_them() {
    for name in ["2024-zero", "2024-exec", "2024-tcp"] {
        let vectors = vectors();
        let vector = vectors
            .iter()
            .find(|vector| vector["name"] == name)
            .unwrap();
        let encoded = params(&vector["json"]).encode_of_2024();
        assert_eq!(
            hex(&encoded).len(),
            vector["hex"].as_str().unwrap().len(),
            "{name}"
        );
    }
}

#[test]
fn arguments_and_environments_come_out_as_go_writes_them_but_for_the_type_id() {
    let (mut arguments, mut environments) = (0, 0);
    for vector in vectors() {
        let name = vector["name"].as_str().unwrap();
        let wanted = vector["hex"].as_str().unwrap();
        if name.starts_with("args-") {
            let encoded = hex(&encode_strings(&texts(&vector["json"])));
            // Go's id was 67, ours is 65.
            assert_eq!(
                encoded.replace("ff82", "ff86").replacen("ff81", "ff85", 1),
                wanted,
                "{name}"
            );
            arguments += 1;
        } else if name.starts_with("envs-") {
            let found = orders(&entries(&vector["json"])).iter().any(|order| {
                let encoded = hex(&encode_string_map(order));
                encoded.replace("ff82", "ff8e").replacen("ff81", "ff8d", 1) == wanted
            });
            assert!(found, "{name}");
            environments += 1;
        }
    }
    assert!(arguments >= 4 && environments >= 3);
}
