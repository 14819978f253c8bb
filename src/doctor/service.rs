//! The variables of the installed service, as the service manager reads them from its file.

use std::io;

use crate::config::{KEY_VARIABLES, Surroundings};

/// Where the installer puts them.
pub const ENV_FILE: &str = "/etc/hoop-lite/env";

/// Where programs are found by a service of systemd.
const SERVICE_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin";

/// Variables that give an agent its key beside [`KEY_VARIABLES`]: the static token.
const TOKENS: [&str; 2] = ["HOOP_TOKEN", "TOKEN"];

/// What to do where they can't be read.
pub fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "no service is installed here (install.sh --service makes the file); without --service, doctor takes \
             the variables that it is started with"
        }
        _ => "only root can read the service's variables: sudo hoop-lite doctor --service",
    }
}

/// See the module.
#[derive(Debug)]
pub struct ServiceVariables(Vec<(String, String)>);

impl ServiceVariables {
    /// Reads the file.
    pub fn read(surroundings: Surroundings<'_>) -> io::Result<Self> {
        let content = (surroundings.read_file)(ENV_FILE)?;
        Ok(Self::parse(&String::from_utf8_lossy(&content)))
    }

    /// The same where nobody has asked for them: only if no variable names a key, and they can be read.
    pub fn stand_in(surroundings: Surroundings<'_>) -> Option<Self> {
        let mut keys = KEY_VARIABLES.iter().chain(&TOKENS);
        let has_key = keys.any(|name| surroundings.get(name).is_some());
        (!has_key).then(|| Self::read(surroundings).ok()).flatten()
    }

    /// `NAME=VALUE`, `NAME='VALUE'` or `NAME="VALUE"`, one a line; `#` and `;` begin comments.
    fn parse(text: &str) -> Self {
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| !line.starts_with(['#', ';']));
        let pair = |line: &str| {
            let (name, value) = line.split_once('=')?;
            Some((name.trim().to_owned(), unquoted(value.trim())))
        };
        Self(lines.filter_map(pair).collect())
    }

    /// The value of a variable; the last one counts.
    pub fn get(&self, name: &str) -> Option<String> {
        let found = self.0.iter().rev().find(|(known, _)| known == name);
        let default = (name == "PATH").then(|| SERVICE_PATH.to_owned());
        found.map(|(_, value)| value.clone()).or(default)
    }

    /// What they are called.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

/// Quotes off; within double ones a backslash takes the next character as it is.
fn unquoted(value: &str) -> String {
    let inner = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    if let Some(inner) = inner('\'') {
        return inner.to_owned();
    }
    let Some(inner) = inner('"') else {
        return value.to_owned();
    };
    let mut out = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        out.extend(match c {
            '\\' => chars.next(),
            c => Some(c),
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::OutputForm;

    #[test]
    fn the_file_is_read_as_systemd_reads_it() {
        let text = "# HOOP_KEY=no\n; X=no\n\n  A = b \nB='it # is=this'\nC=\"x \\\"y\\\" \\\\\"\nA=c\nD=\nnothing";
        let found = ServiceVariables::parse(text);
        let all = ["A", "B", "C", "D", "X", "nothing"].map(|name| found.get(name));
        let want = ["c", "it # is=this", "x \"y\" \\", ""].map(|value| Some(value.to_owned()));
        assert_eq!(all[..4], want);
        assert_eq!(all[4..], [None, None]);
        assert_eq!(found.get("PATH").as_deref(), Some(SERVICE_PATH));
    }

    #[test]
    fn only_a_file_that_is_there_needs_root() {
        let report = |kind: io::ErrorKind| {
            let surroundings = Surroundings {
                variable: &|_| None,
                read_file: &|_| Err(kind.into()),
            };
            let asked = super::super::Examination {
                form: OutputForm::Text,
                screen: None,
                of_service: true,
                asks_stores: false,
                misspelt: &|_| None,
                names: &[],
                metadata: super::super::metadata::MetadataPlaces {
                    machine: &[],
                    container: &[],
                },
            };
            let mut out = Vec::new();
            assert_eq!(super::super::run(&asked, surroundings, &mut out), 1);
            String::from_utf8(out).unwrap()
        };
        let missing = report(io::ErrorKind::NotFound);
        assert!(
            missing.contains("no service is installed here"),
            "{missing}"
        );
        assert!(!missing.contains("root"), "{missing}");
        let shut = report(io::ErrorKind::PermissionDenied);
        assert!(shut.contains("only root can read"), "{shut}");
    }

    #[test]
    fn it_stands_in_only_where_no_variable_names_a_key() {
        let file = |path: &str| match path {
            ENV_FILE => Ok(b"HOOP_KEY=x".to_vec()),
            _ => Err(io::ErrorKind::NotFound.into()),
        };
        let look = |has: Option<&str>| {
            let surroundings = Surroundings {
                variable: &|name| has.filter(|_| name == "HOOP_KEY").map(str::to_owned),
                read_file: &file,
            };
            ServiceVariables::stand_in(surroundings).is_some()
        };
        assert!(look(None) && look(Some("")));
        assert!(!look(Some("y")));
    }
}
