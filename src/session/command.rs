//! What exactly is executed: the connection's command, then the client's arguments.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::environment::Environment;
use crate::base::plain::cut;
use crate::limits;

/// Program and arguments, ready to be executed.
pub type Argv = Vec<OsString>;

/// The command as it is shown to the client: unexpanded, joined by spaces, the beginning of a long one.
pub fn display(command: &[Vec<u8>], client_args: &[Vec<u8>]) -> Vec<u8> {
    // One byte more shows that it is longer.
    let most = limits::COMMAND_ECHO_BYTES_MAX + 1;
    let mut shown = Vec::new();
    for word in command.iter().chain(client_args) {
        if !shown.is_empty() {
            shown.push(b' ');
        }
        let room = most.saturating_sub(shown.len());
        shown.extend_from_slice(word.get(..room).unwrap_or(word));
        if shown.len() >= most {
            break;
        }
    }
    cut(&shown, limits::COMMAND_ECHO_BYTES_MAX).into_owned()
}

/// Where the path of a secret file goes, once it has one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PathPlace {
    /// Which argument; the program is the first.
    pub argument: usize,
    /// In front of which of its bytes.
    pub at: usize,
    /// Which file, in the order of [`Environment::files`].
    pub file: usize,
}

/// What the kernel takes for one argument. Variables may make far more of it.
const ARGUMENT_BYTES_MAX: usize = 128 * 1024;
/// And for all of them together, at most.
const ARGUMENTS_BYTES_MAX: usize = 6 * 1024 * 1024;

/// Arguments of the connection may name variables of the session (`$NAME`, `${NAME}`), files
/// included; a name that the session lacks stays as it is written, except where it is the whole
/// argument: there the connection is misconfigured. The program and the client's own arguments are
/// taken literally: a shell among them expands for itself.
pub fn argv(
    command: &[Vec<u8>],
    client_args: &[Vec<u8>],
    environment: &Environment,
) -> Result<(Argv, Vec<PathPlace>), CommandError> {
    let mut argv = Argv::with_capacity(command.len() + client_args.len());
    let mut places = Vec::new();
    let mut size = 0;
    for (position, argument) in command.iter().enumerate() {
        let mut bytes = argument.clone();
        if position > 0 {
            let mut expansion = Expansion {
                environment,
                position,
                out: Vec::with_capacity(argument.len()),
                places: &mut places,
            };
            if expansion.expand(argument).is_none() {
                return Err(missing_variable(&command[1..]));
            }
            bytes = expansion.out;
        }
        size += bytes.len();
        if bytes.len() > ARGUMENT_BYTES_MAX || size > ARGUMENTS_BYTES_MAX {
            return Err(CommandError::TooLong);
        }
        argv.push(OsString::from_vec(bytes));
    }
    argv.extend(client_args.iter().cloned().map(OsString::from_vec));
    if argv.is_empty() {
        return Err(CommandError::Empty);
    }
    if argv.iter().any(|argument| argument.as_bytes().contains(&0)) {
        return Err(CommandError::ZeroByte);
    }
    Ok((argv, places))
}

fn missing_variable(arguments: &[Vec<u8>]) -> CommandError {
    let is_name = |argument: &[u8]| {
        variable_name(argument).is_some_and(|(_, length)| length == argument.len())
    };
    let naming: Vec<_> = arguments
        .iter()
        .filter(|argument| is_name(argument))
        .map(|argument| String::from_utf8_lossy(argument))
        .collect();
    CommandError::MissingVariable(naming.join(","))
}

/// Why a command can't be executed as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// An argument is the name of a variable that the session lacks; all arguments that are names. These
    /// alone: the log has them, too, and other arguments may hold a password with a `$`.
    MissingVariable(String),
    /// No kernel takes arguments of this length.
    TooLong,
    /// No program is named.
    Empty,
    /// No argument can have one.
    ZeroByte,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MissingVariable(names) => {
                return write!(
                    f,
                    "could not find environment variable for commands [{names}]"
                );
            }
            Self::TooLong => "the command's arguments are too long: pass large values by a file",
            Self::Empty => "connection must be at least one argument",
            Self::ZeroByte => "an argument of the command contains a zero byte",
        })
    }
}

/// One argument on its way from what is written to what is meant.
struct Expansion<'a> {
    environment: &'a Environment,
    position: usize,
    out: Vec<u8>,
    places: &'a mut Vec<PathPlace>,
}

impl Expansion<'_> {
    /// `None`: the whole argument is one name, and the session has no such variable. Stops where
    /// the argument is too long in any case.
    fn expand(&mut self, argument: &[u8]) -> Option<()> {
        let mut rest = argument;
        while let Some(at) = rest.iter().position(|byte| *byte == b'$') {
            let (before, reference) = rest.split_at(at);
            self.out.extend_from_slice(before);
            let Some((name, length)) = variable_name(reference) else {
                self.out.push(b'$');
                rest = &reference[1..];
                continue;
            };
            if !self.insert(name) {
                if length == argument.len() {
                    return None;
                }
                self.out.extend_from_slice(&reference[..length]);
            }
            rest = &reference[length..];
            if self.out.len() > ARGUMENT_BYTES_MAX {
                break;
            }
        }
        self.out.extend_from_slice(rest);
        Some(())
    }

    /// A file goes before a variable of its name, as in the command's environment.
    fn insert(&mut self, name: &str) -> bool {
        if let Some(file) = self.environment.file_position(name) {
            self.places.push(PathPlace {
                argument: self.position,
                at: self.out.len(),
                file,
            });
            return true;
        }
        let value = self.environment.get(name);
        self.out.extend_from_slice(value.unwrap_or_default());
        value.is_some()
    }
}

