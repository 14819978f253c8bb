//! Documents for operators stay true: messages that they quote are ones that the program can say, settings and files that
//! they name are there, and no line of theirs shows a key to others.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use hoop_lite::cli::{FLAGS, VARIABLES};

/// Shortest part of a message that says anything.
const PART_BYTES_MIN: usize = 8;

#[test]
fn every_message_that_troubleshooting_quotes_is_one_of_ours() {
    let program = program_texts();
    let text = read(&root().join("docs/troubleshooting.md"));
    let mut quoted = 0;
    for row in text.lines().filter(|line| line.starts_with("| `")) {
        let message = row.split('`').nth(1).unwrap();
        for part in message.split("...").map(str::trim) {
            assert!(
                part.len() >= PART_BYTES_MIN || message.contains("..."),
                "too short to prove anything: {message}"
            );
            assert!(
                program.contains(part),
                "the program does not say {part:?} (docs/troubleshooting.md: {message})"
            );
        }
        quoted += 1;
    }
    assert!(quoted > 30, "only {quoted} messages were found");
}

#[test]
fn documents_name_only_files_that_are_there() {
    for path in documents() {
        let text = read(&path);
        for word in text.split(|c: char| c.is_whitespace() || "`()[],;:|\"'".contains(c)) {
            let word = word.trim_end_matches('.');
            let is_ours = ["docs/", "deploy/", "scripts/"]
                .iter()
                .any(|folder| word.starts_with(folder));
            if is_ours && !word.contains(['*', '{', '<', '#', '$']) {
                assert!(
                    root().join(word).exists(),
                    "{} names {word}, which is not there",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn documents_name_only_settings_that_exist() {
    // Of scripts, not of the program.
    const OF_SCRIPTS: &[&str] = &[
        "HOOP_LITE_ANY_RUST",
        "HOOP_LITE_BASE",
        "HOOP_LITE_BASE_URL",
        "HOOP_LITE_EXTRAS",
        "HOOP_LITE_PUBLIC_KEY",
        "HOOP_LITE_TOOLS",
        "HOOP_LITE_VERSION",
        "HOOP_LITE_WRITE_DOCS",
    ];
    let flags = FLAGS.iter().filter_map(|flag| flag.variable);
    let known: Vec<&str> = flags
        .chain(VARIABLES.iter().map(|variable| variable.name))
        .collect();
    for path in documents() {
        let text = read(&path);
        for word in text.split(|c: char| !c.is_ascii_uppercase() && c != '_') {
            // `HOOP_LITE_*` and its like end in an underscore.
            if word.starts_with("HOOP_LITE_") && !word.ends_with('_') {
                assert!(
                    known.contains(&word) || OF_SCRIPTS.contains(&word),
                    "{} names {word}, which no flag has",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn no_documented_line_shows_a_key_to_others() {
    let mut files = documents();
    files.extend(files_below("deploy"));
    files.extend(files_below("examples"));
    files.push(root().join("man/hoop-lite.1"));
    for path in files {
        for line in read(&path).lines() {
            // Lines that tell what not to do.
            if line.to_lowercase().contains("never") || line.contains("shows the key") {
                continue;
            }
            for leak in [
                "sudo HOOP_",
                "--from-literal",
                "env HOOP_KEY=",
                "--set config.HOOP_KEY=",
                "-e HOOP_KEY=",
            ] {
                assert!(
                    !line.contains(leak),
                    "{}: {leak} puts a key into arguments: {line}",
                    path.display()
                );
            }
        }
    }
}

/// A tag can be moved by whoever owns the action; the hash of a commit can't.
#[test]
fn workflows_name_actions_by_the_hash_of_a_commit() {
    let mut actions = 0;
    for path in files_below(".github/workflows") {
        for line in read(&path).lines() {
            let Some((_, action)) = line.split_once("uses: ") else {
                continue;
            };
            let hash = action.split_once('@').map_or("", |(_, rest)| rest);
            let hash = hash.split_whitespace().next().unwrap_or_default();
            assert!(
                hash.len() == 40 && hash.chars().all(|c| c.is_ascii_hexdigit()),
                "{}: {action}",
                path.display()
            );
            actions += 1;
        }
    }
    assert!(actions > 2, "only {actions} actions were found");
}

/// All texts of the product's source, with continued lines put together as the compiler does.
fn program_texts() -> String {
    let mut all = String::new();
    for path in files_below("src") {
        let mut rest = read(&path).replace("\\\"", "\"");
        while let Some(at) = rest.find("\\\n") {
            let after = rest[at + 2..].trim_start().to_owned();
            rest.truncate(at);
            all.push_str(&rest);
            rest = after;
        }
        all.push_str(&rest);
        all.push('\n');
    }
    all
}

fn documents() -> Vec<PathBuf> {
    let mut files = files_below("docs");
    files.push(root().join("README.md"));
    files
}

fn files_below(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
