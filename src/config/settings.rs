//! Settings of our own: each a variable `HOOP_LITE_<NAME>` and a flag `--<name>`.
//!
//! The flag comes in as if it were the variable (see `cli`), so both have one reader and one error.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::error::ConfigError;
use super::surroundings::Surroundings;
use super::units;
use crate::base::ClientEnv;
use crate::limits;

/// How the agent is tuned; every value has a default that suits most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long sessions may go on after the first signal to stop.
    pub drain_timeout: Duration,
    /// Bytes that all queues towards targets may hold together.
    pub queue_budget: usize,
    /// Time between two questions whether the key still stands.
    pub key_check_interval: Duration,
    /// Longest wait between two attempts to reach the gateway.
    pub reconnect_max: Duration,
    /// End with status 3 when the gateway refuses the key, instead of trying again.
    pub exit_on_revoked: bool,
    /// Do not connect without TLS to an address on the open network.
    pub refuse_plaintext: bool,
    /// Where health and metrics are served, if at all.
    pub health_listen: Option<HealthListen>,
    /// Our own log lines are sent to the gateway too.
    pub log_ship: bool,
    /// Relays open at one time.
    pub relay_count_max: usize,
    /// How long a target may take no byte while the queues are under pressure.
    pub stall_max: Duration,
    /// How long the output of a command that has ended may go on.
    pub output_after_exit: Duration,
    /// A session that ends normally ends what it has detached (`nohup`, `setsid`), too.
    pub end_detached: bool,
    /// Whom the agent becomes once it has read its key.
    pub user: Option<String>,
    /// Sessions are shut off from one another and from the agent by the kernel; `None`: where that
    /// costs them nothing.
    pub separate_sessions: Option<bool>,
    /// TCP keep-alive to targets: silence before the first probe.
    pub keepalive_idle: Duration,
    /// See [`Settings::keepalive_idle`]: between two probes.
    pub keepalive_interval: Duration,
    /// See [`Settings::keepalive_idle`]: probes that may go unanswered.
    pub keepalive_probes: usize,
    /// Variables that clients may set for their commands.
    pub client_env: ClientEnv,
    /// Addresses of cloud metadata that sessions may reach all the same.
    pub open_metadata: Vec<IpAddr>,
}

/// Where health and metrics are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthListen {
    /// A TCP address.
    Tcp(SocketAddr),
    /// The path of a unix socket.
    Unix(String),
}

impl HealthListen {
    /// `127.0.0.1:PORT`, `[::1]:PORT`, `/path` or `unix:path`; `off` is `None`. Without a host, or with
    /// `localhost`, it is this machine's alone.
    pub fn parse(text: &str) -> Option<Option<Self>> {
        if text == "off" {
            return Some(None);
        }
        let path = text
            .strip_prefix("unix:")
            .or_else(|| text.starts_with('/').then_some(text));
        match path {
            Some("") => None,
            Some(path) => Some(Some(Self::Unix(path.to_owned()))),
            None => {
                let port = text.strip_prefix("localhost").unwrap_or(text);
                let address = match port.strip_prefix(':').unwrap_or(port).parse::<u16>() {
                    Ok(port) => (Ipv4Addr::LOCALHOST, port).into(),
                    Err(_) => text.parse().ok()?,
                };
                Some(Some(Self::Tcp(address)))
            }
        }
    }
}

impl fmt::Display for HealthListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => f.write_str(path),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            drain_timeout: Duration::from_secs(10),
            queue_budget: 32 << 20,
            key_check_interval: Duration::from_secs(15),
            reconnect_max: limits::BACKOFF_MAX,
            exit_on_revoked: false,
            refuse_plaintext: false,
            health_listen: None,
            log_ship: false,
            relay_count_max: 16_384,
            stall_max: Duration::from_secs(3),
            output_after_exit: limits::OUTPUT_AFTER_EXIT_MAX,
            end_detached: false,
            user: None,
            separate_sessions: None,
            keepalive_idle: limits::TARGET_PROBE_AFTER,
            keepalive_interval: limits::TARGET_PROBE_EVERY,
            keepalive_probes: limits::TARGET_PROBES_MAX,
            client_env: ClientEnv::Default,
            open_metadata: Vec::new(),
        }
    }
}

