//! What `run` reads for the program beside the agent: its settings, and which of the variables are
//! the agent's key and not the program's.

use std::time::Duration;

use super::error::ConfigError;
use super::key::{GRPC_URL, KEY_VARIABLES};
use super::settings::{KEEP_GOING, KILL_AFTER, SettingReader, within};
use super::surroundings::Surroundings;
use super::units;

/// How the program of `run` is treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BesideSettings {
    /// It is started also where the agent can't run.
    pub keep_going: bool,
    /// When it is killed after it was asked to end; never without one.
    pub kill_after: Option<Duration>,
}

impl BesideSettings {
    /// Reads both; they count also when the rest of the configuration is wrong.
    pub fn load(surroundings: Surroundings<'_>) -> Result<Self, ConfigError> {
        let mut settings = Self::default();
        let read = SettingReader(surroundings);
        read.value(KEEP_GOING, &mut settings.keep_going, units::switch)?;
        read.value(KILL_AFTER, &mut settings.kill_after, |text| {
            within(units::duration(text)?, KILL_AFTER_MIN, KILL_AFTER_MAX).map(Some)
        })?;
        Ok(settings)
    }
}

/// The variable that has the URI of the database that is published, where no flag does.
pub const DATABASE_URI: &str = "HOOP_DB_URI";

/// Whoever writes 0 may mean never.
const KILL_AFTER_MIN: Duration = Duration::from_secs(1);
/// Nobody waits longer for a program that was asked to end.
const KILL_AFTER_MAX: Duration = Duration::from_secs(24 * 3600);

/// Whether variable `name` holds the agent's key or a password of what it publishes, or says where
/// the key lies. All others are the program's.
pub fn is_secret(surroundings: Surroundings<'_>, name: &str) -> bool {
    let is_set = |name: &str| surroundings.get(name).is_some();
    // A static token is the key only where no other is and the gateway is named.
    let takes_token = || is_set(GRPC_URL) && !KEY_VARIABLES.iter().any(|name| is_set(name));
    KEY_VARIABLES.contains(&name)
        || name == DATABASE_URI
        || (name == "TOKEN" && takes_token())
        || (name == "HOOP_TOKEN" && takes_token() && !is_set("TOKEN"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::surroundings;

    fn secrets(variables: &[(&str, &str)]) -> Vec<String> {
        surroundings(variables, &[], |surroundings| {
            let names = variables.iter().map(|(name, _)| (*name).to_owned());
            names.filter(|name| is_secret(surroundings, name)).collect()
        })
    }

    #[test]
    fn only_the_key_is_secret() {
        let key = ("HOOP_KEY", "grpcs://a:b@c:1");
        let of_the_app = [
            ("TOKEN", "t"),
            ("VAULT_TOKEN", "v"),
            ("VAULT_APP_ROLE_SECRET_ID", "v"),
            ("HOOP_TOKEN", "t"),
            ("HOOP_GRPCURL", "c:1"),
            ("HOOPLA", "x"),
        ];
        let mut all = of_the_app.to_vec();
        all.push(key);
        assert_eq!(secrets(&all), ["HOOP_KEY"]);
        assert_eq!(secrets(&of_the_app), ["TOKEN"]);
        assert_eq!(secrets(&of_the_app[1..]), ["HOOP_TOKEN"]);
        assert_eq!(secrets(&[("TOKEN", "no gateway is named")]), [""; 0]);
        let file = [("HOOP_KEY_FILE", "/run/key"), ("HOOP_DB_URI", "mysql://")];
        assert_eq!(secrets(&file), ["HOOP_KEY_FILE", "HOOP_DB_URI"]);
    }

    #[test]
    fn the_programs_settings_are_read_and_bounded() {
        let load = |name, value| surroundings(&[(name, value)], &[], BesideSettings::load);
        let none = load(KEEP_GOING, "").unwrap();
        assert_eq!((none.keep_going, none.kill_after), (false, None));
        assert!(load(KEEP_GOING, "true").unwrap().keep_going);
        let minute = Some(Duration::from_secs(60));
        assert_eq!(load(KILL_AFTER, "1m").unwrap().kill_after, minute);
        for (name, value) in [
            (KILL_AFTER, "0s"),
            (KILL_AFTER, "25h"),
            (KEEP_GOING, "maybe"),
        ] {
            let message = load(name, value).unwrap_err().to_string();
            assert!(
                message.starts_with(name) && message.contains("wants"),
                "{message}"
            );
        }
    }
}
