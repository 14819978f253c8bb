//! What commands of sessions reach of the machine's own addresses. They share its network, or the container's,
//! whatever the agent refuses to its relays: only whoever owns machine and network can shut that door.

use std::time::{Duration, Instant};

use super::report::{CheckReport, CheckVerdict};
use crate::admin::dial::connect;
use crate::admin::request::{ApiRequest, encode};
use crate::admin::rest::exchange;
use crate::base::plain::shortened;
use crate::config::Surroundings;
use crate::http::{BaseUrl, Response, is_field_value};
use crate::secrets::{ANSWER, metadata};

/// They are in the same machine; where nobody is, a firewall may say nothing, and so does a hop limit.
const PATIENCE: Duration = Duration::from_millis(250);
/// Of a role's name.
const ROLE_SHOWN: usize = 128;

/// Where a machine learns who it is, as URLs.
#[derive(Clone, Copy)]
pub struct MetadataPlaces<'a> {
    /// EC2's, and what other clouds have there.
    pub machine: &'a [&'a str],
    /// Those of ECS and EKS Pod Identity.
    pub container: &'a [&'a str],
}

impl MetadataPlaces<'static> {
    /// Where they are.
    pub const AMAZONS: Self = Self {
        machine: &[metadata::INSTANCE, metadata::INSTANCE_IPV6],
        container: &[metadata::TASK, metadata::POD, metadata::POD_IPV6],
    };
}

/// Adds a finding.
pub fn check(
    report: &mut CheckReport<'_>,
    surroundings: Surroundings<'_>,
    places: MetadataPlaces<'_>,
) {
    let start = Instant::now();
    let named = surroundings.get("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    let machine = named
        .as_deref()
        .into_iter()
        .chain(places.machine.iter().copied());
    let mut found = Vec::new();
    let mut verdict = CheckVerdict::Ok;
    for place in machine {
        if let Some(url) = answering(place) {
            let (is_bare, text) = of_machine(&url);
            if !is_bare {
                verdict = CheckVerdict::Warn;
            }
            found.push([place, &text].concat());
        }
    }
    for place in places.container {
        if answering(place).is_some() {
            verdict = CheckVerdict::Warn;
            found.push([*place, CONTAINER].concat());
        }
    }
    if found.is_empty() {
        found.push(NOBODY.to_owned());
    }
    report.add("metadata", verdict, start.elapsed(), &found.join("; "));
}

/// In the clear, as all of them are.
fn answering(place: &str) -> Option<BaseUrl> {
    let url = BaseUrl::parse(place).ok().filter(|url| !url.is_tls)?;
    let is_there = connect(&url.address, Instant::now() + PATIENCE).is_ok();
    is_there.then_some(url)
}

/// What a machine's address gives to whoever asks, by a token where it gives one, else as its first version did;
/// `true`: nothing.
fn of_machine(url: &BaseUrl) -> (bool, String) {
    let life = (metadata::TOKEN_LIFE, "10");
    let token = ask(url, "PUT", metadata::TOKEN_PATH, Some(life));
    let header = token.as_deref().map(str::trim);
    let header = header.map(|token| (metadata::TOKEN, token));
    let roles = ask(url, "GET", metadata::ROLES_PATH, header);
    let role = roles.as_deref().and_then(|roles| roles.lines().next());
    match role.map(str::trim).filter(|role| !role.is_empty()) {
        Some(role) => (false, [GIVES, &shortened(role, ROLE_SHOWN), GIVEN].concat()),
        None if token.is_some() => (true, BARE.to_owned()),
        None => (false, OTHER.to_owned()),
    }
}

const GIVES: &str = " gives commands of sessions this machine's role ";
const GIVEN: &str = ", whatever the agent refuses: take it off the machine, give the agent a network of its own and the \
     machine a hop limit of 1, or shut the address by a network policy";
const BARE: &str = " answers commands of sessions, without a role of EC2";
const OTHER: &str =
    " answers commands of sessions: of another cloud, perhaps with an identity of its own";
const CONTAINER: &str = " answers: a command that knows the path or token file of AWS_CONTAINER_ variables gets the \
     task's or pod's role: keep them from sessions";
const NOBODY: &str =
    "no such address of AWS answers: commands of sessions find no role of this machine";

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
        path: &[&url.prefix, path].concat(),
        headers: header.as_slice(),
        body: None,
    });
    let Response { status, body, .. } = exchange(&mut stream, &request, ANSWER).ok()?;
    String::from_utf8(body).ok().filter(|_| status == 200)
}
