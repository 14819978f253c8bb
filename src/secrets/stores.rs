//! What is kept between two sessions: the agent's settings for stores, AWS credentials, Vault's token. No secret.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::aws::identity::Credentials;
use super::aws::tokens::{Mint, make};
use super::words::Cause;
use crate::base::{GatewayAddress, Secret};
use crate::http::BaseUrl;
use crate::limits;

/// A proxy on the way to an address.
pub struct Via {
    /// Where it is.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What asks it for a tunnel.
    pub request: Secret,
}

/// Which proxy is on the way to this address.
pub type ProxyFor = Box<dyn Fn(&GatewayAddress) -> Option<Via>>;

/// The variables of the agent that stores have to do with, as they were at its start, and its proxy.
#[derive(Default)]
pub struct Settings {
    variables: Vec<(String, Secret)>,
    proxy: Option<ProxyFor>,
}

/// What the names of variables begin with that are for stores.
const PREFIXES: [&str; 2] = ["VAULT_", "AWS_"];
/// And others that count.
const OTHERS: [&str; 2] = ["HOME", "HOOP_TLS_SKIP_VERIFY"];

impl Settings {
    /// Takes what is for stores out of the variables of the process.
    pub fn new(mut variables: impl Iterator<Item = (String, Vec<u8>)>) -> Self {
        Self::of(&mut variables)
    }

    fn of(variables: &mut dyn Iterator<Item = (String, Vec<u8>)>) -> Self {
        let ours = |name: &str| {
            PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || OTHERS.contains(&name)
        };
        let variables = variables
            .filter(|(name, value)| ours(name) && !value.is_empty())
            .map(|(name, value)| (name, Secret::new(value)))
            .collect();
        Self {
            variables,
            proxy: None,
        }
    }

    /// With the proxy that the process has for others.
    #[must_use]
    pub fn with_proxy(mut self, proxy: ProxyFor) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// The proxy on the way to this address.
    pub(super) fn proxy_for(&self, address: &GatewayAddress) -> Option<Via> {
        self.proxy.as_ref()?(address)
    }

    /// The text of a variable; an empty one is none.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.secret(name)?.expose_text()
    }

    /// The same, as the secret that it may be.
    pub fn secret(&self, name: &str) -> Option<&Secret> {
        let found = self.variables.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value)
    }

    /// It is exactly `true`, as upstream reads its switches.
    pub fn is_true(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }

    /// The same in any case, as Amazon's libraries read theirs.
    pub(super) fn is_true_in_any_case(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    /// Addresses from which the agent itself gets its credentials, where they are said by number.
    pub fn keepers(&self) -> Vec<IpAddr> {
        let names = [
            "AWS_EC2_METADATA_SERVICE_ENDPOINT",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        ];
        let host = |name: &&str| {
            let url = self.get(name)?.split('?').next()?;
            let host = BaseUrl::parse(url).ok()?.address.host;
            let address: IpAddr = host.parse().ok()?;
            // What else listens on this machine has to stay in reach.
            Some(address.to_canonical()).filter(|address| !address.is_loopback())
        };
        names.iter().filter_map(host).collect()
    }

    /// The first of these that is set.
    pub(super) fn first<'a>(&'a self, names: &[&str]) -> Option<&'a str> {
        names.iter().find_map(|name| self.get(name))
    }

    /// The time for all secrets of a session.
    pub fn fetch_max(&self) -> Duration {
        let set = self.get("VAULT_HTTP_REQ_TIMEOUT").and_then(go_duration);
        // Upstream takes what is above a second.
        match set.filter(|set| *set > Duration::from_secs(1)) {
            Some(set) => {
                (set + Duration::from_secs(1)).clamp(limits::FETCH_MAX, limits::FETCH_LONGEST)
            }
            None => limits::FETCH_MAX,
        }
    }
}

/// A duration as Go writes it, in whole units: `10s`, `1m30s`, `1500ms`.
fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u32 = rest.get(..digits)?.parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = match &rest[..letters] {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(3600),
            _ => return None,
        };
        rest = &rest[letters..];
        sum = sum.checked_add(unit.checked_mul(number)?)?;
    }
    Some(sum)
}

/// Credentials of AWS that were fetched, and when.
pub(super) struct Kept {
    /// The role that they are for; empty for the agent's own.
    pub(super) role: String,
    pub(super) credentials: Credentials,
    fetched_at: u64,
    used_at: u64,
}

impl Kept {
    /// Seconds before their end from which they are renewed for tokens.
    fn renewed_at(&self) -> u64 {
        let Some(until) = self.credentials.until else {
            return u64::MAX;
        };
        let lifetime = until.saturating_sub(self.fetched_at);
        until - limits::CREDENTIALS_RENEWED_BEFORE.min(lifetime / 3)
    }
}

