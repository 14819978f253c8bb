//! The command line: what was typed, and what it means.
//!
//! Two steps: `typed` takes the line apart by the table of flags, this module says which command
//! it is and checks that everything goes together. Nothing is read from the environment here and
//! nothing is done. Secrets are refused, and no message repeats one.

use std::ffi::OsString;
use std::io;

mod error;
pub mod flags;
pub mod help;
mod nearest;
mod typed;
mod upstream;

pub use error::{Shown, UsageError};
pub use flags::{COMMANDS, CommandName, FLAGS, VARIABLES};

use crate::base::Secret;
use crate::config::beside::{BesideSettings, DATABASE_URI};
use crate::config::{ConfigError, Settings, Surroundings, settings};
use flags::{CommandEntry, Operand};
use nearest::{near, nearest};
use typed::Typed;

/// What the program is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invocation {
    /// Be the agent.
    StartAgent(AgentOptions),
    /// Be the agent beside another program.
    Run(RunOptions),
    /// Create an agent and print its key.
    AdminCreateAgent {
        /// As it was typed.
        name: String,
        /// `standard` or `embedded`, if said.
        mode: Option<String>,
        /// Print JSON.
        json: bool,
    },
    /// List all agents.
    AdminGetAgents {
        /// Print JSON.
        json: bool,
    },
    /// Show one agent.
    AdminGetAgent {
        /// Name or id, as it was typed.
        name: String,
        /// Print JSON.
        json: bool,
    },
    /// Delete an agent.
    AdminDeleteAgent {
        /// Name or id, as it was typed.
        name: String,
        /// It need not exist.
        ignores_missing: bool,
    },
    /// Sign in.
    AdminLogin {
        /// The gateway's REST address, if said.
        api_url: Option<String>,
        /// Who signs in, if said.
        email: Option<String>,
    },
    /// Find out why the agent does not connect.
    Doctor(DoctorOptions),
    /// Ask the agent that runs how it is.
    Health {
        /// What for.
        probe: &'static str,
        /// What flags say about where.
        options: AgentOptions,
    },
    /// Print the version.
    Version {
        /// Print JSON.
        json: bool,
    },
    /// Print this text.
    Help(String),
}

/// What the command line says about `doctor`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DoctorOptions {
    /// Print JSON.
    pub json: bool,
    /// With the variables of the installed service.
    pub of_service: bool,
    /// Ask the secret stores.
    pub asks_stores: bool,
}

/// What the command line says about the agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentOptions {
    /// Variables that flags stand for, and their values; they go before the environment's.
    overrides: Vec<(&'static str, String)>,
}

impl AgentOptions {
    /// The value that a flag gave to a variable; to be asked before the environment.
    pub fn value(&self, variable: &str) -> Option<String> {
        let found = self.overrides.iter().rev();
        let mut found = found.filter(|(name, _)| *name == variable);
        found.next().map(|(_, value)| value.clone())
    }
}

/// What the command line says about `run`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// Flags of the agent.
    pub agent: AgentOptions,
    /// The connection's name, if said.
    pub name: Option<String>,
    /// What the connection runs, to be split into words as a shell does.
    pub command: Option<String>,
    /// The database to publish; its scheme says which kind. Else the variable `HOOP_DB_URI`.
    pub database_uri: Option<Secret>,
    /// Groups that approve sessions.
    pub review: Vec<String>,
    /// Kinds of data that are masked.
    pub data_masking: Vec<String>,
    /// The program to run beside the agent and its arguments; empty: none.
    pub program: Vec<OsString>,
}

/// The meaning of a command line; `arguments` is without the program's own name.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Invocation, UsageError> {
    let mut typed = Typed::parse(arguments)?;
    split_resource(&mut typed.words);
    let words: Vec<&str> = typed.words.iter().map(String::as_str).collect();
    if typed.is_on("help") {
        return help_about(&words);
    }
    if words.is_empty() && typed.is_on("version") {
        return Ok(Invocation::Version { json: false });
    }
    let entry = command(&words)?;
    let operands = words.get(entry.word_count()..).unwrap_or_default();
    if entry.name == CommandName::Help {
        return help_about(operands);
    }
    check_flags(entry, &typed)?;
    check_operands(entry, operands, &typed)?;
    let operand = operands.first().map(|word| (*word).to_owned());
    meaning(entry.name, operand, typed)
}