impl Settings {
    /// Reads every setting; what is unset keeps its default.
    pub fn load(surroundings: Surroundings<'_>) -> Result<Self, ConfigError> {
        let mut settings = Self::default();
        let read = SettingReader(surroundings);
        read.value(DRAIN_TIMEOUT, &mut settings.drain_timeout, |text| {
            within(units::duration(text)?, Duration::ZERO, DRAIN_TIMEOUT_MAX)
        })?;
        read.value(QUEUE_BUDGET, &mut settings.queue_budget, |text| {
            within(units::size(text)?, QUEUE_BUDGET_MIN, QUEUE_BUDGET_MAX)
        })?;
        read.value(
            KEY_CHECK_INTERVAL,
            &mut settings.key_check_interval,
            |text| {
                let range = (KEY_CHECK_INTERVAL_MIN, KEY_CHECK_INTERVAL_MAX);
                within(units::duration(text)?, range.0, range.1)
            },
        )?;
        read.value(RECONNECT_MAX, &mut settings.reconnect_max, |text| {
            within(units::duration(text)?, RECONNECT_MIN, RECONNECT_LIMIT)
        })?;
        read.value(
            EXIT_ON_REVOKED,
            &mut settings.exit_on_revoked,
            units::switch,
        )?;
        read.value(
            REFUSE_PLAINTEXT,
            &mut settings.refuse_plaintext,
            units::switch,
        )?;
        read.value(
            HEALTH_LISTEN,
            &mut settings.health_listen,
            HealthListen::parse,
        )?;
        read.value(LOG_SHIP, &mut settings.log_ship, units::switch)?;
        read.value(RELAY_COUNT_MAX, &mut settings.relay_count_max, |text| {
            within(units::count(text)?, 1, RELAY_COUNT_LIMIT)
        })?;
        read.value(STALL_MAX, &mut settings.stall_max, |text| {
            within(units::duration(text)?, STALL_MIN, STALL_LIMIT)
        })?;
        read.value(OUTPUT_AFTER_EXIT, &mut settings.output_after_exit, |text| {
            within(units::duration(text)?, OUTPUT_MIN, OUTPUT_LIMIT)
        })?;
        read.value(END_DETACHED, &mut settings.end_detached, units::switch)?;
        read.value(
            SEPARATE_SESSIONS,
            &mut settings.separate_sessions,
            |text| match text {
                "auto" => Some(None),
                _ => units::switch(text).map(Some),
            },
        )?;
        settings.load_keepalive(&read)?;
        read.value(CLIENT_ENV, &mut settings.client_env, ClientEnv::parse)?;
        read.value(OPEN_METADATA, &mut settings.open_metadata, |text| {
            text.split(',').map(|one| one.trim().parse().ok()).collect()
        })?;
        read.word(LOG_LEVEL, &LOG_LEVELS)?;
        read.word(LOG_ENCODING, &LOG_ENCODINGS)?;
        read.value(USER, &mut settings.user, |text| Some(Some(text.to_owned())))?;
        Ok(settings)
    }

    fn load_keepalive(&mut self, read: &SettingReader<'_>) -> Result<(), ConfigError> {
        for (variable, place) in [
            (KEEPALIVE_IDLE, &mut self.keepalive_idle),
            (KEEPALIVE_INTERVAL, &mut self.keepalive_interval),
        ] {
            read.value(variable, place, |text| {
                within(units::duration(text)?, KEEPALIVE_MIN, KEEPALIVE_LIMIT)
            })?;
        }
        read.value(KEEPALIVE_PROBES, &mut self.keepalive_probes, |text| {
            within(units::count(text)?, 1, KEEPALIVE_PROBES_LIMIT)
        })
    }
}

