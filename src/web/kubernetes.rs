//! The service of a `kubernetes` connection: which API server, whose certificate authority, which token.
//!
//! The service account of the pod that the agent runs in counts only for the cluster's own address: its
//! token never goes anywhere else.

use super::site::{Site, SiteError, Wanted, is_value};
use crate::base::{Secret, Verify};
use crate::limits;

/// Where every pod finds the API server.
pub const CLUSTER_URL: &str = "https://kubernetes.default.svc.cluster.local";

/// Where Kubernetes puts a pod's token.
pub const TOKEN_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
/// Where it puts the authority that vouches for the API server.
pub const AUTHORITY_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";

/// What the two files hold, where there are any. Both change under way: read them for each session, and
/// again when they do.
#[derive(Clone, Copy, Default)]
pub struct ServiceAccount<'a> {
    /// The token.
    pub token: Option<&'a [u8]>,
    /// The authority, PEM.
    pub authority: Option<&'a [u8]>,
}

/// See the module.
pub struct Cluster {
    /// The service, with the token.
    pub site: Site,
    /// Who alone may vouch for it; the public authorities where there is none.
    pub authority: Option<Vec<u8>>,
    /// The token is the pod's: [`Cluster::renew`] it when the file changes.
    pub has_pods_token: bool,
}

impl Cluster {
    /// By the connection's variables.
    pub fn of(wanted: &Wanted<'_>, account: ServiceAccount<'_>) -> Result<Self, SiteError> {
        if wanted.get("EKS_CLUSTER").is_some() {
            return Err(SiteError::new(
                "this agent does not fetch tokens for EKS_CLUSTER: remove that variable and give \
                 KUBERNETES_CLUSTER_URL and KUBERNETES_BEARER_TOKEN, or use another agent for this connection",
            ));
        }
        let mut site = Self::site(wanted)?;
        let is_own_cluster =
            site.url.authority == CLUSTER_URL[b"https://".len()..] && site.url.is_tls;
        let account = match is_own_cluster {
            true => account,
            false => ServiceAccount::default(),
        };
        site.inject_all(wanted)?;
        let given = wanted.get("KUBERNETES_BEARER_TOKEN");
        let missing = "missing required environment for connection [KUBERNETES_BEARER_TOKEN]";
        let token = given.or(account.token).ok_or(SiteError::new(missing))?;
        site.inject("Authorization", bearer(token)?)?;
        let authority = account.authority.filter(|_| site.verify == Verify::Full);
        Ok(Self {
            site,
            authority: authority.map(<[u8]>::to_vec),
            has_pods_token: given.is_none(),
        })
    }

    /// Its service, without token and headers.
    pub fn site(wanted: &Wanted<'_>) -> Result<Site, SiteError> {
        let url = wanted
            .get("KUBERNETES_CLUSTER_URL")
            .unwrap_or(CLUSTER_URL.as_bytes());
        let is_insecure = wanted.is_true("KUBERNETES_INSECURE_SKIP_VERIFY");
        Site::at("KUBERNETES_CLUSTER_URL", url, is_insecure)
    }

    /// The pod's token has changed.
    pub fn renew(&mut self, token: &[u8]) -> Result<(), SiteError> {
        match self.has_pods_token {
            true => self.site.inject("Authorization", bearer(token)?),
            false => Ok(()),
        }
    }
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

    const POD: ServiceAccount<'static> = ServiceAccount {
        token: Some(b"pod-token\n"),
        authority: Some(b"PEM"),
    };

    fn cluster(variables: &[(&str, &str)]) -> Result<Cluster, String> {
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()))
            .collect();
        let wanted = Wanted {
            variables: &variables,
            features: &[],
        };
        Cluster::of(&wanted, POD).map_err(|error| error.0.into_owned())
    }

    fn token(cluster: &Cluster) -> &str {
        std::str::from_utf8(cluster.site.value("authorization").unwrap()).unwrap()
    }

    #[test]
    fn the_pods_account_is_for_the_pods_cluster_alone() {
        let own = cluster(&[]).unwrap();
        assert_eq!(
            (token(&own), own.authority.as_deref()),
            ("Bearer pod-token", Some(&b"PEM"[..]))
        );
        assert_eq!(own.site.url.to_string(), CLUSTER_URL);
        let same = cluster(&[(
            "KUBERNETES_CLUSTER_URL",
            "https://kubernetes.default.svc.cluster.local:443/",
        )]);
        assert!(same.unwrap().has_pods_token);
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
            assert!(
                token(&other) == "Bearer t" && other.authority.is_none() && !other.has_pods_token
            );
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
        assert!(insecure.site.verify == Verify::Nobody && insecure.authority.is_none());
        assert_eq!(
            cluster(&[("INSECURE", "true")]).unwrap().site.verify,
            Verify::Full
        );
    }

    #[test]
    fn the_pods_token_can_change_and_a_given_one_stays() {
        let mut own = cluster(&[]).unwrap();
        own.renew(b"new").unwrap();
        assert_eq!(token(&own), "Bearer new");
        assert!(own.renew(b" \n").is_err());
        let mut given = cluster(&[("KUBERNETES_BEARER_TOKEN", "abc")]).unwrap();
        given.renew(b"new").unwrap();
        assert_eq!(token(&given), "Bearer abc");
    }

    #[test]
    fn what_is_no_cluster_is_refused_without_its_values() {
        for (name, value) in [
            ("EKS_CLUSTER", "s3cret"),
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
