//! First step of the command line: what was typed, by the table of flags.

use std::ffi::{OsStr, OsString};

use super::error::{Shown, UsageError};
use super::flags::{self, FLAGS, Flag, FlagValue};
use super::nearest::nearest;
use super::upstream;
use crate::config::{looks_like_key, units};

/// A line taken apart. Which flags and words go together is not yet looked at.
#[derive(Debug, Default)]
pub(super) struct Typed {
    /// Words that are no flags.
    pub words: Vec<String>,
    /// Flags and their values in the order of typing; a switch has `true` or `false`.
    pub flags: Vec<(&'static Flag, String)>,
    /// What follows `--`, if that was typed.
    pub program: Option<Vec<OsString>>,
}

impl Typed {
    /// Takes a line apart; `arguments` is without the program's own name.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, UsageError> {
        let mut typed = Self::default();
        let mut parser = lexopt::Parser::from_args(arguments);
        loop {
            if let Some(mut rest) = parser.try_raw_args()
                && rest.next_if(|argument| argument == "--").is_some()
            {
                typed.program = Some(rest.collect());
                return Ok(typed);
            }
            let flag = match parser.next() {
                Ok(None) => return Ok(typed),
                Ok(Some(lexopt::Arg::Value(word))) => {
                    typed.words.push(word_of(&word)?);
                    continue;
                }
                Ok(Some(lexopt::Arg::Long(name))) => long(name)?,
                Ok(Some(lexopt::Arg::Short(letter))) => short(letter)?,
                Err(_) => return Err(UsageError::NotText),
            };
            let value = match flag.value {
                FlagValue::Switch => switch(flag, parser.optional_value())?,
                _ => match parser.value() {
                    Ok(value) => checked(flag, text(&value)?)?,
                    Err(_) => {
                        return Err(UsageError::ValueMissing {
                            flag: flag.name,
                            wanted: wanted(flag),
                        });
                    }
                },
            };
            typed.flags.push((flag, value));
        }
    }

    /// The last value of a flag.
    pub fn value(&self, name: &'static str) -> Option<&str> {
        self.values(name).last()
    }

    /// All values of a flag.
    pub fn values<'a>(&'a self, name: &'static str) -> impl Iterator<Item = &'a str> {
        self.flags
            .iter()
            .filter(move |(flag, _)| flag.name == name)
            .map(|(_, value)| value.as_str())
    }

    /// A switch is on.
    pub fn is_on(&self, name: &'static str) -> bool {
        self.value(name) == Some("true")
    }
}

fn long(name: &str) -> Result<&'static Flag, UsageError> {
    if let Some(flag) = flags::by_name(name) {
        return Ok(flag);
    }
    if let Some(answer) = upstream::flag(name) {
        let typed = Shown::new(&format!("--{name}"));
        return Err(UsageError::Upstream { typed, answer });
    }
    if SECRET_NAMES.contains(&name) || looks_like_key(name) {
        return Err(UsageError::Secret);
    }
    Err(UsageError::UnknownFlag {
        typed: Shown::new(&format!("--{name}")),
        nearest: nearest(name, FLAGS.iter().map(|flag| flag.name)),
    })
}

fn short(letter: char) -> Result<&'static Flag, UsageError> {
    flags::by_letter(letter).ok_or_else(|| UsageError::UnknownFlag {
        typed: Shown::new(&format!("-{letter}")),
        nearest: None,
    })
}

fn word_of(word: &OsStr) -> Result<String, UsageError> {
    let word = text(word)?;
    let is_assignment = word
        .split_once('=')
        .is_some_and(|(name, _)| name.starts_with("HOOP_") || name == "TOKEN");
    if is_assignment || looks_like_key(word) {
        return Err(UsageError::Secret);
    }
    Ok(word.to_owned())
}

fn switch(flag: &'static Flag, value: Option<OsString>) -> Result<String, UsageError> {
    let Some(value) = value else {
        return Ok("true".to_owned());
    };
    match units::switch(text(&value)?) {
        Some(on) => Ok(on.to_string()),
        None => Err(UsageError::Value {
            flag: flag.name,
            wanted: wanted(flag),
        }),
    }
}

fn checked(flag: &'static Flag, value: &str) -> Result<String, UsageError> {
    let error = || UsageError::Value {
        flag: flag.name,
        wanted: wanted(flag),
    };
    if value.trim().is_empty() {
        return Err(UsageError::ValueMissing {
            flag: flag.name,
            wanted: wanted(flag),
        });
    }
    match flag.value {
        FlagValue::Words(_) if flag.name == "format" && value == "auto" => {
            Err(UsageError::Upstream {
                typed: Shown::new("--format auto"),
                answer: upstream::FORMAT_AUTO,
            })
        }
        FlagValue::Words(words) if !words.contains(&value) => Err(error()),
        FlagValue::Text(_) if looks_like_key(value) => Err(UsageError::Secret),
        _ => Ok(value.to_owned()),
    }
}

/// What a flag takes, in words.
fn wanted(flag: &Flag) -> String {
    match flag.value {
        FlagValue::Switch => "nothing, or =true or =false".to_owned(),
        FlagValue::Text(placeholder) | FlagValue::Secret(placeholder) => {
            let setting = flag.variable.and_then(crate::config::settings::wanted);
            setting.unwrap_or(placeholder).to_owned()
        }
        FlagValue::Words(words) => words.join(" or "),
    }
}

fn text(argument: &OsStr) -> Result<&str, UsageError> {
    argument.to_str().ok_or(UsageError::NotText)
}

/// Flags that people try, and that would show in `ps`.
const SECRET_NAMES: &[&str] = &[
    "key",
    "hoop-key",
    "dsn",
    "token",
    "hoop-token",
    "api-key",
    "password",
    "secret",
];
