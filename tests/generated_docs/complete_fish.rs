//! Completion for fish.

use std::fmt::Write;

use hoop_lite::cli::flags::FlagValue;
use hoop_lite::cli::{COMMANDS, CommandName};

use crate::tree::{flags_of, flags_with_value, places};

const HEAD: &str = r#"# fish completion for hoop-lite. Written by scripts/generate-docs; do not change it here.

# The words of the command so far, without flags and their values.
function __hoop_lite_words
    set -l skip 0
    for word in (commandline -opc)[2..]
        if test $skip = 1
            set skip 0
            continue
        end
        switch $word
            case --
                echo -- --
                return
"#;

const MIDDLE: &str = r#"                set skip 1
            case '-*'
            case '*'
                echo $word
        end
    end
end

# Is this the place where one of these words comes next?
function __hoop_lite_at
    set -l words (__hoop_lite_words)
    if test "$words[1]" = help
        set -e words[1]
    end
    test "$words" = "$argv"
end

# Are we behind this command?
function __hoop_lite_in
    set -l words (__hoop_lite_words)
    string match -q -- "$argv *" "$words "
end

# The agent's flags also come without any command.
function __hoop_lite_in_start_agent
    set -l words (__hoop_lite_words)
    contains -- "$words" '' start 'start agent'
end

# What comes behind -- is a line of its own.
function __hoop_lite_program
    set -l words (commandline -opc)
    set -l behind (math (contains -i -- -- $words) + 1)
    complete -C (string join ' ' -- (string escape -- $words[$behind..]) (commandline -ct))
end

complete -c hoop-lite -f
complete -c hoop-lite -n '__hoop_lite_in run --' -a '(__hoop_lite_program)'
"#;

/// The whole script.
pub fn script() -> String {
    let mut out = String::from(HEAD);
    let _ = writeln!(out, "            case {}", flags_with_value().join(" "));
    out.push_str(MIDDLE);
    for place in places() {
        for (word, summary) in place.next {
            let at = format!("__hoop_lite_at {}", place.words);
            let _ = writeln!(
                out,
                "complete -c hoop-lite -n '{}' -a {word} -d '{}'",
                at.trim_end(),
                quoted(summary)
            );
        }
    }
    for entry in COMMANDS {
        let condition = match entry.name {
            CommandName::StartAgent => "__hoop_lite_in_start_agent".to_owned(),
            _ => format!("__hoop_lite_in {}", entry.call),
        };
        for flag in flags_of(entry.name) {
            let letter = flag.short.map(|letter| format!(" -s {letter}"));
            let value = match flag.value {
                FlagValue::Switch => String::new(),
                FlagValue::Text(_) | FlagValue::Secret(_) => " -x".to_owned(),
                FlagValue::Words(words) => format!(" -x -a '{}'", words.join(" ")),
            };
            let _ = writeln!(
                out,
                "complete -c hoop-lite -n '{condition}' -l {}{}{value} -d '{}'",
                flag.name,
                letter.unwrap_or_default(),
                quoted(flag.help)
            );
        }
    }
    out
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}