/// `admin get agent/NAME` is `admin get agent NAME`.
fn split_resource(words: &mut Vec<String>) {
    let is_admin = words.first().is_some_and(|word| word == "admin");
    let Some(word) = words.get(2).filter(|_| is_admin) else {
        return;
    };
    let Some((resource, name)) = word.split_once('/') else {
        return;
    };
    let parts = [resource.to_owned(), name.to_owned()];
    words.splice(2..3, parts.into_iter().filter(|part| !part.is_empty()));
}

fn command(words: &[&str]) -> Result<&'static CommandEntry, UsageError> {
    let typed = if words.is_empty() {
        &["start", "agent"]
    } else {
        words
    };
    let is_called =
        |entry: &&CommandEntry| entry.word_count() <= typed.len() && entry.agrees_with(typed);
    COMMANDS
        .iter()
        .find(is_called)
        .ok_or_else(|| unknown(words))
}

fn unknown(words: &[&str]) -> UsageError {
    let typed = Shown::new(&words.join(" "));
    let begins =
        |entry: &&CommandEntry| words.len() < entry.word_count() && entry.agrees_with(words);
    let choices: Vec<&str> = COMMANDS
        .iter()
        .filter(begins)
        .map(|entry| entry.call)
        .collect();
    if !choices.is_empty() {
        return UsageError::Incomplete {
            typed,
            choices: choices.join(", "),
        };
    }
    if let Some(answer) = upstream::command(words) {
        return UsageError::Upstream { typed, answer };
    }
    // A name behind the words of a command says nothing about which one was meant, and of a command of
    // several words only the first may have been typed.
    let near = COMMANDS.iter().filter_map(|entry| {
        let count = words.len().min(entry.word_count());
        let typed = words.get(..count).unwrap_or_default().join(" ");
        near(&typed, entry.beginning(count))
    });
    UsageError::UnknownCommand {
        typed,
        nearest: near
            .min_by_key(|(distance, _)| *distance)
            .map(|(_, call)| call),
    }
}

fn help_about(words: &[&str]) -> Result<Invocation, UsageError> {
    // What follows a whole command is an operand, about which there is nothing to say.
    (0..=words.len())
        .rev()
        .filter(|length| *length > 0 || words.is_empty())
        .find_map(|length| help::text(words.get(..length)?))
        .map(Invocation::Help)
        .ok_or_else(|| unknown(words))
}

fn check_flags(entry: &CommandEntry, typed: &Typed) -> Result<(), UsageError> {
    for (flag, _) in &typed.flags {
        if !flag.commands.contains(&entry.name) {
            let owners = flag.commands.iter().filter_map(|name| flags::entry(*name));
            let owners: Vec<&str> = owners.map(|entry| entry.call).collect();
            return Err(UsageError::MisplacedFlag {
                flag: flag.name,
                command: entry.call,
                belongs_to: owners.join(", "),
            });
        }
    }
    Ok(())
}

fn check_operands(
    entry: &CommandEntry,
    operands: &[&str],
    typed: &Typed,
) -> Result<(), UsageError> {
    let unexpected = |word: &str| UsageError::Unexpected {
        typed: Shown::new(word),
        command: entry.call,
    };
    let count_max = match entry.operand {
        Operand::None => 0,
        Operand::Required(_) | Operand::Optional(_) => 1,
        Operand::Words(_) => usize::MAX,
        Operand::Program => match (operands.is_empty(), &typed.program) {
            (false, _) => return Err(UsageError::ProgramWithoutDashes),
            (true, Some(program)) if program.is_empty() => {
                return Err(UsageError::ProgramMissing);
            }
            (true, _) => return Ok(()),
        },
    };
    if let Some(word) = operands.get(count_max) {
        return Err(unexpected(word));
    }
    if typed.program.is_some() {
        return Err(unexpected("--"));
    }
    match entry.operand {
        Operand::Required(operand) if operands.is_empty() => Err(UsageError::OperandMissing {
            command: entry.call,
            operand,
        }),
        _ => Ok(()),
    }
}

