//! The reference of flags and variables for operators, docs/configuration.md.

use std::fmt::Write;

use hoop_lite::cli::flags::{Flag, FlagValue};
use hoop_lite::cli::{COMMANDS, CommandName, FLAGS, VARIABLES};

use crate::tree::{flags_of, operand};

const HEAD: &str = "<!-- Written by scripts/generate-docs; do not change it here. -->
# Configuration

Settings are a flag and a variable of the same name; the flag wins, and a variable that is set to nothing counts as not set. As a service they stand in
`/etc/hoop-lite/env`, one `NAME=VALUE` a line; restart the service after a change. Keys, tokens and passwords never come by flag, since every user of the machine can read flags.
Durations are `500ms`, `10s`, `2m`; sizes `512KiB`, `32MiB`; switches `true` or `false`.

## Whom it connects to
| variable | meaning |
| --- | --- |
";

const AGENT: &str = "
## Settings of the agent
For `hoop-lite`, `hoop-lite start agent` and `hoop-lite run`.

| variable | flag | takes | meaning, and what it is unless given |
| --- | --- | --- | --- |
";

const COMMANDS_HEAD: &str = "
## Flags of one command
| command | flag | takes | meaning |
| --- | --- | --- | --- |
";

/// The whole page.
pub fn page() -> String {
    let mut out = String::from(HEAD);
    for variable in VARIABLES {
        let _ = writeln!(out, "| `{}` | {} |", variable.name, cell(variable.help));
    }
    out.push_str(AGENT);
    for flag in FLAGS.iter().filter(|flag| is_setting(flag)) {
        let _ = writeln!(
            out,
            "| {} | `--{}` | {} | {} |",
            flag.variable
                .map_or("-".to_owned(), |name| format!("`{name}`")),
            flag.name,
            taken(flag),
            cell(flag.help)
        );
    }
    out.push_str(COMMANDS_HEAD);
    for entry in COMMANDS {
        let call = format!("{} {}", entry.call, operand(entry));
        for flag in flags_of(entry.name).filter(|flag| !is_setting(flag) && flag.name != "help") {
            let variable = match flag.variable {
                Some(name) => format!(" Variable: `{name}`."),
                None => String::new(),
            };
            let _ = writeln!(
                out,
                "| `{}` | `--{}` | {} | {}{variable} |",
                cell(call.trim_end()),
                flag.name,
                taken(flag),
                cell(flag.help)
            );
        }
    }
    out
}

/// Does it set how the agent works, wherever it runs?
fn is_setting(flag: &Flag) -> bool {
    [CommandName::StartAgent, CommandName::Run]
        .iter()
        .all(|command| flag.commands.contains(command))
        && flag.name != "help"
}

fn taken(flag: &Flag) -> String {
    match flag.value {
        FlagValue::Switch => "-".to_owned(),
        FlagValue::Text(name) | FlagValue::Secret(name) => format!("`{name}`"),
        FlagValue::Words(words) => words
            .iter()
            .map(|word| format!("`{word}`"))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

/// A bar would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
