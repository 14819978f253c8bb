//! The way to the agent's credentials: from the chain's first source, then from role to role.
//!
//! One question at a time. Metadata addresses are asked in the clear, by number, never by a proxy, within 2 s in all;
//! one that did not answer is left alone for 30 s.

use std::time::Instant;

use super::answers;
use super::chain::{Base, Chain, NOTHING};
use super::endpoints::{self, NO_REGION, Service};
use super::identity::{Credentials, Role};
use super::metadata;
use super::profiles::Profiles;
use super::questions::{self, FORM, VERSION, ask, form, heard_of, session_of, signed};
use super::region::is_region;
use crate::base::Secret;
use crate::http::{BaseUrl, Response, encode_segment, is_field_value};
use crate::limits;
use crate::secrets::asking::{Ask, Found, Trouble, World, request, text};
use crate::secrets::words::Cause;

/// What was asked last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asked {
    Nothing,
    /// IMDSv2's token,
    InstanceToken,
    /// the role's name,
    InstanceRole,
    /// its keys,
    InstanceKeys,
    /// where the machine is.
    InstanceRegion,
    Container,
    WebIdentity,
    /// The first of the roles that are left.
    Role,
}

/// See the module.
pub struct Getting {
    profiles: Profiles,
    chain: Chain,
    region: Option<String>,
    asked: Asked,
    /// What is there so far.
    got: Option<Credentials>,
    /// An earlier session has got them.
    is_kept: bool,
    instance_token: Option<Secret>,
    instance_role: String,
    /// Version 1 of the machine's address is asked, without a token.
    is_v1: bool,
    has_asked_region: bool,
    /// Since when metadata is asked.
    since: Option<Instant>,
}

/// What comes next.
pub enum Next {
    /// This is to be asked.
    Ask(Ask),
    /// They are here.
    Got,
}

impl Getting {
    /// Finds out which ones.
    ///
    /// `is_for_token`: a token that is made of them has to live for a while. A region that is given is meant, whatever
    /// the agent is set to.
    pub fn new(
        (is_for_token, region): (bool, Option<String>),
        found: &mut Found,
        world: &mut World<'_>,
    ) -> Result<Self, Cause> {
        let profiles = Profiles::read(world)?;
        let chain = Chain::find(&profiles, found, &world.stores.settings)?;
        let region = match region {
            None => endpoints::region(&world.stores.settings, Some(&profiles))?,
            given => given,
        };
        let kept = match chain.base {
            // Keys of files and variables are read anew; what was fetched is kept.
            Base::Keys(_) if chain.roles.is_empty() => None,
            _ if is_for_token => world.stores.fresh_for_token("", world.clock).cloned(),
            _ => world.stores.fresh("", world.clock).cloned(),
        };
        let is_kept = kept.is_some();
        let mut getting = Self {
            profiles,
            chain,
            region,
            asked: Asked::Nothing,
            got: kept,
            is_kept,
            instance_token: None,
            instance_role: String::new(),
            is_v1: false,
            has_asked_region: false,
            since: None,
        };
        if is_kept {
            getting.chain.roles.clear();
        }
        Ok(getting)
    }

    /// What the agent is set to, and what the machine has said.
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// Where a service is.
    pub fn url(
        &self,
        service: Service,
        region: &str,
        is_in_chain: bool,
        world: &World<'_>,
    ) -> Result<BaseUrl, Cause> {
        endpoints::url(
            service,
            region,
            is_in_chain,
            &world.stores.settings,
            &self.profiles,
        )
    }

    /// Where they come from, for `doctor`.
    pub fn state_source(&self, found: &mut Found) {
        found.state(&["credentials by ", &self.chain.source]);
    }

    /// What is known of them and of the region, once they are got.
    pub fn state_credentials(&self, found: &mut Found, world: &World<'_>) {
        let Some(got) = &self.got else {
            return;
        };
        found.has_credentials = true;
        found.state(&[&got.described(world.clock)]);
        let by = endpoints::region_named_by(&world.stores.settings, &self.profiles);
        if let Some(region) = &self.region {
            found.state(&["region ", region, " by ", by]);
        }
    }

    /// The credentials, once they are got.
    pub fn credentials(&self) -> Option<&Credentials> {
        self.got.as_ref()
    }

