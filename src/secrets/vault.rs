//! Vault, and OpenBao: key-value engines of both versions, by token or AppRole.
//!
//! Promises: the token goes to Vault's own address alone (one redirect to the same host, or over TLS to the name that
//! an active node has), the AppRole's pair nowhere else; nothing is read that would hand out what the agent logs in by.
//! Upstream's requests, with the namespace that Vault's own tools send.

use std::time::Duration;

use super::fetch::{Ask, Found, Origin, Step, Trouble, World};
use super::plan::{Provider, Want};
use super::value::{Takes, of_key};
use super::words::{self, Cause};
use crate::base::Secret;
use crate::base::plain::shortened;
use crate::http::{BaseUrl, Response, encode_segment, is_field_value};
use crate::limits;
use crate::wire::{base64, json, json_text, percent};

const WHO: &str = "Vault";

/// How the agent logs in.
enum Login {
    Token(Secret),
    AppRole { role: Secret, secret: Secret },
}

/// What the agent's variables say about Vault.
struct Door {
    url: BaseUrl,
    login: Login,
    namespace: Option<String>,
    authorities: Option<Vec<u8>>,
    is_unverified: bool,
}

/// What was asked last.
#[derive(Clone, PartialEq, Eq)]
enum Asked {
    Nothing,
    Login,
    /// The want at hand; at this address, where an answer has named one.
    Want(Option<(BaseUrl, String)>),
}

/// See the module.
pub struct Vault {
    wants: Vec<Want>,
    /// Of the want at hand.
    position: usize,
    door: Option<Door>,
    token: Option<Secret>,
    /// The token is one of an earlier session: if it is refused, there is another.
    is_kept: bool,
    asked: Asked,
}

impl Vault {
    pub(super) fn new(wants: Vec<Want>) -> Self {
        Self {
            wants,
            position: 0,
            door: None,
            token: None,
            is_kept: false,
            asked: Asked::Nothing,
        }
    }

    pub(super) fn next(&mut self, found: &mut Found, world: &mut World<'_>) -> Step {
        loop {
            if self.position >= self.wants.len() {
                return Step::Over;
            }
            if self.door.is_none() {
                match Door::find(found, world) {
                    Ok(door) => self.door = Some(door),
                    Err(cause) => self.give_up(&cause, found),
                }
                continue;
            }
            if self.token.is_none() {
                if let Some(step) = self.log_in(world) {
                    return step;
                }
                continue;
            }
            match self.ask_want(world) {
                Ok(step) => return step,
                Err(cause) => self.refuse_one(&cause, found),
            }
        }
    }

    /// A token is there, or is asked for.
    fn log_in(&mut self, world: &mut World<'_>) -> Option<Step> {
        let door = self.door.as_ref()?;
        let (role, secret) = match &door.login {
            Login::Token(token) => {
                self.token = Some(token.clone());
                return None;
            }
            Login::AppRole { role, secret } => (role, secret),
        };
        if let Some((token, until)) = &world.stores.vault
            && *until > world.now
        {
            (self.token, self.is_kept) = (Some(token.clone()), true);
            return None;
        }
        self.is_kept = false;
        self.asked = Asked::Login;
        let mut body = String::with_capacity(64 + 2 * (role.capacity() + secret.capacity()));
        body.push_str("{\"role_id\":");
        json::write_string(&mut body, role.expose_text().unwrap_or(""));
        body.push_str(",\"secret_id\":");
        json::write_string(&mut body, secret.expose_text().unwrap_or(""));
        body.push('}');
        let body = Secret::new(body);
        let path = "/v1/auth/approle/login";
        Some(Step::Ask(door.ask(
            &door.url,
            ("POST", path),
            None,
            Some(&body),
            world,
        )))
    }

    fn ask_want(&mut self, world: &World<'_>) -> Result<Step, Cause> {
        let (Some(door), Some(want)) = (&self.door, self.wants.get(self.position)) else {
            return Ok(Step::Over);
        };
        let (url, path) = match &self.asked {
            Asked::Want(Some((url, path))) => (url, path.clone()),
            _ => (&door.url, path_of(want)?),
        };
        let step = Step::Ask(door.ask(url, ("GET", &path), self.token.as_ref(), None, world));
        if !matches!(self.asked, Asked::Want(Some(_))) {
            self.asked = Asked::Want(None);
        }
        Ok(step)
    }

