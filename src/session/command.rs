//! What exactly is executed: the connection's command, then the client's arguments.

use std::ffi::OsString;
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

/// Arguments of the connection may name variables of the session (`$NAME`, `${NAME}`); a name that
/// the session lacks stays as it is written, except where it is the whole argument: there the
/// connection is misconfigured. The program and the client's own arguments are taken literally: a
/// shell among them expands for itself.
pub fn argv(
    command: &[Vec<u8>],
    client_args: &[Vec<u8>],
    environment: &Environment,
) -> Result<Argv, String> {
    let mut argv = Argv::with_capacity(command.len() + client_args.len());
    for (position, argument) in command.iter().enumerate() {
        let bytes = match position {
            0 => argument.clone(),
            _ => expand(argument, environment).ok_or_else(|| missing_variable(&command[1..]))?,
        };
        argv.push(OsString::from_vec(bytes));
    }
    argv.extend(client_args.iter().cloned().map(OsString::from_vec));
    if argv.is_empty() {
        return Err("connection must be at least one argument".into());
    }
    if argv.iter().any(|argument| argument.as_bytes().contains(&0)) {
        return Err("an argument of the command contains a zero byte".into());
    }
    Ok(argv)
}

fn missing_variable(arguments: &[Vec<u8>]) -> String {
    let naming: Vec<String> = arguments
        .iter()
        .filter(|argument| argument.contains(&b'$'))
        .map(|argument| String::from_utf8_lossy(argument).into_owned())
        .collect();
    format!(
        "could not find environment variable for commands [{}]",
        naming.join(",")
    )
}

/// `None`: the whole argument is one name, and the session has no such variable.
fn expand(argument: &[u8], environment: &Environment) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(argument.len());
    let mut rest = argument;
    while let Some(at) = rest.iter().position(|byte| *byte == b'$') {
        let (before, reference) = rest.split_at(at);
        out.extend_from_slice(before);
        let Some((name, length)) = variable_name(reference) else {
            out.push(b'$');
            rest = &reference[1..];
            continue;
        };
        match environment.get(name) {
            Some(value) => out.extend_from_slice(value),
            None if length == argument.len() => return None,
            None => out.extend_from_slice(&reference[..length]),
        }
        rest = &reference[length..];
    }
    out.extend_from_slice(rest);
    Some(out)
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
        expand(argument.as_bytes(), &environment).map(|bytes| String::from_utf8(bytes).unwrap())
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
            &words(&["psql", "-h", "$HOST"]),
            &[],
            &Environment::default(),
        );
        assert_eq!(
            error.unwrap_err(),
            "could not find environment variable for commands [$HOST]"
        );
        let argv = argv(
            &words(&["$SHELL"]),
            &words(&["$HOST"]),
            &Environment::default(),
        )
        .unwrap();
        assert_eq!(argv, [OsString::from("$SHELL"), OsString::from("$HOST")]);
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