    /// What is to be done. A region is asked for last, and only where `needs_region`.
    pub fn next(
        &mut self,
        needs_region: bool,
        found: &mut Found,
        world: &mut World<'_>,
    ) -> Result<Next, Cause> {
        let Some(got) = self.got.clone() else {
            return self
                .first(found, world)
                .map(|ask| ask.map_or(Next::Got, Next::Ask));
        };
        if let Some(role) = self.chain.roles.first().cloned() {
            self.asked = Asked::Role;
            return Ok(Next::Ask(self.assume(&role, &got, true, world)?));
        }
        let is_instance = matches!(self.chain.base, Base::Instance);
        if needs_region && self.region.is_none() && is_instance && !self.has_asked_region {
            // Credentials that were kept came without a token for this.
            self.has_asked_region = true;
            self.asked = match self.is_v1 || self.instance_token.is_some() {
                true => Asked::InstanceRegion,
                false => Asked::InstanceToken,
            };
            return Ok(Next::Ask(self.ask_instance(world)?));
        }
        if !self.is_kept {
            world.stores.keep("", got, world.clock);
        }
        Ok(Next::Got)
    }

    /// The question for the first credentials; `None`: they are here.
    fn first(&mut self, found: &mut Found, world: &mut World<'_>) -> Result<Option<Ask>, Cause> {
        match &self.chain.base {
            Base::Keys(keys) => {
                self.got = Some(keys.clone());
                // A role may have to be taken on; the caller asks again.
                match self.next(false, found, world)? {
                    Next::Ask(ask) => Ok(Some(ask)),
                    Next::Got => Ok(None),
                }
            }
            Base::WebIdentity { file, role } => {
                let ask = self.assume_by_token(file, role, found, world)?;
                self.asked = Asked::WebIdentity;
                Ok(Some(ask))
            }
            Base::Container { url } => {
                let url = url.clone();
                self.asked = Asked::Container;
                self.ask_container(&url, found, world).map(Some)
            }
            Base::Instance => {
                if self.asked == Asked::Nothing {
                    self.asked = Asked::InstanceToken;
                }
                self.ask_instance(world).map(Some)
            }
        }
    }

    /// The last question was answered, or not.
    pub fn answered(
        &mut self,
        answer: Result<&Response, &Trouble>,
        found: &mut Found,
        world: &mut World<'_>,
    ) -> Result<(), Cause> {
        match std::mem::replace(&mut self.asked, Asked::Nothing) {
            Asked::Nothing => Ok(()),
            Asked::Container => {
                let response = self.heard(CONTAINER, answer, found, world)?;
                self.got = Some(answers::json_credentials(text(response))?);
                Ok(())
            }
            asked @ (Asked::WebIdentity | Asked::Role) => {
                let response = heard_of("STS", answer, found)?;
                if response.status != 200 {
                    return Err(answers::refused("STS", "the agent's role", response, found));
                }
                self.got = Some(answers::xml_credentials(text(response))?);
                if asked == Asked::Role {
                    self.chain.roles.remove(0);
                }
                Ok(())
            }
            asked => self.instance_answered(asked, answer, found, world),
        }
    }

