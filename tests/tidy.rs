//! What review forgets: who imports whom, where unsafe may be, how long files and functions are, and
//! which files go in circles.
//!
//! Lists of exceptions only shrink: an entry that is no longer needed fails, too.

#![allow(clippy::unwrap_used)]

#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/source.rs"]
mod source;

use std::collections::BTreeSet;

use source::{Mention, SOURCES, Source};

/// Folder (or top-level file) of `src`, and the folders that it may use. `base`, `limits` and the
/// folder itself are always allowed.
const IMPORTS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("limits", &[]),
    ("wire", &[]),
    ("http", &[]),
    ("tls", &["wire"]),
    ("h2", &[]),
    ("grpc", &["h2"]),
    ("packet", &["wire"]),
    ("link", &["h2", "grpc", "http", "packet", "tls", "wire"]),
    ("login", &["wire"]),
    ("web", &["http", "wire"]),
    ("secrets", &["http", "wire"]),
    (
        "session",
        &["http", "login", "packet", "secrets", "tls", "web", "wire"],
    ),
    (
        "agent",
        &["link", "session", "packet", "grpc", "tls", "wire"],
    ),
    ("dns", &[]),
    ("os", &["dns", "session"]),
    ("io", &["agent", "http", "os", "session", "wire"]),
    ("config", &["wire"]),
    ("cli", &["config"]),
    (
        "admin",
        &["config", "http", "link", "io", "os", "tls", "wire"],
    ),
    (
        "doctor",
        &[
            "admin", "config", "grpc", "http", "io", "link", "os", "packet", "secrets", "tls",
            "wire",
        ],
    ),
    (
        "startup",
        &[
            "admin", "agent", "cli", "config", "io", "link", "os", "packet", "secrets", "session",
            "tls", "web", "wire",
        ],
    ),
];

/// Crates of others, and the folders and files that may name them.
const CRATES: &[(&str, &[&str])] = &[
    ("httparse", &["http/head.rs"]),
    ("lexopt", &["cli/typed.rs"]),
    ("libc", &["os"]),
    (
        "log",
        &["agent", "io", "os", "packet", "session", "startup"],
    ),
    ("mio", &["io", "os"]),
    (
        "nanoserde",
        &[
            "admin/answers.rs",
            "session/environment.rs",
            "wire/json_text.rs",
        ],
    ),
    ("rustls", &["tls"]),
    ("webpki_roots", &["tls/trust.rs"]),
];

/// Words that must not stand in product code, each with what to use instead.
const BANNED: &[(&str, &str)] = &[
    ("todo!(", "finish it"),
    ("unimplemented!(", "finish it"),
    ("dbg!(", "log"),
    ("thread::sleep", "wait for an event"),
];

/// Where the clock, the environment, files and randomness may be touched.
const SHELL: &[&str] = &["io", "os", "admin", "doctor", "startup", "main"];

/// What touches them; `std` is what a glob or a rename of the whole library would bring.
const OUTER_WORLD: &[&str] = &[
    "std",
    "ring::rand",
    "std::collections::hash_map::RandomState",
    "std::env",
    "std::fs",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::ToSocketAddrs",
    "std::net::UdpSocket",
    "std::hash::RandomState",
    "std::os::fd",
    "std::os::unix::fs",
    "std::os::unix::net",
    "std::os::unix::process",
    "std::process",
    "std::thread",
    "std::time::Instant::now",
    "std::time::SystemTime::now",
];

/// Code lines of a file, tests not counted; above it, split by idea.
const FILE_LINES_MAX: usize = 500;

/// Files that are longer, each with a reason.
const LONG_FILES: &[(&str, &str)] = &[("cli/flags.rs", "one table, a flag after the other")];

/// Lines of a function, from its first word to its last brace.
const FUNCTION_LINES_MAX: usize = 70;

/// Functions that are longer, each with a reason.
const LONG_FUNCTIONS: &[(&str, &str)] = &[];

/// Files of a folder that lead to one another. No new ones; the rest are to be undone.
const CIRCLES: &[&[&str]] = &[&[
    "wire/gob/decoder.rs",
    "wire/gob/mod.rs",
    "wire/gob/reader.rs",
    "wire/gob/types.rs",
]];

/// Files over which the `impl` of one type may stretch.
const IMPL_FILES_MAX: usize = 2;

