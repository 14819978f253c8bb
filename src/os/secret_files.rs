//! Files with secrets for sessions (`filesystem:` variables).
//!
//! Promises: only our user can read them, their names cannot be guessed, each is gone when its
//! [`SecretFile`] is dropped and all are gone when the [`SecretFiles`] are. What a killed agent
//! leaves behind is removed by the guardians of its sessions, and by the next one that starts.
//!
//! All files of a process lie in one private directory, made when the first is needed:
//! `<base>/hoop-lite-<uid>-<random>`. While its process lives it holds the directory's advisory
//! lock, which also keeps systemd-tmpfiles away; the kernel drops it at death. (A process id in the name
//! would mislead: two containers may share the base and number their processes apart.)

use std::cell::Cell;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::sys;
use crate::limits;

/// Why a secret could not be stored.
#[derive(Debug)]
pub enum SecretFileError {
    /// No directory could be made in any base; the reason is the first base's.
    NoDirectory(io::Error),
    /// The file system is full.
    Full,
    /// More than [`limits::SECRET_FILE_COUNT_MAX`].
    TooMany,
    /// Anything else.
    Other(io::Error),
}

impl fmt::Display for SecretFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretFileError::NoDirectory(error) => write!(
                f,
                "no place for secret files ({error}): \
                 mount a writable /tmp or let TMPDIR name a writable directory"
            ),
            SecretFileError::Full => f.write_str("no space left for secret files"),
            SecretFileError::TooMany => f.write_str("too many secret files at once"),
            SecretFileError::Other(error) => write!(f, "secret file: {error}"),
        }
    }
}

/// A stored secret; dropping it removes the file.
#[derive(Debug)]
pub struct SecretFile {
    path: PathBuf,
    count: Rc<Cell<usize>>,
}

impl SecretFile {
    /// Where it lies, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SecretFile {
    fn drop(&mut self) {
        // It may be gone already, with the whole directory.
        if let Err(error) = fs::remove_file(&self.path)
            && let Some(directory) = self.path.parent()
            && is_shut(&error, directory)
        {
            let _ = fs::remove_file(&self.path);
        }
        self.count.set(self.count.get().saturating_sub(1));
    }
}

/// The secret files of this process.
pub struct SecretFiles {
    bases: Vec<PathBuf>,
    directory: Option<Directory>,
    count: Rc<Cell<usize>>,
}

/// The private directory; the open file holds its lock.
struct Directory {
    path: PathBuf,
    lock: File,
}

impl Directory {
    /// Whether the path still leads to what we locked: a cleaner of old files may have removed
    /// it, and somebody else made one of that name.
    fn stands(&self) -> bool {
        let (Ok(found), Ok(locked)) = (fs::symlink_metadata(&self.path), self.lock.metadata())
        else {
            return false;
        };
        (found.dev(), found.ino()) == (locked.dev(), locked.ino())
    }
}

impl SecretFiles {
    /// Directories to try, in this order: the service's own (`$RUNTIME_DIRECTORY`), what lies in
    /// memory (`$XDG_RUNTIME_DIR`, `/dev/shm`), then `$TMPDIR` and `/tmp`, which may be a disk.
    pub fn default_bases() -> Vec<PathBuf> {
        [
            std::env::var_os("RUNTIME_DIRECTORY"),
            std::env::var_os("XDG_RUNTIME_DIR"),
            Some(OsString::from("/dev/shm")),
            std::env::var_os("TMPDIR"),
            Some(OsString::from("/tmp")),
        ]
        .into_iter()
        .flatten()
        .map(PathBuf::from)
        .filter(|base| base.is_absolute())
        .collect()
    }

    /// Removes what dead agents of our user left in `bases`. Makes nothing yet: an agent whose
    /// sessions need no files runs where nothing can be written.
    pub fn new(bases: Vec<PathBuf>) -> Self {
        for base in &bases {
            remove_leftovers(base);
        }
        Self {
            bases,
            directory: None,
            count: Rc::default(),
        }
    }

