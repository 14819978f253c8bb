use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use super::{Scratch, alone, run_alone};
use crate::limits;
use crate::os::secret_files::{SecretFileError, SecretFiles};
use crate::os::sys;

fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn open(base: &Scratch) -> SecretFiles {
    SecretFiles::new(vec![base.0.clone()])
}

#[test]
fn files_are_private_and_gone_when_dropped() {
    let base = Scratch::new();
    let mut files = open(&base);
    assert!(
        entries(&base.0).is_empty(),
        "nothing is made before it is needed"
    );
    let first = files.create(b"one").unwrap();
    let second = files.create(b"two").unwrap();
    assert_ne!(first.path(), second.path());
    assert_eq!(fs::read(first.path()).unwrap(), b"one");
    assert_eq!(fs::metadata(first.path()).unwrap().mode() & 0o7777, 0o600);
    let directory = first.path().parent().unwrap();
    assert_eq!(fs::metadata(directory).unwrap().mode() & 0o7777, 0o700);
    let first_path = first.path().to_owned();
    drop(first);
    assert!(!first_path.exists() && second.path().exists());
    drop(files);
    assert!(
        entries(&base.0).is_empty(),
        "the directory goes with its owner"
    );
    drop(second);
}

#[test]
fn leftovers_of_a_killed_agent_are_removed_and_a_live_ones_kept() {
    let base = Scratch::new();
    let name = "secret_files::killed_with_a_file_open";
    let killed = run_alone(name, &format!("export TEST_BASE={}", base.0.display()));
    assert!(!killed.status.success());
    assert_eq!(entries(&base.0).len(), 1);
    let mut live = open(&base);
    assert_eq!(entries(&base.0).len(), 0);
    let kept = live.create(b"kept").unwrap();
    drop(open(&base));
    assert_eq!(fs::read(kept.path()).unwrap(), b"kept");
}

/// The inner part of the test above.
#[test]
fn killed_with_a_file_open() {
    let Some(base) = std::env::var_os("TEST_BASE") else {
        return;
    };
    let mut files = SecretFiles::new(vec![base.into()]);
    let _file = files.create(b"left behind").unwrap();
    std::process::abort();
}

#[test]
fn clean_up_follows_no_links_and_touches_nothing_of_others() {
    let base = Scratch::new();
    let victim = Scratch::new();
    victim.file("precious", "", "600");
    let prefix = format!("hoop-lite-{}-", sys::effective_user());
    symlink(&victim.0, base.0.join(prefix.clone() + "link")).unwrap();
    let leftover = base.0.join(prefix.clone() + "left");
    fs::create_dir(&leftover).unwrap();
    symlink(&victim.0, leftover.join("inner")).unwrap();
    fs::create_dir(base.0.join("other")).unwrap();
    let foreign = base.0.join(prefix + "foreign");
    fs::create_dir(&foreign).unwrap();
    let can_give_away = chown(&foreign, Some(12345), None).is_ok();
    drop(open(&base));
    assert!(!leftover.exists());
    assert!(base.0.join("other").exists());
    assert_eq!(foreign.exists(), can_give_away);
    assert_eq!(entries(&victim.0).len(), 1);
}

#[test]
fn next_base_is_taken_when_the_first_cannot_be_written() {
    let base = Scratch::new();
    let unsafe_base = Scratch::new();
    fs::set_permissions(&unsafe_base.0, PermissionsExt::from_mode(0o777)).unwrap();
    let missing = PathBuf::from("/no/such/base");
    let bases = vec![missing.clone(), unsafe_base.0.clone(), base.0.clone()];
    let file = SecretFiles::new(bases).create(b"x").map(|_| ());
    assert!(file.is_ok());
    let mut files = SecretFiles::new(vec![missing, unsafe_base.0.clone()]);
    let error = files.create(b"x").unwrap_err();
    assert!(matches!(error, SecretFileError::NoDirectory(_)));
    assert!(error.to_string().contains("TMPDIR"), "{error}");
}

#[test]
fn directory_that_a_cleaner_removed_is_made_anew() {
    let base = Scratch::new();
    let mut files = open(&base);
    let first = files.create(b"1").unwrap();
    let directory = first.path().parent().unwrap().to_owned();
    fs::remove_dir_all(&directory).unwrap();
    fs::create_dir(&directory).unwrap();
    let second = files.create(b"2").unwrap();
    assert_ne!(second.path().parent().unwrap(), directory);
    drop(files);
    assert_eq!(
        entries(&base.0),
        [directory],
        "a stranger's directory is left alone"
    );
}

#[test]
fn partial_file_is_removed_when_the_write_fails() {
    if !alone(
        "secret_files::partial_file_is_removed_when_the_write_fails",
        "trap '' XFSZ; ulimit -f 1",
    ) {
        return;
    }
    let base = Scratch::new();
    let mut files = open(&base);
    let kept = files.create(b"small").unwrap();
    let error = files.create(&[0; 4096]).unwrap_err();
    assert!(matches!(error, SecretFileError::Other(_)));
    assert_eq!(entries(kept.path().parent().unwrap()), [kept.path()]);
}

#[test]
fn number_of_files_is_bounded_and_dropped_ones_count_no_more() {
    let base = Scratch::new();
    let mut files = open(&base);
    let mut all: Vec<_> = (0..limits::SECRET_FILE_COUNT_MAX)
        .map(|_| files.create(b"").unwrap())
        .collect();
    let refused = files.create(b"");
    assert!(matches!(refused, Err(SecretFileError::TooMany)));
    all.pop();
    assert!(files.create(b"").is_ok());
}
