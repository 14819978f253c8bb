//! What exactly is executed: the connection's command, then the client's arguments.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use super::environment::Environment;

/// Program and arguments, ready to be executed.
pub type Argv = Vec<OsString>;

/// The command as it is shown to the client: unexpanded, joined by spaces.
pub fn display(command: &[String], client_args: &[String]) -> String {
    let words: Vec<&str> = command
        .iter()
        .chain(client_args)
        .map(String::as_str)
        .collect();
    words.join(" ")
}

/// Arguments of the connection may name variables of the session (`$NAME`, `${NAME}`); a name that
/// the session lacks stays as it is written, except where it is the whole argument: there the
/// connection is misconfigured. The program and the client's own arguments are taken literally: a
/// shell among them expands for itself.
pub fn argv(
    command: &[String],
    client_args: &[String],
    environment: &Environment,
) -> Result<Argv, String> {
    let mut argv = Argv::with_capacity(command.len() + client_args.len());
    for (position, argument) in command.iter().enumerate() {
        let bytes = match position {
            0 => argument.as_bytes().to_vec(),
            _ => expand(argument, environment).ok_or_else(|| missing_variable(&command[1..]))?,
        };
        argv.push(OsStr::from_bytes(&bytes).to_os_string());
    }
    argv.extend(client_args.iter().map(OsString::from));
    if argv.is_empty() {
        return Err("connection must be at least one argument".into());
    }
    if argv.iter().any(|argument| argument.as_bytes().contains(&0)) {
        return Err("an argument of the command contains a zero byte".into());
    }
    Ok(argv)
}

fn missing_variable(arguments: &[String]) -> String {
    let naming: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        .filter(|text| text.contains('$'))
        .collect();
    format!(
        "could not find environment variable for commands [{}]",
        naming.join(",")
    )
}

/// `None`: the whole argument is one name, and the session has no such variable.
fn expand(argument: &str, environment: &Environment) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(argument.len());
    let mut rest = argument;
    while let Some(at) = rest.find('$') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let reference = &rest[at..];
        let Some((name, length)) = variable_name(reference) else {
            out.push(b'$');
            rest = &reference[1..];
            continue;
        };
        match environment.get(name) {
            Some(value) => out.extend_from_slice(value),
            None if length == argument.len() => return None,
            None => out.extend_from_slice(&reference.as_bytes()[..length]),
        }
        rest = &reference[length..];
    }
    out.extend_from_slice(rest.as_bytes());
    Some(out)
}

/// The name in `$NAME...` or `${NAME}...`, and how much of the text it takes.
fn variable_name(reference: &str) -> Option<(&str, usize)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let after = reference.strip_prefix('$')?;
    if let Some(braced) = after.strip_prefix('{') {
        let end = braced.find('}')?;
        let name = &braced[..end];
        return (!name.is_empty() && name.chars().all(is_name)).then_some((name, end + 3));
    }
    let end = after.find(|c| !is_name(c)).unwrap_or(after.len());
    let name = &after[..end];
    (!name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit())).then_some((name, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(argument: &str) -> Option<String> {
        let mut environment = Environment::default();
        environment.set("HOST", "db");
        environment.set("PORT", "5432");
        expand(argument, &environment).map(|bytes| String::from_utf8(bytes).unwrap())
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
        let words = |list: &[&str]| list.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
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
        assert_eq!(argv, ["$SHELL", "$HOST"]);
    }

    #[test]
    fn an_empty_command_is_refused() {
        assert!(argv(&[], &[], &Environment::default()).is_err());
        assert_eq!(
            display(&["bash".into()], &["-c".into(), "x".into()]),
            "bash -c x"
        );
    }
}
