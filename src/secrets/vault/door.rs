//! How the agent comes into Vault, by its own variables, and the form of its requests.

use crate::base::Secret;
use crate::http::{BaseUrl, is_field_value};
use crate::limits;
use crate::secrets::asking::{Ask, Found, Origin, World, request};
use crate::secrets::words::Cause;
use crate::wire::base64;

/// How the agent logs in.
pub(super) enum Login {
    Token(Secret),
    AppRole { role: Secret, secret: Secret },
}

/// What the agent's variables say about Vault.
pub(super) struct Door {
    pub(super) url: BaseUrl,
    pub(super) login: Login,
    namespace: Option<String>,
    authorities: Option<Vec<u8>>,
    is_unverified: bool,
}

impl Login {
    /// What no session may read.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &Secret> {
        let both = match self {
            Self::Token(token) => [token, token],
            Self::AppRole { role, secret } => [role, secret],
        };
        both.into_iter()
    }
}

impl Door {
    pub(super) fn find(found: &mut Found, world: &mut World<'_>) -> Result<Self, Cause> {
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
            Some(text) if !is_pem(&text) => {
                // As Vault's own tools take it.
                let path = text.expose_text().unwrap_or("");
                let read = file("VAULT_CACERT", path, found, world)?;
                if !is_pem(&read) {
                    return Err(Cause::setting("VAULT_CACERT", NO_PEM));
                }
                Some(read)
            }
            text => text,
        };
        let authorities = authorities.map(|pem| pem.expose().to_vec());
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

    /// Where the agent goes and by what, for `doctor`.
    pub(super) fn state_place(&self, found: &mut Found) {
        let by = match self.login {
            Login::Token(_) => "VAULT_TOKEN",
            Login::AppRole { .. } => "AppRole (a use of its secret id)",
        };
        let namespace = match self.namespace.as_deref() {
            Some(namespace) => [", namespace ", namespace].concat(),
            None => String::new(),
        };
        found.state(&[&self.url.to_string(), &namespace, " by ", by]);
    }

    /// Who has vouched for Vault, once it has answered.
    pub(super) fn state_trust(&self, found: &mut Found) {
        found.state(&[match self {
            _ if !self.url.is_tls => "no TLS: its URL is http://",
            _ if self.is_unverified => {
                return found.note(&[
                    "VAULT_SKIP_VERIFY=true: its certificate is NOT checked; set VAULT_CACERT instead",
                ]);
            }
            _ if self.authorities.is_some() => "certificate trusted by VAULT_CACERT",
            _ => "certificate trusted by an authority of the public or of this system",
        }]);
    }

    /// The address without its path.
    pub(super) fn bare(&self) -> BaseUrl {
        BaseUrl {
            prefix: String::new(),
            ..self.url.clone()
        }
    }

    pub(super) fn ask(
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
        let mut headers = vec![("X-Vault-Request", "true")];
        headers.extend(
            self.namespace
                .as_deref()
                .map(|it| ("X-Vault-Namespace", it)),
        );
        headers.extend(token.map(|it| ("X-Vault-Token", it.expose_text().unwrap_or(""))));
        headers.extend(body.map(|_| ("Content-Type", "application/json")));
        let path = [&url.prefix[..], path];
        Ask {
            origin,
            request: request(method, &url.authority, &path, &headers, body),
            dial_max: limits::STORE_DIAL_MAX,
            answer_max: None,
            // A login may count, also where its answer is lost.
            is_repeatable: token.is_some(),
        }
    }
}

fn is_pem(text: &Secret) -> bool {
    text.expose_text()
        .is_some_and(|text| text.contains("-----BEGIN"))
}

const NO_PEM: &str = "leads to a file without a certificate in PEM";

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
        None => Secret::new(text),
        Some(encoded) => base64::decode(encoded.trim().as_bytes())
            .map(Secret::new)
            .map_err(|_| Cause::setting(name, "is not base64 behind base64://"))?,
    };
    Ok(Some(trimmed(&content)).filter(|text| !text.expose().is_empty()))
}

fn trimmed(content: &Secret) -> Secret {
    Secret::new(content.expose().trim_ascii())
}

fn file(
    name: &'static str,
    path: &str,
    found: &mut Found,
    world: &mut World<'_>,
) -> Result<Secret, Cause> {
    let content = trimmed(&world.read_for(name, path, found)?);
    match content.expose().is_empty() {
        true => Err(Cause::setting(name, "names an empty file")),
        false => Ok(content),
    }
}

const NO_TOKEN: Cause = Cause::fixed(
    "the agent has no way into Vault: set VAULT_TOKEN, or VAULT_APP_ROLE_ID and VAULT_APP_ROLE_SECRET_ID, where it runs",
);
const NO_ADDRESS: Cause = Cause::fixed("the agent has no VAULT_ADDR: set it where the agent runs");
const NO_SECRET_ID: Cause =
    Cause::fixed("VAULT_APP_ROLE_ID env is set but VAULT_APP_ROLE_SECRET_ID env is empty");
const NO_ROLE_ID: Cause =
    Cause::fixed("VAULT_APP_ROLE_SECRET_ID env is set but VAULT_APP_ROLE_ID env is empty");
