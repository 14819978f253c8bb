//! Starts programs.
//!
//! Promises: a child gets the environment, arguments and descriptors of its [`CommandSpec`] and
//! nothing of ours, and leads a session and process group of its own. What becomes of it is left
//! to its guardian (`sys/guard.rs`), who writes to it and reads from it to the reactor.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mio::unix::pipe::{Receiver, Sender};

use super::sys::{self, ChildPlace, EnvironmentBlock};
pub use super::sys::{Custody, ExitStatus, Pid};
use crate::base::Secret;

/// What to start. Nothing that is not in here reaches the child.
#[derive(Clone, Debug, Default)]
pub struct CommandSpec {
    /// As typed; the child sees it as its argument 0. Without a slash it is looked up in
    /// `search_path`.
    pub program: OsString,
    /// The arguments behind argument 0.
    pub args: Vec<OsString>,
    /// The whole environment; of several values for one name the last counts.
    pub environment: Vec<(OsString, Secret)>,
    /// Directories joined by `:`, normally the agent's own `PATH`. Entries that are not absolute
    /// are skipped: what they mean would depend on where the agent was started.
    pub search_path: OsString,
    /// Where to start; ours when there is none.
    pub working_directory: Option<PathBuf>,
}

/// Why a program did not start.
#[derive(Debug)]
pub enum SpawnError {
    /// No file of that name.
    NotFound,
    /// A file of that name cannot be executed: a directory, no permission, no known format, or
    /// its interpreter is missing.
    NotExecutable,
    /// Anything else: limits, memory, the working directory, the terminal.
    Other(io::Error),
}

impl SpawnError {
    /// The exit code that a shell would give: 127, 126 or 1.
    pub fn code(&self) -> i32 {
        match self {
            SpawnError::NotFound => 127,
            SpawnError::NotExecutable => 126,
            SpawnError::Other(_) => 1,
        }
    }
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpawnError::NotFound => f.write_str("executable file not found"),
            SpawnError::NotExecutable => f.write_str("file is not executable"),
            SpawnError::Other(error) => error.fmt(f),
        }
    }
}

impl From<io::Error> for SpawnError {
    fn from(error: io::Error) -> Self {
        SpawnError::Other(error)
    }
}

/// A running program with three pipes. Dropping `stdin` is the end of its input.
#[derive(Debug)]
pub struct PipedChild {
    /// The child that we have: its guardian, where it has one.
    pub pid: Pid,
    /// Writes to its standard input; non-blocking.
    pub stdin: Sender,
    /// Reads its standard output; non-blocking.
    pub stdout: Receiver,
    /// Reads its standard error; non-blocking.
    pub stderr: Receiver,
}

/// Starts a program with pipes as its standard streams.
pub fn spawn_pipes(spec: &CommandSpec, custody: Custody) -> Result<PipedChild, SpawnError> {
    let (stdin_read, stdin) = pipe_to_child()?;
    let (stdout, stdout_write) = pipe_from_child()?;
    let (stderr, stderr_write) = pipe_from_child()?;
    let pid = spawn(
        spec,
        [stdin_read.into(), stdout_write.into(), stderr_write.into()],
        ChildPlace::Session,
        custody,
    )?;
    Ok(PipedChild {
        pid,
        stdin,
        stdout,
        stderr,
    })
}

/// Our end does not block, the child's end does: programs do not expect otherwise.
fn pipe_to_child() -> io::Result<(io::PipeReader, Sender)> {
    let (reader, writer) = io::pipe()?;
    let writer = Sender::from(std::os::fd::OwnedFd::from(writer));
    writer.set_nonblocking(true)?;
    Ok((reader, writer))
}

fn pipe_from_child() -> io::Result<(Receiver, io::PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    let reader = Receiver::from(std::os::fd::OwnedFd::from(reader));
    reader.set_nonblocking(true)?;
    Ok((reader, writer))
}

/// Starts a program beside us: in our session, with our standard streams.
pub fn spawn_beside(spec: &CommandSpec) -> Result<Pid, SpawnError> {
    spawn(
        spec,
        [Stdio::inherit(), Stdio::inherit(), Stdio::inherit()],
        ChildPlace::Beside,
        Custody {
            watch: None,
            is_separate: false,
        },
    )
}

/// Starts `spec` in its place with the given standard input, output and error.
pub(super) fn spawn(
    spec: &CommandSpec,
    [stdin, stdout, stderr]: [Stdio; 3],
    place: ChildPlace,
    custody: Custody,
) -> Result<Pid, SpawnError> {
    let path = find_program(spec)?;
    let mut command = Command::new(path);
    command
        .arg0(&spec.program)
        .args(&spec.args)
        .stdin(stdin)
        .stdout(stdout)
        .stderr(stderr);
    if let Some(directory) = &spec.working_directory {
        // Checked here because its absence could not be told from a missing interpreter's below.
        if !fs::metadata(directory)?.is_dir() {
            return Err(io::Error::from(io::ErrorKind::NotADirectory).into());
        }
        command.current_dir(directory);
    }
    let environment = EnvironmentBlock::new(&spec.environment)?;
    sys::detach_child(&mut command, place, custody, environment);
    let _raised = (place != ChildPlace::Beside).then(sys::raise_kill_score);
    // The handle is dropped without a wait: `Children` collects the process.
    let child = command.spawn().map_err(exec_error)?;
    Pid::try_from(child.id()).map_err(|_| SpawnError::Other(io::ErrorKind::Other.into()))
}

/// The program itself is known to be there: what the kernel misses is its interpreter.
fn exec_error(error: io::Error) -> SpawnError {
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::ENOTDIR | libc::EACCES | libc::ENOEXEC) => {
            SpawnError::NotExecutable
        }
        _ => SpawnError::Other(error),
    }
}

/// The file to execute.
fn find_program(spec: &CommandSpec) -> Result<PathBuf, SpawnError> {
    if spec.program.is_empty() {
        return Err(SpawnError::NotFound);
    }
    if spec.program.as_encoded_bytes().contains(&b'/') {
        // A relative path counts from where the child starts.
        let seen_from_here = match &spec.working_directory {
            Some(directory) => directory.join(&spec.program),
            None => PathBuf::from(&spec.program),
        };
        return judge(&seen_from_here).map(|()| PathBuf::from(&spec.program));
    }
    let mut verdict = SpawnError::NotFound;
    for directory in std::env::split_paths(&spec.search_path).filter(|path| path.is_absolute()) {
        let path = directory.join::<&OsStr>(&spec.program);
        match judge(&path) {
            Ok(()) => return Ok(path),
            Err(SpawnError::NotExecutable) => verdict = SpawnError::NotExecutable,
            Err(_) => {}
        }
    }
    Err(verdict)
}

fn judge(path: &Path) -> Result<(), SpawnError> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() && sys::may_execute(path) => Ok(()),
        Ok(_) => Err(SpawnError::NotExecutable),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(SpawnError::NotExecutable)
        }
        Err(_) => Err(SpawnError::NotFound),
    }
}
