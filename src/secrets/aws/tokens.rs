//! Tokens that the agent makes itself: for a database of RDS, and for a cluster of EKS.
//!
//! Promises: each is made of credentials that are good at that moment; a database's anew for every login; the host
//! that is signed is one of the region's own.

use super::identity::{Credentials, Needs, Role};
use super::region::{is_region, suffix};
use super::sigv4::{Request, Scope, presign};
use crate::base::Secret;
use crate::secrets::words::Cause;
use crate::wire::base64;

/// What a session's token is made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mint {
    /// A login to a database.
    Database {
        /// Its user.
        user: String,
        /// Its host, in lower case.
        host: String,
        /// Its port.
        port: u16,
        /// Its region.
        region: String,
    },
    /// A cluster's bearer token.
    Cluster {
        /// Its name.
        cluster: String,
        /// Its region.
        region: String,
        /// By this role; the agent's own where there is none.
        role: Option<Role>,
    },
}

impl Mint {
    /// A database, whose region its name has, or else the agent.
    pub fn database(
        user: &str,
        host: &str,
        port: u16,
        of_agent: Option<&str>,
    ) -> Result<Self, Cause> {
        let host = host.to_ascii_lowercase();
        let region = region_of(&host).or(of_agent).ok_or(NO_REGION)?.to_owned();
        Ok(Self::Database {
            user: user.to_owned(),
            host,
            port,
            region,
        })
    }

    /// A cluster.
    pub fn cluster(cluster: &str, region: &str, role: Option<Role>) -> Result<Self, Cause> {
        let is_name = (1..=100).contains(&cluster.len())
            && cluster
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if !is_name {
            return Err(BAD_CLUSTER);
        }
        if !is_region(region) {
            return Err(NO_CLUSTER_REGION);
        }
        if let Some(role) = &role
            && !role.session.is_empty()
            && !is_session(&role.session)
        {
            return Err(BAD_SESSION);
        }
        Ok(Self::Cluster {
            cluster: cluster.to_owned(),
            region: region.to_owned(),
            role,
        })
    }

    /// What its credentials are kept under.
    pub(in crate::secrets) fn role(&self) -> String {
        match self {
            Self::Cluster {
                role: Some(role), ..
            } => role.key(),
            _ => String::new(),
        }
    }

    /// What has to be fetched for it.
    pub fn needs(&self) -> Needs {
        match self {
            Self::Database { .. } => Needs::Credentials,
            Self::Cluster { role, region, .. } => Needs::Role(role.clone(), region.clone()),
        }
    }
}

/// As STS takes it.
fn is_session(text: &str) -> bool {
    (2..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte))
}

/// The region in the name of an instance, a cluster or a proxy of RDS.
fn region_of(host: &str) -> Option<&str> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let found = match host.strip_suffix(".rds.amazonaws.com") {
        Some(front) => front.rsplit('.').next(),
        None => host.strip_suffix(".amazonaws.com.cn").and_then(|front| {
            let (front, region) = front.rsplit_once('.')?;
            front.ends_with(".rds").then_some(region)
        }),
    };
    found.filter(|region| is_region(region))
}

/// The token that `mint` stands for at `time`, which is Amazon's.
pub(in crate::secrets) fn make(mint: &Mint, credentials: &Credentials, time: u64) -> Secret {
    match mint {
        Mint::Database {
            user,
            host,
            port,
            region,
        } => {
            let place = [&host[..], ":", &port.to_string()].concat();
            let request = Request {
                method: "GET",
                // Signers leave out the port of https, whoever listens there.
                host: if *port == 443 { host } else { &place },
                path: "/",
                query: &[("Action", "connect"), ("DBUser", user)],
                headers: &[],
                body: b"",
            };
            let service = "rds-db";
            let scope = Scope {
                time,
                region,
                service,
            };
            let query = presign(&request, scope, "900", credentials);
            Secret::new([place.as_bytes(), b"?", query.expose()].concat())
        }
        Mint::Cluster {
            cluster, region, ..
        } => {
            let host = ["sts.", region, ".", suffix(region)].concat();
            let request = Request {
                method: "GET",
                host: &host,
                path: "/",
                query: &[("Action", "GetCallerIdentity"), ("Version", "2011-06-15")],
                headers: &[("x-k8s-aws-id", cluster)],
                body: b"",
            };
            let service = "sts";
            let scope = Scope {
                time,
                region,
                service,
            };
            let query = presign(&request, scope, "60", credentials);
            let url = [b"https://", host.as_bytes(), b"/?", query.expose()].concat();
            let text = base64_url(Secret::new(url).expose());
            Secret::new([b"k8s-aws-v1.", text.expose()].concat())
        }
    }
}

/// The alphabet of URLs, without padding.
fn base64_url(bytes: &[u8]) -> Secret {
    let mut text = base64::encode(bytes).into_bytes();
    text.retain(|byte| *byte != b'=');
    for byte in &mut text {
        match byte {
            b'+' => *byte = b'-',
            b'/' => *byte = b'_',
            _ => {}
        }
    }
    Secret::new(text)
}

const NO_REGION: Cause = Cause::fixed(
    "HOST does not say in which AWS region the database is: use its own name (*.<region>.rds.amazonaws.com), or set AWS_REGION of the agent",
);
const BAD_CLUSTER: Cause = Cause::fixed("EKS_CLUSTER is no name of a cluster");
const NO_CLUSTER_REGION: Cause = Cause::fixed(
    "nobody says in which AWS region the cluster is: set EKS_AWS_REGION of the connection, or AWS_REGION of the agent",
);
const BAD_SESSION: Cause = Cause::fixed(
    "the name of the role's session is none that AWS takes: 2 to 64 letters, digits and _+=,.@-",
);
