//! `doctor`: finds out why the agent does not connect, or what its sessions will miss.
//!
//! Goes the way of the agent one step after the other and says of each how it went, how long it
//! took and, where it did not go well, what to do. It holds no stream and asks for nothing, so a
//! running agent of the same key is not disturbed; one that is not running is shown as online for
//! some seconds, because the gateway counts the key check as a sign of life.

use std::io::Write;
use std::time::Instant;

use crate::admin::OutputForm;
use crate::config::{Config, KeySource, Surroundings, TlsMode};

mod calls;
pub mod certificate;
mod clock;
mod local;
mod network;
mod report;

use report::{CheckReport, CheckVerdict};

/// Runs all checks, writes what they find to `stdout` and returns the exit code: 0, or 1 when
/// something keeps the agent from working or the report could not be written.
pub fn run(form: OutputForm, surroundings: Surroundings<'_>, stdout: &mut dyn Write) -> i32 {
    let mut report = CheckReport::new(form, stdout);
    let start = Instant::now();
    let config = Config::load(surroundings);
    match &config {
        Ok(config) => {
            report.add("key", CheckVerdict::Ok, start.elapsed(), &describe(config));
            for warning in &config.warnings {
                report.add(
                    "key",
                    CheckVerdict::Warn,
                    start.elapsed(),
                    &warning.to_string(),
                );
            }
        }
        Err(error) => report.add(
            "key",
            CheckVerdict::Fail,
            start.elapsed(),
            &error.to_string(),
        ),
    }
    check_clock(&mut report);
    match &config {
        // Whoever reads the first line only, as the installer does, does not wait for the network.
        Ok(_) if report.is_broken() => {}
        Ok(config) => network::check(&mut report, config),
        Err(_) => report.skip(&network::CHECKS, "no usable key"),
    }
    local::check(&mut report, surroundings, config.as_ref().ok());
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