fn meaning(
    name: CommandName,
    operand: Option<String>,
    typed: Typed,
) -> Result<Invocation, UsageError> {
    let json = typed.value("output").is_some();
    let own = |flag| typed.value(flag).map(str::to_owned);
    Ok(match name {
        CommandName::StartAgent => Invocation::StartAgent(agent_options(&typed)?),
        CommandName::Run => Invocation::Run(run_options(typed)?),
        CommandName::AdminCreateAgent => Invocation::AdminCreateAgent {
            name: operand.unwrap_or_default(),
            mode: own("mode"),
            json,
        },
        CommandName::AdminGetAgents => match operand {
            Some(name) => Invocation::AdminGetAgent { name, json },
            None => Invocation::AdminGetAgents { json },
        },
        CommandName::AdminDeleteAgent => Invocation::AdminDeleteAgent {
            name: operand.unwrap_or_default(),
            ignores_missing: typed.is_on("ignore-not-found"),
        },
        CommandName::AdminLogin => Invocation::AdminLogin {
            api_url: own("api-url"),
            email: own("email"),
        },
        CommandName::Doctor => Invocation::Doctor(DoctorOptions {
            json,
            of_service: typed.is_on("service"),
            asks_stores: typed.is_on("secrets"),
        }),
        CommandName::Health => Invocation::Health {
            probe: probe(operand.as_deref())?,
            options: agent_options(&typed)?,
        },
        CommandName::Version => Invocation::Version { json },
        CommandName::Help => return help_about(&[]),
    })
}

/// What is asked of the agent that runs.
fn probe(typed: Option<&str>) -> Result<&'static str, UsageError> {
    let probes = ["livez", "readyz", "healthz"];
    let Some(typed) = typed else {
        return Ok("healthz");
    };
    let found = probes.into_iter().find(|probe| *probe == typed);
    found.ok_or_else(|| UsageError::UnknownProbe {
        typed: Shown::new(typed),
    })
}

/// What is wrong with a variable `HOOP_LITE_...` that means nothing, and which one was probably meant.
pub fn misspelt(variable: &str) -> Option<String> {
    let known = || FLAGS.iter().filter_map(|flag| flag.variable);
    if !variable.starts_with("HOOP_LITE_") || known().any(|known| known == variable) {
        return None;
    }
    Some(match nearest(variable, known()) {
        Some(near) => format!("no setting is called {variable}; did you mean {near}?"),
        None => format!("no setting is called {variable}: `hoop-lite help start agent` lists them"),
    })
}

fn agent_options(typed: &Typed) -> Result<AgentOptions, UsageError> {
    let mut options = AgentOptions::default();
    for (flag, value) in &typed.flags {
        match flag.variable {
            Some(DATABASE_URI) => {}
            Some(variable) => options.overrides.push((variable, value.clone())),
            None if flag.name == "debug" && value == "true" => {
                options
                    .overrides
                    .push((settings::LOG_LEVEL, "debug".to_owned()));
            }
            None => {}
        }
    }
    check_settings(&options)?;
    Ok(options)
}

/// A wrong value on the command line is a usage error, not one of configuration.
fn check_settings(options: &AgentOptions) -> Result<(), UsageError> {
    let surroundings = Surroundings {
        variable: &|name| options.value(name),
        read_file: &|_| Err(io::ErrorKind::Unsupported.into()),
    };
    let checked =
        Settings::load(surroundings).and_then(|_| BesideSettings::load(surroundings).map(drop));
    let Err(ConfigError::Setting { variable, wanted }) = checked else {
        return Ok(());
    };
    let flag = FLAGS.iter().find(|flag| flag.variable == Some(variable));
    Err(UsageError::Value {
        flag: flag.map_or(variable, |flag| flag.name),
        wanted: wanted.to_owned(),
    })
}

fn run_options(typed: Typed) -> Result<RunOptions, UsageError> {
    let own = |name| typed.value(name).map(str::to_owned);
    let list = |name| {
        typed
            .values(name)
            .flat_map(|value| value.split(','))
            .map(|item| item.trim().to_owned())
            .filter(|item| !item.is_empty())
            .collect()
    };
    let name = own("name");
    if name
        .as_ref()
        .is_some_and(|name| name.len() > NAME_BYTES_MAX)
    {
        return Err(UsageError::Value {
            flag: "name",
            wanted: format!("at most {NAME_BYTES_MAX} characters"),
        });
    }
    let database = typed.flags.iter().rev();
    let mut database = database.filter(|(flag, _)| flag.variable == Some(DATABASE_URI));
    Ok(RunOptions {
        agent: agent_options(&typed)?,
        name,
        command: own("command"),
        database_uri: database.next().map(|(_, uri)| Secret::new(uri.as_str())),
        review: list("review"),
        data_masking: list("data-masking"),
        program: typed.program.unwrap_or_default(),
    })
}

/// The gateway takes no longer name of a connection.
const NAME_BYTES_MAX: usize = 252;

#[cfg(test)]
mod tests;
