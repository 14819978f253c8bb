//! The commands as a tree of words, as completions walk it.

use hoop_lite::cli::flags::{CommandEntry, Flag, FlagValue, Operand};
use hoop_lite::cli::{COMMANDS, CommandName, FLAGS};

/// One place in the tree: the words so far, and what may come next.
pub struct Place {
    /// The words so far, with spaces between; empty at the start.
    pub words: String,
    /// The next word and what it leads to.
    pub next: Vec<(&'static str, &'static str)>,
}

/// Every place where another word may come, shortest first.
pub fn places() -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    for entry in COMMANDS {
        let words: Vec<&'static str> = entry.words().collect();
        for depth in 0..words.len() {
            let so_far = words[..depth].join(" ");
            let index = match places.iter().position(|place| place.words == so_far) {
                Some(index) => index,
                None => {
                    places.push(Place {
                        words: so_far,
                        next: Vec::new(),
                    });
                    places.len() - 1
                }
            };
            let next = &mut places[index].next;
            if next.iter().all(|(word, _)| *word != words[depth]) {
                next.push((words[depth], summary(&words[..=depth], entry)));
            }
        }
    }
    places.sort_by_key(|place| place.words.split_whitespace().count());
    places
}

/// Of a command: its own; of a group of commands: what they have in common.
fn summary(words: &[&str], entry: &CommandEntry) -> &'static str {
    if entry.word_count() == words.len() {
        return entry.summary;
    }
    match words {
        ["admin"] => "Create, list and delete agents",
        ["admin", "create"] => "Create an agent",
        ["admin", "get"] => "List agents",
        ["admin", "delete"] => "Delete an agent",
        _ => entry.summary,
    }
}

/// The flags of a command.
pub fn flags_of(command: CommandName) -> impl Iterator<Item = &'static Flag> {
    FLAGS
        .iter()
        .filter(move |flag| flag.commands.contains(&command))
}

/// `--name` and, where it has one, `-n`.
pub fn spellings(flag: &Flag) -> Vec<String> {
    let long = format!("--{}", flag.name);
    match flag.short {
        Some(letter) => vec![long, format!("-{letter}")],
        None => vec![long],
    }
}

/// Spellings of all flags that take a value as the next word.
pub fn flags_with_value() -> Vec<String> {
    FLAGS
        .iter()
        .filter(|flag| flag.value != FlagValue::Switch)
        .flat_map(spellings)
        .collect()
}

/// The operand as synopses show it: `[NAME]`; empty for none.
pub fn operand(entry: &CommandEntry) -> String {
    match entry.operand {
        Operand::None => String::new(),
        Operand::Required(name) => name.to_owned(),
        Operand::Optional(name) => format!("[{name}]"),
        Operand::Program => "[-- CMD ...]".to_owned(),
        Operand::Words(name) => format!("[{name} ...]"),
    }
}
