//! Reading the small files that configuration names.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;

/// The content of a regular file that is expected to be small; any other is an error, since it
/// could make us wait for ever: a pipe whose writer never comes, a terminal.
pub fn read_small(path: &str) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, NOT_REGULAR));
    }
    file.take(SMALL_BYTES_MAX + 1).read_to_end(&mut content)?;
    if content.len() as u64 > SMALL_BYTES_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(content)
}

/// Bundles of all public authorities have a quarter of this.
const SMALL_BYTES_MAX: u64 = 1 << 20;
const NOT_REGULAR: &str =
    "it is no regular file; give the path of one (no pipe, no device, no <(...))";

/// Whether we, and so every session, can read this file.
pub fn is_readable(path: &str) -> bool {
    std::fs::File::open(path).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endless_and_missing_files_are_errors() {
        let kind = |path| read_small(path).map_err(|error| error.kind());
        assert_eq!(kind("/proc/kallsyms"), Err(io::ErrorKind::FileTooLarge));
        for special in ["/dev/zero", "/dev/null", "/proc/self", "/dev/ptmx"] {
            assert_eq!(kind(special), Err(io::ErrorKind::InvalidInput));
        }
        assert_eq!(kind("/nonexistent"), Err(io::ErrorKind::NotFound));
    }
}
