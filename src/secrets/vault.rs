//! Vault, and OpenBao: key-value engines of both versions, by token or AppRole.
//!
//! Promises: the token goes to Vault's own address alone (one redirect to the same host, or over TLS to the name that
//! an active node has), the AppRole's pair nowhere else; nothing is read that would hand out what the agent logs in by.
//! Upstream's requests, with the namespace that Vault's own tools send.

mod door;
mod paths;

use std::time::Duration;

use self::door::{Door, Login};
use self::paths::{NOT_FOUND, data_of, path_of};

use super::asking::{Found, Step, Trouble, World, text};
use super::plan::{Provider, Want};
use super::value::{Takes, of_key};
use super::words::{self, Cause};
use crate::base::Secret;
use crate::base::plain::shortened;
use crate::http::{BaseUrl, Response, is_field_value};
use crate::limits;
use crate::wire::{json, json_text};

const WHO: &str = "Vault";

/// What was asked last.
#[derive(Clone, PartialEq, Eq)]
enum Asked {
    Nothing,
    Login,
    /// The want at hand; at this address, where an answer has named one.
    Want(Option<(BaseUrl, String)>),
    /// The token itself.
    Token,
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
    /// Who the agent is is asked, for `doctor`.
    examines: bool,
}

impl Vault {
    pub(super) fn new(wants: Vec<Want>, examines: bool) -> Self {
        Self {
            wants,
            position: 0,
            door: None,
            token: None,
            is_kept: false,
            asked: Asked::Nothing,
            examines,
        }
    }

    pub(super) fn next(&mut self, found: &mut Found, world: &mut World<'_>) -> Step {
        loop {
            if self.position >= self.wants.len() && !self.examines {
                return Step::Over;
            }
            if self.door.is_none() {
                match Door::find(found, world) {
                    Ok(door) => {
                        if self.examines {
                            door.state_place(found);
                        }
                        found.own = door.login.secrets().cloned().collect();
                        self.door = Some(door);
                    }
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
            if self.examines {
                return self.ask_token(world);
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

    /// What the token is worth; one that was made to learn that goes again.
    fn ask_token(&mut self, world: &World<'_>) -> Step {
        let Some(door) = &self.door else {
            return Step::Over;
        };
        self.asked = Asked::Token;
        let what = match door.login {
            Login::Token(_) => ("GET", "/v1/auth/token/lookup-self"),
            Login::AppRole { .. } => ("POST", "/v1/auth/token/revoke-self"),
        };
        Step::Ask(door.ask(&door.url, what, self.token.as_ref(), None, world))
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
                let otherwise = match trouble {
                    Trouble::Tls(_) => "; VAULT_SKIP_VERIFY=true takes any certificate",
                    _ => "",
                };
                found.note(&["Vault at ", place, ": ", trouble.note(), otherwise]);
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
            Asked::Token => self.examined(response, found),
            Asked::Want(elsewhere) => {
                if matches!(response.status, 307 | 308) && elsewhere.is_none() {
                    match self.redirected(response) {
                        Some(place) => self.asked = Asked::Want(Some(place)),
                        None => self.refuse_one(&REDIRECT, found),
                    }
                    return;
                }
                let refused = world.stores.vault_refused;
                let is_late = refused.is_none_or(|at| world.now >= at + limits::VAULT_RELOGIN_MIN);
                if response.status == 403 && self.is_kept && is_late {
                    // It was revoked, or its lease is over by another clock. Where it is only not permitted, a login
                    // for each session would use up the pair.
                    world.stores.vault_refused = Some(world.now);
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
        let token = json_text::member_string(auth, "client_token");
        let token = token.filter(|token| !token.is_empty() && is_field_value(token));
        let token = Secret::new(token.ok_or(words::MALFORMED)?);
        let lease = json_text::member(auth, "lease_duration").and_then(|it| it.parse::<u32>().ok());
        if self.examines {
            state_life(lease.map(u64::from), found);
        }
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

    /// The answer about the token.
    fn examined(&mut self, response: &Response, found: &mut Found) {
        self.examines = false;
        let Some(door) = &self.door else {
            return;
        };
        door.state_trust(found);
        let is_made_here = matches!(door.login, Login::AppRole { .. });
        match response.status {
            200 | 204 if is_made_here => return,
            200 => {}
            307 | 308 => {
                return found.note(&["Vault sends questions about tokens to another node"]);
            }
            status => {
                note_errors(response, "its token", found);
                match status {
                    _ if is_made_here => {
                        found.note(&["the token that this login gave is left to its end"]);
                    }
                    // A policy may keep it from that, and a token of no use has these words beside.
                    403 if !text(response).contains("invalid token") => {
                        found.note(&["its policies do not let the token look itself up"]);
                    }
                    403 => found.needs = Some(ENDED),
                    status => found.needs = Some(Cause::answered(WHO, "", status)),
                }
                return;
            }
        }
        let number = |name: &str| {
            let data = json_text::member(text(response), "data")?;
            json_text::member(data, name)?.parse::<u64>().ok()
        };
        // Whatever else answers so, a login page say, is no Vault.
        let Some(life) = number("ttl") else {
            found.needs = Some(words::MALFORMED);
            return;
        };
        state_life(Some(life), found);
        if let Some(uses) = number("num_uses").filter(|uses| *uses > 0) {
            found.note(&[
                "its token is for few questions, of which this was one; left: ",
                &uses.to_string(),
            ]);
        }
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
        if std::mem::take(&mut self.examines) {
            found.needs = Some(cause.clone());
        }
        found.refuse_all(self.wants.get(self.position..).unwrap_or_default(), cause);
        self.position = self.wants.len();
    }
}

/// How long a token lives from now on.
fn state_life(seconds: Option<u64>, found: &mut Found) {
    match seconds {
        Some(0) => found.state(&["its token has no end"]),
        Some(seconds) => found.state(&["its token lives for ", &seconds.to_string(), " s"]),
        None => found.state(&["Vault does not say how long its token lives"]),
    }
}

/// A value is what we log in with, or has it in it. A short one may be part of anything.
fn is_handed_out(value: &[u8], own: &[u8]) -> bool {
    value == own || (own.len() >= 16 && is_within(value, own))
}

fn is_within(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
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
    let said = found.said(&errors.join("; "));
    let about = shortened(about, limits::SECRET_ID_SHOWN_BYTES);
    let status = response.status.to_string();
    found.note(&["Vault answered ", &status, " for ", &about, ": ", &said]);
    errors
        .iter()
        .any(|error| error.contains("permission denied"))
}

const REDIRECT: Cause =
    Cause::fixed("Vault sends the agent elsewhere, where its token must not go");
const ENDED: Cause =
    Cause::fixed("Vault refuses the agent's token (403): it has ended, or is none");
const UNVERIFIED: Cause = Cause::fixed(
    "TLS with Vault failed: HOOP_TLS_SKIP_VERIFY is for the gateway alone; set VAULT_CACERT to Vault's authority, or VAULT_SKIP_VERIFY=true",
);

#[cfg(test)]
#[path = "vault_tests.rs"]
mod tests;
