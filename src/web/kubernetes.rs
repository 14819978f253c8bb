//! The service of a `kubernetes` connection: which API server, whose certificate authority, which token.
//!
//! The service account of the pod that the agent runs in counts only for the cluster's own address: its
//! token never goes anywhere else. It changes under way, so it is no part of a service: each request brings
//! the one of its time ([`super::Current`]), and so does each handshake its authority.

use super::fields;
use super::site::{Site, SiteError, Wanted};
use crate::base::{Secret, Verify};
use crate::http::lines::is_value;
use crate::limits;

/// Where every pod finds the API server.
pub const CLUSTER_URL: &str = "https://kubernetes.default.svc.cluster.local";

/// Where Kubernetes puts a pod's token.
pub const TOKEN_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
/// Where it puts the authority that vouches for the API server.
pub const AUTHORITY_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";

/// What the two files hold at a time.
#[derive(Default)]
pub struct ServiceAccount {
    /// `Authorization` by the token; none where the file has no token.
    token: Option<Secret>,
    /// The authority, PEM.
    authority: Option<Vec<u8>>,
}

impl ServiceAccount {
    /// By what could be read of them.
    pub fn new(token: Option<Vec<u8>>, authority: Option<Vec<u8>>) -> Self {
        let token = token.map(Secret::new);
        let header = token.and_then(|token| bearer(token.expose()).ok());
        Self {
            token: header,
            authority,
        }
    }

    /// `Authorization` by the token.
    pub fn token(&self) -> Option<&[u8]> {
        self.token.as_ref().map(Secret::expose)
    }

    /// Who vouches for the API server, PEM.
    pub fn authority(&self) -> Option<&[u8]> {
        self.authority.as_deref()
    }
}

/// See the module.
pub struct Cluster {
    /// The service, with the connection's own token.
    pub site: Site,
    /// The pod's authority, where it has one, alone may vouch for it.
    pub has_pods_authority: bool,
}

impl Cluster {
    /// By the connection's variables.
    pub fn of(wanted: &Wanted<'_>) -> Result<Self, SiteError> {
        let url = wanted.get("KUBERNETES_CLUSTER_URL");
        let is_insecure = wanted.is_true("KUBERNETES_INSECURE_SKIP_VERIFY");
        let url = url.unwrap_or(CLUSTER_URL.as_bytes());
        let mut site = Site::at("KUBERNETES_CLUSTER_URL", url, is_insecure)?;
        let is_own_cluster =
            site.url.authority == CLUSTER_URL[b"https://".len()..] && site.url.is_tls;
        site.is_cluster = true;
        site.inject_all(wanted)?;
        // Amazon's clusters take tokens that the agent makes: each request brings the one of its time, too.
        let is_amazons = wanted.get("EKS_CLUSTER").is_some();
        let is_own_cluster = is_own_cluster && !is_amazons;
        if is_amazons && !site.url.is_tls && !site.url.address.is_loopback() {
            return Err(SiteError::new(
                "a token of EKS goes over TLS alone: KUBERNETES_CLUSTER_URL has to begin with https://",
            ));
        }
        match wanted.get("KUBERNETES_BEARER_TOKEN") {
            _ if is_amazons => site.bring_pods_token(),
            Some(token) => site.inject("Authorization", bearer(token)?)?,
            None if is_own_cluster => site.bring_pods_token(),
            None => return Err(no_token()),
        }
        Ok(Self {
            has_pods_authority: is_own_cluster && site.verify == Verify::Full,
            site,
        })
    }
}

/// Neither the connection nor the agent's pod has one.
pub fn no_token() -> SiteError {
    SiteError::new("missing required environment for connection [KUBERNETES_BEARER_TOKEN]")
}

/// Whether what is asked for comes for as long as somebody listens.
pub(super) fn is_followed(target: &[u8]) -> bool {
    let (path, query) = fields::halves(target, b'?');
    let follows = |part: &[u8]| {
        let (name, value) = fields::halves(part, b'=');
        matches!(name, b"watch" | b"follow") && !matches!(value, b"false" | b"0")
    };
    // The older way to watch.
    let is_watched = path.windows(7).any(|piece| piece == b"/watch/");
    is_watched || query.split(|byte| *byte == b'&').any(follows)
}

/// The header's value; `Bearer` stands in front of a token once.
fn bearer(token: &[u8]) -> Result<Secret, SiteError> {
    let token = token.trim_ascii();
    if token.is_empty()
        || !is_value(token)
        || token.len() > limits::WEB_TOKEN_BYTES_MAX - BEARER.len()
    {
        return Err(SiteError::new(
            "KUBERNETES_BEARER_TOKEN is no token: it is one line of 32 KiB at most",
        ));
    }
    let has_scheme = token
        .get(..BEARER.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(BEARER));
    Ok(Secret::new(match has_scheme {
        true => token.to_vec(),
        false => [BEARER, token].concat(),
    }))
}

