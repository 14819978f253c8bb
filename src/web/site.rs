//! What a connection's variables say of its service: where it is, whom to believe, and what every
//! request to it brings along. A user's own variables have no say in it.

use std::borrow::Cow;

use super::fields;
use crate::base::{Secret, Verify, wipe};
use crate::http::{BaseUrl, UrlError, lines};
use crate::limits;
use crate::wire::{base64, json_text, percent};

/// A service.
pub struct Site {
    /// Where it is. Its authority is what it is called by, also in TLS.
    pub url: BaseUrl,
    /// Who must vouch for it, where there is TLS.
    pub verify: Verify,
    pub(super) injected: Vec<Injected>,
    /// Every request brings the token of the agent's pod, which is not kept here: it changes.
    brings_pods_token: bool,
    /// It is an API server of Kubernetes.
    pub(super) is_cluster: bool,
    /// A user may bring the `Authorization` himself, where that feature is on.
    may_bring_authorization: bool,
    /// It is reached by tokens of Google, where that feature is on.
    wants_google_token: bool,
}

/// What is on at the gateway, which says so when a link begins and whenever it changes.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Features {
    /// Users may bring their own `Authorization`.
    pub client_authorization: bool,
    /// An agent fetches tokens from Google.
    pub google_tokens: bool,
}

/// What may change while a session goes on.
#[derive(Clone, Copy, Default)]
pub struct Current<'a> {
    /// What is on at the gateway.
    pub features: Features,
    /// `Authorization` by the token of the agent's pod, for a service that gets that.
    pub pods_token: Option<&'a [u8]>,
}

/// A header of ours.
pub(super) struct Injected {
    pub name: String,
    pub value: Secret,
}

/// Why a connection's variables make no service, for its user and the log. Quotes no value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SiteError(pub Cow<'static, str>);

impl SiteError {
    pub(super) fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self(text.into())
    }
}

/// A connection's own variables, references looked up.
pub struct Wanted<'a> {
    /// Names and values.
    pub variables: &'a [(&'a str, &'a [u8])],
}

impl<'a> Wanted<'a> {
    /// The value of a variable that is not empty.
    pub(super) fn get(&self, name: &str) -> Option<&'a [u8]> {
        let found = self.variables.iter().find(|(known, _)| *known == name);
        found
            .map(|(_, value)| *value)
            .filter(|value| !value.is_empty())
    }

    pub(super) fn is_true(&self, name: &str) -> bool {
        self.get(name) == Some(b"true")
    }
}

impl Features {
    /// By the gateway's JSON; `None` where it is none.
    pub fn read(json: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(json).ok()?;
        let is_on = |name| json_text::is_true(text, name);
        Some(Self {
            client_authorization: is_on("experimental.httpproxy_client_authorization")?,
            google_tokens: is_on("experimental.claude_code_vertex")?,
        })
    }
}

impl Site {
    /// The service of an `httpproxy` connection.
    pub fn of_httpproxy(wanted: &Wanted<'_>) -> Result<Self, SiteError> {
        let missing = "missing required environment for connection [REMOTE_URL]";
        let url = wanted.get("REMOTE_URL").ok_or(SiteError::new(missing))?;
        let mut site = Self::at("REMOTE_URL", url, wanted.is_true("INSECURE"))?;
        site.inject_all(wanted)?;
        site.may_bring_authorization = wanted.is_true("ALLOW_CLIENT_AUTHORIZATION");
        site.wants_google_token = wanted.get("GCP_SERVICE_ACCOUNT_JSON").is_some();
        Ok(site)
    }

    /// Refuses what this agent can't do where these features are on.
    pub fn check(&self, features: Features) -> Result<(), SiteError> {
        match self.wants_google_token && features.google_tokens {
            true => Err(SiteError::new(
                "this agent does not fetch tokens for GCP_SERVICE_ACCOUNT_JSON: remove that variable and \
                 give HEADER_AUTHORIZATION, or use another agent for this connection",
            )),
            false => Ok(()),
        }
    }

    /// A user may bring the `Authorization` himself.
    pub(super) fn takes_authorization(&self, features: Features) -> bool {
        self.may_bring_authorization && features.client_authorization
    }

