//! Who the agent is for the secret stores that its variables lead to: by the conversations that sessions have, each
//! question once and over a connection of its own, and no secret is read.

use std::io;
use std::time::Instant;

use super::clock;
use super::report::{CheckReport, CheckVerdict};
use crate::admin::dial::{DialError, reach};
use crate::admin::rest::{CallError, exchange};
use crate::base::{Roots, Trust, Verify, wipe};
use crate::config::{Surroundings, proxy};
use crate::http::{HttpError, Response};
use crate::os::bundle::AuthorityBundle;
use crate::secrets::{
    self, Ask, Fetch, Found, Needs, Origin, Settings, Step, Stores, Trouble, World,
};
use crate::tls::{Alpn, Configuration, Subject, Versions};

/// A finding for AWS and one for Vault; `names` are those of all variables.
pub fn check(report: &mut CheckReport<'_>, surroundings: Surroundings<'_>, names: &[String]) {
    let value = |name: &String| Some((name.clone(), (surroundings.variable)(name)?.into_bytes()));
    let mut stores = Stores::new(Settings::new(names.iter().filter_map(value)));
    let is_any_set = |names: &[&str]| names.iter().any(|name| stores.settings.get(name).is_some());
    let (has_aws, has_vault) = (is_any_set(&OF_AWS), is_any_set(&OF_VAULT));
    let of_aws = Fetch::aws(Vec::new(), Needs::Identity);
    let both = [
        ("aws", of_aws, has_aws),
        ("vault", Fetch::vault_identity(), has_vault),
    ];
    for (name, fetch, is_set_up) in both {
        let start = Instant::now();
        let found = converse(fetch, &mut stores, surroundings);
        let (verdict, text) = describe(found, is_set_up);
        report.add(name, verdict, start.elapsed(), &text);
    }
}

fn describe(found: Found, is_set_up: bool) -> (CheckVerdict, String) {
    let verdict = match &found.needs {
        None if found.notes.is_empty() => CheckVerdict::Ok,
        Some(_) if is_set_up || found.has_credentials => CheckVerdict::Fail,
        // Nobody wants the store: not even a profile has kept the agent from the last of all places.
        Some(_) if matches!(found.passed.len(), 0 | PLACES) => CheckVerdict::Ok,
        _ => CheckVerdict::Warn,
    };
    let before = match (verdict, &found.needs) {
        (CheckVerdict::Ok, Some(_)) => "none is set up: ",
        _ => "",
    };
    let cause = found
        .needs
        .map(|cause| [before, &cause.to_string()].concat())
        // It stands behind, here.
        .map(|text| text.replace(" (the agent's log says why)", ""));
    let mut parts: Vec<String> = cause.into_iter().collect();
    parts.extend(found.facts);
    if !found.passed.is_empty() {
        parts.push(["passed over: ", &found.passed.join(", ")].concat());
    }
    parts.extend(found.notes);
    (verdict, parts.join("; "))
}

/// Variables that choose credentials: whoever sets one wants that store.
const OF_AWS: [&str; 12] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_ACCESS_KEY",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];
const OF_VAULT: [&str; 4] = [
    "VAULT_ADDR",
    "VAULT_TOKEN",
    "VAULT_APP_ROLE_ID",
    "VAULT_APP_ROLE_SECRET_ID",
];
/// Where credentials are looked for before the machine is asked.
const PLACES: usize = 4;

fn converse(mut fetch: Fetch, stores: &mut Stores, surroundings: Surroundings<'_>) -> Found {
    let deadline = Instant::now() + stores.settings.fetch_max();
    loop {
        let mut world = World {
            stores: &mut *stores,
            file: &mut |path| (surroundings.read_file)(path),
            now: Instant::now(),
            clock: clock::now(),
        };
        match fetch.next(&mut world) {
            Step::Over => return fetch.finish(),
            Step::Ask(_) if world.now >= deadline => fetch.give_up(),
            Step::Ask(ask) => {
                let own = ask.answer_max.map(|most| world.now + most);
                let deadline = own.map_or(deadline, |own| own.min(deadline));
                match question(ask, surroundings, deadline) {
                    Ok(mut response) => {
                        fetch.answered(Ok(&response), &mut world);
                        wipe(&mut response.body);
                    }
                    Err(trouble) => fetch.answered(Err(&trouble), &mut world),
                }
            }
        }
    }
}

fn question(
    ask: Ask,
    surroundings: Surroundings<'_>,
    deadline: Instant,
) -> Result<Response, Trouble> {
    let Origin {
        is_tls, address, ..
    } = &ask.origin;
    let (mut proxy, mut tls) = (None, None);
    if *is_tls && !ask.origin.is_metadata {
        proxy = proxy::for_target(surroundings, address).ok().flatten();
    }
    if *is_tls {
        let trust = trust(&ask.origin, surroundings);
        let configuration = Configuration::new(&trust, Alpn::Http1, Versions::Any);
        let configuration = configuration.map_err(|error| Trouble::Tls(error.to_string()))?;
        tls = Some((configuration, &address.host[..]));
    }
    let mut stream = reach(proxy.as_ref(), address, tls, deadline).map_err(unreachable)?;
    let answer = exchange(&mut *stream, &ask.request, secrets::ANSWER);
    answer.map_err(|error| match error {
        CallError::Http(HttpError::NoAnswer | HttpError::Truncated) => Trouble::Broke,
        CallError::Http(_) => Trouble::Malformed,
        CallError::Dial(DialError::Io(io::ErrorKind::TimedOut)) => Trouble::Silent,
        CallError::Dial(error) => unreachable(error),
    })
}

/// As sessions believe it: who is named, or the public's authorities and the system's.
fn trust(origin: &Origin, surroundings: Surroundings<'_>) -> Trust {
    let verify = match origin.is_unverified {
        true => Verify::Nobody,
        false => Verify::Full,
    };
    let bundle = || AuthorityBundle::new(surroundings.get("SSL_CERT_FILE")).read();
    let roots = match origin.authorities.clone() {
        Some(pem) => Roots::Only(pem),
        None => bundle().map_or(Roots::Public, Roots::PublicAnd),
    };
    Trust { roots, verify }
}

fn unreachable(error: DialError) -> Trouble {
    match error {
        DialError::Tls(error) => Trouble::Tls(error.explain(&Subject::STORE)),
        DialError::ServerName(_) => Trouble::Tls(error.to_string()),
        // Their advice is about the gateway.
        DialError::Connect(failures) => {
            let last = failures
                .last()
                .map_or(io::ErrorKind::NotFound, |(_, kind)| *kind);
            Trouble::Unreachable(last.to_string())
        }
        other => Trouble::Unreachable(other.to_string()),
    }
}
