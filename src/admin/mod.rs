//! The `admin` commands: one-shot calls to the gateway's REST API.
//!
//! Each command is a plain struct that says all it needs; [`run`] does one and returns the exit
//! code. Results go to stdout alone, so that a shell can take them; errors, warnings and notes go
//! to stderr. What was typed is the command line's business, not ours.

pub mod agents;
pub mod answers;
mod command;
pub mod credentials;
pub mod dial;
pub mod error;
pub mod login;
pub mod name;
pub mod request;
pub mod rest;
pub mod table;
pub mod toml;
mod world;

pub use command::{AdminCommand, AgentMode, CreateAgent, LoginCommand, OutputForm};
pub use error::AdminError;
pub use world::Context;

use credentials::Credentials;
use rest::Api;
use world::{CommandResult, say, warn};

/// Runs a command and returns the exit code: 0 done, 1 failed, 2 asked for something that no
/// gateway could do.
pub fn run(command: &AdminCommand, context: &mut Context<'_>) -> i32 {
    let outcome = perform(command, context).and_then(|report| report.write(context));
    match outcome {
        Ok(()) => 0,
        Err(error) => {
            say(context.stderr, "error: ", &error.to_string());
            error.exit_code()
        }
    }
}

fn perform(command: &AdminCommand, context: &mut Context<'_>) -> Result<CommandResult, AdminError> {
    match command {
        AdminCommand::CreateAgent(command) => {
            // Before credentials are looked for: the mistake would be in what was typed.
            let name = agents::checked_name(&command.name)?;
            with_api(context, &|api| agents::create(command, &name, api))
        }
        AdminCommand::GetAgents(output) => with_api(context, &|api| agents::list(*output, api)),
        AdminCommand::GetAgent(name, output) => {
            with_api(context, &|api| agents::show(name, *output, api))
        }
        AdminCommand::DeleteAgent {
            name,
            ignores_missing,
        } => with_api(context, &|api| match agents::delete(name, api) {
            Err(error @ AdminError::NoSuchAgent(_)) if *ignores_missing => {
                let mut report = CommandResult::default();
                report.note(error.to_string());
                Ok(report)
            }
            result => result,
        }),
        AdminCommand::Login(command) => login::login(command, context),
    }
}

fn with_api(
    context: &mut Context<'_>,
    ask: &dyn Fn(&Api<'_>) -> Result<CommandResult, AdminError>,
) -> Result<CommandResult, AdminError> {
    let mut warnings = Vec::new();
    let credentials = Credentials::find(context.surroundings, &mut warnings)?;
    warn(context.stderr, &warnings);
    ask(&Api::new(&credentials, context.surroundings)?)
}