    fn instance_answered(
        &mut self,
        asked: Asked,
        answer: Result<&Response, &Trouble>,
        found: &mut Found,
        world: &mut World<'_>,
    ) -> Result<(), Cause> {
        if asked == Asked::InstanceToken {
            let token = match answer {
                // A router on the way drops the token's answer: behind one more hop than it may go.
                Err(Trouble::Silent | Trouble::Broke) => None,
                Err(trouble) => return Err(self.dead(trouble, found, world)),
                Ok(response) => match response.status {
                    200 => Some(text(response).trim()),
                    403..=405 => None,
                    _ => return Err(answers::refused(INSTANCE, "a token", response, found)),
                },
            };
            let token = token.filter(|token| !token.is_empty() && is_field_value(token));
            self.instance_token = token.map(Secret::new);
            if token.is_none() {
                if world
                    .stores
                    .settings
                    .is_true_in_any_case("AWS_EC2_METADATA_V1_DISABLED")
                {
                    return Err(HOPS);
                }
                found.note(&["EC2 gives no token (hop limit 1 in a container?): asking without one, as IMDSv1"]);
                self.is_v1 = true;
            }
            self.asked = match self.got {
                Some(_) => Asked::InstanceRegion,
                None => Asked::InstanceRole,
            };
            if self.got.is_some() {
                self.has_asked_region = false;
            }
            return Ok(());
        }
        let response = match self.heard(INSTANCE, answer, found, world) {
            // The region alone is missing.
            Err(_) if asked == Asked::InstanceRegion => return Ok(()),
            heard => heard?,
        };
        let said = text(response).trim();
        match asked {
            Asked::InstanceRole => {
                let role = said.lines().next().unwrap_or("").trim();
                if role.is_empty() || !is_field_value(role) || role.len() > 256 {
                    return Err(NO_INSTANCE_ROLE);
                }
                self.instance_role = encode_segment(role);
                self.asked = Asked::InstanceKeys;
            }
            Asked::InstanceRegion => {
                self.region = Some(said.to_owned()).filter(|region| is_region(region));
            }
            _ => self.got = Some(answers::json_credentials(said)?),
        }
        Ok(())
    }

