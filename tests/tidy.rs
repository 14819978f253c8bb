//! What review forgets: who imports whom, where unsafe may be, how long files are.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

/// Folder (or top-level file) of `src`, and the folders that it may use. `base`, `limits` and the
/// folder itself are always allowed.
const IMPORTS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("limits", &[]),
    ("wire", &[]),
    ("h2", &[]),
    ("grpc", &["h2"]),
    ("packet", &["wire"]),
    ("link", &["h2", "grpc", "packet", "wire"]),
    ("login", &["wire"]),
    ("session", &["packet", "wire"]),
    ("agent", &["link", "session", "packet", "grpc"]),
    ("io", &["agent", "session", "wire"]),
    ("config", &["wire"]),
    ("cli", &["config"]),
    ("admin", &["config", "link", "io", "wire"]),
    (
        "doctor",
        &[
            "admin", "config", "grpc", "h2", "io", "link", "packet", "wire",
        ],
    ),
    (
        "startup",
        &[
            "admin", "agent", "cli", "config", "io", "link", "packet", "session",
        ],
    ),
];

/// Words that must not stand in product code, each with what to use instead.
const BANNED: &[(&str, &str)] = &[
    ("todo!(", "finish it"),
    ("unimplemented!(", "finish it"),
    ("dbg!(", "log"),
    ("thread::sleep", "wait for an event"),
];

/// Where the clock, the environment and files may be touched.
const SHELL: &[&str] = &["io", "admin", "doctor", "startup", "main.rs"];

/// Code lines of a file, tests not counted; above it, split by idea.
const FILE_LINES_MAX: usize = 500;

/// Files that are longer, each with a reason.
const LONG_FILES: &[(&str, &str)] = &[(
    "h2/receive.rs",
    "one function a frame type, in the order of RFC 9113, section 6",
)];

struct Source {
    path: PathBuf,
    folder: String,
    text: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let relative = path.strip_prefix(&root).unwrap();
                let folder = relative.iter().next().unwrap().to_string_lossy();
                let folder = folder.trim_end_matches(".rs").to_owned();
                let text = fs::read_to_string(&path).unwrap();
                found.push(Source { path, folder, text });
            }
        }
    }
    assert!(found.len() > 50, "the sources were not found");
    found
}

impl Source {
    fn is_test(&self) -> bool {
        self.path.iter().any(|part| {
            part.to_string_lossy()
                .trim_end_matches(".rs")
                .ends_with("tests")
        })
    }

    /// Lines before the unit tests.
    fn code(&self) -> impl Iterator<Item = &str> {
        let end = if self.is_test() { 0 } else { usize::MAX };
        let is_code = |line: &&str| !line.starts_with("#[cfg(test)]\nmod tests {");
        self.text
            .split_inclusive("\nmod tests {")
            .next()
            .unwrap_or("")
            .lines()
            .filter(is_code)
            .take(end)
    }
}

#[test]
fn imports_follow_the_table() {
    let mut wrong = Vec::new();
    for source in sources() {
        let Some((_, allowed)) = IMPORTS.iter().find(|(folder, _)| *folder == source.folder) else {
            assert!(
                ["lib", "main"].contains(&source.folder.as_str()),
                "{:?}",
                source.path
            );
            continue;
        };
        for line in source.code() {
            for part in line.split("crate::").skip(1) {
                let used: String = part
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                let is_allowed = used.is_empty()
                    || used == source.folder
                    || ["base", "limits"].contains(&used.as_str())
                    || allowed.contains(&used.as_str());
                if !is_allowed && !line.trim_start().starts_with("//") {
                    wrong.push(format!("{}: {}", source.path.display(), line.trim()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn unsafe_code_lives_in_one_module() {
    for source in sources() {
        let is_allowed = source.path.to_string_lossy().contains("/io/sys");
        let has = source.text.lines().any(|line| {
            let code = line.split("//").next().unwrap_or("");
            code.contains("unsafe {")
                || code.contains("unsafe fn")
                || code.contains("unsafe extern")
        });
        assert!(
            is_allowed || !has,
            "{} has unsafe code",
            source.path.display()
        );
    }
}

#[test]
fn banned_words_do_not_stand_in_product_code() {
    for source in sources() {
        for line in source
            .code()
            .filter(|line| !line.trim_start().starts_with("//"))
        {
            for (word, instead) in BANNED {
                assert!(
                    !line.contains(word),
                    "{}: {word}: {instead}",
                    source.path.display()
                );
            }
        }
    }
}

#[test]
fn only_the_shell_reads_clocks_variables_and_files() {
    let words = [
        "Instant::now()",
        "SystemTime::now()",
        "std::env::",
        "std::fs::",
        "std::process::",
    ];
    for source in sources()
        .iter()
        .filter(|source| !SHELL.contains(&source.folder.as_str()))
    {
        if source.folder == "main" {
            continue;
        }
        for line in source
            .code()
            .filter(|line| !line.trim_start().starts_with("//"))
        {
            for word in words {
                assert!(!line.contains(word), "{}: {word}", source.path.display());
            }
        }
    }
}

#[test]
fn files_are_short_enough_to_hold_in_the_head() {
    let mut wrong = Vec::new();
    for source in sources() {
        let lines = source.code().count();
        let is_known = LONG_FILES
            .iter()
            .any(|(name, _)| source.path.ends_with(name));
        if lines > FILE_LINES_MAX && !is_known {
            wrong.push(format!("{}: {lines} lines of code", source.path.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
