//! The `admin` commands: one-shot calls to the gateway's REST API.
//!
//! Each command is a plain struct that says all it needs; [`run`] does one and returns the exit
//! code. Results go to stdout alone, so that a shell can take them; errors, warnings and notes go
//! to stderr. What was typed is the command line's business, not ours.

use std::io::{BufRead, Write};
use std::os::fd::AsFd;

use crate::config::Surroundings;

pub mod agents;
pub mod answers;
pub mod credentials;
pub mod dial;
pub mod error;
pub mod login;
pub mod name;
pub mod request;
pub mod rest;
pub mod table;
pub mod toml;

pub use error::AdminError;

use credentials::Credentials;
use rest::Api;

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputForm {
    /// For people and shells.
    #[default]
    Text,
    /// The gateway's own JSON.
    Json,
}

/// How an agent will work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AgentMode {
    /// One stream, held open.
    #[default]
    Standard,
    /// Asks every few seconds whether a stream is wanted.
    Embedded,
}

/// `create agent NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateAgent {
    /// As typed.
    pub name: String,
    /// How it will work.
    pub mode: AgentMode,
    /// How the key is written.
    pub output: OutputForm,
}

/// `login [EMAIL]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Login {
    /// Asked for on a terminal when absent.
    pub email: Option<String>,
    /// The gateway; otherwise `HOOP_APIURL`, or the file of the last login.
    pub api_url: Option<String>,
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `create agent NAME`.
    CreateAgent(CreateAgent),
    /// `get agents`.
    GetAgents(OutputForm),
    /// `get agent NAME`; a name or an id.
    GetAgent(String, OutputForm),
    /// `delete agent NAME`; a name or an id.
    DeleteAgent(String),
    /// `login`.
    Login(Login),
}

/// The world as a command sees it.
pub struct Context<'a> {
    /// Variables and files.
    pub surroundings: Surroundings<'a>,
    /// Where answers are typed or piped in.
    pub stdin: &'a mut dyn BufRead,
    /// The terminal behind `stdin`, if it is one.
    pub terminal: Option<&'a dyn AsFd>,
    /// For results.
    pub stdout: &'a mut dyn Write,
    /// For everything else.
    pub stderr: &'a mut dyn Write,
}

/// What a command found out.
#[derive(Default)]
pub struct Report {
    /// The result, as it is written to stdout.
    stdout: String,
    notes: Vec<String>,
}

impl Report {
    fn of(stdout: String) -> Self {
        Self {
            stdout,
            notes: Vec::new(),
        }
    }

    fn note(&mut self, text: String) {
        self.notes.push(text);
    }
}

/// Runs a command and returns the exit code: 0 done, 1 failed, 2 asked for something that no
/// gateway could do.
pub fn run(command: &Command, context: &mut Context<'_>) -> i32 {
    let outcome = perform(command, context).and_then(|report| write_report(&report, context));
    match outcome {
        Ok(()) => 0,
        Err(error) => {
            say(context.stderr, "error: ", &error.to_string());
            error.exit_code()
        }
    }
}

fn perform(command: &Command, context: &mut Context<'_>) -> Result<Report, AdminError> {
    match command {
        Command::CreateAgent(command) => {
            // Before credentials are looked for: the mistake would be in what was typed.
            let name = agents::checked_name(&command.name)?;
            with_api(context, &|api| agents::create(command, &name, api))
        }
        Command::GetAgents(output) => with_api(context, &|api| agents::list(*output, api)),
        Command::GetAgent(name, output) => {
            with_api(context, &|api| agents::show(name, *output, api))
        }
        Command::DeleteAgent(name) => with_api(context, &|api| agents::delete(name, api)),
        Command::Login(command) => login::login(command, context),
    }
}

fn with_api(
    context: &mut Context<'_>,
    ask: &dyn Fn(&Api<'_>) -> Result<Report, AdminError>,
) -> Result<Report, AdminError> {
    let mut warnings = Vec::new();
    let credentials = Credentials::find(context.surroundings, &mut warnings)?;
    warn(context.stderr, &warnings);
    ask(&Api::new(&credentials, context.surroundings)?)
}

fn write_report(report: &Report, context: &mut Context<'_>) -> Result<(), AdminError> {
    let stdout = &mut *context.stdout;
    let written = stdout.write_all(report.stdout.as_bytes());
    let written = written.and_then(|()| stdout.flush());
    written.map_err(|error| AdminError::Output(error.kind()))?;
    for note in &report.notes {
        say(context.stderr, "note: ", note);
    }
    Ok(())
}

fn warn(stderr: &mut dyn Write, warnings: &[String]) {
    for warning in warnings {
        say(stderr, "warning: ", warning);
    }
}

/// One line to stderr; nobody can be told when that fails.
fn say(stderr: &mut dyn Write, kind: &str, text: &str) {
    let _ = stderr.write_all(format!("{kind}{text}\n").as_bytes());
}