    pub(super) fn answered(
        &mut self,
        answer: Result<&Response, &Trouble>,
        found: &mut Found,
        world: &mut World<'_>,
    ) {
        let response = match answer {
            Ok(response) => response,
            Err(trouble) => {
                let place = self.door.as_ref().map_or("", |door| &door.url.authority);
                found.note(&["Vault at ", place, ": ", trouble.note()]);
                let mut cause = trouble.cause(WHO);
                if matches!(trouble, Trouble::Tls(_))
                    && world.stores.settings.is_true("HOOP_TLS_SKIP_VERIFY")
                {
                    cause = UNVERIFIED;
                }
                // Whatever is left would meet the same.
                return self.give_up(&cause, found);
            }
        };
        match std::mem::replace(&mut self.asked, Asked::Nothing) {
            Asked::Nothing => {}
            Asked::Login => match self.logged_in(response, found, world) {
                Ok(token) => self.token = Some(token),
                Err(cause) => self.give_up(&cause, found),
            },
            Asked::Want(elsewhere) => {
                if matches!(response.status, 307 | 308) && elsewhere.is_none() {
                    match self.redirected(response) {
                        Some(place) => self.asked = Asked::Want(Some(place)),
                        None => self.refuse_one(&REDIRECT, found),
                    }
                    return;
                }
                if response.status == 403 && self.is_kept {
                    // It was revoked, or its lease is over by another clock.
                    world.stores.vault = None;
                    self.token = None;
                    return;
                }
                self.read(response, found);
            }
        }
    }

    fn logged_in(
        &mut self,
        response: &Response,
        found: &mut Found,
        world: &mut World<'_>,
    ) -> Result<Secret, Cause> {
        if response.status != 200 {
            note_errors(response, "the login by AppRole", found);
            return Err(match response.status {
                400 | 401 | 403 => Cause::fixed("Vault refused the agent's AppRole"),
                status => Cause::answered(WHO, "", status),
            });
        }
        let body = text(response);
        let auth = json_text::member(body, "auth").ok_or(words::MALFORMED)?;
        let token = json_text::member(auth, "client_token").and_then(json_text::string);
        let token = token.filter(|token| !token.is_empty() && is_field_value(token));
        let token = Secret::new(token.ok_or(words::MALFORMED)?);
        let lease = json_text::member(auth, "lease_duration").and_then(|it| it.parse::<u32>().ok());
        let lease = Duration::from_secs(u64::from(lease.unwrap_or(0)));
        // A batch token without an end, or one for a single use, is not kept.
        let uses = json_text::member(auth, "num_uses").unwrap_or("0");
        if !lease.is_zero() && uses == "0" {
            world.stores.vault = Some((token.clone(), world.now + lease * 2 / 3));
        }
        Ok(token)
    }

    /// Where the token may go: the same host, or over TLS where it was over TLS.
    fn redirected(&self, response: &Response) -> Option<(BaseUrl, String)> {
        let door = self.door.as_ref()?;
        let place = response.header("location")?;
        if place.starts_with('/') && !place.starts_with("//") {
            return is_field_value(place).then(|| (door.bare(), place.to_owned()));
        }
        let start = place.find("://")? + 3;
        let path = place.get(start..)?.find('/').map(|at| start + at)?;
        let (base, path) = place.split_at(path);
        let url = BaseUrl::parse(base).ok()?;
        let is_same_host = url
            .address
            .host
            .eq_ignore_ascii_case(&door.url.address.host);
        let is_allowed = match door.url.is_tls {
            true => url.is_tls,
            false => is_same_host,
        };
        let is_path = path.bytes().all(|byte| byte.is_ascii_graphic());
        (is_allowed && is_path).then(|| (url, path.to_owned()))
    }

