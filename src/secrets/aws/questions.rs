//! What questions to AWS are made of: forms, requests, signatures.

use std::time::Duration;

use super::endpoints::Service;
use super::identity::{Credentials, Role};
use super::sigv4::{self, Request, Scope};
use crate::base::Secret;
use crate::http::{BaseUrl, Response, encode_segment};
use crate::limits;
use crate::secrets::asking::{Ask, Found, Origin, Trouble, World, request};
use crate::secrets::words::{self, Cause};

/// The header of a form.
pub const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
/// Of STS.
pub const VERSION: &str = "2011-06-15";
/// A question to an address of the machine: by number, in the clear, and by no proxy.
pub fn metadata(
    url: &BaseUrl,
    (method, path): (&str, &str),
    header: Option<(&str, &str)>,
    most: Duration,
    world: &World<'_>,
) -> Ask {
    let mut origin = Origin::of(url, world);
    origin.is_metadata = true;
    origin.via = None;
    let headers: Vec<(&str, &str)> = header.into_iter().collect();
    Ask {
        origin,
        request: request(method, &url.authority, &[&url.prefix, path], &headers, None),
        dial_max: most,
        answer_max: Some(most),
        is_repeatable: false,
    }
}

/// What a role's session is called.
pub fn session_of(role: &Role, world: &World<'_>) -> String {
    match &role.session[..] {
        "" => ["hoop-lite-", &world.clock.to_string()].concat(),
        session => session.to_owned(),
    }
}

/// A form's text; the pairs are sorted by their names.
pub fn form(pairs: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(
        pairs
            .iter()
            .map(|(name, value)| name.len() + 3 * value.len() + 2)
            .sum(),
    );
    for (name, value) in pairs {
        if !out.is_empty() {
            out.push('&');
        }
        out.push_str(name);
        out.push('=');
        out.push_str(&encode_segment(value));
    }
    out
}

/// A signed `POST` to a service.
pub fn signed(
    url: &BaseUrl,
    service: Service,
    region: &str,
    headers: &[(&str, &str)],
    body: &Secret,
    by: &Credentials,
    world: &mut World<'_>,
) -> Result<Ask, Cause> {
    let path = [&url.prefix[..], "/"].concat();
    let scope = Scope {
        time: world.aws_clock(),
        region,
        service: service.name(),
    };
    let added = sigv4::sign(
        &Request {
            method: "POST",
            host: &url.authority,
            path: &path,
            query: &[],
            headers,
            body: body.expose(),
        },
        scope,
        by,
    );
    let mut all = headers.to_vec();
    for (name, value) in &added {
        all.push((name, value.expose_text().unwrap_or("")));
    }
    ask(
        url,
        request("POST", &url.authority, &[&path], &all, Some(body)),
        world,
    )
}

/// Amazon's services are believed by `AWS_CA_BUNDLE` alone where that is set.
pub fn ask(url: &BaseUrl, request: Secret, world: &mut World<'_>) -> Result<Ask, Cause> {
    let mut origin = Origin::of(url, world);
    if let Some(path) = world
        .stores
        .settings
        .get("AWS_CA_BUNDLE")
        .map(str::to_owned)
    {
        let bundle = (world.file)(&path).map_err(|_| Cause::file("AWS_CA_BUNDLE"))?;
        origin.authorities = Some(bundle);
    }
    Ok(Ask {
        origin,
        request,
        dial_max: limits::STORE_DIAL_MAX,
        answer_max: None,
        is_repeatable: true,
    })
}

/// An answer, whatever it says; what the user reads where there is none.
pub fn heard_of<'a>(
    who: &str,
    answer: Result<&'a Response, &Trouble>,
    found: &mut Found,
) -> Result<&'a Response, Cause> {
    answer.map_err(|trouble| {
        found.note_trouble(who, trouble);
        match trouble {
            Trouble::Malformed => words::MALFORMED,
            trouble => trouble.cause(who),
        }
    })
}
