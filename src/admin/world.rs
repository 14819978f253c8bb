//! What a command sees of the world, and what it leaves behind.

use std::io::{BufRead, Write};
use std::os::fd::AsFd;

use super::error::AdminError;
use crate::config::Surroundings;

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
pub struct CommandResult {
    /// The result, as it is written to stdout.
    pub(super) stdout: String,
    notes: Vec<String>,
}

impl CommandResult {
    pub(super) fn of(stdout: String) -> Self {
        Self {
            stdout,
            notes: Vec::new(),
        }
    }

    pub(super) fn note(&mut self, text: String) {
        self.notes.push(text);
    }

    /// The result to stdout, the notes to stderr.
    pub(super) fn write(&self, context: &mut Context<'_>) -> Result<(), AdminError> {
        let stdout = &mut *context.stdout;
        let written = stdout.write_all(self.stdout.as_bytes());
        let written = written.and_then(|()| stdout.flush());
        written.map_err(|error| AdminError::Output(error.kind()))?;
        for note in &self.notes {
            say(context.stderr, "note: ", note);
        }
        Ok(())
    }
}

/// What the operator should know before the result.
pub(super) fn warn(stderr: &mut dyn Write, warnings: &[String]) {
    for warning in warnings {
        say(stderr, "warning: ", warning);
    }
}

/// One line to stderr; nobody can be told when that fails.
pub(super) fn say(stderr: &mut dyn Write, kind: &str, text: &str) {
    let _ = stderr.write_all(format!("{kind}{text}\n").as_bytes());
}
