//! What `hoop-lite run` publishes with an organisation key: one connection of its own name, as
//! upstream's `hoop run` does. The gateway creates or updates it at every `PreConnect`.

use std::fmt;

use crate::admin::name;
use crate::base::Secret;
use crate::base::plain::Word;
use crate::cli::RunOptions;
use crate::packet::PreConnectRequest;
use crate::wire::percent;

/// The gateway stores an organisation key under this agent name.
pub const ORGANISATION_AGENT: &str = "_default";

/// Upstream's bound for the name.
const NAME_CHARS_MAX: usize = 252;

/// A connection to be published.
pub struct Publication {
    /// Its name, as the gateway will have it.
    pub name: String,
    kind: &'static str,
    subtype: &'static str,
    command: Vec<String>,
    review: Vec<String>,
    data_masking: Vec<String>,
    /// Variables of the database, which the gateway is not told.
    pub variables: Vec<(&'static str, Secret)>,
}

/// Why nothing can be published. Names parts of the URI, never the URI: it holds a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicationError {
    /// No name was given, and the host has none.
    HostName,
    /// The name is too long.
    NameLength,
    /// The URI has no `://`.
    UriScheme,
    /// No database that we know has this scheme.
    UriDialect(String),
    /// The URI has no user.
    UriLogin,
    /// The URI's user has no password.
    UriPassword,
    /// This part of the URI has a `%` that is none.
    UriEscape(&'static str),
    /// Nothing follows the last backslash.
    CommandBackslash,
    /// A quote is not closed.
    CommandQuote,
    /// No word is left.
    CommandEmpty,
}

impl fmt::Display for PublicationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HostName => "this host has no name: say --name NAME",
            Self::NameLength => {
                return write!(f, "--name is longer than {NAME_CHARS_MAX} characters");
            }
            Self::UriScheme => {
                return write!(f, "the database URI has no scheme; use {SCHEMES}");
            }
            Self::UriDialect(scheme) => {
                let scheme = Word(scheme);
                return write!(f, "unknown database type, scheme={scheme}; use {SCHEMES}");
            }
            Self::UriLogin => "missing user credentials information on the connection string",
            Self::UriPassword => "password is not set on the connection string",
            Self::UriEscape(part) => return write!(f, "{part} is badly escaped"),
            Self::CommandBackslash => "--command ends in a backslash",
            Self::CommandQuote => "--command has a quote that is not closed",
            Self::CommandEmpty => "--command is empty",
        })
    }
}

/// A kind of database: URI schemes, our words for it, its port, and the command that upstream
/// publishes for it.
struct Dialect {
    schemes: &'static [&'static str],
    subtype: &'static str,
    port: &'static str,
    command: &'static [&'static str],
}

const SCHEMES: &str =
    "postgres://USER:PASSWORD@HOST/DB, or mysql://, mariadb://, sqlserver://, mongodb://";

const DIALECTS: [Dialect; 4] = [
    Dialect {
        schemes: &["postgres", "postgresql"],
        subtype: "postgres",
        port: "5432",
        command: &[
            "psql",
            "-v",
            "ON_ERROR_STOP=1",
            "-A",
            "-F\t",
            "-P",
            "pager=off",
            "-h",
            "$HOST",
            "-U",
            "$USER",
            "--port=$PORT",
            "$DB",
        ],
    },
    Dialect {
        schemes: &["mysql", "mariadb"],
        subtype: "mysql",
        port: "3306",
        command: &["mysql", "-h$HOST", "-u$USER", "--port=$PORT", "-D$DB"],
    },
    Dialect {
        schemes: &["sqlserver", "mssql"],
        subtype: "mssql",
        port: "1433",
        command: &[
            "sqlcmd",
            "--exit-on-error",
            "--trim-spaces",
            "-r",
            "-S$HOST:$PORT",
            "-U$USER",
            "-d$DB",
            "-i/dev/stdin",
        ],
    },
    Dialect {
        schemes: &["mongodb"],
        subtype: "mongodb",
        port: "27017",
        command: &["mongo", "--quiet", "mongodb://$USER:$PASS@$HOST:$PORT/$DB"],
    },
];

impl Publication {
    /// What `options` ask for, and `database` by its URI; `host_name` and `shell` are the defaults of upstream.
    /// Whoever names a database never publishes a shell.
    pub fn new(
        options: &RunOptions,
        database: Option<&Secret>,
        host_name: &str,
        shell: &str,
    ) -> Result<Self, PublicationError> {
        let name = name::normalise(options.name.as_deref().unwrap_or(host_name));
        if name.is_empty() {
            return Err(PublicationError::HostName);
        }
        if name.chars().count() > NAME_CHARS_MAX {
            return Err(PublicationError::NameLength);
        }
        let mut published = Self {
            name,
            kind: "custom",
            subtype: "",
            command: vec![shell.to_owned()],
            review: options.review.clone(),
            data_masking: options.data_masking.clone(),
            variables: Vec::new(),
        };
        if let Some(uri) = database {
            published.set_database(uri.expose_text().unwrap_or(""))?;
        }
        if let Some(command) = &options.command {
            published.command = split_words(command)?;
        }
        Ok(published)
    }

