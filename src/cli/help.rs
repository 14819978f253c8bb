//! Help texts, written from the table of commands and flags.

use super::flags::{COMMANDS, CommandEntry, FLAGS, Flag, FlagValue, Operand, VARIABLES};

/// The help of the commands that begin with `words`: the overview for none, a list for a group,
/// the whole text for one command. `None` when no command begins so.
pub fn text(words: &[&str]) -> Option<String> {
    let found: Vec<&CommandEntry> = COMMANDS
        .iter()
        .filter(|entry| begins_with(entry, words))
        .collect();
    match found.as_slice() {
        [] => None,
        [entry] => Some(of_command(entry)),
        _ if words.is_empty() => Some(overview()),
        entries => {
            let mut out = format!("Usage: hoop-lite {} COMMAND\n\n", words.join(" "));
            list_commands(&mut out, entries.iter().copied());
            Some(out)
        }
    }
}

fn begins_with(entry: &CommandEntry, typed: &[&str]) -> bool {
    typed.len() <= entry.word_count() && entry.agrees_with(typed)
}

fn overview() -> String {
    let mut out = String::from(concat!(
        "hoop-lite ",
        env!("CARGO_PKG_VERSION"),
        ": joins a private network to a hoop gateway\n\n",
        "Usage: HOOP_KEY=... hoop-lite [COMMAND] [FLAGS]\n\nCommands:\n",
    ));
    list_commands(&mut out, COMMANDS.iter());
    out.push_str("\nVariables:\n");
    for variable in VARIABLES {
        push_entry(&mut out, variable.name, variable.help);
    }
    out.push_str("\n`hoop-lite help COMMAND` shows the flags of a command.\n");
    out
}

fn list_commands<'a>(out: &mut String, entries: impl Iterator<Item = &'a CommandEntry>) {
    for entry in entries {
        push_entry(out, &call(entry), entry.summary);
    }
}

fn of_command(entry: &CommandEntry) -> String {
    let mut out = format!(
        "{}.\n\nUsage: hoop-lite {}",
        entry.summary,
        call_with_flags(entry)
    );
    out.push_str("\n\n");
    if !entry.details.is_empty() {
        for line in entry.details.split('\n') {
            push_wrapped(&mut out, line, 0);
        }
        out.push('\n');
    }
    out.push_str("Flags:\n");
    for flag in FLAGS.iter().filter(|f| f.commands.contains(&entry.name)) {
        push_flag(&mut out, flag);
    }
    out
}

/// The words and the operand: `admin create agent NAME`.
fn call(entry: &CommandEntry) -> String {
    let mut call = entry.call.to_owned();
    let operand = operand(entry.operand);
    if !operand.is_empty() {
        call.push(' ');
        call.push_str(&operand);
    }
    call
}

fn call_with_flags(entry: &CommandEntry) -> String {
    match entry.operand {
        Operand::Program => format!("{} [FLAGS] {}", entry.call, operand(entry.operand)),
        _ => format!("{} [FLAGS]", call(entry)),
    }
}

fn operand(operand: Operand) -> String {
    match operand {
        Operand::None => String::new(),
        Operand::Required(name) => name.to_owned(),
        Operand::Optional(name) => format!("[{name}]"),
        Operand::Words(name) => format!("[{name} ...]"),
        Operand::Program => "[-- CMD ...]".to_owned(),
    }
}

fn push_flag(out: &mut String, flag: &Flag) {
    let mut head = match flag.short {
        Some(letter) => format!("-{letter}, --{}", flag.name),
        None => format!("--{}", flag.name),
    };
    match flag.value {
        FlagValue::Switch => {}
        FlagValue::Text(placeholder) | FlagValue::Secret(placeholder) => {
            head.push(' ');
            head.push_str(placeholder);
        }
        FlagValue::Words(words) => {
            head.push(' ');
            head.push_str(&words.join("|"));
        }
    }
    match flag.variable {
        Some(variable) => push_entry(out, &head, &format!("{} [{variable}]", flag.help)),
        None => push_entry(out, &head, flag.help),
    }
}

/// A line of a list; a head that is too long stands on a line of its own.
fn push_entry(out: &mut String, head: &str, help: &str) {
    out.push_str("  ");
    out.push_str(head);
    if head.len() + 4 > HELP_COLUMN {
        out.push('\n');
        push_spaces(out, HELP_COLUMN);
    } else {
        push_spaces(out, HELP_COLUMN - head.len() - 2);
    }
    push_wrapped(out, help, HELP_COLUMN);
}

/// `text` in lines of at most [`WIDTH`] characters; those after the first are indented.
fn push_wrapped(out: &mut String, text: &str, indent: usize) {
    let mut column = indent;
    for (index, word) in text.split(' ').enumerate() {
        if index > 0 && column + 1 + word.len() > WIDTH {
            out.push('\n');
            push_spaces(out, indent);
            column = indent;
        } else if index > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += word.len();
    }
    out.push('\n');
}

fn push_spaces(out: &mut String, count: usize) {
    out.extend(std::iter::repeat_n(' ', count));
}

/// A terminal's usual width, less one.
const WIDTH: usize = 79;
/// Where explanations begin.
const HELP_COLUMN: usize = 28;