/// See the module.
#[derive(Default)]
pub struct Stores {
    /// The agent's.
    pub settings: Settings,
    credentials: Vec<Kept>,
    /// Vault's token of an AppRole, and until when it is used.
    pub(super) vault: Option<(Secret, Instant)>,
    /// It was refused, and another one was asked for then.
    pub(super) vault_refused: Option<Instant>,
    /// A metadata address did not answer, and is not asked until then.
    pub(super) metadata_dead: Option<Instant>,
    /// What is added to our clock for Amazon's.
    pub(super) skew: i64,
    /// Clusters' tokens of the last minutes, and until when each is used.
    tokens: Vec<(Mint, Secret, u64)>,
}

impl Stores {
    /// With these settings, and nothing kept.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            ..Self::default()
        }
    }

    /// The key is revoked, or the agent ends: nothing is kept.
    pub fn forget(&mut self) {
        let settings = std::mem::take(&mut self.settings);
        *self = Self::new(settings);
    }

    /// Credentials that open a session at `clock`.
    pub(super) fn fresh(&self, role: &str, clock: u64) -> Option<&Credentials> {
        let known = self.credentials.iter().find(|kept| kept.role == role)?;
        let is_fresh = match known.credentials.until {
            None => true,
            Some(until) => until.saturating_sub(limits::CREDENTIALS_LEFT_MIN) > clock,
        };
        is_fresh.then_some(&known.credentials)
    }

    /// Credentials that are still good at `clock`, and when they are to be renewed.
    pub(super) fn usable(&self, role: &str, clock: u64) -> Option<(&Credentials, u64)> {
        let known = self.credentials.iter().find(|kept| kept.role == role)?;
        let is_good = known.credentials.until.is_none_or(|until| until > clock);
        is_good.then(|| (&known.credentials, known.renewed_at()))
    }

    /// Credentials that a token may be made of for a while.
    pub(super) fn fresh_for_token(&self, role: &str, clock: u64) -> Option<&Credentials> {
        let (credentials, renewed_at) = self.usable(role, clock)?;
        (renewed_at > clock).then_some(credentials)
    }

    /// There are such credentials.
    pub(super) fn has_fresh(&self, role: &str, clock: u64) -> bool {
        self.fresh_for_token(role, clock).is_some()
    }

    /// Keeps credentials; of roles only so many, the oldest go.
    pub(super) fn keep(&mut self, role: &str, credentials: Credentials, clock: u64) {
        self.credentials.retain(|kept| kept.role != role);
        let roles = || self.credentials.iter().enumerate();
        let roles = roles().filter(|(_, kept)| !kept.role.is_empty());
        // The agent's own are behind all of them.
        if !role.is_empty()
            && roles.clone().count() >= limits::ROLE_COUNT_MAX
            && let Some((oldest, _)) = roles.min_by_key(|(_, kept)| kept.used_at)
        {
            self.credentials.remove(oldest);
        }
        self.credentials.push(Kept {
            role: role.to_owned(),
            credentials,
            fetched_at: clock,
            used_at: clock,
        });
    }

    /// Credentials that a store refused are of no use.
    pub(super) fn drop_credentials(&mut self, role: &str) {
        self.credentials.retain(|kept| kept.role != role);
    }

    /// The token that `mint` stands for, now; a database's is another one each time.
    pub fn token(&mut self, mint: &Mint, clock: u64) -> Result<Secret, Cause> {
        let made = self.tokens.iter().find(|(known, _, until)| {
            // A clock that was set back makes none of them younger.
            known == mint && clock < *until && *until - clock <= limits::CLUSTER_TOKEN_MAX
        });
        if let Some((_, token, _)) = made {
            return Ok(token.clone());
        }
        let role = mint.role();
        let (credentials, _) = self.usable(&role, clock).ok_or(ENDED)?;
        let token = make(mint, credentials, clock.saturating_add_signed(self.skew));
        // It ends with the credentials that have signed it.
        let end = credentials.until.unwrap_or(u64::MAX);
        // Amazon says it by its own clock.
        let end = end
            .saturating_sub(TOKEN_MARGIN)
            .saturating_add_signed(-self.skew);
        let until = end.min(clock + limits::CLUSTER_TOKEN_MAX);
        for kept in &mut self.credentials {
            if kept.role == role {
                kept.used_at = clock;
            }
        }
        if let Mint::Cluster { .. } = mint {
            self.tokens.retain(|(known, ..)| known != mint);
            if self.tokens.len() >= limits::ROLE_COUNT_MAX {
                self.tokens.remove(0);
            }
            self.tokens.push((mint.clone(), token.clone(), until));
        }
        Ok(token)
    }

    /// When the credentials behind `mint` are to be renewed; `None`: now.
    pub fn renewed_at(&self, mint: &Mint, clock: u64) -> Option<u64> {
        let (_, renewed_at) = self.usable(&mint.role(), clock)?;
        (renewed_at > clock).then_some(renewed_at)
    }
}

/// Seconds for the request that a token goes with, and for clocks that differ.
const TOKEN_MARGIN: u64 = 60;

