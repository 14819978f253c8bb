//! Completion for zsh.

use std::fmt::Write;

use hoop_lite::cli::flags::{Flag, FlagValue};
use hoop_lite::cli::{COMMANDS, CommandName};

use crate::tree::{flags_of, flags_with_value, places, spellings};

const HEAD: &str = r#"#compdef hoop-lite
# zsh completion for hoop-lite. Written by scripts/generate-docs; do not change it here.

_hoop_lite() {
    local place="" index=2
    local -a next flags
    while (( index < CURRENT )); do
        case ${words[index]} in
            --)
                shift $index words
                (( CURRENT -= index ))
                _normal
                return
                ;;
"#;

const MIDDLE: &str = r#"            -*) ;;
            *) place="$place ${words[index]}" ;;
        esac
        (( index++ ))
    done
    place=${place# }
"#;

const TAIL: &str = r#"    esac
    # The words of commands are no operands for _arguments, but flags may stand behind them.
    if [[ $PREFIX == -* ]] || (( index > CURRENT )); then
        _arguments -S : $flags '*: :()'
        return
    fi
    place=${place#help}
    case ${place# } in
"#;

/// The whole script.
pub fn script() -> String {
    let mut out = String::from(HEAD);
    let _ = writeln!(
        out,
        "            {}) (( index++ )) ;;",
        flags_with_value().join(" | ")
    );
    out.push_str(MIDDLE);
    out.push_str("    case $place in\n");
    for entry in COMMANDS {
        let pattern = match entry.name {
            CommandName::StartAgent => "'' | start | 'start agent'".to_owned(),
            _ => format!("'{0}' | '{0} '*", entry.call),
        };
        let _ = writeln!(out, "        {pattern})\n            flags=(");
        for flag in flags_of(entry.name) {
            for spelling in spellings(flag) {
                let _ = writeln!(out, "                {}", specification(flag, &spelling));
            }
        }
        out.push_str("            ) ;;\n");
    }
    out.push_str(TAIL);
    for place in places() {
        let _ = writeln!(out, "        '{}') next=(", place.words);
        for (word, summary) in place.next {
            let _ = writeln!(out, "            '{word}:{}'", quoted(summary));
        }
        out.push_str("        ) ;;\n");
    }
    out.push_str("    esac\n    _describe command next\n}\n\n_hoop_lite \"$@\"\n");
    out
}

/// `'--mode=[help]:value:(a b)'` as `_arguments` wants it.
fn specification(flag: &Flag, spelling: &str) -> String {
    let help = quoted(flag.help).replace('[', "\\[").replace(']', "\\]");
    let long = spelling.starts_with("--");
    let value = match flag.value {
        FlagValue::Switch => return format!("'{spelling}[{help}]'"),
        FlagValue::Text(name) | FlagValue::Secret(name) => format!(":{name}:"),
        FlagValue::Words(words) => format!(":value:({})", words.join(" ")),
    };
    let join = if long { "=" } else { "+" };
    format!("'{spelling}{join}[{help}]{value}'")
}

fn quoted(text: &str) -> String {
    text.replace('\'', "'\\''").replace(':', "\\:")
}