/// What a value must look like, as errors and usage errors say it. `None` for a foreign variable.
pub fn wanted(variable: &str) -> Option<&'static str> {
    Some(match variable {
        DRAIN_TIMEOUT => "a duration up to 10m, such as 10s or 1m",
        QUEUE_BUDGET => "a size from 1MiB to 2GiB, such as 32MiB",
        KEY_CHECK_INTERVAL => "a duration from 5s to 1h, such as 15s",
        RECONNECT_MAX => "a duration from 100ms to 10m, such as 30s",
        EXIT_ON_REVOKED | REFUSE_PLAINTEXT | LOG_SHIP | KEEP_GOING | END_DETACHED => {
            "true or false"
        }
        SEPARATE_SESSIONS => "auto, true or false",
        USER => "the name or number of a user",
        HEALTH_LISTEN => {
            "an address such as 127.0.0.1:9090, a port of this machine alone such as 9090, a path of a unix \
             socket, or off"
        }
        RELAY_COUNT_MAX => "a number from 1 to 1000000",
        STALL_MAX => "a duration from 100ms to 10m, such as 3s",
        OUTPUT_AFTER_EXIT => "a duration from 1s to 1h, such as 60s",
        KILL_AFTER => "a duration from 1s to 24h, such as 30s",
        KEEPALIVE_IDLE | KEEPALIVE_INTERVAL => "a duration from 1s to 1h, such as 15s",
        KEEPALIVE_PROBES => "a number from 1 to 100",
        OPEN_METADATA => "addresses such as 169.254.169.254, with commas between them",
        LOG_LEVEL => "trace, debug, info, warn or error",
        LOG_ENCODING => "json, console, human or verbose",
        CLIENT_ENV => "default, none, or names such as APP_MODE,BUILD_*",
        _ => return None,
    })
}

pub(super) struct SettingReader<'a>(pub(super) Surroundings<'a>);

impl SettingReader<'_> {
    pub(super) fn value<T>(
        &self,
        variable: &'static str,
        place: &mut T,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<(), ConfigError> {
        if let Some(text) = self.0.get(variable) {
            let wanted = wanted(variable).unwrap_or_default();
            *place = parse(&text).ok_or(ConfigError::Setting { variable, wanted })?;
        }
        Ok(())
    }

    /// One of these, in any case; others read it.
    fn word(&self, variable: &'static str, known: &[&str]) -> Result<(), ConfigError> {
        self.value(variable, &mut (), |text| {
            let mut known = known.iter();
            known
                .any(|word| word.eq_ignore_ascii_case(text))
                .then_some(())
        })
    }
}

pub(super) fn within<T: PartialOrd>(value: T, min: T, max: T) -> Option<T> {
    (min <= value && value <= max).then_some(value)
}

/// See [`Settings::drain_timeout`].
pub const DRAIN_TIMEOUT: &str = "HOOP_LITE_DRAIN_TIMEOUT";
/// See [`Settings::queue_budget`].
pub const QUEUE_BUDGET: &str = "HOOP_LITE_QUEUE_BUDGET";
/// See [`Settings::key_check_interval`].
pub const KEY_CHECK_INTERVAL: &str = "HOOP_LITE_KEY_CHECK_INTERVAL";
/// See [`Settings::reconnect_max`].
pub const RECONNECT_MAX: &str = "HOOP_LITE_RECONNECT_MAX";
/// See [`Settings::exit_on_revoked`].
pub const EXIT_ON_REVOKED: &str = "HOOP_LITE_EXIT_ON_REVOKED";
/// See [`Settings::refuse_plaintext`].
pub const REFUSE_PLAINTEXT: &str = "HOOP_LITE_REFUSE_PLAINTEXT";
/// See [`Settings::health_listen`].
pub const HEALTH_LISTEN: &str = "HOOP_LITE_HEALTH_LISTEN";
/// See [`Settings::log_ship`].
pub const LOG_SHIP: &str = "HOOP_LITE_LOG_SHIP";
/// See [`Settings::relay_count_max`].
pub const RELAY_COUNT_MAX: &str = "HOOP_LITE_RELAY_COUNT_MAX";
/// See [`Settings::stall_max`].
pub const STALL_MAX: &str = "HOOP_LITE_STALL_MAX";
/// See [`Settings::output_after_exit`].
pub const OUTPUT_AFTER_EXIT: &str = "HOOP_LITE_OUTPUT_AFTER_EXIT";
/// The least important log lines that are written; wins over `LOG_LEVEL`, which may be an app's.
pub const LOG_LEVEL: &str = "HOOP_LITE_LOG_LEVEL";
/// Words for it.
pub const LOG_LEVELS: [&str; 6] = ["trace", "debug", "info", "warn", "warning", "error"];
/// The form of log lines; wins over `LOG_ENCODING`, likewise.
pub const LOG_ENCODING: &str = "HOOP_LITE_LOG_ENCODING";
/// Words for it.
pub const LOG_ENCODINGS: [&str; 4] = ["json", "console", "human", "verbose"];
/// See [`Settings::end_detached`].
pub const END_DETACHED: &str = "HOOP_LITE_END_DETACHED";
/// See [`Settings::user`].
pub const USER: &str = "HOOP_LITE_USER";
/// See [`super::beside::BesideSettings::keep_going`].
pub const KEEP_GOING: &str = "HOOP_LITE_KEEP_GOING";
/// See [`super::beside::BesideSettings::kill_after`].
pub const KILL_AFTER: &str = "HOOP_LITE_KILL_AFTER";
/// See [`Settings::separate_sessions`].
pub const SEPARATE_SESSIONS: &str = "HOOP_LITE_SEPARATE_SESSIONS";

