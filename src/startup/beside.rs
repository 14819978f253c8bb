//! The program of `run -- CMD`: what it is started with, and what becomes of it without an agent.

use std::borrow::Cow;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use super::error::StartError;
use super::variables::StartVariables;
use crate::base::Secret;
use crate::cli::RunOptions;
use crate::config::beside::{self, BesideSettings};
use crate::config::{HealthListen, Surroundings};
use crate::io::health::Address;
use crate::io::reactor::Reactor;
use crate::os::child::CommandSpec;
use crate::os::foreground::Foreground;

/// A program to be started beside the agent.
pub struct BesideProgram {
    spec: CommandSpec,
    settings: BesideSettings,
}

impl BesideProgram {
    /// The program that `options` name, if any, with everything that we were started with but the
    /// key.
    pub fn new(
        options: &RunOptions,
        variables: &StartVariables,
        surroundings: Surroundings<'_>,
    ) -> Result<Option<Self>, StartError> {
        let Some((name, args)) = options.program.split_first() else {
            return Ok(None);
        };
        let settings = BesideSettings::load(surroundings)?;
        let is_its_own = |name: &OsString| {
            let name = name.to_str();
            name.is_none_or(|name| !beside::is_secret(surroundings, name))
        };
        let path = variables.iter().find(|(name, _)| name == "PATH");
        let spec = CommandSpec {
            program: name.clone(),
            args: args.to_vec(),
            environment: variables
                .iter()
                .filter(|(name, _)| is_its_own(name))
                .map(|(name, value)| (name.clone(), Secret::new(value.as_bytes())))
                .collect(),
            search_path: path.map(|(_, path)| path.clone()).unwrap_or_default(),
            working_directory: None,
        };
        Ok(Some(Self { spec, settings }))
    }

    /// Takes over what has become of our variables since, as when we became another user.
    pub fn follow(&mut self, variables: &StartVariables) {
        for (name, value) in &mut self.spec.environment {
            if let Some((_, new)) = variables.iter().find(|(known, _)| known == name) {
                *value = Secret::new(new.as_bytes());
            }
        }
    }

    /// Whether it is started also where the agent can't run.
    pub fn keeps_going(&self) -> bool {
        self.settings.keep_going
    }

    /// Its name, for people.
    pub fn name(&self) -> Cow<'_, str> {
        self.spec.program.to_string_lossy()
    }

    /// Starts it beside the agent, or returns the exit code for its failure.
    pub fn start(&self, reactor: &mut Reactor) -> Result<(), u8> {
        match Foreground::start(&self.spec, self.settings.kill_after) {
            Ok(foreground) => {
                reactor.accompany(foreground);
                Ok(())
            }
            Err(error) => {
                let name = self.name();
                ::log::error!("can not run {name}: {error}; check what stands behind --, and PATH");
                Err(u8::try_from(error.code()).unwrap_or(1))
            }
        }
    }

    /// What is said when the agent can't run and takes the program with it.
    pub fn not_started(&self, reason: StartError) -> StartError {
        StartError::Beside(Box::new(reason), self.name().into_owned())
    }
}

/// Serves health where it was asked for. Only a program that keeps going starts without.
pub fn serve_health(
    reactor: &mut Reactor,
    listen: &HealthListen,
    program: Option<&BesideProgram>,
) -> Result<(), StartError> {
    let address = match listen {
        HealthListen::Tcp(address) => Address::Tcp(*address),
        HealthListen::Unix(path) => Address::Unix(path.into()),
    };
    let Err(error) = reactor.serve_health(&address) else {
        return Ok(());
    };
    let reason = StartError::Health(listen.to_string(), error);
    match program.is_some_and(BesideProgram::keeps_going) {
        true => ::log::error!("{reason}; going on without it"),
        false => return Err(reason),
    }
    Ok(())
}
