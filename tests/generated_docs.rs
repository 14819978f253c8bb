//! The man page, the completions and docs/configuration.md, written from the one table of commands and flags.
//!
//! `scripts/generate-docs` writes the files; these tests fail when a checked-in file differs from what the
//! table says now, and try the completions in the shells that are there.
#![allow(clippy::unwrap_used)]

#[path = "generated_docs/complete_bash.rs"]
mod complete_bash;
#[path = "generated_docs/complete_fish.rs"]
mod complete_fish;
#[path = "generated_docs/complete_zsh.rs"]
mod complete_zsh;
#[path = "generated_docs/configuration.rs"]
mod configuration;
#[path = "generated_docs/man.rs"]
mod man;
#[path = "generated_docs/tree.rs"]
mod tree;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Set by `scripts/generate-docs`: write instead of compare.
const WRITE: &str = "HOOP_LITE_WRITE_DOCS";

const MAN: &str = "man/hoop-lite.1";
const CONFIGURATION: &str = "docs/configuration.md";
const BASH: &str = "completions/hoop-lite.bash";
const ZSH: &str = "completions/_hoop-lite";
const FISH: &str = "completions/hoop-lite.fish";

/// What bash and zsh both offer after a line.
const BASH_AND_ZSH: &[(&str, &str)] = &[
    ("hoop-lite ad", "admin"),
    ("hoop-lite admin ", "create delete get login"),
    ("hoop-lite admin create ", "agent"),
    ("hoop-lite admin create agent --mo", "--mode"),
    ("hoop-lite admin create agent --mode ", "embedded standard"),
    ("hoop-lite admin create agent --mode=e", "embedded"),
    ("hoop-lite help admin ", "create delete get login"),
    ("hoop-lite --drain-timeout 10s sta", "start"),
    ("hoop-lite --drain-ti", "--drain-timeout"),
    ("hoop-lite run --postg", "--postgres"),
    ("hoop-lite run -- tru", "true truncate"),
    ("hoop-lite doctor --postg", ""),
];

#[test]
fn the_man_page_is_what_the_table_says() {
    is_current(MAN, &man::page());
}

#[test]
fn the_configuration_reference_is_what_the_table_says() {
    is_current(CONFIGURATION, &configuration::page());
}

#[test]
fn the_completions_are_what_the_table_says() {
    is_current(BASH, &complete_bash::script());
    is_current(ZSH, &complete_zsh::script());
    is_current(FISH, &complete_fish::script());
}

#[test]
fn bash_completes_commands_flags_and_values() {
    for (line, wanted) in BASH_AND_ZSH {
        let Some(output) = output_of(
            Command::new("bash")
                .args(["-c", BASH_DRIVER, "bash"])
                .args([root().join(BASH).to_str().unwrap(), line]),
        ) else {
            return;
        };
        assert_eq!(output, *wanted, "after: {line}");
    }
}

#[test]
fn fish_completes_commands_flags_and_values() {
    for (line, wanted) in [
        ("hoop-lite ad", "admin"),
        ("hoop-lite admin ", "create delete get login"),
        ("hoop-lite admin create agent --mo", "--mode"),
        ("hoop-lite admin create agent --mode ", "embedded standard"),
        ("hoop-lite help admin ", "create delete get login"),
        ("hoop-lite --drain-timeout 10s sta", "start"),
        ("hoop-lite --drain-ti", "--drain-timeout"),
        ("hoop-lite start agent --drain-ti", "--drain-timeout"),
        ("hoop-lite run --postg", "--postgres"),
        ("hoop-lite run -- tru", "true truncate"),
        ("hoop-lite --format ", "console human json verbose"),
        ("hoop-lite doctor --postg", ""),
    ] {
        let script = format!("source '{FISH}'; complete -C '{line}' | string split -f1 \\t | sort");
        let Some(output) = output_of(Command::new("fish").args(["--no-config", "-c", &script]))
        else {
            return;
        };
        let output: Vec<&str> = output.split_whitespace().collect();
        assert_eq!(output.join(" "), wanted, "after: {line}");
    }
}

