//! Why a command line is not understood. No text repeats what may be a secret.

use std::fmt;

use crate::base::plain::shortened;

/// A command line that means nothing. The program ends with status 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsageError {
    /// A word that begins no command.
    UnknownCommand {
        /// What was typed.
        typed: Shown,
        /// What was probably meant.
        nearest: Option<&'static str>,
    },
    /// A word of hoop's own program.
    Upstream {
        /// What was typed.
        typed: Shown,
        /// What to do instead.
        answer: &'static str,
    },
    /// The words of a group, such as `admin`, without the rest.
    Incomplete {
        /// What was typed.
        typed: Shown,
        /// What could follow.
        choices: String,
    },
    /// No flag has this name.
    UnknownFlag {
        /// With its dashes.
        typed: Shown,
        /// What was probably meant, without dashes.
        nearest: Option<&'static str>,
    },
    /// A flag of another command.
    MisplacedFlag {
        /// Without dashes.
        flag: &'static str,
        /// The command that was called.
        command: &'static str,
        /// The commands that take it.
        belongs_to: String,
    },
    /// A flag without its value.
    ValueMissing {
        /// Without dashes.
        flag: &'static str,
        /// What it takes.
        wanted: String,
    },
    /// A flag with a value that it does not take.
    Value {
        /// Without dashes.
        flag: &'static str,
        /// What it takes.
        wanted: String,
    },
    /// A command without the word that it needs.
    OperandMissing {
        /// The command.
        command: &'static str,
        /// What is missing.
        operand: &'static str,
    },
    /// A word too many.
    Unexpected {
        /// The word.
        typed: Shown,
        /// The command.
        command: &'static str,
    },
    /// A probe that the agent does not answer.
    UnknownProbe {
        /// What was typed.
        typed: Shown,
    },
    /// A program to run that does not stand behind `--`.
    ProgramWithoutDashes,
    /// `--` with nothing behind it.
    ProgramMissing,
    /// A key, a token or a password.
    Secret,
    /// Text that is not UTF-8, or a dash followed by nothing that could be a flag.
    NotText,
}

impl UsageError {
    /// The command whose help would have told, if one was recognised.
    pub fn command(&self) -> Option<&'static str> {
        match self {
            Self::MisplacedFlag { command, .. }
            | Self::OperandMissing { command, .. }
            | Self::Unexpected { command, .. } => Some(command),
            Self::ProgramWithoutDashes | Self::ProgramMissing => Some("run"),
            Self::UnknownProbe { .. } => Some("health"),
            _ => None,
        }
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownCommand { typed, nearest } => {
                write!(f, "unknown command {typed}")?;
                did_you_mean(f, "", *nearest)
            }
            Self::Upstream { typed, answer } => write!(f, "{typed} is hoop's own: {answer}"),
            Self::Incomplete { typed, choices } => {
                write!(f, "{typed} is not a whole command; one of these: {choices}")
            }
            Self::UnknownFlag { typed, nearest } => {
                write!(f, "unknown flag {typed}")?;
                did_you_mean(f, "--", *nearest)
            }
            Self::MisplacedFlag {
                flag,
                command,
                belongs_to,
            } => {
                write!(
                    f,
                    "--{flag} does not go with {command}; it belongs to {belongs_to}"
                )
            }
            Self::ValueMissing { flag, wanted } => write!(f, "--{flag} needs {wanted}"),
            Self::Value { flag, wanted } => write!(f, "--{flag} wants {wanted}"),
            Self::OperandMissing { command, operand } => {
                write!(
                    f,
                    "{command} needs {operand}: hoop-lite {command} {operand}"
                )
            }
            Self::Unexpected { typed, command } => {
                write!(f, "{command} does not take {typed}")
            }
            Self::UnknownProbe { typed } => {
                write!(
                    f,
                    "health knows no {typed}; one of these: livez, readyz, healthz"
                )
            }
            Self::ProgramWithoutDashes => {
                f.write_str("put -- before the program to run: hoop-lite run [FLAGS] -- CMD ...")
            }
            Self::ProgramMissing => f.write_str("no program behind --"),
            Self::Secret => f.write_str(
                "keys, tokens and passwords are not taken from the command line, where every \
                 user of this machine can read them: set the variable HOOP_KEY, or HOOP_KEY_FILE \
                 to the path of a file that holds the key",
            ),
            Self::NotText => f.write_str("an argument is malformed or not valid UTF-8"),
        }
    }
}

impl std::error::Error for UsageError {}

fn did_you_mean(f: &mut fmt::Formatter<'_>, dashes: &str, nearest: Option<&str>) -> fmt::Result {
    match nearest {
        Some(word) => write!(f, "; did you mean {dashes}{word}?"),
        None => Ok(()),
    }
}

/// Typed text made fit for an error message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown(String);

impl Shown {
    /// The printable beginning of `text`.
    pub fn new(text: &str) -> Self {
        Self(shortened(text, SHOWN_MAX))
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

/// Enough to recognise one's own typing.
const SHOWN_MAX: usize = 40;
