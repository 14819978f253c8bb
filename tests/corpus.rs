//! Every fuzz target over its checked-in corpus, whole and damaged, as a plain test.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::PathBuf;

use fuzz_entry::{TARGETS, Target};
use hoop_lite::base::Rng;

/// Damaged copies of each seed.
const DAMAGED_COPIES: u64 = 16;
/// A corpus is code: what grows beyond this belongs on somebody's disk.
const CORPUS_BYTES_MAX: u64 = 1 << 20;

fn fuzz_folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz"))
}

fn names(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(fuzz_folder().join(folder)).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|name| name.trim_end_matches(".rs").to_owned())
        .collect()
}

/// Runs all seeds of a target. Some must be accepted and some not, or the corpus shows little.
fn check(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let (mut accepted, mut refused) = (0, 0);
    for seed in names(&format!("corpus/{name}")) {
        let bytes = fs::read(fuzz_folder().join("corpus").join(name).join(&seed)).unwrap();
        match run(target, &bytes, &seed) {
            true => accepted += 1,
            false => refused += 1,
        }
        for number in 0..DAMAGED_COPIES {
            run(
                target,
                &damaged(&bytes, number),
                &format!("{seed}, damaged copy {number}"),
            );
        }
    }
    assert!(
        accepted > 0 && refused > 0,
        "{name}: {accepted} accepted, {refused} refused"
    );
}

fn run(target: &Target, bytes: &[u8], what: &str) -> bool {
    match catch_unwind(|| (target.run)(bytes)) {
        Ok(is_accepted) => is_accepted,
        Err(_) => panic!("{}: {what}: {}", target.name, bytes.escape_ascii()),
    }
}

/// The same copy for the same number: some bytes changed, and some missing.
fn damaged(bytes: &[u8], number: u64) -> Vec<u8> {
    let mut rng = Rng::new(number + 1);
    let mut place = |len: usize| usize::try_from(rng.below(len.max(1) as u64)).unwrap();
    let mut copy = bytes.to_vec();
    for _ in 0..=number % 4 {
        let at = place(copy.len());
        let flipped = 1 << place(8);
        if let Some(byte) = copy.get_mut(at) {
            *byte ^= flipped;
        }
    }
    if number.is_multiple_of(3) {
        let len = place(copy.len());
        copy.truncate(len);
    }
    copy
}

macro_rules! corpora {
    ($($name:ident,)+) => {
        $(#[test]
        fn $name() {
            check(stringify!($name));
        })+

        const CORPORA: &[&str] = &[$(stringify!($name),)+];
    };
}

corpora! {
    varint,
    protobuf,
    base64,
    gob,
    json,
    message,
    oversized,
    preconnect,
    session_open,
    header_blocks,
    header_tables,
    connection,
    frames,
    grpc_messages,
    grpc_status,
    secret_plan,
    aws_ini,
    secret_fetch,
    key,
    environment,
    config_file,
    url,
    response,
    proxy_answer,
    health_request,
    head_lines,
    body_spans,
    web_exchange,
    certificates,
    hosts_file,
    resolv_conf,
    dns_message,
    dns_lookup,
    tls,
    postgres_messages,
    postgres_login,
    mysql_messages,
    mysql_login,
    mongo_messages,
    mongo_string,
    mongo_login,
    mssql_messages,
    mssql_login,
    rsa_key,
    database_session,
    agent,
    agent_conversation,
}

#[test]
fn every_target_has_a_test_a_file_and_a_corpus() {
    let known: BTreeSet<String> = TARGETS
        .iter()
        .map(|target| target.name.to_owned())
        .collect();
    assert_eq!(
        known,
        CORPORA.iter().map(|name| (*name).to_owned()).collect()
    );
    assert_eq!(known, names("fuzz_targets"));
    assert_eq!(known, names("corpus"));
    let manifest = fs::read_to_string(fuzz_folder().join("Cargo.toml")).unwrap();
    for name in &known {
        assert!(
            manifest.contains(&format!("\nname = \"{name}\"\n")),
            "{name}"
        );
    }
}

#[test]
fn the_corpus_stays_small() {
    let mut sum = 0;
    for target in TARGETS {
        for entry in fs::read_dir(fuzz_folder().join("corpus").join(target.name)).unwrap() {
            sum += entry.unwrap().metadata().unwrap().len();
        }
    }
    assert!(sum <= CORPUS_BYTES_MAX, "{sum} bytes");
}
