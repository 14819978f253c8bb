//! Which credentials the agent has: the order in which Amazon's libraries look, and what they then need.
//!
//! Promises: the source that Go's SDK chooses, for every combination of variables and files; a source that was chosen
//! and is of no use is not followed by the next one, since then the agent would be somebody else. What needs a
//! person (SSO, MFA) or another program (`credential_process`) is refused by its name.

use super::identity::{Credentials, Role};
use super::metadata;
use super::profiles::{Profile, Profiles};
use crate::http::BaseUrl;
use crate::limits;
use crate::secrets::asking::Found;
use crate::secrets::stores::Settings;
use crate::secrets::words::Cause;

/// Where the first credentials come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Base {
    /// They are here.
    Keys(Credentials),
    /// A file has a token for this role.
    WebIdentity {
        /// The file.
        file: String,
        /// The role.
        role: Role,
    },
    /// An address of the container's keeper.
    Container {
        /// Where.
        url: BaseUrl,
    },
    /// The machine's own address.
    Instance,
}

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chain {
    /// The first.
    pub base: Base,
    /// What is taken on then, one after the other.
    pub roles: Vec<Role>,
    /// What people call it.
    pub source: String,
}

impl Chain {
    /// What counts, of variables and files.
    pub fn find(
        profiles: &Profiles,
        found: &mut Found,
        settings: &Settings,
    ) -> Result<Self, Cause> {
        if let Some(keys) = keys_of(settings) {
            return Ok(Self::of(Base::Keys(keys), "the environment's access key"));
        }
        let parts = [
            "AWS_ACCESS_KEY_ID",
            "AWS_ACCESS_KEY",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SECRET_KEY",
        ];
        found.pass(match settings.first(&parts) {
            Some(_) => "the environment's access key (half of the pair)",
            None => "the environment's access key (not set)",
        });
        if let Some(file) = settings.get("AWS_WEB_IDENTITY_TOKEN_FILE") {
            let role = Role {
                arn: settings.get("AWS_ROLE_ARN").ok_or(NO_ROLE)?.to_owned(),
                session: settings
                    .get("AWS_ROLE_SESSION_NAME")
                    .unwrap_or("")
                    .to_owned(),
                ..Role::default()
            };
            let file = file.to_owned();
            return Ok(Self::of(
                Base::WebIdentity { file, role },
                "the token file of AWS_WEB_IDENTITY_TOKEN_FILE",
            ));
        }
        found.pass("AWS_WEB_IDENTITY_TOKEN_FILE (not set)");
        let mut chain = Err(NOTHING);
        profiles.lend(&mut |profile| chain = Self::of_profile(&profile, settings, found));
        let mut chain = chain?;
        if let Base::Instance = chain.base
            && settings.is_true_in_any_case("AWS_EC2_METADATA_DISABLED")
        {
            return Err(NOTHING);
        }
        if !chain.roles.is_empty() {
            chain.source.push_str(", and a role of the profile");
        }
        Ok(chain)
    }

    fn of(base: Base, source: &str) -> Self {
        Self {
            base,
            roles: Vec::new(),
            source: source.to_owned(),
        }
    }

    /// What a profile says: another profile's credentials, its own, or those of the machine; then its role.
    fn of_profile<'a>(
        profile: &Profile<'a>,
        settings: &Settings,
        found: &mut Found,
    ) -> Result<Self, Cause> {
        let mut roles = Vec::new();
        let mut at = profile.other(profile.name);
        let mut seen: Vec<&str> = Vec::new();
        let base = loop {
            if at.get("mfa_serial").is_some() && at.get("role_arn").is_some() {
                return Err(MFA);
            }
            // One that another takes its keys from may have some of its own: they count, whatever else it says.
            let has_own = !seen.is_empty() && at.keys()?.is_some();
            if !has_own && at.is_ambiguous() {
                return Err(TWO_WAYS);
            }
            let role = at.role();
            let next = at
                .get("source_profile")
                .filter(|_| role.is_some() && !has_own);
            if let Some(next) = next {
                // Itself means its own keys.
                if next != at.name || at.keys()?.is_none() {
                    if seen.contains(&next) || seen.len() >= limits::ROLE_CHAIN_MAX {
                        return Err(CIRCLE);
                    }
                    seen.push(at.name);
                    roles.extend(role);
                    at = profile.other(next);
                    if !at.exists() {
                        return Err(NO_SOURCE);
                    }
                    continue;
                }
            }
            break Self::of_last(&at, role, &mut roles, settings, found)?;
        };
        roles.reverse();
        let (base, source) = base;
        Ok(Self {
            base,
            roles,
            source,
        })
    }

    /// The profile that has no other behind it.
    fn of_last(
        at: &Profile<'_>,
        role: Option<Role>,
        roles: &mut Vec<Role>,
        settings: &Settings,
        found: &mut Found,
    ) -> Result<(Base, String), Cause> {
        let named = |what: &str| [what, " of the profile ", at.name].concat();
        if let Some(keys) = at.keys()? {
            roles.extend(role);
            return Ok((Base::Keys(keys), named("the access key")));
        }
        if let Some(source) = at.get("credential_source") {
            let base = match source {
                "Environment" => Base::Keys(keys_of(settings).ok_or(NO_KEYS)?),
                "Ec2InstanceMetadata" => Base::Instance,
                "EcsContainer" => container(settings, found)?.ok_or(NO_CONTAINER)?,
                _ => return Err(BAD_SOURCE),
            };
            roles.extend(role);
            return Ok((base, named("credential_source")));
        }
        if let Some(file) = at.get("web_identity_token_file") {
            let role = role.ok_or(NO_ROLE)?;
            let file = file.to_owned();
            return Ok((
                Base::WebIdentity { file, role },
                named("web_identity_token_file"),
            ));
        }
        for (name, refused) in [
            ("sso_session", SSO),
            ("sso_start_url", SSO),
            ("sso_account_id", SSO),
            ("login_session", SSO),
            ("credential_process", PROCESS),
        ] {
            if at.get(name).is_some() {
                return Err(refused);
            }
        }
        roles.extend(role);
        found.pass(match at.exists() {
            true => "the profile (no keys)",
            false => "the profile (there is none)",
        });
        Ok(match container(settings, found)? {
            Some(base) => (base, "the container's address".to_owned()),
            None => {
                found.pass("the container's address (not set)");
                (Base::Instance, "the machine's own address (EC2)".to_owned())
            }
        })
    }
}

