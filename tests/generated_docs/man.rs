//! The man page.

use std::fmt::Write;

use hoop_lite::cli::flags::{CommandEntry, Flag, FlagValue, Operand};
use hoop_lite::cli::{COMMANDS, CommandName, FLAGS, VARIABLES};

use crate::tree::{flags_of, operand};

/// The whole page.
pub fn page() -> String {
    let mut out = String::from(HEAD);
    let synopses: Vec<String> = COMMANDS
        .iter()
        .map(|entry| format!("\\fBhoop\\-lite\\fR {}\n", synopsis(entry)))
        .collect();
    out.push_str(&synopses.join(".br\n"));
    out.push_str(DESCRIPTION);
    out.push_str(".SH COMMANDS\n");
    for entry in COMMANDS {
        command(&mut out, entry);
    }
    out.push_str(".SH ENVIRONMENT\nSet to nothing is the same as not set.\n");
    for variable in VARIABLES {
        item(&mut out, &bold(variable.name), variable.help);
    }
    for (variable, help) in MORE_VARIABLES {
        item(&mut out, &bold(variable), help);
    }
    let mut told: Vec<&str> = VARIABLES.iter().map(|variable| variable.name).collect();
    for flag in FLAGS {
        let Some(variable) = flag.variable.filter(|name| !told.contains(name)) else {
            continue;
        };
        told.push(variable);
        let flags = FLAGS.iter().filter(|flag| flag.variable == Some(variable));
        let flags: Vec<String> = flags.map(|flag| format!("--{}", flag.name)).collect();
        let text = format!("The same as {}.", flags.join(" or "));
        item(&mut out, &bold(variable), &text);
    }
    out.push_str(TAIL);
    out
}

fn command(out: &mut String, entry: &CommandEntry) {
    let _ = writeln!(out, ".SS {}", escaped(entry.call));
    let _ = writeln!(out, "{}.", text(entry.summary));
    let mut example = false;
    for line in entry.details.split('\n').filter(|line| !line.is_empty()) {
        if line.starts_with("  ") != example {
            example = !example;
            out.push_str(if example {
                ".PP\n.RS\n.nf\n"
            } else {
                ".fi\n.RE\n"
            });
        } else if !example {
            out.push_str(".PP\n");
        }
        let _ = writeln!(out, "{}", text(line.trim_start()));
    }
    if example {
        out.push_str(".fi\n.RE\n");
    }
    // The agent's own flags are told once, and `run` has them all.
    let shared = entry.name == CommandName::Run;
    for flag in flags_of(entry.name).filter(|flag| flag.name != "help") {
        if !(shared && flag.commands.contains(&CommandName::StartAgent)) {
            flag_item(out, flag);
        }
    }
    if shared {
        out.push_str(".PP\nAnd every flag of \\fBstart agent\\fR.\n");
    }
}

fn flag_item(out: &mut String, flag: &Flag) {
    let mut head = bold(&format!("--{}", flag.name));
    if let Some(letter) = flag.short {
        head = format!("{}, {head}", bold(&format!("-{letter}")));
    }
    match flag.value {
        FlagValue::Switch => {}
        FlagValue::Text(name) | FlagValue::Secret(name) => {
            let _ = write!(head, "=\\fI{}\\fR", escaped(name));
        }
        FlagValue::Words(words) => {
            let _ = write!(head, "={}", escaped(&words.join("|")));
        }
    }
    let mut help = flag.help.to_owned();
    if let Some(variable) = flag.variable {
        let _ = write!(help, " Variable: {variable}.");
    }
    item(out, &head, &help);
}

fn item(out: &mut String, head: &str, body: &str) {
    let _ = writeln!(out, ".TP\n{head}\n{}", text(body));
}

fn synopsis(entry: &CommandEntry) -> String {
    let words = match entry.name {
        CommandName::StartAgent => "[start agent]".to_owned(),
        _ => entry.call.to_owned(),
    };
    let operand = match entry.operand {
        Operand::None => String::new(),
        _ => format!(" \\fI{}\\fR", escaped(&operand(entry))),
    };
    let flags = if flags_of(entry.name).count() > 1 {
        " [\\fIFLAGS\\fR]"
    } else {
        ""
    };
    let (before, after) = match entry.operand {
        Operand::Program => (flags, ""),
        _ => ("", flags),
    };
    format!("{}{before}{operand}{after}", escaped(&words))
}