    /// Bytes on the heap, each block counted by `block`.
    pub fn heap_bytes(&self, block: fn(usize) -> usize) -> usize {
        let url = [
            &self.url.authority,
            &self.url.prefix,
            &self.url.address.host,
        ];
        let injected = self.injected.iter();
        let headers = injected
            .map(|it| block(it.name.len()) + block(it.value.expose().len()) + block(SECRET_BYTES));
        let list = block(self.injected.capacity() * size_of::<Injected>());
        headers.sum::<usize>() + url.iter().map(|text| block(text.len())).sum::<usize>() + list
    }

    /// The service at the URL of this variable; a user and a password in it go along as Basic.
    pub(super) fn at(variable: &str, url: &[u8], is_insecure: bool) -> Result<Self, SiteError> {
        let fault = |reason: &str| {
            SiteError::new(["failed parsing ", variable, " env, reason=", reason].concat())
        };
        let url = std::str::from_utf8(url.trim_ascii());
        let mut url = Cow::Borrowed(url.map_err(|_| fault("it is no text"))?);
        let mut injected = Vec::new();
        if let Some(taken) = without_account(&url) {
            let (account, rest) = taken
                .ok_or_else(|| fault("its user or password holds a % that encodes nothing"))?;
            injected.push(Injected {
                name: "Authorization".to_owned(),
                value: basic(account),
            });
            url = Cow::Owned(rest);
        }
        let url = BaseUrl::parse(&url).map_err(|error| fault(&words(error)))?;
        let verify = match is_insecure {
            true => Verify::Nobody,
            false => Verify::Full,
        };
        Ok(Self {
            url,
            verify,
            injected,
            brings_pods_token: false,
            is_cluster: false,
            may_bring_authorization: false,
            wants_google_token: false,
        })
    }

    /// The headers of `HEADER_*`; they count more than what the URL says.
    pub(super) fn inject_all(&mut self, wanted: &Wanted<'_>) -> Result<(), SiteError> {
        for (variable, value) in wanted.variables {
            let (Some(prefix), Some(rest)) = (variable.get(..7), variable.get(7..)) else {
                continue;
            };
            if !prefix.eq_ignore_ascii_case("HEADER_") || value.is_empty() {
                continue;
            }
            let name = rest.replace('_', "-");
            let fault = |reason: &str| SiteError::new([variable, " ", reason].concat());
            if !lines::is_token(name.as_bytes()) {
                return Err(fault("names no HTTP header: use letters, digits and _"));
            }
            if fields::is_framing(name.as_bytes()) {
                return Err(fault(
                    "can't be injected: the agent decides about this header; remove it",
                ));
            }
            let value = value.trim_ascii();
            if !lines::is_value(value) {
                return Err(fault(
                    "holds a control character or a line break, which no HTTP header can",
                ));
            }
            self.inject(&name, Secret::new(value))?;
        }
        Ok(())
    }

    /// Has every request bring the token of the agent's pod, whatever else says who asks.
    pub(super) fn bring_pods_token(&mut self) {
        self.injected
            .retain(|known| !known.name.eq_ignore_ascii_case("authorization"));
        self.brings_pods_token = true;
    }

    /// Has every request bring this header, in place of any of that name.
    pub(super) fn inject(&mut self, name: &str, value: Secret) -> Result<(), SiteError> {
        self.injected
            .retain(|known| !known.name.eq_ignore_ascii_case(name));
        if self.injected.len() >= limits::WEB_INJECTED_MAX {
            return Err(SiteError::new(
                "the connection has too many HEADER_ variables: 64 are allowed",
            ));
        }
        if value.expose().len() > limits::WEB_HEAD_BYTES_MAX / 2 {
            return Err(SiteError::new(
                "a HEADER_ variable or a token is longer than 32 KiB: shorten it",
            ));
        }
        let name = name.to_owned();
        self.injected.push(Injected { name, value });
        Ok(())
    }

    /// Every request brings the token of the agent's pod.
    pub fn brings_pods_token(&self) -> bool {
        self.brings_pods_token
    }

    /// Whether a header of this name is injected.
    pub(super) fn injects(&self, name: &[u8]) -> bool {
        let mut injected = self.injected.iter();
        injected.any(|known| fields::is_alike(known.name.as_bytes(), name))
            || (self.brings_pods_token && fields::is_alike(b"authorization", name))
    }

