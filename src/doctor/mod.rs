//! `doctor`: finds out why the agent does not connect, or what its sessions will miss.
//!
//! Goes the way of the agent one step after the other and says of each how it went, how long it
//! took and, where it did not go well, what to do. It holds no stream and asks for nothing, so a
//! running agent of the same key is not disturbed; one that is not running is shown as online for
//! some seconds, because the gateway counts the key check as a sign of life.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::admin::OutputForm;
use crate::config::{Config, KeySource, Surroundings, TlsMode};

mod calls;
pub mod certificate;
mod clock;
mod local;
pub mod metadata;
mod network;
pub mod probe;
mod report;
mod secrets;
mod service;

pub use report::Screen;

use metadata::MetadataPlaces;
use report::{CheckReport, CheckVerdict};
use service::{ENV_FILE, ServiceVariables};

/// What `doctor` is asked for.
pub struct Examination<'a> {
    /// How findings are written.
    pub form: OutputForm,
    /// The terminal on which they are read, if it is one.
    pub screen: Option<Screen>,
    /// Take the variables of the installed service.
    pub of_service: bool,
    /// Ask the secret stores.
    pub asks_stores: bool,
    /// What is wrong with the name of a variable, if anything.
    pub misspelt: &'a dyn Fn(&str) -> Option<String>,
    /// Names of all variables.
    pub names: &'a [String],
    /// Where commands of sessions might find a role.
    pub metadata: MetadataPlaces<'a>,
}

/// Runs all checks, writes what they find to `stdout` and returns the exit code: 0, or 1 when
/// something keeps the agent from working or the report could not be written.
pub fn run(asked: &Examination<'_>, surroundings: Surroundings<'_>, stdout: &mut dyn Write) -> i32 {
    let mut report = CheckReport::new(asked.form, asked.screen, stdout);
    let service = match asked.of_service {
        true => ServiceVariables::read(surroundings).map(Some),
        false => Ok(ServiceVariables::stand_in(surroundings)),
    };
    let service = match service {
        Ok(service) => service,
        Err(error) => {
            let advice = service::advice(&error);
            let text = format!("{ENV_FILE}: {error}: {advice}");
            report.add("service", CheckVerdict::Fail, Duration::ZERO, &text);
            return report.finish().unwrap_or(1);
        }
    };
    let Some(service) = service else {
        check_names(
            &mut report,
            asked,
            &mut asked.names.iter().map(String::as_str),
        );
        return examine(report, surroundings, asked, asked.names);
    };
    let text = format!("{ENV_FILE}: the variables of the installed service");
    report.add("service", CheckVerdict::Ok, Duration::ZERO, &text);
    check_names(&mut report, asked, &mut service.names());
    let of_service = Surroundings {
        variable: &|name| service.get(name),
        ..surroundings
    };
    let names: Vec<String> = service.names().map(str::to_owned).collect();
    examine(report, of_service, asked, &names)
}

/// Which of our settings are none.
fn check_names(
    report: &mut CheckReport<'_>,
    asked: &Examination<'_>,
    names: &mut dyn Iterator<Item = &str>,
) {
    for text in names.filter_map(asked.misspelt) {
        report.add("setting", CheckVerdict::Warn, Duration::ZERO, &text);
    }
}

/// `names` are those of all variables that count.
fn examine(
    mut report: CheckReport<'_>,
    surroundings: Surroundings<'_>,
    asked: &Examination<'_>,
    names: &[String],
) -> i32 {
    let start = Instant::now();
    let config = Config::load(surroundings);
    match &config {
        Ok(config) => {
            report.add("key", CheckVerdict::Ok, start.elapsed(), &describe(config));
            for warning in &config.warnings {
                let text = warning.to_string();
                report.add("key", CheckVerdict::Warn, start.elapsed(), &text);
            }
        }
        Err(error) => {
            let text = error.to_string();
            report.add("key", CheckVerdict::Fail, start.elapsed(), &text);
        }
    }
    check_clock(&mut report);
    match &config {
        // Whoever reads the first line only, as the installer does, does not wait for the network.
        Ok(_) if report.is_broken() => {}
        Ok(config) => network::check(&mut report, config),
        Err(_) => report.skip(&network::CHECKS, "no usable key"),
    }
    local::check(&mut report, surroundings, config.as_ref().ok());
    metadata::check(&mut report, surroundings, asked.metadata);
    if asked.asks_stores {
        secrets::check(&mut report, surroundings, names);
    }
    report.finish().unwrap_or(1)
}

/// What the key says, without its secret.
fn describe(config: &Config) -> String {
    let source = match &config.key_source {
        KeySource::Variable(name) => name,
        KeySource::DsnFile { path, .. } | KeySource::JwtFile { path } => path.as_str(),
    };
    let name = config.name.as_deref().unwrap_or("(no name)");
    let tls = match config.tls {
        TlsMode::Plaintext => "plaintext",
        TlsMode::Tls { .. } => "TLS",
    };
    format!(
        "{source}: agent {name}, mode {}, gateway {} by {tls}",
        config.mode.as_str(),
        config.gateway
    )
}

fn check_clock(report: &mut CheckReport<'_>) {
    let start = Instant::now();
    let now = clock::now();
    let time = clock::text(now);
    if clock::is_absurd(now) {
        let text = format!("{time}, which is before this program was made: set the clock");
        report.add("clock", CheckVerdict::Fail, start.elapsed(), &text);
    } else {
        report.add("clock", CheckVerdict::Ok, start.elapsed(), &time);
    }
}