/// Types that stretch further, with the number of their files. No new ones; the rest are to shrink.
const STRETCHED: &[(&str, usize)] = &[];

#[test]
fn imports_follow_the_table() {
    let wrong: Vec<String> = SOURCES.iter().flat_map(wrong_imports).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn wrong_imports(source: &Source) -> Vec<String> {
    let Some((_, allowed)) = IMPORTS.iter().find(|(folder, _)| *folder == source.folder) else {
        assert!(
            ["lib", "main"].contains(&source.folder.as_str()),
            "{} stands in no row of the import table",
            source.name
        );
        return Vec::new();
    };
    let is_wrong = |mention: &&Mention| {
        if mention.path[0] != "crate" {
            // A crate by another name, ours included, would pass every table.
            return ["extern crate", "hoop_lite"].contains(&mention.path[0].as_str());
        }
        // The root alone is everything: `use crate as all`, `use super::super::*`.
        let Some(used) = mention.path.get(1).map(String::as_str) else {
            return true;
        };
        used != source.folder && !["base", "limits"].contains(&used) && !allowed.contains(&used)
    };
    places(source, is_wrong)
}

#[test]
fn crates_are_named_where_the_table_says() {
    let wrong: Vec<String> = SOURCES.iter().flat_map(wrong_crates).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn wrong_crates(source: &Source) -> Vec<String> {
    let is_wrong = |mention: &&Mention| {
        CRATES
            .iter()
            .find(|(name, _)| *name == mention.path[0])
            .is_some_and(|(_, places)| {
                !places.contains(&source.folder.as_str()) && !places.contains(&source.name.as_str())
            })
    };
    places(source, is_wrong)
}

#[test]
fn only_the_shell_reads_clocks_variables_and_files() {
    let wrong: Vec<String> = SOURCES.iter().flat_map(outer_world).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn outer_world(source: &Source) -> Vec<String> {
    if SHELL.contains(&source.folder.as_str()) {
        return Vec::new();
    }
    let is_wrong = |mention: &&Mention| {
        let path = mention.path.join("::");
        OUTER_WORLD.iter().any(|touching| {
            let is_below = path
                .strip_prefix(touching)
                .is_some_and(|rest| rest.starts_with("::"));
            path == *touching || (*touching != "std" && is_below)
        })
    };
    places(source, is_wrong)
}

/// `FILE:LINE: PATH` of what is wrong.
fn places(source: &Source, is_wrong: impl Fn(&&Mention) -> bool) -> Vec<String> {
    let name = &source.name;
    source
        .mentions
        .iter()
        .filter(is_wrong)
        .map(|mention| format!("src/{name}:{}: {}", mention.line, mention.path.join("::")))
        .collect()
}

/// What the fences are for: each of these passed when they only looked at text.
#[test]
fn the_fences_see_through_groups_renames_and_supers() {
    let read = |name: &str, text: &str| Source::read(name, text.to_owned());
    let imports = |name: &str, text: &str| wrong_imports(&read(name, text)).len();
    assert_eq!(imports("h2/a.rs", "use crate::{io as _io};"), 1);
    assert_eq!(imports("h2/a.rs", "use crate::{base::Slab, io};"), 1);
    assert_eq!(imports("h2/a.rs", "use super::super::io;"), 1);
    assert_eq!(
        imports("h2/hpack/a.rs", "fn f() { super::super::super::io::x() }"),
        1
    );
    assert_eq!(imports("h2/a.rs", "use crate as all;"), 1);
    assert_eq!(
        imports("h2/a.rs", "fn f() { log::info!(\"{}\", crate::io::x()) }"),
        1
    );
    assert_eq!(imports("h2/a.rs", "extern crate self as ours;"), 1);
    assert_eq!(
        imports("h2/a.rs", "use super::frame; use crate::base::Slab;"),
        0
    );
    assert_eq!(
        imports("h2/a.rs", "#[cfg(test)]\nmod tests { use crate::io; }"),
        0
    );

    let world = |name: &str, text: &str| outer_world(&read(name, text)).len();
    assert_eq!(world("link/a.rs", "use std::fs;"), 1);
    assert_eq!(world("link/a.rs", "use std::{fmt, fs::File};"), 1);
    assert_eq!(world("link/a.rs", "use std as library;"), 1);
    let renamed = "use std::time::Instant as Clock; fn f() { Clock::now(); }";
    assert_eq!(world("link/a.rs", renamed), 1);
    assert_eq!(
        world("link/a.rs", "use std::time::Instant; use std::fmt;"),
        0
    );
    assert_eq!(world("io/a.rs", "use std::fs;"), 0);
    assert_eq!(world("login/a.rs", "use ring::rand::SystemRandom;"), 1);

    let crates = |name: &str, text: &str| wrong_crates(&read(name, text)).len();
    assert_eq!(crates("agent/a.rs", "use rustls::ClientConfig;"), 1);
    assert_eq!(crates("agent/a.rs", "use rustls;"), 1);
    assert_eq!(
        crates("agent/a.rs", "fn f(config: &::rustls::ClientConfig) {}"),
        1
    );
    assert_eq!(crates("tls/trust.rs", "use rustls::ClientConfig;"), 0);
}

#[test]
fn unsafe_code_lives_in_one_module() {
    for source in SOURCES.iter() {
        let is_allowed = source.name.starts_with("os/sys");
        let has = source.text.lines().any(|line| {
            let code = line.split("//").next().unwrap_or("");
            code.contains("unsafe {")
                || code.contains("unsafe fn")
                || code.contains("unsafe extern")
        });
        assert!(is_allowed || !has, "src/{} has unsafe code", source.name);
    }
}

#[test]
fn banned_words_do_not_stand_in_product_code() {
    for source in SOURCES.iter() {
        for line in source
            .code()
            .filter(|line| !line.trim_start().starts_with("//"))
        {
            for (word, instead) in BANNED {
                assert!(
                    !line.contains(word),
                    "src/{}: {word}: {instead}",
                    source.name
                );
            }
        }
    }
}

/// A session's id is its peer's text: as it is, it could end the field and begin another.
#[test]
fn ids_are_logged_as_words() {
    for source in SOURCES.iter() {
        for (index, _) in source.text.match_indices("\"sid={") {
            let before = &source.text[..index];
            let around = &source.text
                [before.len().saturating_sub(300)..(index + 300).min(source.text.len())];
            assert!(
                around.contains("Word("),
                "{}: write sid={{}} with base::plain::Word(id)",
                source.name
            );
        }
    }
}

#[test]
fn files_are_short_enough_to_hold_in_the_head() {
    let long = SOURCES
        .iter()
        .filter(|source| source.code().count() > FILE_LINES_MAX)
        .map(|source| source.name.clone());
    compare(
        "files of too many lines",
        long.collect(),
        LONG_FILES
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect(),
    );
}

#[test]
fn functions_are_short_enough_to_see_at_once() {
    let long = SOURCES.iter().flat_map(|source| {
        let is_long = |function: &&source::Function| function.lines > FUNCTION_LINES_MAX;
        let name = |function: &source::Function| format!("{} {}", source.name, function.name);
        source.functions.iter().filter(is_long).map(name)
    });
    compare(
        "functions of too many lines",
        long.collect(),
        LONG_FUNCTIONS
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect(),
    );
}

#[test]
fn files_of_a_folder_do_not_go_in_circles() {
    let found = shape::circles(&SOURCES);
    let listed: Vec<shape::Circle> = CIRCLES
        .iter()
        .map(|circle| circle.iter().map(|name| (*name).to_owned()).collect())
        .collect();
    compare(
        "circles",
        found.iter().map(|circle| format!("{circle:?}")).collect(),
        listed.iter().map(|circle| format!("{circle:?}")).collect(),
    );
}

#[test]
fn a_type_stands_in_few_files() {
    let found = shape::spread(&SOURCES, IMPL_FILES_MAX);
    compare(
        "types and their number of files",
        found.iter().map(|row| format!("{row:?}")).collect(),
        STRETCHED.iter().map(|row| format!("{row:?}")).collect(),
    );
}

/// Fails on what is not listed, and on what is listed and no longer there.
fn compare(what: &str, found: BTreeSet<String>, listed: BTreeSet<String>) {
    let new: Vec<_> = found.difference(&listed).collect();
    let gone: Vec<_> = listed.difference(&found).collect();
    assert!(
        new.is_empty(),
        "{what}, not listed in tests/tidy.rs: {new:#?}"
    );
    assert!(
        gone.is_empty(),
        "{what}, gone: take them off the list in tests/tidy.rs: {gone:#?}"
    );
}