    /// Stores `content` in a new file that only our user can read. Nothing stays behind when
    /// that fails.
    pub fn create(&mut self, content: &[u8]) -> Result<SecretFile, SecretFileError> {
        if self.count.get() >= limits::SECRET_FILE_COUNT_MAX {
            return Err(SecretFileError::TooMany);
        }
        let name = random_name().map_err(SecretFileError::Other)?;
        let directory = self.directory()?;
        let path = directory.join(name);
        let mut options = OpenOptions::new();
        options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW);
        let mut file = options
            .open(&path)
            .or_else(|error| match is_shut(&error, directory) {
                true => options.open(&path),
                false => Err(error),
            })
            .map_err(store_error)?;
        self.count.set(self.count.get() + 1);
        let count = Rc::clone(&self.count);
        let stored = SecretFile { path, count };
        // On an error `stored` is dropped, and the partial file with it.
        file.write_all(content).map_err(store_error)?;
        Ok(stored)
    }

    /// The private directory, made now if need be.
    fn directory(&mut self) -> Result<&Path, SecretFileError> {
        let directory = match self.directory.take().filter(Directory::stands) {
            Some(directory) => directory,
            None => make_directory(&self.bases)?,
        };
        Ok(&self.directory.insert(directory).path)
    }
}

impl Drop for SecretFiles {
    fn drop(&mut self) {
        if let Some(directory) = self.directory.take().filter(Directory::stands) {
            remove_all(&directory.path);
        }
    }
}

fn store_error(error: io::Error) -> SecretFileError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => SecretFileError::Full,
        _ => SecretFileError::Other(error),
    }
}

fn random_name() -> io::Result<String> {
    let mut bytes = [0; 16];
    sys::random_bytes(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}

/// Directories of our user, and of no other program, start with this.
fn prefix() -> String {
    format!("hoop-lite-{}-", sys::effective_user())
}

fn make_directory(bases: &[PathBuf]) -> Result<Directory, SecretFileError> {
    let mut first_error = None;
    for base in bases {
        match make_directory_in(base) {
            Ok(directory) => return Ok(directory),
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    let error = first_error.unwrap_or_else(|| io::ErrorKind::NotFound.into());
    Err(SecretFileError::NoDirectory(error))
}

fn make_directory_in(base: &Path) -> io::Result<Directory> {
    if !is_safe_base(base) {
        return Err(io::Error::from(io::ErrorKind::PermissionDenied));
    }
    let path = base.join(prefix() + &random_name()?);
    DirBuilder::new().mode(0o700).create(&path)?;
    let lock = open_directory(&path).inspect_err(|_| {
        // Without a descriptor for its lock it is of no use.
        let _ = fs::remove_dir(&path);
    })?;
    let directory = Directory { path, lock };
    // Before the lock is ours a starting agent may have taken it for a leftover: then the lock is
    // not to be had, or the directory is gone, and the next base has to do.
    if sys::try_lock(directory.lock.as_fd())? && directory.stands() {
        return Ok(directory);
    }
    Err(io::Error::from(io::ErrorKind::ResourceBusy))
}

/// Where others may write, only the sticky bit keeps them from moving our directory away.
fn is_safe_base(base: &Path) -> bool {
    fs::metadata(base).is_ok_and(|found| {
        let others_write = found.mode() & 0o022 != 0;
        let sticky = found.mode() & 0o1000 != 0;
        found.is_dir() && (sticky || !others_write)
    })
}

fn open_directory(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW)
        .open(path)
}

/// Best effort: what cannot be removed now may be by the next start.
fn remove_leftovers(base: &Path) {
    if !is_safe_base(base) {
        return;
    }
    let prefix = prefix();
    let Ok(entries) = fs::read_dir(base) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(prefix.as_bytes()) {
            remove_leftover(&entry.path());
        }
    }
}

/// Whether our directory had no permissions left and has them again. A session, being of our user, can
/// take them away, and would keep the others' secrets on the disk by that.
fn is_shut(error: &io::Error, directory: &Path) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
        && fs::symlink_metadata(directory).is_ok_and(|found| found.is_dir())
        && fs::set_permissions(directory, Permissions::from_mode(0o700)).is_ok()
}

/// Follows no symlink, at any depth. Files go first, since a session may have put something beside them
/// that can't be removed.
fn remove_all(directory: &Path) {
    let _ = fs::set_permissions(directory, Permissions::from_mode(0o700));
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        // Only folders are left by that.
        let _ = fs::remove_file(entry.path());
    }
    let _ = fs::remove_dir_all(directory);
}

fn remove_leftover(path: &Path) {
    let opened = open_directory(path).or_else(|error| match is_shut(&error, path) {
        true => open_directory(path),
        false => Err(error),
    });
    let Ok(directory) = opened else {
        return;
    };
    let ours = directory
        .metadata()
        .is_ok_and(|found| found.uid() == sys::effective_user());
    if ours && matches!(sys::try_lock(directory.as_fd()), Ok(true)) {
        remove_all(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_file_system_is_named_as_such() {
        let mut full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let error = store_error(full.write_all(b"x").unwrap_err());
        assert!(matches!(error, SecretFileError::Full));
        assert_eq!(error.to_string(), "no space left for secret files");
    }
}
