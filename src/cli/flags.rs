//! The one table of commands, flags and variables: parsing, help, man page and completions read it.

use crate::config::beside::DATABASE_URI;
use crate::config::settings;

/// Which command a flag belongs to or a line calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandName {
    /// `start agent`, also with no words at all.
    StartAgent,
    /// `run`.
    Run,
    /// `admin create agent`.
    AdminCreateAgent,
    /// `admin get agents`, with a name or without.
    AdminGetAgents,
    /// `admin delete agent`.
    AdminDeleteAgent,
    /// `admin login`.
    AdminLogin,
    /// `doctor`.
    Doctor,
    /// `health`.
    Health,
    /// `version`.
    Version,
    /// `help`.
    Help,
}

/// One command.
#[derive(Debug)]
pub struct CommandEntry {
    /// Its identity.
    pub name: CommandName,
    /// The words that call it, with spaces between.
    pub call: &'static str,
    /// What may follow the words.
    pub operand: Operand,
    /// One line for lists.
    pub summary: &'static str,
    /// A paragraph for the command's own help, or nothing.
    pub details: &'static str,
}

impl CommandEntry {
    /// The words that call it, one by one.
    pub fn words(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.call.split(' ')
    }

    /// How many words call it.
    pub fn word_count(&self) -> usize {
        self.words().count()
    }

    /// Its first words.
    pub(super) fn beginning(&self, count: usize) -> &'static str {
        let mut ends = self.call.match_indices(' ').map(|(at, _)| at);
        let end = ends.nth(count.saturating_sub(1));
        end.map_or(self.call, |end| &self.call[..end])
    }

    /// It is called by words that begin like `typed`, or end earlier. `agent` and `agents` are the same.
    pub(super) fn agrees_with(&self, typed: &[&str]) -> bool {
        let mut pairs = self.words().zip(typed);
        pairs.all(|(word, typed)| singular(word) == singular(typed))
    }
}

fn singular(word: &str) -> &str {
    match word {
        "agents" => "agent",
        other => other,
    }
}

