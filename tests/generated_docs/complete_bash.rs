//! Completion for bash.

use std::fmt::Write;

use hoop_lite::cli::flags::FlagValue;
use hoop_lite::cli::{COMMANDS, CommandName, FLAGS};

use crate::tree::{flags_of, flags_with_value, places, spellings};

const HEAD: &str = r#"# bash completion for hoop-lite. Written by scripts/generate-docs; do not change it here.

_hoop_lite() {
    local word=${COMP_WORDS[COMP_CWORD]} path="" index=1 flag=""
    COMPREPLY=()
    while [ "$index" -lt "$COMP_CWORD" ]; do
        case ${COMP_WORDS[index]} in
            --)
                COMPREPLY=($(compgen -c -- "$word"))
                return
                ;;
"#;

const MIDDLE: &str = r#"            -*) ;;
            *) path="$path ${COMP_WORDS[index]}" ;;
        esac
        index=$((index + 1))
    done
    path=${path# }
    if [ "$index" -gt "$COMP_CWORD" ] || [ "$word" = "=" ]; then
        flag=${COMP_WORDS[COMP_CWORD - 1]}
        if [ "$flag" = "=" ]; then flag=${COMP_WORDS[COMP_CWORD - 2]}; fi
        if [ "$word" = "=" ]; then word=""; fi
        case $flag in
"#;

/// The whole script.
pub fn script() -> String {
    let mut out = String::from(HEAD);
    let with_value = flags_with_value().join(" | ");
    out.push_str(&indent(12, &with_value));
    out.push_str(")\n");
    out.push_str(SKIP_VALUE);
    out.push_str(MIDDLE);
    for flag in FLAGS {
        if let FlagValue::Words(words) = flag.value {
            let spellings = spellings(flag).join(" | ");
            let words = words.join(" ");
            let _ = writeln!(
                out,
                "            {spellings}) COMPREPLY=($(compgen -W \"{words}\" -- \"$word\")) ;;"
            );
        }
    }
    out.push_str("        esac\n        return\n    fi\n    local next=\"\"\n");
    out.push_str("    if [ \"${word#-}\" != \"$word\" ]; then\n        case $path in\n");
    for entry in COMMANDS {
        let flags: Vec<String> = flags_of(entry.name).flat_map(spellings).collect();
        let pattern = match entry.name {
            CommandName::StartAgent => "\"\" | start | \"start agent\"".to_owned(),
            _ => format!("\"{0}\" | \"{0} \"*", entry.call),
        };
        let _ = writeln!(
            out,
            "            {pattern}) next=\"{}\" ;;",
            flags.join(" ")
        );
    }
    out.push_str("        esac\n    else\n        path=${path#help}\n        case ${path# } in\n");
    for place in places() {
        let next: Vec<&str> = place.next.iter().map(|(word, _)| *word).collect();
        let _ = writeln!(
            out,
            "            \"{}\") next=\"{}\" ;;",
            place.words,
            next.join(" ")
        );
    }
    out.push_str("        esac\n    fi\n");
    out.push_str("    COMPREPLY=($(compgen -W \"$next\" -- \"$word\"))\n}\n");
    out.push_str("complete -F _hoop_lite hoop-lite\n");
    out
}

const SKIP_VALUE: &str = r#"                index=$((index + 1))
                if [ "${COMP_WORDS[index]}" = "=" ]; then index=$((index + 1)); fi
                ;;
"#;

fn indent(columns: usize, text: &str) -> String {
    format!("{}{text}", " ".repeat(columns))
}
