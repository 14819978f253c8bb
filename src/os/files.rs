//! Reading the small files that configuration names.

use std::fs::{File, FileType, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::time::{Duration, Instant};

use super::sys;

/// The content of a file that is expected to be small, or of a pipe (`<(command)`, a FIFO) whose
/// writer may take some seconds: for the time before the loop runs.
pub fn read_small(path: &str) -> io::Result<Vec<u8>> {
    read(path, PIPE_PATIENCE)
}

/// The same for the loop, which never waits: no pipe.
pub fn read_again(path: &str) -> io::Result<Vec<u8>> {
    read(path, Duration::ZERO)
}

/// What tells whether a file is still the one that was read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Device and number.
    file: (u64, u64),
    size: u64,
    /// Seconds and nanoseconds.
    changed: (i64, i64),
}

impl Stamp {
    /// Of the file at this path now, links followed.
    pub fn of(path: &str) -> Option<Self> {
        let about = std::fs::metadata(path).ok()?;
        Some(Self {
            file: (about.dev(), about.ino()),
            size: about.size(),
            changed: (about.mtime(), about.mtime_nsec()),
        })
    }
}

/// Whether there is a file that we, and so every session, can read again; what came by a pipe came
/// once.
pub fn is_readable(path: &str) -> bool {
    open(path).is_ok_and(|(_, kind)| kind.is_file())
}

fn read(path: &str, patience: Duration) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let (file, kind) = open(path)?;
    let is_pipe = kind.is_fifo();
    refuse_others(kind, !patience.is_zero())?;
    let deadline = Instant::now() + patience;
    let mut content_max = (&file).take(SMALL_BYTES_MAX + 1);
    loop {
        // Until its writer has opened it, reading a pipe says that it is at its end.
        let left = deadline.saturating_duration_since(Instant::now());
        if is_pipe && !sys::has_input(file.as_fd(), left) {
            if left.is_zero() {
                return Err(io::Error::new(ErrorKind::TimedOut, NOT_WRITTEN));
            }
            continue;
        }
        match content_max.read_to_end(&mut content) {
            Ok(_) if content.len() as u64 > SMALL_BYTES_MAX => {
                return Err(ErrorKind::FileTooLarge.into());
            }
            Ok(_) => return Ok(content),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

fn refuse_others(kind: FileType, takes_pipes: bool) -> io::Result<()> {
    let (error, text) = match kind {
        kind if kind.is_file() || (kind.is_fifo() && takes_pipes) => return Ok(()),
        kind if kind.is_fifo() => (ErrorKind::InvalidInput, PIPE),
        kind if kind.is_dir() => (ErrorKind::IsADirectory, DIRECTORY),
        _ => (ErrorKind::InvalidInput, DEVICE),
    };
    Err(io::Error::new(error, text))
}

/// Never waits, whatever lies there: a pipe whose writer never comes, a terminal.
fn open(path: &str) -> io::Result<(File, FileType)> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    let kind = file.metadata()?.file_type();
    Ok((file, kind))
}

/// Bundles of all public authorities have a quarter of this.
const SMALL_BYTES_MAX: u64 = 1 << 20;
/// A command that asks a vault on another continent takes two seconds; service managers give up
/// after ninety.
const PIPE_PATIENCE: Duration = Duration::from_secs(10);
const PIPE: &str = "it is a pipe, which is read only at start; make it a file again, or restart";
const DIRECTORY: &str = "it is a directory; give the path of the file in it";
const DEVICE: &str = "it is a device, empty (/dev/null) or endless; give the path of a file";
const NOT_WRITTEN: &str = "nobody has written into this pipe and closed it within 10 s; start its \
     writer first, or give the path of a file";

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsRawFd;

    use super::*;

    fn failure(path: &str) -> (ErrorKind, String) {
        let error = read_small(path).unwrap_err();
        (error.kind(), error.to_string())
    }

    #[test]
    fn endless_and_missing_files_are_errors() {
        assert_eq!(failure("/proc/kallsyms").0, ErrorKind::FileTooLarge);
        for device in ["/dev/zero", "/dev/null", "/dev/ptmx"] {
            assert_eq!(failure(device), (ErrorKind::InvalidInput, DEVICE.into()));
        }
        let folder = (ErrorKind::IsADirectory, DIRECTORY.into());
        assert_eq!(failure("/proc/self"), folder);
        assert_eq!(failure("/nonexistent").0, ErrorKind::NotFound);
    }

    #[test]
    fn a_pipe_is_read_to_its_end_at_start_and_never_by_the_loop() {
        let (reader, mut writer) = io::pipe().unwrap();
        let path = format!("/dev/fd/{}", reader.as_raw_fd());
        let in_pieces = std::thread::spawn(move || {
            for piece in [&b"grpcs://"[..], b"dev:key@gw:1\n"] {
                writer.write_all(piece).unwrap();
                std::thread::yield_now();
            }
        });
        assert_eq!(read_small(&path).unwrap(), b"grpcs://dev:key@gw:1\n");
        in_pieces.join().unwrap();
        assert_eq!(read_again(&path).unwrap_err().to_string(), PIPE);
        assert!(!is_readable(&path) && is_readable("/proc/self/stat"));
    }

    #[test]
    fn a_pipe_that_nobody_writes_or_that_never_ends_is_given_up() {
        let (reader, mut writer) = io::pipe().unwrap();
        let path = format!("/dev/fd/{}", reader.as_raw_fd());
        let moment = Duration::from_millis(20);
        for _ in 0..2 {
            let error = read(&path, moment).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            writer.write_all(b"half").unwrap();
        }
        let flood = std::thread::spawn(move || while writer.write_all(&[b'x'; 4096]).is_ok() {});
        let error = read(&path, PIPE_PATIENCE).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        drop(reader);
        flood.join().unwrap();
    }
}
