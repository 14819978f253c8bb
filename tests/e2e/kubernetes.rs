//! The agent in a pod: what the charts and manifests of others give it.

use loopback_gateway::{AgentProcess, Gateway, Security};

use crate::world::{AGENT, environment};

/// What upstream's chart `hoopagent-chart` always sets beside the key, with nothing but a key and an image chosen
/// (its Secret `agent-config`, August 2026): most of it empty, and a file that is not there.
const OF_THE_CHART: &[(&str, &str)] = &[
    ("HOOP_SPIFFE_KEY_FILE", "/run/spiffe/agent.jwt"),
    ("HOOP_SPIFFE_NAME", ""),
    ("HOOP_GRPCURL", ""),
    ("HOOP_GRPC_INSECURE", ""),
    ("HOOP_TLS_SKIP_VERIFY", ""),
    ("HOOP_GATEWAY_URL", ""),
    ("MSPRESIDIO_ANALYZER_URL", ""),
    ("MSPRESIDIO_ANONYMIZER_URL", ""),
    ("VAULT_ADDR", ""),
    ("VAULT_TOKEN", ""),
    ("VAULT_CACERT", ""),
    ("VAULT_APP_ROLE_ID", ""),
    ("VAULT_APP_ROLE_SECRET_ID", ""),
    ("VAULT_HTTP_REQ_TIMEOUT", ""),
    ("DLP_MODE", ""),
    ("ALCATRAZ_NER_MODEL_PATH", ""),
    ("LOG_ENCODING", "json"),
    ("LOG_LEVEL", "info"),
    ("LOG_GRPC", "0"),
    ("GODEBUG", "http2debug=0"),
];

#[test]
fn the_variables_of_upstreams_chart_are_no_hindrance() {
    let gateway = Gateway::start(Security::Tls);
    let key = gateway.register("demo", "standard");
    let agent = AgentProcess::start(AGENT, &environment(&gateway, &key, OF_THE_CHART));
    gateway.wait_online("demo");
    agent.wait_text("connected with success");
    let warned: Vec<String> = agent.lines();
    assert!(
        warned.iter().all(|line| !line.contains("\"warn\"")),
        "{warned:#?}"
    );
}

#[test]
fn the_chart_without_a_key_is_told_what_it_lacks() {
    let variables: Vec<(String, String)> = OF_THE_CHART
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let agent = AgentProcess::start(AGENT, &variables);
    agent.wait_text("HOOP_SPIFFE_KEY_FILE requires HOOP_GRPCURL to be set");
    assert!(!agent.wait_exit().success());
}