    /// A metadata address has answered with 200.
    fn heard<'a>(
        &self,
        who: &str,
        answer: Result<&'a Response, &Trouble>,
        found: &mut Found,
        world: &mut World<'_>,
    ) -> Result<&'a Response, Cause> {
        match answer {
            Ok(response) if response.status == 200 => Ok(response),
            Ok(response) if who == INSTANCE && response.status == 404 => Err(NO_INSTANCE_ROLE),
            Ok(response) => Err(answers::refused(who, "the agent's role", response, found)),
            Err(trouble) => Err(self.dead(trouble, found, world)),
        }
    }

    /// A metadata address does not answer; the next session does not wait for it.
    fn dead(&self, trouble: &Trouble, found: &mut Found, world: &mut World<'_>) -> Cause {
        world.stores.metadata_dead = Some(world.now + limits::METADATA_DEAD);
        let (who, cause) = match self.chain.base {
            Base::Instance => (INSTANCE, NOTHING),
            _ => (CONTAINER, trouble.cause(CONTAINER)),
        };
        found.note_trouble(who, trouble);
        cause
    }

    // -- questions -------------------------------------------------------------------------------

    fn ask_instance(&mut self, world: &mut World<'_>) -> Result<Ask, Cause> {
        let settings = &world.stores.settings;
        let is_v6 = settings
            .get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE")
            .is_some_and(|mode| mode.eq_ignore_ascii_case("ipv6"));
        let usual = match is_v6 {
            true => metadata::INSTANCE_IPV6,
            false => metadata::INSTANCE,
        };
        let set = settings
            .get("AWS_EC2_METADATA_SERVICE_ENDPOINT")
            .unwrap_or(usual);
        let url = BaseUrl::parse(set)
            .map_err(|_| Cause::setting("AWS_EC2_METADATA_SERVICE_ENDPOINT", "is no URL"))?;
        let (method, path) = match self.asked {
            Asked::InstanceToken => ("PUT", metadata::TOKEN_PATH.to_owned()),
            Asked::InstanceKeys => ("GET", [metadata::ROLES_PATH, &self.instance_role].concat()),
            Asked::InstanceRegion => ("GET", "/latest/meta-data/placement/region".to_owned()),
            _ => ("GET", metadata::ROLES_PATH.to_owned()),
        };
        let token = self.instance_token.clone();
        let header = match (&self.asked, &token) {
            (Asked::InstanceToken, _) => Some((metadata::TOKEN_LIFE, "300")),
            (_, Some(token)) => Some((metadata::TOKEN, token.expose_text().unwrap_or(""))),
            _ => None,
        };
        self.ask_metadata(&url, (method, &path), header, world)
    }

    fn ask_container(
        &mut self,
        url: &BaseUrl,
        found: &mut Found,
        world: &mut World<'_>,
    ) -> Result<Ask, Cause> {
        const FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
        let settings = &world.stores.settings;
        let file = settings.get(FILE).map(str::to_owned);
        let token = match file {
            Some(path) => Some(world.read_for(FILE, &path, found)?),
            None => settings
                .secret("AWS_CONTAINER_AUTHORIZATION_TOKEN")
                .cloned(),
        };
        let token = token
            .as_ref()
            .and_then(|token| token.expose_text())
            .map(str::trim);
        if token.is_some_and(|token| !is_field_value(token)) {
            return Err(Cause::setting(
                "container token",
                "is no token: it is one line of text",
            ));
        }
        let header = token
            .filter(|token| !token.is_empty())
            .map(|token| ("Authorization", token));
        self.ask_metadata(url, ("GET", ""), header, world)
    }

    fn ask_metadata(
        &mut self,
        url: &BaseUrl,
        (method, path): (&str, &str),
        header: Option<(&str, &str)>,
        world: &mut World<'_>,
    ) -> Result<Ask, Cause> {
        if world
            .stores
            .metadata_dead
            .is_some_and(|until| until > world.now)
        {
            return Err(match self.chain.base {
                Base::Instance => NOTHING,
                _ => Trouble::Silent.cause(CONTAINER),
            });
        }
        let since = *self.since.get_or_insert(world.now);
        let left = limits::METADATA_MAX.saturating_sub(world.now.saturating_duration_since(since));
        if left.is_zero() {
            return Err(self.dead(&Trouble::Silent, &mut Found::default(), world));
        }
        let step = limits::METADATA_ANSWER_MAX.min(left);
        Ok(questions::metadata(
            url,
            (method, path),
            header,
            step,
            world,
        ))
    }

    fn assume_by_token(
        &self,
        file: &str,
        role: &Role,
        found: &mut Found,
        world: &mut World<'_>,
    ) -> Result<Ask, Cause> {
        let token = world.read_for("AWS_WEB_IDENTITY_TOKEN_FILE", file, found)?;
        let region = self.region.as_deref().ok_or(NO_REGION)?;
        let url = self.url(Service::Sts, region, true, world)?;
        let session = session_of(role, world);
        let body = Secret::new(form(&[
            ("Action", "AssumeRoleWithWebIdentity"),
            ("RoleArn", &role.arn),
            ("RoleSessionName", &session),
            ("Version", VERSION),
            ("WebIdentityToken", token.expose_text().unwrap_or("").trim()),
        ]));
        let request = request(
            "POST",
            &url.authority,
            &[&url.prefix, "/"],
            &[FORM],
            Some(&body),
        );
        ask(&url, request, world)
    }

    /// A role is taken on by the credentials that there are.
    pub fn assume(
        &self,
        role: &Role,
        by: &Credentials,
        is_in_chain: bool,
        world: &mut World<'_>,
    ) -> Result<Ask, Cause> {
        let region = self.region.as_deref().ok_or(NO_REGION)?.to_owned();
        let url = self.url(Service::Sts, &region, is_in_chain, world)?;
        let session = session_of(role, world);
        let mut pairs = vec![
            ("Action", "AssumeRole"),
            ("DurationSeconds", role.duration.as_deref().unwrap_or("900")),
        ];
        pairs.extend(role.external_id.as_deref().map(|id| ("ExternalId", id)));
        pairs.extend([
            ("RoleArn", &role.arn[..]),
            ("RoleSessionName", &session),
            ("Version", VERSION),
        ]);
        let body = Secret::new(form(&pairs));
        signed(&url, Service::Sts, &region, &[FORM], &body, by, world)
    }

    /// Who the agent is.
    pub fn ask_identity(&self, by: &Credentials, world: &mut World<'_>) -> Result<Ask, Cause> {
        let region = self.region.as_deref().ok_or(NO_REGION)?.to_owned();
        let url = self.url(Service::Sts, &region, false, world)?;
        let body = Secret::new(form(&[
            ("Action", "GetCallerIdentity"),
            ("Version", VERSION),
        ]));
        signed(&url, Service::Sts, &region, &[FORM], &body, by, world)
    }
}

const INSTANCE: &str = "EC2's metadata address";
const CONTAINER: &str = "the container's address for credentials";

const HOPS: Cause = Cause::fixed(
    "EC2 gives the agent no token: raise the hop limit of its instance's metadata to 2, or give the agent a role in another way",
);
const NO_INSTANCE_ROLE: Cause = Cause::fixed("the agent's EC2 instance has no role");