    /// Whether anything is injected.
    pub(super) fn has_secrets(&self) -> bool {
        self.brings_pods_token || !self.injected.is_empty()
    }

    /// The injected value of this name.
    pub(super) fn value(&self, name: &str) -> Option<&[u8]> {
        let mut injected = self.injected.iter();
        let found = injected.find(|known| known.name.eq_ignore_ascii_case(name));
        found.map(|known| known.value.expose())
    }
}

/// What a secret takes beside its bytes.
const SECRET_BYTES: usize = 5 * size_of::<usize>();

fn words(error: UrlError) -> Cow<'static, str> {
    match error {
        UrlError::Scheme => Cow::Borrowed("it must begin with https:// or http://"),
        UrlError::Extra => Cow::Borrowed("it must hold no query or fragment"),
        other => Cow::Owned(other.to_string()),
    }
}

/// The account in front of a URL's host, decoded, and the URL without it; `Some(None)` where it can't
/// be decoded.
#[allow(
    clippy::option_option,
    reason = "no account, and one that can't be read"
)]
fn without_account(url: &str) -> Option<Option<(Vec<u8>, String)>> {
    let start = url.find("://")? + 3;
    let end = url[start..]
        .find(['/', '?', '#'])
        .map_or(url.len(), |at| start + at);
    let at = start + url[start..end].rfind('@')?;
    let rest = [&url[..start], &url[at + 1..]].concat();
    let account = &url[start..at];
    let (user, password) = account.split_once(':').unwrap_or((account, ""));
    Some(
        percent::decode(user)
            .zip(percent::decode(password))
            .map(|(user, password)| {
                let account = [user.as_slice(), b":", &password].concat();
                (account, rest)
            }),
    )
}

fn basic(mut account: Vec<u8>) -> Secret {
    let value = ["Basic ", &base64::encode(&account)].concat();
    wipe(&mut account);
    Secret::new(value)
}

#[cfg(test)]
impl Wanted<'_> {
    /// What variables that are text make, or what is wrong with them; for tests.
    pub fn of_texts<T>(
        variables: &[(&str, &str)],
        make: fn(&Wanted<'_>) -> Result<T, SiteError>,
    ) -> Result<T, String> {
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()))
            .collect();
        let wanted = Wanted {
            variables: &variables,
        };
        make(&wanted).map_err(|error| error.0.into_owned())
    }
}

