//! The profile that counts, out of the two files of AWS's tools.

use super::identity::{Credentials, Role};
use super::ini::Ini;
use crate::base::Secret;
use crate::secrets::asking::World;
use crate::secrets::words::Cause;

/// The two files, and which profile of theirs counts.
pub struct Profiles {
    config: Secret,
    credentials: Secret,
    /// Its name.
    pub name: String,
}

/// A profile in both files.
pub struct Profile<'a> {
    config: &'a Ini<'a>,
    credentials: &'a Ini<'a>,
    pub(super) name: &'a str,
}

impl Profiles {
    /// Reads what there is of the files; one that is missing is empty.
    pub fn read(world: &mut World<'_>) -> Result<Self, Cause> {
        let settings = &world.stores.settings;
        let home = settings.get("HOME").unwrap_or("").to_owned();
        let place = |variable: &str, usual: &str| match settings.get(variable) {
            Some(path) => path.to_owned(),
            None => [&home[..], usual].concat(),
        };
        let places = [
            place("AWS_CONFIG_FILE", "/.aws/config"),
            place("AWS_SHARED_CREDENTIALS_FILE", "/.aws/credentials"),
        ];
        let named = settings.first(&["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]);
        let (is_named, name) = (named.is_some(), named.unwrap_or("default").to_owned());
        // An agent that runs as nobody has no home.
        let [config, credentials] = places.map(|path| world.read(&path).unwrap_or_default());
        let read = Self {
            config,
            credentials,
            name,
        };
        match is_named && !read.exists() {
            true => Err(Cause::setting(
                "AWS_PROFILE",
                "names a profile that is in neither file",
            )),
            false => Ok(read),
        }
    }

    /// Lends the profile: what it says is borrowed from its files.
    pub(super) fn lend(&self, look: &mut dyn FnMut(Profile<'_>)) {
        let config = Ini::read(self.config.expose_text().unwrap_or(""));
        let credentials = Ini::read(self.credentials.expose_text().unwrap_or(""));
        look(Profile {
            config: &config,
            credentials: &credentials,
            name: &self.name,
        });
    }

    fn exists(&self) -> bool {
        let mut exists = false;
        self.lend(&mut |profile| exists = profile.exists());
        exists
    }

    /// A value of the profile.
    pub fn get(&self, name: &str) -> Option<String> {
        let mut value = None;
        self.lend(&mut |profile| value = profile.get(name).map(str::to_owned));
        value
    }

    /// The address that the profile has for a service.
    pub fn endpoint(&self, service: &str) -> Option<String> {
        let mut url = None;
        self.lend(&mut |profile| {
            let services = profile.get("services");
            let of_service = services.and_then(|services| {
                profile
                    .config
                    .part(&["services", services], service, "endpoint_url")
            });
            url = of_service
                .or_else(|| profile.get("endpoint_url"))
                .map(str::to_owned);
        });
        url
    }
}

impl<'a> Profile<'a> {
    /// Another one, of the same files.
    pub(super) fn other(&self, name: &'a str) -> Self {
        Self { name, ..*self }
    }

    pub(super) fn exists(&self) -> bool {
        self.config.has(&["profile", self.name])
            || (self.name == "default" && self.config.has(&["default"]))
            || self.credentials.has(&[self.name])
    }

    /// What the file `config` says.
    fn of_config(&self, name: &str) -> Option<&'a str> {
        let own = self.config.get(&["profile", self.name], name);
        own.or_else(|| {
            self.config
                .get(&["default"], name)
                .filter(|_| self.name == "default")
        })
    }

    /// What the file `credentials` says.
    fn of_credentials(&self, name: &str) -> Option<&'a str> {
        self.credentials.get(&[self.name], name)
    }

    /// The file of credentials counts more.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.of_credentials(name).or_else(|| self.of_config(name))
    }

    /// A whole pair of one file, of the later one where both have something; with half of one nobody knows who the
    /// agent is to be.
    pub(super) fn keys(&self) -> Result<Option<Credentials>, Cause> {
        let names = ["aws_access_key_id", "aws_secret_access_key"];
        let is_later_there = self.credentials.has(&[self.name]);
        let mut keys = Ok(None);
        for (is_there, pair) in [
            (true, names.map(|name| self.of_config(name))),
            (is_later_there, names.map(|name| self.of_credentials(name))),
        ] {
            keys = match pair {
                [Some(id), Some(secret)] => Ok(Some((id, secret))),
                [None, None] if is_there => keys.or(Ok(None)),
                [None, None] => keys,
                _ => Err(HALF),
            };
        }
        Ok(keys?.map(|(id, secret)| Credentials {
            id: id.to_owned(),
            secret: Secret::new(secret),
            token: self.get("aws_session_token").map(Secret::new),
            until: None,
        }))
    }

    /// It says in two ways where its credentials come from.
    pub(super) fn is_ambiguous(&self) -> bool {
        let ways = [
            "source_profile",
            "credential_source",
            "credential_process",
            "web_identity_token_file",
        ];
        ways.iter().filter(|way| self.get(way).is_some()).count() > 1
    }

    pub(super) fn role(&self) -> Option<Role> {
        Some(Role {
            arn: self.get("role_arn")?.to_owned(),
            session: self.get("role_session_name").unwrap_or("").to_owned(),
            external_id: self.get("external_id").map(str::to_owned),
            duration: self.get("duration_seconds").map(str::to_owned),
        })
    }
}

const HALF: Cause = Cause::fixed(
    "the agent's AWS profile has half of a pair of keys: aws_access_key_id and aws_secret_access_key belong into one file",
);