    /// The request that publishes it.
    pub fn request(&self) -> PreConnectRequest<'_> {
        PreConnectRequest {
            name: &self.name,
            connection_type: self.kind,
            connection_subtype: self.subtype,
            command: &self.command,
            reviewers: &self.review,
            redact_types: &self.data_masking,
        }
    }

    fn set_database(&mut self, uri: &str) -> Result<(), PublicationError> {
        let (scheme, rest) = uri.split_once("://").ok_or(PublicationError::UriScheme)?;
        let dialect = DIALECTS
            .iter()
            .find(|dialect| dialect.schemes.contains(&scheme));
        let dialect = dialect.ok_or_else(|| PublicationError::UriDialect(scheme.to_owned()))?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, host) = authority
            .rsplit_once('@')
            .ok_or(PublicationError::UriLogin)?;
        let (user, password) = login.split_once(':').ok_or(PublicationError::UriPassword)?;
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port),
            _ => (host, dialect.port),
        };
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut queries = query.split('&').filter_map(|pair| pair.split_once('='));
        let database = match dialect.subtype {
            "mssql" => queries
                .find(|(key, _)| *key == "database")
                .map_or("", |(_, value)| value),
            _ => path,
        };
        let mut set = |name: &'static str, value: &str| {
            let value = percent::decode(value).ok_or(PublicationError::UriEscape(name))?;
            self.variables.push((name, Secret::new(value)));
            Ok::<(), PublicationError>(())
        };
        set("HOST", host.trim_matches(['[', ']']))?;
        set("PORT", port)?;
        set("USER", user)?;
        set("PASS", password)?;
        set("DB", database)?;
        if dialect.subtype == "postgres"
            && let Some((_, mode)) = queries.find(|(key, _)| *key == "sslmode")
        {
            set("SSLMODE", mode)?;
        }
        self.kind = "database";
        self.subtype = dialect.subtype;
        self.command = dialect
            .command
            .iter()
            .map(|word| (*word).to_owned())
            .collect();
        Ok(())
    }
}

/// Splits as a shell does: blanks separate, quotes and backslashes keep. No expansion.
fn split_words(text: &str) -> Result<Vec<String>, PublicationError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => {
                let next = chars.next().ok_or(PublicationError::CommandBackslash)?;
                word.get_or_insert_default().push(next);
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(PublicationError::CommandQuote);
    }
    words.extend(word);
    if words.is_empty() {
        Err(PublicationError::CommandEmpty)
    } else {
        Ok(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(options: &RunOptions) -> Result<Publication, PublicationError> {
        Publication::new(options, options.database_uri.as_ref(), "My Host", "/bin/sh")
    }

    #[test]
    fn without_flags_the_host_publishes_its_shell() {
        let published = publish(&RunOptions::default()).unwrap();
        assert_eq!(
            (published.name.as_str(), published.kind),
            ("my_host", "custom")
        );
        assert_eq!(published.command, ["/bin/sh"]);
    }

    #[test]
    fn a_database_uri_becomes_variables_and_upstreams_command() {
        let uri = "postgres://app:p%40ss@db.internal/orders?sslmode=disable";
        let options = RunOptions {
            database_uri: Some(Secret::new(uri)),
            ..RunOptions::default()
        };
        let published = publish(&options).unwrap();
        assert_eq!(
            (published.kind, published.subtype),
            ("database", "postgres")
        );
        let variable = |name: &str| {
            let found = published.variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.expose_text().unwrap())
        };
        assert_eq!(variable("HOST"), Some("db.internal"));
        assert_eq!(variable("PORT"), Some("5432"));
        assert_eq!(variable("PASS"), Some("p@ss"));
        assert_eq!(variable("DB"), Some("orders"));
        assert_eq!(variable("SSLMODE"), Some("disable"));
        assert_eq!(published.command[0], "psql");
    }

    #[test]
    fn odd_uris_are_refused_without_quoting_them() {
        for (uri, want) in [
            ("nothing", "no scheme"),
            ("redis://u:secret@h", "scheme=redis"),
            ("mysql://h/db", "missing user credentials"),
            ("mysql://u@h/db", "password is not set"),
        ] {
            let options = RunOptions {
                database_uri: Some(Secret::new(uri)),
                ..RunOptions::default()
            };
            let error = publish(&options).err().unwrap().to_string();
            assert!(error.contains(want) && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn commands_are_split_as_a_shell_does() {
        let words = split_words(r#"rails 'console now' "a \"b\"" c\ d '' x"y"z"#).unwrap();
        assert_eq!(words, ["rails", "console now", "a \"b\"", "c d", "", "xyz"]);
        for wrong in ["", "  ", "'open", "end\\"] {
            assert!(split_words(wrong).is_err(), "{wrong}");
        }
    }
}