#[cfg(test)]
impl Site {
    /// A service that wants nothing; for tests.
    pub fn plain(url: &str) -> Self {
        Wanted::of_texts(&[("REMOTE_URL", url)], Self::of_httpproxy).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(variables: &[(&str, &str)]) -> Result<Site, String> {
        Wanted::of_texts(variables, Site::of_httpproxy)
    }

    fn injected(site: &Site) -> Vec<(&str, &str)> {
        let all = site.injected.iter();
        all.map(|header| (header.name.as_str(), header.value.expose_text().unwrap()))
            .collect()
    }

    #[test]
    fn a_service_is_where_its_url_says() {
        let site = site(&[("REMOTE_URL", " https://h:8443/base/ \n")]).unwrap();
        assert!(site.url.is_tls && site.verify == Verify::Full);
        assert_eq!(
            (site.url.authority.as_str(), site.url.prefix.as_str()),
            ("h:8443", "/base")
        );
        for (insecure, verify) in [
            ("true", Verify::Nobody),
            ("TRUE", Verify::Full),
            ("1", Verify::Full),
        ] {
            let site = self::site(&[("REMOTE_URL", "https://h"), ("INSECURE", insecure)]);
            assert_eq!(site.unwrap().verify, verify);
        }
    }

    #[test]
    fn what_makes_no_service_is_said_without_its_value() {
        for (url, words) in [
            (
                "",
                "missing required environment for connection [REMOTE_URL]",
            ),
            (
                "h:80",
                "failed parsing REMOTE_URL env, reason=it must begin with https:// or http://",
            ),
            (
                "http://h?s3cret",
                "failed parsing REMOTE_URL env, reason=it must hold no query or fragment",
            ),
            (
                "http://u:s3cret%@h",
                "failed parsing REMOTE_URL env, reason=its user or password holds a % that encodes nothing",
            ),
            (
                "http://u:s3cret@h\r\nx",
                "failed parsing REMOTE_URL env, reason=the host holds characters that no host name has; names outside ASCII need their xn-- form",
            ),
        ] {
            assert_eq!(
                site(&[("REMOTE_URL", url)]).err().as_deref(),
                Some(words),
                "{url}"
            );
        }
    }

    #[test]
    fn headers_are_injected_under_their_names() {
        let url = ("REMOTE_URL", "http://u%40x:p%3a%25@h/x");
        let site = site(&[
            url,
            ("HEADER_X_API_KEY", "k\n"),
            ("header_x-y", "v"),
            ("HEADER_EMPTY", ""),
        ])
        .unwrap();
        assert_eq!(site.url.authority, "h");
        assert_eq!(
            injected(&site),
            [
                ("Authorization", "Basic dUB4OnA6JQ=="),
                ("X-API-KEY", "k"),
                ("x-y", "v")
            ]
        );
        assert!(
            site.injects(b"x_api_key") && site.injects(b"X-Api-Key") && !site.injects(b"X-Api")
        );
        let site = self::site(&[url, ("HEADER_AUTHORIZATION", "Bearer t")]).unwrap();
        assert_eq!(injected(&site), [("AUTHORIZATION", "Bearer t")]);
    }

    #[test]
    fn what_cannot_be_injected_is_refused_by_its_name() {
        let url = ("REMOTE_URL", "http://h");
        for name in [
            "HEADER_",
            "HEADER_A B",
            "HEADER_CONTENT_LENGTH",
            "HEADER_Transfer_Encoding",
            "HEADER_CONNECTION",
            "HEADER_UPGRADE",
        ] {
            let error = site(&[url, (name, "s3cret")]).err().unwrap();
            assert!(
                error.starts_with(name) && !error.contains("s3cret"),
                "{error}"
            );
        }
        for value in ["a\r\nb: c", "a\0", "\u{7f}"] {
            let error = site(&[url, ("HEADER_X", value)]).err().unwrap();
            assert_eq!(
                error,
                "HEADER_X holds a control character or a line break, which no HTTP header can"
            );
        }
        let long = "x".repeat(limits::WEB_HEAD_BYTES_MAX);
        assert!(site(&[url, ("HEADER_X", &long)]).is_err());
        let names: Vec<String> = (0..=limits::WEB_INJECTED_MAX)
            .map(|n| format!("HEADER_{n}"))
            .collect();
        let many: Vec<_> = names
            .iter()
            .map(|name| (name.as_str(), "v"))
            .chain([url])
            .collect();
        assert!(site(&many).is_err());
        assert!(site(&many[1..]).is_ok());
    }

    #[test]
    fn features_need_their_flag_and_their_variable() {
        let read = |json: &str| Features::read(json.as_bytes());
        let authorization =
            read(r#"{"x":{}, "experimental.httpproxy_client_authorization" : true }"#).unwrap();
        let google = read(r#"{"experimental.claude_code_vertex":true,"y":1}"#).unwrap();
        assert!(authorization.client_authorization && !authorization.google_tokens);
        assert!(google.google_tokens && !google.client_authorization);
        assert_eq!(
            read(r#"{"experimental.claude_code_vertex":"true"}"#),
            Some(Features::default())
        );
        for none in ["", "[]", "true", r#"{"a":true"#, "\u{1}"] {
            assert_eq!(read(none), None, "{none}");
        }
        let url = ("REMOTE_URL", "http://h");
        let allowing = |value| site(&[url, ("ALLOW_CLIENT_AUTHORIZATION", value)]).unwrap();
        assert!(allowing("true").takes_authorization(authorization));
        assert!(!allowing("yes").takes_authorization(authorization));
        assert!(!allowing("true").takes_authorization(google));
        let account = site(&[url, ("GCP_SERVICE_ACCOUNT_JSON", "{}")]).unwrap();
        assert!(account.check(authorization).is_ok() && allowing("true").check(google).is_ok());
        let error = account.check(google).unwrap_err();
        assert!(error.0.contains("GCP_SERVICE_ACCOUNT_JSON"));
    }
}