const ENDED: Cause = Cause::fixed(
    "the agent's AWS credentials have ended and could not be renewed: its log says why",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_go_writes_them() {
        for (text, wanted) in [
            ("10s", Some(10_000)),
            ("1m30s", Some(90_000)),
            ("1500ms", Some(1500)),
            ("", Some(0)),
            ("10", None),
            ("s", None),
            ("1.5s", None),
            ("99999999h", None),
            ("-5s", None),
        ] {
            let wanted = wanted.map(Duration::from_millis);
            let read = go_duration(text);
            assert!(read == wanted || text.starts_with('9'), "{text} {read:?}");
        }
        let of = |text: &str| {
            let variables = [(
                "VAULT_HTTP_REQ_TIMEOUT".to_owned(),
                text.as_bytes().to_vec(),
            )];
            Settings::new(variables.into_iter()).fetch_max()
        };
        assert_eq!(of("1s"), limits::FETCH_MAX);
        assert_eq!(of("2s"), limits::FETCH_MAX);
        assert_eq!(of("10s"), Duration::from_secs(11));
        assert_eq!(of("24h"), limits::FETCH_LONGEST);
    }

    #[test]
    fn keepers_of_credentials_are_known_by_number_but_not_this_machine() {
        let of = |name: &str, url: &str| {
            let variables = [(name.to_owned(), url.as_bytes().to_vec())];
            Settings::new(variables.into_iter()).keepers()
        };
        let (ec2, full) = (
            "AWS_EC2_METADATA_SERVICE_ENDPOINT",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        );
        let wanted: Vec<IpAddr> = vec!["10.1.2.3".parse().unwrap()];
        assert_eq!(of(ec2, "http://10.1.2.3:8080"), wanted);
        assert_eq!(of(full, "https://10.1.2.3/x?y=z"), wanted);
        for url in ["http://127.0.0.1:1", "http://[::1]/", "http://keeper/", "x"] {
            assert!(of(full, url).is_empty(), "{url}");
        }
    }

    #[test]
    fn a_clusters_token_ends_with_the_credentials_that_have_signed_it() {
        let mut stores = Stores::default();
        let of = |id: &str, until| Credentials {
            id: id.into(),
            secret: Secret::new("s"),
            token: None,
            until: Some(until),
        };
        let mint = Mint::cluster("c", "us-west-2", None).unwrap();
        // Nine minutes are left when the first is made, and others come meanwhile.
        stores.keep("", of("AOLD", 1540), 1000);
        let first = stores.token(&mint, 1000).unwrap();
        stores.keep("", of("ANEW", 9000), 1300);
        assert!(stores.token(&mint, 1479).unwrap() == first);
        let second = stores.token(&mint, 1480).unwrap();
        assert!(second != first);
        // That one lives for its ten minutes, also by a clock that was set back a little.
        assert!(stores.token(&mint, 2079).unwrap() == second);
        assert!(stores.token(&mint, 2080).unwrap() != second);
        assert!(stores.token(&mint, 1400).unwrap() != second);
        // Our clock is ten minutes behind: what Amazon ends at 3000 ends here at 2400.
        stores.skew = 600;
        stores.keep("", of("ASKEW", 3000), 2100);
        let third = stores.token(&mint, 2101).unwrap();
        assert!(stores.token(&mint, 2339).unwrap() == third);
        assert!(stores.token(&mint, 2340).unwrap() != third);
    }

    #[test]
    fn credentials_are_kept_for_as_long_as_they_are_good_and_roles_have_a_bound() {
        let mut stores = Stores::default();
        let until = |until: u64| Credentials {
            id: "A".into(),
            secret: Secret::new("s"),
            token: None,
            until: Some(until),
        };
        stores.keep("", until(4600), 1000);
        assert!(stores.fresh("", 4299).is_some() && stores.fresh("", 4300).is_none());
        assert_eq!(stores.usable("", 4599).map(|it| it.1), Some(3700));
        assert!(stores.usable("", 4600).is_none());
        // A role of 15 minutes is renewed after ten.
        stores.keep("r", until(1900), 1000);
        assert_eq!(stores.usable("r", 1000).map(|it| it.1), Some(1600));
        let mint = |arn: &str| {
            let role = super::super::Role {
                arn: arn.into(),
                ..Default::default()
            };
            Mint::cluster("c", "us-west-2", Some(role)).unwrap()
        };
        let (own, used) = (until(90_000), mint("used"));
        stores.keep("", own, 1000);
        stores.keep(&used.role(), until(90_000), 1000);
        for number in 0..20 {
            stores.token(&used, 1001 + 600 * number).unwrap();
            stores.keep(&number.to_string(), until(90_000), 1000 + 600 * number);
        }
        assert_eq!(stores.credentials.len(), limits::ROLE_COUNT_MAX + 1);
        // Neither the agent's own nor what is in use has made room.
        assert!(stores.usable("", 8999).is_some() && stores.usable(&used.role(), 8999).is_some());
        stores.forget();
        assert!(stores.credentials.is_empty());
    }
}