    /// The answer for the want at hand.
    fn read(&mut self, response: &Response, found: &mut Found) {
        let (Some(want), Some(door)) = (self.wants.get(self.position), &self.door) else {
            return;
        };
        self.position += 1;
        if response.status != 200 {
            let is_denied = note_errors(response, &want.id, found);
            let cause = match response.status {
                403 if is_denied => Cause::fixed("Vault answered permission denied (403)"),
                404 => NOT_FOUND,
                status => Cause::answered(WHO, "", status),
            };
            return found.refuse(want, &cause);
        }
        let object = match data_of(text(response), want.provider) {
            Ok(object) => object,
            Err(cause) => return found.refuse(want, &cause),
        };
        let takes = match want.provider {
            Provider::VaultKv1 => Takes::Text,
            _ => Takes::Any,
        };
        for (number, key) in &want.keys {
            let value = of_key(object, key, takes).and_then(|value| {
                let own = self.token.iter().chain(door.login.secrets());
                let hands_out = |own: &Secret| is_handed_out(value.expose(), own.expose());
                match { own }.any(hands_out) {
                    true => Err(words::OWN),
                    false => Ok(value),
                }
            });
            found.values.push((*number, value));
        }
    }

    fn refuse_one(&mut self, cause: &Cause, found: &mut Found) {
        if let Some(want) = self.wants.get(self.position) {
            found.refuse(want, cause);
            self.position += 1;
        }
    }

    pub(super) fn give_up(&mut self, cause: &Cause, found: &mut Found) {
        for want in self.wants.iter().skip(self.position) {
            found.refuse(want, cause);
        }
        self.position = self.wants.len();
    }
}

/// A value is what we log in with, or has it in it. A short one may be part of anything.
fn is_handed_out(value: &[u8], own: &[u8]) -> bool {
    value == own || (own.len() >= 16 && is_within(value, own))
}