/// The name in `$NAME...` or `${NAME}...`, and how much of the text it takes.
fn variable_name(reference: &[u8]) -> Option<(&str, usize)> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let after = reference.strip_prefix(b"$")?;
    let (name, length) = match after.strip_prefix(b"{") {
        Some(braced) => {
            let end = braced.iter().position(|byte| *byte == b'}')?;
            (&braced[..end], end + 3)
        }
        None => {
            let end = after
                .iter()
                .position(|byte| !is_name(byte))
                .unwrap_or(after.len());
            (&after[..end], end + 1)
        }
    };
    let is_usable = name.iter().all(is_name) && !name.first()?.is_ascii_digit();
    let name = std::str::from_utf8(name).ok()?;
    is_usable.then_some((name, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(argument: &str) -> Option<String> {
        let mut environment = Environment::default();
        environment.set("HOST", "db");
        environment.set("PORT", "5432");
        let words = [b"x".to_vec(), argument.as_bytes().to_vec()];
        let (mut argv, _) = argv(&words, &[], &environment).ok()?;
        Some(argv.pop()?.into_string().unwrap())
    }

    #[test]
    fn known_names_are_expanded_and_everything_else_is_left_alone() {
        for (argument, want) in [
            ("$HOST", "db"),
            ("${HOST}:$PORT", "db:5432"),
            ("echo $1 $$ $? $", "echo $1 $$ $? $"),
            ("a$UNKNOWN", "a$UNKNOWN"),
            ("${", "${"),
            ("${}", "${}"),
            ("${HOST", "${HOST"),
            ("$HOSTÄ", "dbÄ"),
            ("plain", "plain"),
        ] {
            assert_eq!(expanded(argument).as_deref(), Some(want));
        }
    }

    #[test]
    fn an_argument_that_is_only_a_missing_name_is_an_error() {
        let words = |list: &[&str]| {
            list.iter()
                .map(|w| w.as_bytes().to_vec())
                .collect::<Vec<_>>()
        };
        let error = argv(
            &words(&["psql", "-ppass$word", "-h", "$HOST"]),
            &[],
            &Environment::default(),
        );
        assert_eq!(
            error.unwrap_err().to_string(),
            "could not find environment variable for commands [$HOST]"
        );
        let (argv, _) = argv(
            &words(&["$SHELL"]),
            &words(&["$HOST"]),
            &Environment::default(),
        )
        .unwrap();
        assert_eq!(argv, [OsString::from("$SHELL"), OsString::from("$HOST")]);
    }

    #[test]
    fn files_of_secrets_are_named_by_their_paths() {
        let params = crate::packet::ConnectionParams {
            env_vars: [("filesystem:KEY", "a2V5"), ("filesystem:A", "YQ==")]
                .map(|(name, value)| (name.to_owned(), crate::base::Secret::new(value)))
                .into(),
            ..Default::default()
        };
        let plan = crate::session::plan::Plan::new(params.env_vars.clone()).unwrap();
        let protocol = crate::session::protocol::classify(&params).unwrap();
        let (nobody, agent) = (Default::default(), Default::default());
        let environment =
            Environment::finish(plan, &params, protocol, &nobody, "s", &agent).unwrap();
        let words = ["ssh", "-i", "$KEY", "--both=${A}:$KEY$PATHS", "$PATH"];
        let words = words.map(|word| word.as_bytes().to_vec());
        let (argv, paths) = argv(&words, &[b"$KEY".to_vec()], &environment).unwrap();
        let mut program = super::super::Program {
            argv,
            paths,
            environment: Vec::new(),
            files: Vec::new(),
            terminal: None,
        };
        let paths = ["/tmp/of-a".as_ref(), "/tmp/of-key".as_ref()];
        let path = environment.text("PATH");
        assert_eq!(
            program.complete_argv(&paths),
            [
                "ssh",
                "-i",
                "/tmp/of-key",
                "--both=/tmp/of-a:/tmp/of-key$PATHS",
                path,
                "$KEY"
            ]
        );
    }

    #[test]
    fn arguments_that_no_kernel_takes_are_not_made() {
        let mut environment = Environment::default();
        environment.set("X", "x".repeat(ARGUMENT_BYTES_MAX / 2));
        for (argument, fits) in [
            ("$X$X", true),
            ("$X$X.", false),
            (&*"$X".repeat(60_000), false),
        ] {
            let words = [b"echo".to_vec(), argument.as_bytes().to_vec()];
            assert_eq!(argv(&words, &[], &environment).is_ok(), fits);
        }
        let words = vec![b"$X$X".to_vec(); 50];
        let error = argv(&words, &[], &environment).unwrap_err();
        assert_eq!(error, CommandError::TooLong);
    }

    #[test]
    fn an_empty_command_is_refused() {
        assert!(argv(&[], &[], &Environment::default()).is_err());
        assert_eq!(
            display(&[b"bash".to_vec()], &[b"-c".to_vec(), b"x".to_vec()]),
            b"bash -c x"
        );
    }
}