/// See [`Settings::keepalive_idle`].
pub const KEEPALIVE_IDLE: &str = "HOOP_LITE_KEEPALIVE_IDLE";
/// See [`Settings::keepalive_interval`].
pub const KEEPALIVE_INTERVAL: &str = "HOOP_LITE_KEEPALIVE_INTERVAL";
/// See [`Settings::keepalive_probes`].
pub const KEEPALIVE_PROBES: &str = "HOOP_LITE_KEEPALIVE_PROBES";
/// See [`Settings::open_metadata`].
pub const OPEN_METADATA: &str = "HOOP_LITE_OPEN_METADATA";
/// See [`Settings::client_env`].
pub const CLIENT_ENV: &str = "HOOP_LITE_CLIENT_ENV";

/// Service managers kill what takes longer.
const DRAIN_TIMEOUT_MAX: Duration = Duration::from_secs(600);
/// One packet towards a target must fit many times.
const QUEUE_BUDGET_MIN: usize = 1 << 20;
/// Half of a 32-bit machine's address space.
const QUEUE_BUDGET_MAX: usize = 2 << 30;
/// Each check costs the gateway a database query.
const KEY_CHECK_INTERVAL_MIN: Duration = Duration::from_secs(5);
/// A revoked key must not live longer than an hour.
const KEY_CHECK_INTERVAL_MAX: Duration = Duration::from_secs(3600);
/// A fleet that comes back faster keeps its gateway down.
const RECONNECT_MIN: Duration = Duration::from_millis(100);
/// Whoever fixed the gateway does not want to wait longer.
const RECONNECT_LIMIT: Duration = Duration::from_secs(600);
/// No machine has more descriptors for one process.
const RELAY_COUNT_LIMIT: usize = 1_000_000;
/// Less than a round trip on a slow line would kill healthy relays.
const STALL_MIN: Duration = Duration::from_millis(100);
/// Longer is as good as never.
const STALL_LIMIT: Duration = Duration::from_secs(600);
/// What is in the pipe already must still be read.
const OUTPUT_MIN: Duration = Duration::from_secs(1);
/// Whoever prints for longer can write to a file.
const OUTPUT_LIMIT: Duration = Duration::from_secs(3600);
/// The kernel counts in seconds.
const KEEPALIVE_MIN: Duration = Duration::from_secs(1);
/// By then every firewall has forgotten the connection.
const KEEPALIVE_LIMIT: Duration = Duration::from_secs(3600);
/// The kernel takes 127.
const KEEPALIVE_PROBES_LIMIT: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::surroundings;

    fn load(variable: &str, value: &str) -> Result<Settings, ConfigError> {
        surroundings(&[(variable, value)], &[], Settings::load)
    }

    #[test]
    fn unset_and_empty_settings_keep_their_defaults() {
        let settings = load(DRAIN_TIMEOUT, "").unwrap();
        assert_eq!(settings, Settings::default());
        assert_eq!(settings.drain_timeout, Duration::from_secs(10));
        assert_eq!(settings.queue_budget, 33_554_432);
    }

    #[test]
    fn each_setting_is_read() {
        assert_eq!(
            load(DRAIN_TIMEOUT, "1m").unwrap().drain_timeout.as_secs(),
            60
        );
        assert_eq!(load(QUEUE_BUDGET, "1MiB").unwrap().queue_budget, 1 << 20);
        let settings = load(KEY_CHECK_INTERVAL, "5s").unwrap();
        assert_eq!(settings.key_check_interval.as_secs(), 5);
        assert_eq!(
            load(RECONNECT_MAX, "2s").unwrap().reconnect_max.as_secs(),
            2
        );
        assert!(load(EXIT_ON_REVOKED, "true").unwrap().exit_on_revoked);
        assert!(load(LOG_SHIP, "on").unwrap().log_ship);
        assert!(load(END_DETACHED, "true").unwrap().end_detached);
        let user = load(USER, "nobody").unwrap().user;
        assert_eq!(user.as_deref(), Some("nobody"));
        let separate = |text| load(SEPARATE_SESSIONS, text).unwrap().separate_sessions;
        assert_eq!(
            ["auto", "true", "false"].map(separate),
            [None, Some(true), Some(false)]
        );
        assert_eq!(load(RELAY_COUNT_MAX, "7").unwrap().relay_count_max, 7);
        assert_eq!(load(STALL_MAX, "500ms").unwrap().stall_max.as_millis(), 500);
        let settings = load(OUTPUT_AFTER_EXIT, "5m").unwrap();
        assert_eq!(settings.output_after_exit.as_secs(), 300);
        let minute = Duration::from_secs(60);
        assert_eq!(load(KEEPALIVE_IDLE, "1m").unwrap().keepalive_idle, minute);
        let settings = load(KEEPALIVE_INTERVAL, "1m").unwrap();
        assert_eq!(settings.keepalive_interval, minute);
        assert_eq!(load(KEEPALIVE_PROBES, "3").unwrap().keepalive_probes, 3);
        let settings = load(CLIENT_ENV, "none").unwrap();
        assert_eq!(settings.client_env, ClientEnv::None);
    }

    #[test]
    fn health_listens_on_tcp_or_a_unix_socket_or_not() {
        let listen = |value| load(HEALTH_LISTEN, value).map(|s| s.health_listen);
        let tcp = HealthListen::Tcp("127.0.0.1:9090".parse().unwrap());
        assert_eq!(listen("127.0.0.1:9090").unwrap(), Some(tcp));
        let unix = |path: &str| Some(HealthListen::Unix(path.to_owned()));
        assert_eq!(listen("/run/h.sock").unwrap(), unix("/run/h.sock"));
        assert_eq!(listen("unix:h.sock").unwrap(), unix("h.sock"));
        assert_eq!(listen("off").unwrap(), None);
        for local in ["9090", ":9090", "localhost:9090"] {
            let tcp = HealthListen::Tcp("127.0.0.1:9090".parse().unwrap());
            assert_eq!(listen(local).unwrap(), Some(tcp), "{local}");
        }
        for value in [
            "unix:",
            "elsewhere:9090",
            "localhost",
            "localhost9090x",
            ":",
            "99999",
        ] {
            assert!(listen(value).is_err(), "{value}");
        }
    }

    #[test]
    fn values_out_of_range_name_variable_flag_and_what_is_wanted() {
        for (variable, value) in [
            (DRAIN_TIMEOUT, "11m"),
            (QUEUE_BUDGET, "1MB"),
            (QUEUE_BUDGET, "5GiB"),
            (KEY_CHECK_INTERVAL, "1s"),
            (RECONNECT_MAX, "0s"),
            (EXIT_ON_REVOKED, "perhaps"),
            (REFUSE_PLAINTEXT, "perhaps"),
            (RELAY_COUNT_MAX, "0"),
            (STALL_MAX, "1ms"),
            (OUTPUT_AFTER_EXIT, "2h"),
            (SEPARATE_SESSIONS, "perhaps"),
            (KEEPALIVE_IDLE, "0"),
            (KEEPALIVE_INTERVAL, "2h"),
            (KEEPALIVE_PROBES, "101"),
            (CLIENT_ENV, "A B"),
            (HEALTH_LISTEN, "foo"),
            (LOG_LEVEL, "loud"),
            (LOG_ENCODING, "xml"),
        ] {
            let message = load(variable, value).unwrap_err().to_string();
            let flag = variable.trim_start_matches("HOOP_LITE_");
            let flag = match variable {
                LOG_ENCODING => "format".to_owned(),
                _ => flag.to_ascii_lowercase().replace('_', "-"),
            };
            assert!(message.starts_with(variable), "{message}");
            assert!(message.contains(&format!("--{flag}")), "{message}");
            assert!(message.contains(wanted(variable).unwrap()), "{message}");
        }
    }
}