/// What may follow a command's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// Nothing.
    None,
    /// Exactly one word.
    Required(&'static str),
    /// One word or none.
    Optional(&'static str),
    /// `-- CMD ...` or nothing.
    Program,
    /// Any words.
    Words(&'static str),
}

/// One flag.
#[derive(Debug)]
pub struct Flag {
    /// Without the two dashes.
    pub name: &'static str,
    /// The one-letter form.
    pub short: Option<char>,
    /// What it takes.
    pub value: FlagValue,
    /// The variable that sets the same.
    pub variable: Option<&'static str>,
    /// One or two sentences.
    pub help: &'static str,
    /// Where it may stand.
    pub commands: &'static [CommandName],
}

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagValue {
    /// Nothing, or `=true` or `=false`.
    Switch,
    /// Text; the placeholder of help lines.
    Text(&'static str),
    /// Text that may hold a secret, so no message repeats it.
    Secret(&'static str),
    /// One of these words.
    Words(&'static [&'static str]),
}

/// A variable of the environment that has no flag.
#[derive(Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub help: &'static str,
}

use CommandName as C;

const AGENT: &[CommandName] = &[C::StartAgent, C::Run];
const OUTPUT: &[CommandName] = &[
    C::AdminCreateAgent,
    C::AdminGetAgents,
    C::Doctor,
    C::Version,
];
const RUN: &[CommandName] = &[C::Run];
const EVERY: &[CommandName] = &[
    C::StartAgent,
    C::Run,
    C::AdminCreateAgent,
    C::AdminGetAgents,
    C::AdminDeleteAgent,
    C::AdminLogin,
    C::Doctor,
    C::Health,
    C::Version,
    C::Help,
];

/// All commands, in the order of help.
pub static COMMANDS: &[CommandEntry] = &[
    CommandEntry {
        name: C::StartAgent,
        call: "start agent",
        operand: Operand::None,
        summary: "Run the agent; also without any command",
        details: "Connects to the gateway that the key names and serves its sessions until it is \
                  told to stop. TERM and INT let sessions finish first, a second one ends at once. \
                  USR1 writes its state into the log.",
    },
    CommandEntry {
        name: C::Run,
        call: "run",
        operand: Operand::Program,
        summary: "Run the agent beside a program of yours",
        details: "CMD runs in the foreground with our environment less the key and HOOP_DB_URI; its exit status \
                  becomes ours and all signals are passed on, USR1 too. It is never killed unless \
                  --kill-after says so. Sessions see its environment, less HOOP_*, TOKEN, \
                  VAULT_TOKEN and VAULT_APP_ROLE_SECRET_ID. With an organisation key a connection \
                  is published under --name; a database's address is better given by the \
                  variable HOOP_DB_URI, since every user of the machine can read flags.",
    },
    CommandEntry {
        name: C::AdminCreateAgent,
        call: "admin create agent",
        operand: Operand::Required("NAME"),
        summary: "Create an agent and print its key",
        details: "Only the key goes to standard output:\n  \
                  export HOOP_KEY=$(hoop-lite admin create agent NAME)",
    },
    CommandEntry {
        name: C::AdminGetAgents,
        call: "admin get agents",
        operand: Operand::Optional("NAME"),
        summary: "List the agents, or show one",
        details: "",
    },
    CommandEntry {
        name: C::AdminDeleteAgent,
        call: "admin delete agent",
        operand: Operand::Required("NAME"),
        summary: "Delete an agent: its key stops working",
        details: "",
    },
    CommandEntry {
        name: C::AdminLogin,
        call: "admin login",
        operand: Operand::None,
        summary: "Sign in with e-mail and password, for the admin commands",
        details: "The password is asked for on the terminal, or read from standard input when \
                  that is no terminal.",
    },
    CommandEntry {
        name: C::Doctor,
        call: "doctor",
        operand: Operand::None,
        summary: "Find out why the agent does not connect",
        details: "Checks key, name resolution, TCP, proxy, TLS, HTTP/2 and authentication one \
                  after the other, then what sessions need and what their commands reach. Exit status 1 when one fails. Where no \
                  variable names a key, those of the installed service are taken.",
    },
    CommandEntry {
        name: C::Health,
        call: "health",
        operand: Operand::Optional("PROBE"),
        summary: "Ask the agent that runs here how it is",
        details: "PROBE is livez (it runs), readyz (sessions can come) or healthz (the gateway is \
                  heard; the default). Exit status 0 when all is well and 1 when not: for probes of \
                  containers without curl.",
    },
    CommandEntry {
        name: C::Version,
        call: "version",
        operand: Operand::None,
        summary: "Print the version",
        details: "",
    },
    CommandEntry {
        name: C::Help,
        call: "help",
        operand: Operand::Words("COMMAND"),
        summary: "Explain a command",
        details: "",
    },
];

/// All flags, in the order of help.
pub static FLAGS: &[Flag] = &[
    Flag {
        name: "name",
        short: Some('n'),
        value: FlagValue::Text("NAME"),
        variable: None,
        help: "The connection's name; the host's name unless given.",
        commands: RUN,
    },
    Flag {
        name: "command",
        short: None,
        value: FlagValue::Text("COMMAND"),
        variable: None,
        help: "What the connection runs; a shell, or the database's client, unless given.",
        commands: RUN,
    },
    database(
        "postgres",
        "Publish a PostgreSQL database: postgres://USER:PASSWORD@HOST/DB.",
    ),
    database(
        "mysql",
        "Publish a MySQL database: mysql://USER:PASSWORD@HOST/DB.",
    ),
    database(
        "mssql",
        "Publish a Microsoft SQL Server: sqlserver://USER:PASSWORD@HOST.",
    ),
    database(
        "mongodb",
        "Publish a MongoDB database: mongodb://USER:PASSWORD@HOST.",
    ),
    Flag {
        name: "review",
        short: None,
        value: FlagValue::Text("GROUPS"),
        variable: None,
        help: "Groups whose approval each session needs, separated by commas.",
        commands: RUN,
    },
    Flag {
        name: "data-masking",
        short: None,
        value: FlagValue::Text("TYPES"),
        variable: None,
        help: "Kinds of data that the gateway masks, separated by commas.",
        commands: RUN,
    },
    Flag {
        name: "mode",
        short: None,
        value: FlagValue::Words(&["standard", "embedded"]),
        variable: None,
        help: "How the agent works: one stream held open (the default), or one opened on demand.",
        commands: &[C::AdminCreateAgent],
    },
    Flag {
        name: "api-url",
        short: None,
        value: FlagValue::Text("URL"),
        variable: Some("HOOP_APIURL"),
        help: "The gateway's REST address.",
        commands: &[C::AdminLogin],
    },
    Flag {
        name: "email",
        short: None,
        value: FlagValue::Text("EMAIL"),
        variable: None,
        help: "Who signs in; asked for unless given.",
        commands: &[C::AdminLogin],
    },
    Flag {
        name: "output",
        short: Some('o'),
        value: FlagValue::Words(&["json"]),
        variable: None,
        help: "Print JSON instead of text.",
        commands: OUTPUT,
    },
    Flag {
        name: "ignore-not-found",
        short: None,
        value: FlagValue::Switch,
        variable: None,
        help: "An agent that does not exist is no failure.",
        commands: &[C::AdminDeleteAgent],
    },
    Flag {
        name: "service",
        short: None,
        value: FlagValue::Switch,
        variable: None,
        help: "Take the variables of the installed service, from /etc/hoop-lite/env, which is root's.",
        commands: &[C::Doctor],
    },
    Flag {
        name: "secrets",
        short: None,
        value: FlagValue::Switch,
        variable: None,
        help: "Ask the secret stores, too: who the agent is to AWS and Vault, by what, and for how long. A \
               login by AppRole uses its secret id once.",
        commands: &[C::Doctor],
    },
    Flag {
        name: "keep-going",
        short: None,
        value: FlagValue::Switch,
        variable: Some(settings::KEEP_GOING),
        help: "Start CMD also when key, authority or health address can't be used: without the \
               agent, or without its health.",
        commands: RUN,
    },
    Flag {
        name: "kill-after",
        short: None,
        value: FlagValue::Text("DURATION"),
        variable: Some(settings::KILL_AFTER),
        help: "Kill CMD when it has not ended so long after TERM (never).",
        commands: RUN,
    },
    setting(
        "drain-timeout",
        FlagValue::Text("DURATION"),
        settings::DRAIN_TIMEOUT,
        "How long sessions may go on after the first signal to stop (10s).",
    ),
    setting(
        "key-check-interval",
        FlagValue::Text("DURATION"),
        settings::KEY_CHECK_INTERVAL,
        "Time between two questions whether the key still stands (15s).",
    ),
    setting(
        "reconnect-max",
        FlagValue::Text("DURATION"),
        settings::RECONNECT_MAX,
        "Longest wait between two attempts to reach the gateway (30s).",
    ),
    setting(
        "exit-on-revoked",
        FlagValue::Switch,
        settings::EXIT_ON_REVOKED,
        "End with status 3 when the gateway refuses the key, instead of trying again; run ends its \
         program then.",
    ),
    setting(
        "refuse-plaintext",
        FlagValue::Switch,
        settings::REFUSE_PLAINTEXT,
        "Refuse a gateway without TLS unless its address is loopback, private, shared \
         (100.64.0.0/10) or link-local.",
    ),
    Flag {
        name: "health-listen",
        short: None,
        value: FlagValue::Text("ADDRESS"),
        variable: Some(settings::HEALTH_LISTEN),
        help: "Serve /livez, /readyz, /healthz and /metrics on HOST:PORT, on PORT of this machine \
               alone, or on a unix socket's path (off).",
        commands: &[C::StartAgent, C::Run, C::Health],
    },
    setting(
        "queue-budget",
        FlagValue::Text("SIZE"),
        settings::QUEUE_BUDGET,
        "Memory for data that waits for slow targets (32MiB).",
    ),
    setting(
        "relay-count-max",
        FlagValue::Text("COUNT"),
        settings::RELAY_COUNT_MAX,
        "Connections to targets open at one time (16384).",
    ),
    setting(
        "stall-max",
        FlagValue::Text("DURATION"),
        settings::STALL_MAX,
        "How long a target may take nothing while the queues are half full (3s).",
    ),
    setting(
        "output-after-exit",
        FlagValue::Text("DURATION"),
        settings::OUTPUT_AFTER_EXIT,
        "How long jobs that a command leaves behind may go on to print (60s).",
    ),
    setting(
        "end-detached",
        FlagValue::Switch,
        settings::END_DETACHED,
        "End also what a session has detached by nohup or setsid when it ends normally.",
    ),
    setting(
        "user",
        FlagValue::Text("USER"),
        settings::USER,
        "Become this user, by name or number, once the key is read: start as root for a key file \
         that sessions can't read; the key is read once.",
    ),
    setting(
        "separate-sessions",
        FlagValue::Words(&["auto", "true", "false"]),
        settings::SEPARATE_SESSIONS,
        "Shut sessions off from one another by Landlock, at the price of sudo and su (auto: where \
         they do not work anyway).",
    ),
    setting(
        "keepalive-idle",
        FlagValue::Text("DURATION"),
        settings::KEEPALIVE_IDLE,
        "Silence of a connection to a target before TCP asks whether it is there (15s).",
    ),
    setting(
        "keepalive-interval",
        FlagValue::Text("DURATION"),
        settings::KEEPALIVE_INTERVAL,
        "Time between two such questions (15s).",
    ),
    setting(
        "keepalive-probes",
        FlagValue::Text("COUNT"),
        settings::KEEPALIVE_PROBES,
        "How many of them may go unanswered before the connection is closed (9).",
    ),
    setting(
        "open-metadata",
        FlagValue::Text("ADDRESSES"),
        settings::OPEN_METADATA,
        "Addresses of cloud metadata that connections of sessions may lead to; all are shut (none).",
    ),
    setting(
        "client-env",
        FlagValue::Text("NAMES"),
        settings::CLIENT_ENV,
        "Variables that clients may set: default (all but those by which programs find code), \
         none, or a list such as APP_MODE,BUILD_*.",
    ),
    setting(
        "log-ship",
        FlagValue::Switch,
        settings::LOG_SHIP,
        "Send our log lines to the gateway's log view too.",
    ),
    setting(
        "format",
        FlagValue::Words(&["human", "verbose", "console", "json"]),
        settings::LOG_ENCODING,
        "Form of log lines; human on a terminal and json elsewhere unless given.",
    ),
    setting(
        "log-level",
        FlagValue::Words(&["trace", "debug", "info", "warn", "error"]),
        settings::LOG_LEVEL,
        "The least important log lines that are written (info).",
    ),
    Flag {
        name: "debug",
        short: None,
        value: FlagValue::Switch,
        variable: None,
        help: "The same as --log-level=debug.",
        commands: AGENT,
    },
    Flag {
        name: "help",
        short: Some('h'),
        value: FlagValue::Switch,
        variable: None,
        help: "Explain the command.",
        commands: EVERY,
    },
    Flag {
        name: "version",
        short: Some('V'),
        value: FlagValue::Switch,
        variable: None,
        help: "Print the version.",
        commands: &[C::StartAgent],
    },
];

/// Variables that configure the agent and have no flag: secrets never come by flag.
pub static VARIABLES: &[Variable] = &[
    Variable {
        name: "HOOP_KEY",
        help: "The agent's key: grpcs://NAME:KEY@HOST:PORT?mode=standard.",
    },
    Variable {
        name: "HOOP_KEY_FILE",
        help: "A file that holds the key, read again at every connection; with --user once.",
    },
    Variable {
        name: "HOOP_SPIFFE_KEY_FILE",
        help: "A file that holds a JWT-SVID instead of a key; wants HOOP_GRPCURL.",
    },
    Variable {
        name: "HOOP_SPIFFE_NAME",
        help: "The name to show for an agent with a JWT-SVID.",
    },
    Variable {
        name: "HOOP_GRPCURL",
        help: "The gateway's HOST:PORT, where no key names it.",
    },
    Variable {
        name: "HOOP_GRPC_INSECURE",
        help: "true: no TLS, with a JWT-SVID.",
    },
    Variable {
        name: "HOOP_TLSCA",
        help: "Authorities to trust instead of the public ones: PEM text, base64://..., or \
               file://PATH.",
    },
    Variable {
        name: "HOOP_TLSSERVERNAME",
        help: "The name in the gateway's certificate, when it is not its host.",
    },
    Variable {
        name: "HOOP_TLS_SKIP_VERIFY",
        help: "true: believe any certificate. Dangerous.",
    },
    Variable {
        name: "HTTPS_PROXY",
        help: "http://USER:PASSWORD@HOST:PORT of a proxy on the way; NO_PROXY lists exceptions.",
    },
    Variable {
        name: "HOOP_APIURL",
        help: "The gateway's REST address, for admin commands; with HOOP_GRPCURL and HOOP_TOKEN it \
               goes before ~/.hoop/config.toml.",
    },
    Variable {
        name: "HOOP_TOKEN",
        help: "What signs admin commands in; with HOOP_GRPCURL also an old static token of an agent.",
    },
    Variable {
        name: "LOG_LEVEL",
        help: "The same as HOOP_LITE_LOG_LEVEL, which wins.",
    },
    Variable {
        name: "LOG_ENCODING",
        help: "The same as HOOP_LITE_LOG_ENCODING, which wins.",
    },
    Variable {
        name: "NO_COLOR",
        help: "Set to anything: no colours in log lines.",
    },
];

/// The flag of this name.
pub fn by_name(name: &str) -> Option<&'static Flag> {
    FLAGS.iter().find(|flag| flag.name == name)
}

/// The flag of this letter.
pub fn by_letter(letter: char) -> Option<&'static Flag> {
    FLAGS.iter().find(|flag| flag.short == Some(letter))
}

/// The entry of a command.
pub fn entry(name: CommandName) -> Option<&'static CommandEntry> {
    COMMANDS.iter().find(|entry| entry.name == name)
}

const fn setting(
    name: &'static str,
    value: FlagValue,
    variable: &'static str,
    help: &'static str,
) -> Flag {
    Flag {
        name,
        short: None,
        value,
        variable: Some(variable),
        help,
        commands: AGENT,
    }
}

const fn database(name: &'static str, help: &'static str) -> Flag {
    Flag {
        name,
        short: None,
        value: FlagValue::Secret("URI"),
        variable: Some(DATABASE_URI),
        help,
        commands: RUN,
    }
}