#[test]
fn zsh_finds_no_fault_in_its_completion() {
    output_of(Command::new("zsh").args(["-n", ZSH]));
}

#[test]
fn zsh_completes_commands_flags_and_values() {
    let of_zsh = [
        ("hoop-lite --format ", "console human json verbose"),
        (
            "hoop-lite doctor -",
            "--help --output --secrets --service -h -o",
        ),
    ];
    for (line, wanted) in BASH_AND_ZSH.iter().chain(&of_zsh) {
        let driver = ["-f", "tests/generated_docs/drive.zsh", "completions", line];
        let Some(output) = output_of(Command::new("zsh").args(driver)) else {
            return;
        };
        let output: Vec<&str> = output.split_whitespace().collect();
        assert_eq!(output.join(" "), *wanted, "after: {line}");
    }
}

#[test]
fn mandoc_finds_no_fault_in_the_man_page() {
    // A missing date, left out so that the same sources give the same page, is only a warning.
    output_of(Command::new("mandoc").args(["-T", "lint", "-W", "error", MAN]));
}

/// Lines of the page as a terminal of 80 columns shows them, without overstrikes.
fn rendered(command: &mut Command) -> Option<String> {
    let text = output_of(command)?;
    let mut plain = String::new();
    for c in text.chars() {
        match c {
            '\u{8}' => drop(plain.pop()),
            c => plain.push(c),
        }
    }
    Some(plain)
}

#[test]
fn the_man_page_breaks_no_word_and_has_no_rivers() {
    let readers: [&[&str]; 2] = [
        &["mandoc", "-T", "utf8", "-O", "width=80", MAN],
        &["groff", "-man", "-T", "utf8", "-P", "-c", "-rLL=80n", MAN],
    ];
    for reader in readers {
        let Some(page) = rendered(Command::new(reader[0]).args(&reader[1..])) else {
            continue;
        };
        assert!(page.lines().count() > 100, "{reader:?}: {page}");
        for line in page.lines() {
            // A break within a word leaves a hyphen at the end of the line.
            assert!(
                !line.ends_with(['\u{2010}', '-', '\u{ad}']),
                "{reader:?} breaks a word: {line}"
            );
            assert!(line.chars().count() <= 80, "{reader:?}: {line}");
            // Running text: below a heading or a term. Two spaces are those behind a sentence.
            let is_text = line.starts_with("              ") && !line.trim_start().starts_with('-');
            let mut words = line.trim().split("  ");
            let first = words.next().unwrap_or_default();
            assert!(
                !is_text || words.next().is_none() || first.ends_with(['.', ':', '?', ')']),
                "{reader:?} fills up a line: {line}"
            );
        }
    }
}

/// Completes `$2` by the script `$1` and prints the sorted candidates.
const BASH_DRIVER: &str = r#"
. "$1"
COMP_LINE=$2
COMP_POINT=${#2}
# As readline does: `=` is a word of its own.
read -r -a COMP_WORDS <<<"${2//=/ = }"
case $2 in *' ' | *=) COMP_WORDS+=("") ;; esac
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_hoop_lite hoop-lite "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}" | sort -u | paste -s -d ' ' | sed 's/ *$//'
"#;

fn is_current(path: &str, wanted: &str) {
    let path = root().join(path);
    if std::env::var_os(WRITE).is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, wanted).unwrap();
        return;
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "{} is not what the table of flags says now: run scripts/generate-docs",
        path.display()
    );
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

/// What a program that must succeed prints, `None` where it is not installed.
fn output_of(command: &mut Command) -> Option<String> {
    let output = match command.current_dir(root()).output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("not tried: {command:?}: {error}");
            return None;
        }
    };
    let text = String::from_utf8(output.stdout).unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text}{complaint}");
    Some(text.trim_end().to_owned())
}