fn is_within(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

impl Login {
    /// What no session may read.
    fn secrets(&self) -> impl Iterator<Item = &Secret> {
        let both = match self {
            Self::Token(token) => [token, token],
            Self::AppRole { role, secret } => [role, secret],
        };
        both.into_iter()
    }
}

impl Door {
    fn find(found: &mut Found, world: &mut World<'_>) -> Result<Self, Cause> {
        let login = Self::login(found, world)?;
        let address = world.stores.settings.get("VAULT_ADDR").unwrap_or("").trim();
        let url = match BaseUrl::parse(address) {
            Ok(url) => url,
            Err(_) if address.is_empty() => return Err(NO_ADDRESS),
            Err(error) => {
                found.note(&["VAULT_ADDR: ", &error.to_string()]);
                return Err(Cause::setting(
                    "VAULT_ADDR",
                    "is no URL: the agent's log says why",
                ));
            }
        };
        let authorities = match setting("VAULT_CACERT", found, world)? {
            None => None,
            Some(text) => Some(match is_pem(&text) {
                true => text.expose().to_vec(),
                // As Vault's own tools take it.
                false => file(
                    "VAULT_CACERT",
                    text.expose_text().unwrap_or(""),
                    found,
                    world,
                )?
                .expose()
                .to_vec(),
            }),
        };
        let namespace = world.stores.settings.get("VAULT_NAMESPACE");
        let namespace = namespace
            .map(|it| it.trim().to_owned())
            .filter(|it| is_field_value(it));
        Ok(Self {
            url,
            login,
            namespace,
            authorities,
            is_unverified: world.stores.settings.is_true("VAULT_SKIP_VERIFY"),
        })
    }

    fn login(found: &mut Found, world: &mut World<'_>) -> Result<Login, Cause> {
        let role = setting("VAULT_APP_ROLE_ID", found, world)?;
        let secret = setting("VAULT_APP_ROLE_SECRET_ID", found, world)?;
        match (role, secret) {
            (Some(role), Some(secret)) => Ok(Login::AppRole { role, secret }),
            (Some(_), None) => Err(NO_SECRET_ID),
            (None, Some(_)) => Err(NO_ROLE_ID),
            (None, None) => match setting("VAULT_TOKEN", found, world)? {
                Some(token) if token.expose_text().is_some_and(is_field_value) => {
                    Ok(Login::Token(token))
                }
                Some(_) => Err(Cause::setting(
                    "VAULT_TOKEN",
                    "is no token: it is one line of text",
                )),
                None => Err(NO_TOKEN),
            },
        }
    }

    /// The address without its path.
    fn bare(&self) -> BaseUrl {
        BaseUrl {
            prefix: String::new(),
            ..self.url.clone()
        }
    }

    fn ask(
        &self,
        url: &BaseUrl,
        (method, path): (&str, &str),
        token: Option<&Secret>,
        body: Option<&Secret>,
        world: &World<'_>,
    ) -> Ask {
        let mut origin = Origin::of(url, world);
        origin.authorities = self.authorities.clone();
        origin.is_unverified = self.is_unverified;
        let size =
            512 + path.len() + token.map_or(0, Secret::capacity) + body.map_or(0, Secret::capacity);
        let mut request = Vec::with_capacity(size);
        let mut put = |parts: &[&[u8]]| {
            parts
                .iter()
                .for_each(|part| request.extend_from_slice(part))
        };
        put(&[
            method.as_bytes(),
            b" ",
            url.prefix.as_bytes(),
            path.as_bytes(),
            b" HTTP/1.1\r\nHost: ",
        ]);
        put(&[
            url.authority.as_bytes(),
            b"\r\nUser-Agent: hoop-lite\r\nX-Vault-Request: true\r\n",
        ]);
        if let Some(namespace) = &self.namespace {
            put(&[b"X-Vault-Namespace: ", namespace.as_bytes(), b"\r\n"]);
        }
        if let Some(token) = token {
            put(&[b"X-Vault-Token: ", token.expose(), b"\r\n"]);
        }
        if let Some(body) = body {
            let length = body.expose().len().to_string();
            put(&[
                b"Content-Type: application/json\r\nContent-Length: ",
                length.as_bytes(),
                b"\r\n",
            ]);
        }
        put(&[b"\r\n", body.map_or(b"", Secret::expose)]);
        Ask {
            origin,
            request: Secret::new(request),
            dial_max: limits::STORE_DIAL_MAX,
            answer_max: None,
            is_repeatable: true,
        }
    }
}

fn is_pem(text: &Secret) -> bool {
    is_within(text.expose(), b"-----BEGIN")
}

/// The trimmed text of a variable, which may be `base64://` or `file://`.
fn setting(
    name: &'static str,
    found: &mut Found,
    world: &mut World<'_>,
) -> Result<Option<Secret>, Cause> {
    let Some(value) = world.stores.settings.secret(name).cloned() else {
        return Ok(None);
    };
    let text = value.expose_text().unwrap_or("").trim();
    if let Some(path) = text.strip_prefix("file://") {
        return file(name, path, found, world).map(Some);
    }
    let content = match text.strip_prefix("base64://") {
        None => text.as_bytes().to_vec(),
        Some(encoded) => base64::decode(encoded.trim().as_bytes())
            .map_err(|_| Cause::setting(name, "is not base64 behind base64://"))?,
    };
    let trimmed = Secret::new(content.trim_ascii());
    crate::base::wipe(&mut { content });
    Ok(Some(trimmed).filter(|text| !text.expose().is_empty()))
}

fn file(
    name: &'static str,
    path: &str,
    found: &mut Found,
    world: &mut World<'_>,
) -> Result<Secret, Cause> {
    match world.read(path) {
        Ok(content) if !content.expose().trim_ascii().is_empty() => {
            Ok(Secret::new(content.expose().trim_ascii()))
        }
        Ok(_) => Err(Cause::setting(name, "names an empty file")),
        Err(why) => {
            found.note(&["the file of ", name, ": ", &why]);
            Err(Cause::file(name))
        }
    }
}

/// The request's path for a want, or what is wrong with its id.
fn path_of(want: &Want) -> Result<String, Cause> {
    let (path, version) = match want.id.split_once('?') {
        None => (&want.id[..], ""),
        Some((path, query)) => {
            let version = query.strip_prefix("version=").ok_or(BAD_QUERY)?;
            let is_number = (1..=10).contains(&version.len())
                && version.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then_some((path, version)).ok_or(BAD_QUERY)?
        }
    };
    let is_bare = want.provider == Provider::VaultKv2 && !path.contains('/');
    let decoded = percent::decode(path.strip_prefix('/').unwrap_or(path));
    let decoded = decoded
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or(BAD_PATH)?;
    let mut out = String::from("/v1");
    if is_bare {
        out.push_str("/secret/data");
    }
    let mut before = "";
    let mut is_key = is_bare;
    for (number, segment) in decoded.split('/').enumerate() {
        let is_bad = matches!(segment, "" | "." | "..")
            || segment.contains(['#', '?', '\\'])
            || segment.bytes().any(|byte| byte.is_ascii_control());
        if is_bad {
            return Err(BAD_PATH);
        }
        let is_own = match segment {
            "sys" | "identity" | "cubbyhole" => number < 2,
            "token" => before == "auth",
            _ => false,
        };
        if is_own && !is_key {
            return Err(OWN_PATH);
        }
        // What stands behind `data` are keys of the engine, and no engine.
        is_key |= want.provider == Provider::VaultKv2 && segment == "data" && number > 0;
        before = segment;
        out.push('/');
        out.push_str(&encode_segment(segment));
    }
    if !version.is_empty() {
        out.push_str("?version=");
        out.push_str(version);
    }
    Ok(out)
}

/// The object with the secret's fields.
fn data_of(body: &str, provider: Provider) -> Result<&str, Cause> {
    let data = json_text::member(body, "data").ok_or(words::MALFORMED)?;
    if provider == Provider::VaultKv1 {
        return all_text(data).then_some(data).ok_or(words::NO_TEXT);
    }
    let metadata = json_text::member(data, "metadata").ok_or(NOT_KV2)?;
    json_text::member(metadata, "version").ok_or(NOT_KV2)?;
    match json_text::member(data, "data") {
        None | Some("null") => Err(NOT_FOUND),
        Some(fields) => Ok(fields),
    }
}

/// As upstream takes it: one field that is no text makes the whole answer none. Null is an empty text there.
fn all_text(data: &str) -> bool {
    let mut is_text = true;
    let is_object = json_text::members(data, &mut |_, value| {
        is_text &= value.starts_with('"') || value == "null";
    });
    is_object && is_text
}

fn text(response: &Response) -> &str {
    std::str::from_utf8(&response.body).unwrap_or("")
}

/// Says to the log what Vault says about a mistake of ours; whether it is that something is not permitted.
fn note_errors(response: &Response, about: &str, found: &mut Found) -> bool {
    let body = text(response);
    // Whoever fails may show anything in its answer.
    let errors = match response.status {
        400..=499 => json_text::member(body, "errors").and_then(json_text::elements),
        _ => None,
    };
    let errors: Vec<String> = errors
        .unwrap_or_default()
        .into_iter()
        .filter_map(json_text::string)
        .collect();
    let said = shortened(&errors.join("; "), limits::STORE_WORDS_BYTES_MAX);
    let about = shortened(about, limits::SECRET_ID_SHOWN_BYTES);
    let status = response.status.to_string();
    found.note(&["Vault answered ", &status, " for ", &about, ": ", &said]);
    errors
        .iter()
        .any(|error| error.contains("permission denied"))
}

const NO_TOKEN: Cause = Cause::fixed(
    "the agent has no way into Vault: set VAULT_TOKEN, or VAULT_APP_ROLE_ID and VAULT_APP_ROLE_SECRET_ID, where it runs",
);
const NO_ADDRESS: Cause = Cause::fixed("the agent has no VAULT_ADDR: set it where the agent runs");
const NO_SECRET_ID: Cause =
    Cause::fixed("VAULT_APP_ROLE_ID env is set but VAULT_APP_ROLE_SECRET_ID env is empty");
const NO_ROLE_ID: Cause =
    Cause::fixed("VAULT_APP_ROLE_SECRET_ID env is set but VAULT_APP_ROLE_ID env is empty");
const REDIRECT: Cause =
    Cause::fixed("Vault sends the agent elsewhere, where its token must not go");
const BAD_QUERY: Cause = Cause::fixed("behind ? only version=<number> may stand");
const BAD_PATH: Cause =
    Cause::fixed("the path has an empty segment, a dot segment or a character that none may have");
const OWN_PATH: Cause = Cause::fixed(
    "what stands under sys, identity, cubbyhole and auth/token is no secret of a connection",
);
const NOT_KV2: Cause = Cause::fixed(
    "Vault's answer is not one of KV version 2: write _vaultkv1, or <mount>/data/<path>",
);
const NOT_FOUND: Cause = Cause::fixed(
    "Vault has no such secret, or its version is deleted (404): for KV version 2 the path is <mount>/data/<path>",
);
const UNVERIFIED: Cause = Cause::fixed(
    "TLS with Vault failed: HOOP_TLS_SKIP_VERIFY is for the gateway alone; set VAULT_CACERT to Vault's authority, or VAULT_SKIP_VERIFY=true",
);

#[cfg(test)]
#[path = "vault_tests.rs"]
mod tests;
