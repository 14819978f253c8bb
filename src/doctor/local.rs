//! What sessions need of this machine.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::report::{CheckReport, CheckVerdict};
use crate::config::{Config, KEY_READABLE, LANDLOCK_LACKING, Surroundings};
use crate::os::secret_files::SecretFiles;
use crate::os::{files, sys};

/// Fewer open files than this are few: a relay takes one, a session's process two or three.
const OPEN_FILES_FEW: u64 = 4096;

/// Programs that sessions often run.
const TOOLS: [&str; 6] = ["psql", "mysql", "sqlcmd", "mongosh", "kubectl", "ssh"];

/// Adds a finding for each ability.
pub fn check(
    report: &mut CheckReport<'_>,
    surroundings: Surroundings<'_>,
    config: Option<&Config>,
) {
    let mut add = |check, probe: &dyn Fn() -> (CheckVerdict, String)| {
        let start = Instant::now();
        let (verdict, text) = probe();
        report.add(check, verdict, start.elapsed(), &text);
    };
    add("pty", &terminal);
    add("temp", &secret_file);
    add("files", &open_files);
    add("shell", &|| shell(surroundings));
    add("tools", &|| tools(surroundings));
    add("pid", &process);
    add("user", &|| user(config));
    if let Some(config) = config {
        add("apart", &|| apart(config));
        if config.key_source.path().is_some() {
            add("key-file", &|| key_file(config));
        }
    }
}

/// Whether sessions are shut off from one another.
fn apart(config: &Config) -> (CheckVerdict, String) {
    let is_possible = sys::separation() == sys::Separation::Full;
    let is_asked = config.settings.separate_sessions == Some(true);
    match (config.wants_separation(sys::is_bound()), is_possible) {
        (true, true) => (
            CheckVerdict::Ok,
            "sessions are shut off from one another and from the agent by Landlock".to_owned(),
        ),
        (false, true) => (
            CheckVerdict::Ok,
            "sessions of one user can signal and look into one another: --separate-sessions=true \
             ends that, and for an ordinary user sudo and su"
                .to_owned(),
        ),
        (_, false) if is_asked => (CheckVerdict::Warn, LANDLOCK_LACKING.to_owned()),
        (_, false) => (
            CheckVerdict::Ok,
            format!("sessions can't be shut off: {}", LANDLOCK_LACKING),
        ),
    }
}

/// Whether sessions can read the key.
fn key_file(config: &Config) -> (CheckVerdict, String) {
    let path = config.key_source.path().unwrap_or_default();
    let (verdict, text) = match files::is_readable(path) {
        _ if config.settings.user.is_some() && sys::effective_user() == 0 => (
            CheckVerdict::Ok,
            "read as root; let nobody else read it".to_owned(),
        ),
        true => (
            CheckVerdict::Warn,
            format!("sessions can read it: {KEY_READABLE}"),
        ),
        false => (CheckVerdict::Ok, "not for sessions".to_owned()),
    };
    (verdict, format!("{path}: {text}"))
}

fn terminal() -> (CheckVerdict, String) {
    match sys::open_terminal() {
        Ok(_) => (CheckVerdict::Ok, "terminals can be opened".to_owned()),
        Err(error) => (
            CheckVerdict::Warn,
            format!(
                "no terminal can be opened ({error}): mount /dev/pts, or interactive sessions fail"
            ),
        ),
    }
}

/// The way of sessions: their secrets that come as files.
fn secret_file() -> (CheckVerdict, String) {
    match SecretFiles::new(SecretFiles::default_bases()).create(b"") {
        Ok(file) => {
            let place = file.path().parent().and_then(Path::parent);
            let place = place.unwrap_or(Path::new("/")).display();
            (CheckVerdict::Ok, format!("{place} is writable"))
        }
        Err(error) => (CheckVerdict::Warn, error.to_string()),
    }
}

fn open_files() -> (CheckVerdict, String) {
    match sys::open_files_max() {
        u64::MAX => (CheckVerdict::Ok, "any number of open files".to_owned()),
        limit if limit < OPEN_FILES_FEW => (
            CheckVerdict::Warn,
            format!(
                "only {limit} open files, which bounds the connections at a time: raise \
                 LimitNOFILE= in the unit, or ulimit -n"
            ),
        ),
        limit => (CheckVerdict::Ok, format!("{limit} open files")),
    }
}

/// A program that may be run, in the folders of PATH.
fn find(path: &str, name: &str) -> Option<PathBuf> {
    let folders = path.split(':').filter(|folder| !folder.is_empty());
    let mut files = folders.map(|folder| Path::new(folder).join(name));
    files.find(|file| is_usable(file))
}

fn is_usable(file: &Path) -> bool {
    file.is_file() && sys::may_execute(file)
}

/// Which of them are there.
fn tools(surroundings: Surroundings<'_>) -> (CheckVerdict, String) {
    let path = surroundings.get("PATH").unwrap_or_default();
    let (there, missing): (Vec<&str>, Vec<&str>) = TOOLS
        .into_iter()
        .partition(|name| find(&path, name).is_some());
    let list = |names: &[&str]| match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    };
    let text = format!(
        "in PATH for sessions that run them: {}; not there: {}",
        list(&there),
        list(&missing)
    );
    (CheckVerdict::Ok, text)
}

fn shell(surroundings: Surroundings<'_>) -> (CheckVerdict, String) {
    let path = surroundings.get("PATH").unwrap_or_default();
    let own = surroundings.get("SHELL").map(PathBuf::from);
    let own = own.filter(|shell| is_usable(shell));
    match own
        .or_else(|| find(&path, "bash"))
        .or_else(|| find(&path, "sh"))
    {
        Some(shell) => (CheckVerdict::Ok, format!("{}", shell.display())),
        None => (
            CheckVerdict::Warn,
            "no shell in PATH: sessions that run commands need one, database and TCP sessions do \
             not"
            .to_owned(),
        ),
    }
}

fn process() -> (CheckVerdict, String) {
    let text = match std::process::id() {
        1 => "PID 1: orphans of sessions are reaped",
        _ => "not PID 1",
    };
    (CheckVerdict::Ok, text.to_owned())
}

fn user(config: Option<&Config>) -> (CheckVerdict, String) {
    let wanted = config.and_then(|config| config.settings.user.as_deref());
    match (sys::effective_user(), wanted) {
        (0, Some(name)) => (
            CheckVerdict::Ok,
            format!("root, until the agent becomes {name} (HOOP_LITE_USER)"),
        ),
        (0, None) => (
            CheckVerdict::Warn,
            "root, and so is every session: give the agent a user of its own (User= in the unit, \
             USER in the image) unless sessions need root"
                .to_owned(),
        ),
        (user, _) => (CheckVerdict::Ok, format!("user {user}")),
    }
}