/// A whole pair; half of one is passed over, as Go's SDK does.
fn keys_of(settings: &Settings) -> Option<Credentials> {
    let id = settings.first(&["AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"])?;
    let names = ["AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"];
    let secret = names.iter().find_map(|name| settings.secret(name))?;
    Some(Credentials {
        id: id.to_owned(),
        secret: secret.clone(),
        token: settings.secret("AWS_SESSION_TOKEN").cloned(),
        until: None,
    })
}

fn container(settings: &Settings, found: &mut Found) -> Result<Option<Base>, Cause> {
    let text = match settings.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
        Some(path) if path.starts_with('/') => [metadata::TASK, path].concat(),
        Some(_) => return Err(BAD_CONTAINER),
        None => match settings.get("AWS_CONTAINER_CREDENTIALS_FULL_URI") {
            Some(url) => url.to_owned(),
            None => return Ok(None),
        },
    };
    // A query is part of what is asked.
    let (bare, query) = text.split_once('?').unwrap_or((&text, ""));
    let mut url = BaseUrl::parse(bare).map_err(|error| {
        found.note(&["the container's address: ", &error.to_string()]);
        BAD_CONTAINER
    })?;
    if !query.is_empty() {
        if !query.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BAD_CONTAINER);
        }
        url.prefix.push('?');
        url.prefix.push_str(query);
    }
    let host = url.address.host.as_str();
    let is_keeper = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"].contains(&host);
    match url.is_tls || url.address.is_loopback() || is_keeper {
        true => Ok(Some(Base::Container { url })),
        false => Err(OPEN_CONTAINER),
    }
}

/// Nothing is left to ask.
pub const NOTHING: Cause = Cause::fixed(
    "the agent has no AWS credentials: give it a role (IRSA, Pod Identity, ECS, EC2), or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
);
const NO_ROLE: Cause =
    Cause::fixed("the agent's AWS_WEB_IDENTITY_TOKEN_FILE needs a role: set AWS_ROLE_ARN");
const NO_KEYS: Cause = Cause::fixed("the profile takes keys from the environment, where none are");
const NO_CONTAINER: Cause =
    Cause::fixed("the profile takes credentials from a container, and the agent is in none");
const BAD_SOURCE: Cause = Cause::fixed(
    "the profile's credential_source is none of Environment, Ec2InstanceMetadata, EcsContainer",
);
const NO_SOURCE: Cause = Cause::fixed("the profile's source_profile is in neither file");
const CIRCLE: Cause = Cause::fixed("the profile's source_profile leads in a circle, or too far");
const TWO_WAYS: Cause = Cause::fixed(
    "the agent's AWS profile has two of source_profile, credential_source, credential_process and web_identity_token_file: leave one",
);
const MFA: Cause = Cause::fixed(
    "the agent's AWS profile wants a code of a person (mfa_serial): give the agent a role of its own",
);
const SSO: Cause = Cause::fixed(
    "the agent's AWS profile needs a person's login (SSO): give the agent a role of its own",
);
const PROCESS: Cause = Cause::fixed(
    "the agent's AWS profile runs a program for its keys (credential_process), which this agent does not: give it a role of its own",
);
const BAD_CONTAINER: Cause = Cause::fixed("the container's address for credentials is no URL");
const OPEN_CONTAINER: Cause = Cause::fixed(
    "the container's address for credentials is neither https, nor loopback, nor one of ECS and EKS",
);