fn bold(text: &str) -> String {
    format!("\\fB{}\\fR", escaped(text))
}

/// A line of running text: a dot or quote at its start would be an instruction.
fn text(line: &str) -> String {
    let line = escaped(line);
    if line.starts_with(['.', '\'']) {
        format!("\\&{line}")
    } else {
        line
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}

/// What is read beside: of upstream, and of the system.
const MORE_VARIABLES: &[(&str, &str)] = &[
    ("HOOP_DSN", "The same as HOOP_KEY, which wins; deprecated."),
    ("TOKEN", "The same as HOOP_TOKEN; deprecated."),
    (
        "NO_PROXY",
        "Hosts, domains, networks and ports that no proxy stands before.",
    ),
    (
        "SSL_CERT_FILE",
        "Authorities for the servers that sessions log in to.",
    ),
    ("PATH", "Where sessions find their programs."),
    ("SHELL", "What run publishes unless told otherwise."),
    (
        "HOME",
        "Where admin commands find .hoop/config.toml; handed on to sessions.",
    ),
    (
        "NOTIFY_SOCKET",
        "Set by systemd: it is told when the agent runs, and its state.",
    ),
    (
        "WATCHDOG_USEC",
        "Set by systemd: it is told in time that the agent lives.",
    ),
];

const HEAD: &str = concat!(
    ".\\\" Written by scripts/generate-docs; do not change it here.\n",
    ".TH HOOP\\-LITE 1 \"\" \"hoop\\-lite ",
    env!("CARGO_PKG_VERSION"),
    "\" \"\"\n",
    // Words are not broken and lines not filled up: flags and variables are searched for as they are.
    ".nh\n.ad l\n",
    ".SH NAME\nhoop\\-lite \\- joins a private network to a hoop gateway\n",
    ".SH SYNOPSIS\n",
);

const DESCRIPTION: &str = r".SH DESCRIPTION
hoop\-lite connects to a hoop gateway, outwards only, and serves the sessions that the gateway opens:
commands, consoles on a terminal, and connections to services that this machine can reach.
It needs no file beside itself, no root, and no open port.
.PP
The key comes from the environment or a file and never by flag, for flags can be read by every user
of the machine.
Most settings are a flag and a variable; the flag wins.
";

const TAIL: &str = r".SH EXIT STATUS
.TP
0
Asked to stop, and the sessions were ended in order.
.TP
1
It failed; the last line says why.
.TP
2
Wrong usage, or a variable with a value that is none.
.TP
3
The key was refused, with \-\-exit\-on\-revoked.
.PP
\fBrun\fR ends with the exit status of its program, 128 and the signal's number when a signal ended it,
127 when the program was not found and 126 when it could not be run.
.SH SIGNALS
TERM and INT let sessions finish for \-\-drain\-timeout; a second one ends at once.
USR1 writes the state into the log.
With \fBrun\fR they are passed on to the program, USR1 too.
As process 1 of a container it takes in every orphan.
.SH FILES
.TP
/etc/hoop\-lite/env
The key and the settings of the service that install.sh sets up; root's, mode 0600.
.TP
~/.hoop/config.toml
Where \fBadmin\fR finds the gateway and who is signed in; shared with the hoop program.
.SH EXAMPLES
.nf
export HOOP_KEY=$(hoop\-lite admin create agent bastion)
hoop\-lite doctor
hoop\-lite
.fi
.PP
Beside an application, with its environment and working directory:
.PP
.nf
HOOP_KEY=$KEY hoop\-lite run \-\- ./app
.fi
.PP
As a service, with the key in a file of root's that systemd reads:
.PP
.nf
EnvironmentFile=/etc/hoop\-lite/env
ExecStart=/usr/local/bin/hoop\-lite
.fi
.SH SEE ALSO
.BR systemctl (1),
.BR journalctl (1),
.BR systemd.exec (5)
.PP
The documents beside the source: operations, troubleshooting, security, databases, web services.
The gateway and its client: https://hoop.dev/docs
";
