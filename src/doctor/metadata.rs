//! What commands of sessions reach of the machine's own addresses. They share its network, or the container's,
//! whatever the agent refuses to its relays: only whoever owns machine and network can shut that door.

use std::time::{Duration, Instant};

use super::report::{CheckReport, CheckVerdict};
use crate::admin::dial::connect;
use crate::admin::request::{ApiRequest, encode};
use crate::admin::rest::exchange;
use crate::config::Surroundings;
use crate::http::{BaseUrl, Response, is_field_value};
use crate::secrets::ANSWER;

/// They are in the same machine; where nobody is, a firewall may say nothing, and so does a hop limit.
const PATIENCE: Duration = Duration::from_millis(300);
const INSTANCE: &str = "http://169.254.169.254";

/// Adds a finding.
pub fn check(report: &mut CheckReport<'_>, surroundings: Surroundings<'_>) {
    let start = Instant::now();
    let named = surroundings.get("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    let instance = named.as_deref().unwrap_or(INSTANCE);
    let mut verdict = CheckVerdict::Ok;
    let mut text = String::new();
    // Those behind it are of ECS and EKS Pod Identity.
    for place in [instance, "http://169.254.170.2", "http://169.254.170.23"] {
        let Ok(url) = BaseUrl::parse(place) else {
            continue;
        };
        if connect(&url.address, Instant::now() + PATIENCE).is_err() {
            continue;
        }
        let role = (place == instance).then(|| role_of(&url)).flatten();
        if !text.is_empty() {
            text.push_str("; ");
        }
        text.push_str(place);
        match role {
            Some(role) => {
                verdict = CheckVerdict::Warn;
                text.push_str(" gives commands of sessions this machine's role ");
                text.push_str(&role);
                text.push_str(GIVEN);
            }
            None => text.push_str(" answers commands of sessions, without a role of EC2"),
        }
    }
    if text.is_empty() {
        text.push_str(
            "no such address of AWS answers: commands of sessions find no role of this machine",
        );
    }
    report.add("metadata", verdict, start.elapsed(), &text);
}

const GIVEN: &str = ", whatever the agent refuses: take it off the machine, give the agent a network of its own and the \
     machine a hop limit of 1, or shut the address by a network policy";

/// The role that EC2 has for whoever asks, by a token where it gives one, else as its first version did.
fn role_of(url: &BaseUrl) -> Option<String> {
    let life = ("X-aws-ec2-metadata-token-ttl-seconds", "10");
    let token = ask(url, "PUT", "/latest/api/token", Some(life));
    let token = token.as_deref().map(str::trim);
    let header = token.map(|token| ("X-aws-ec2-metadata-token", token));
    let roles = ask(
        url,
        "GET",
        "/latest/meta-data/iam/security-credentials/",
        header,
    )?;
    let role = roles.lines().next()?.trim();
    (!role.is_empty()).then(|| role.to_owned())
}

/// The text of an answer of 200.
fn ask(
    url: &BaseUrl,
    method: &'static str,
    path: &str,
    header: Option<(&'static str, &str)>,
) -> Option<String> {
    let deadline = Instant::now() + PATIENCE;
    let mut stream = connect(&url.address, deadline).ok()?;
    let header = header.filter(|(_, value)| is_field_value(value));
    let request = encode(&ApiRequest {
        method,
        authority: &url.authority,
        path,
        headers: header.as_slice(),
        body: None,
    });
    let Response { status, body, .. } = exchange(&mut stream, &request, ANSWER).ok()?;
    String::from_utf8(body).ok().filter(|_| status == 200)
}
