//! Reading the small files that configuration names.

use std::fs::File;
use std::io::{self, Read};

/// The content of a file that is expected to be small; one that is too large is an error.
pub fn read_small(path: &str) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?
        .take(SMALL_BYTES_MAX + 1)
        .read_to_end(&mut content)?;
    if content.len() as u64 > SMALL_BYTES_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(content)
}

/// Bundles of all public authorities have a quarter of this; `/dev/zero` has more.
const SMALL_BYTES_MAX: u64 = 1 << 20;

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
        assert_eq!(kind("/dev/zero"), Err(io::ErrorKind::FileTooLarge));
        assert_eq!(kind("/dev/null"), Ok(Vec::new()));
        assert_eq!(kind("/nonexistent"), Err(io::ErrorKind::NotFound));
    }
}
