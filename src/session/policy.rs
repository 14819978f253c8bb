//! Features that a session may demand and that this agent does not enforce: refused, by name.
//!
//! Running a session without the protection that its administrator configured would be worse than
//! not running it, so everything here fails closed.

use crate::packet::ConnectionParams;

/// The sentence for the session's user, or `None` when nothing is demanded that we lack.
pub fn unmet_demand(params: &ConnectionParams, has_gcp_key: bool) -> Option<String> {
    let what = if !is_blank_rules(&params.guard_rail_rules) {
        "guardrail rules"
    } else if demands_masking(params, has_gcp_key) {
        "data masking"
    } else if params.has_plugin_hooks {
        "plugin hooks"
    } else if params.ai_session_analyzer.is_some() {
        "AI session analysis"
    } else {
        return None;
    };
    Some(format!(
        "connection has {what} configured, which this agent cannot enforce; remove it from this \
         connection or use another agent"
    ))
}

fn demands_masking(params: &ConnectionParams, has_gcp_key: bool) -> bool {
    let types_named =
        !params.dlp_info_types.is_empty() || !is_blank_json(&params.data_masking_entity_types);
    let provider_named = !params.dlp_provider.is_empty()
        || !params.dlp_gcp_credentials.expose().is_empty()
        || has_gcp_key;
    types_named && provider_named
}

/// JSON that says nothing: absent, white space, `null` or an empty container.
fn is_blank_json(json: &[u8]) -> bool {
    let text: Vec<u8> = json
        .iter()
        .copied()
        .filter(|b| !b.is_ascii_whitespace())
        .collect();
    matches!(&text[..], b"" | b"null" | b"[]" | b"{}")
}

/// Guard rails without a single rule: both lists absent, `null` or empty.
fn is_blank_rules(json: &[u8]) -> bool {
    if is_blank_json(json) {
        return true;
    }
    let text: Vec<u8> = json
        .iter()
        .copied()
        .filter(|b| !b.is_ascii_whitespace())
        .collect();
    let Ok(text) = std::str::from_utf8(&text) else {
        return false;
    };
    let Some(inner) = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')) else {
        return false;
    };
    inner.split(',').all(|part| {
        matches!(
            part,
            "\"input_rules\":null"
                | "\"output_rules\":null"
                | "\"input_rules\":[]"
                | "\"output_rules\":[]"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Secret;

    fn params() -> ConnectionParams {
        ConnectionParams {
            connection_type: "tcp".into(),
            ..ConnectionParams::default()
        }
    }

    #[test]
    fn nothing_demanded_nothing_refused() {
        let mut params = params();
        assert_eq!(unmet_demand(&params, true), None);
        for blank in [
            "",
            " \n",
            "null",
            "{}",
            "{\"input_rules\": null, \"output_rules\": []}",
        ] {
            params.guard_rail_rules = blank.into();
            assert_eq!(unmet_demand(&params, false), None, "{blank}");
        }
    }

    #[test]
    fn rules_that_are_not_understood_count_as_rules() {
        for rules in [
            "[1]",
            "{\"input_rules\":[{\"rules\":[]}]}",
            "{\"other\":null}",
            "x",
            "\u{ff}",
        ] {
            let params = ConnectionParams {
                guard_rail_rules: rules.into(),
                ..params()
            };
            // Of commands, too, before which no proxy stands.
            let text = unmet_demand(&params, false).unwrap();
            let words =
                "connection has guardrail rules configured, which this agent cannot enforce";
            assert!(text.starts_with(words), "{rules}: {text}");
        }
    }

    #[test]
    fn masking_is_demanded_by_types_together_with_a_provider() {
        let mut params = ConnectionParams {
            dlp_info_types: vec!["EMAIL".into()],
            ..params()
        };
        assert_eq!(unmet_demand(&params, false), None);
        assert!(
            unmet_demand(&params, true)
                .unwrap()
                .contains("data masking")
        );
        params.dlp_provider = "mspresidio".into();
        assert!(
            unmet_demand(&params, false)
                .unwrap()
                .contains("data masking")
        );
        params.dlp_provider.clear();
        params.dlp_gcp_credentials = Secret::new("{}");
        assert!(
            unmet_demand(&params, false)
                .unwrap()
                .contains("data masking")
        );
    }

    #[test]
    fn hooks_and_analysis_are_named() {
        let hooks = ConnectionParams {
            has_plugin_hooks: true,
            ..params()
        };
        assert!(
            unmet_demand(&hooks, false)
                .unwrap()
                .contains("plugin hooks")
        );
        let analysis = ConnectionParams {
            ai_session_analyzer: Some("rule".into()),
            ..params()
        };
        assert!(
            unmet_demand(&analysis, false)
                .unwrap()
                .contains("AI session analysis")
        );
    }
}