const BEARER: &[u8] = b"Bearer ";

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(variables: &[(&str, &str)]) -> Result<Cluster, String> {
        Wanted::of_texts(variables, Cluster::of)
    }

    fn token(cluster: &Cluster) -> &str {
        let token = cluster.site.value("authorization").unwrap_or_default();
        std::str::from_utf8(token).unwrap()
    }

    #[test]
    fn a_token_of_amazons_goes_over_tls_or_stays_in_the_machine() {
        let eks = ("EKS_CLUSTER", "prod");
        let at = |url: &str| cluster(&[eks, ("KUBERNETES_CLUSTER_URL", url)]);
        for url in ["https://x.eks.amazonaws.com", "http://127.0.0.1:8001"] {
            let cluster = at(url).unwrap();
            assert!(
                cluster.site.brings_pods_token() && !cluster.has_pods_authority,
                "{url}"
            );
        }
        for url in ["http://x.eks.amazonaws.com", "http://10.0.0.1"] {
            assert!(at(url).err().unwrap().contains("https://"), "{url}");
        }
        assert!(!cluster(&[eks]).unwrap().has_pods_authority);
    }

    #[test]
    fn the_pods_account_is_for_the_pods_cluster_alone() {
        let own = cluster(&[]).unwrap();
        assert!(own.site.brings_pods_token() && own.has_pods_authority);
        assert!(own.site.injects(b"authorization") && own.site.has_secrets());
        assert_eq!(own.site.url.to_string(), CLUSTER_URL);
        let same = cluster(&[
            (
                "KUBERNETES_CLUSTER_URL",
                "https://kubernetes.default.svc.cluster.local:443/",
            ),
            ("HEADER_AUTHORIZATION", "x"),
        ])
        .unwrap();
        assert!(same.site.brings_pods_token() && token(&same).is_empty());
        for url in [
            "https://evil.example",
            "http://kubernetes.default.svc.cluster.local",
            "https://kubernetes.default.svc.cluster.local:6443",
        ] {
            let error = cluster(&[("KUBERNETES_CLUSTER_URL", url)]).err();
            assert_eq!(
                error.as_deref(),
                Some("missing required environment for connection [KUBERNETES_BEARER_TOKEN]")
            );
            let other = cluster(&[
                ("KUBERNETES_CLUSTER_URL", url),
                ("KUBERNETES_BEARER_TOKEN", "t"),
            ])
            .unwrap();
            assert!(token(&other) == "Bearer t" && !other.has_pods_authority);
            assert!(!other.site.brings_pods_token());
        }
    }

    #[test]
    fn a_token_has_its_scheme_once_and_counts_more_than_a_header() {
        let given = cluster(&[
            ("KUBERNETES_BEARER_TOKEN", "bearer abc"),
            ("HEADER_AUTHORIZATION", "x"),
            ("HEADER_X", "y"),
        ])
        .unwrap();
        assert_eq!(
            (token(&given), given.site.value("X")),
            ("bearer abc", Some(&b"y"[..]))
        );
        let insecure = cluster(&[
            ("KUBERNETES_INSECURE_SKIP_VERIFY", "true"),
            ("INSECURE", "false"),
        ])
        .unwrap();
        assert!(insecure.site.verify == Verify::Nobody && !insecure.has_pods_authority);
        assert_eq!(
            cluster(&[("INSECURE", "true")]).unwrap().site.verify,
            Verify::Full
        );
    }

    #[test]
    fn what_is_followed_has_no_end() {
        for (target, is_one) in [
            ("/api/v1/pods?watch=true&resourceVersion=9", true),
            ("/api/v1/namespaces/x/pods/p/log?container=c&follow=1", true),
            ("/api/v1/watch/pods", true),
            ("/api/v1/pods?watch=false", false),
            ("/api/v1/pods?x=watch=true", false),
            ("/api/v1/pods/watch", false),
            ("/openapi/v2", false),
        ] {
            assert_eq!(is_followed(target.as_bytes()), is_one, "{target}");
        }
    }

    #[test]
    fn an_account_is_what_its_files_hold() {
        let account =
            |token: Option<&[u8]>| ServiceAccount::new(token.map(<[u8]>::to_vec), Some(vec![b'P']));
        let token = account(Some(b"pod-token\n"));
        assert_eq!(token.token(), Some(&b"Bearer pod-token"[..]));
        assert_eq!(token.authority(), Some(&b"P"[..]));
        for none in [None, Some(&b" \n"[..]), Some(b"a\nb")] {
            assert_eq!(account(none).token(), None);
        }
    }

    #[test]
    fn what_is_no_cluster_is_refused_without_its_values() {
        for (name, value) in [
            ("KUBERNETES_BEARER_TOKEN", "s3\r\ncret"),
            ("KUBERNETES_CLUSTER_URL", "s3cret"),
        ] {
            let error = cluster(&[(name, value)]).err().unwrap();
            assert!(error.contains(name) && !error.contains("s3"), "{error}");
        }
        let long = "x".repeat(limits::WEB_TOKEN_BYTES_MAX);
        assert!(cluster(&[("KUBERNETES_BEARER_TOKEN", &long)]).is_err());
    }
}
