//! Programs that we start, and the table of those that still run.
//!
//! Promises: a child gets the environment, arguments and descriptors of its [`CommandSpec`] and
//! nothing of ours; it leads a session and process group of its own; its id is never signalled
//! after it could have been given to another process. Who writes to it, reads from it and decides
//! when it has to go is left to the reactor.
//!
//! The safe order at a child's end: [`Children::poll_exited`] reports it, but it stays a zombie,
//! so its id (and its group's) stays taken; the owner drains the pipes or the terminal; it ends
//! what is left of the group with [`Children::signal_group`]; then [`Children::release`] lets the
//! id go. Every reported child must be released.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mio::unix::pipe::{Receiver, Sender};

use super::signal::Signal;
use super::sys;
pub use super::sys::{ExitStatus, Pid};

/// What to start. Nothing that is not in here reaches the child.
#[derive(Clone, Debug, Default)]
pub struct CommandSpec {
    /// As typed; the child sees it as its argument 0. Without a slash it is looked up in
    /// `search_path`.
    pub program: OsString,
    /// The arguments behind argument 0.
    pub args: Vec<OsString>,
    /// The whole environment; of several values for one name the last counts.
    pub environment: Vec<(OsString, OsString)>,
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
    /// Its process id, and its group's.
    pub pid: Pid,
    /// Writes to its standard input; non-blocking.
    pub stdin: Sender,
    /// Reads its standard output; non-blocking.
    pub stdout: Receiver,
    /// Reads its standard error; non-blocking.
    pub stderr: Receiver,
}

/// Starts a program with pipes as its standard streams.
pub fn spawn_pipes(spec: &CommandSpec) -> Result<PipedChild, SpawnError> {
    let (stdin_read, stdin) = pipe_to_child()?;
    let (stdout, stdout_write) = pipe_from_child()?;
    let (stderr, stderr_write) = pipe_from_child()?;
    let pid = spawn(
        spec,
        [stdin_read.into(), stdout_write.into(), stderr_write.into()],
        false,
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

/// Starts `spec` with the given standard input, output and error; with `terminal` the first of
/// them becomes its controlling terminal.
pub(super) fn spawn(
    spec: &CommandSpec,
    [stdin, stdout, stderr]: [Stdio; 3],
    terminal: bool,
) -> Result<Pid, SpawnError> {
    let path = find_program(spec)?;
    let mut command = Command::new(path);
    command
        .arg0(&spec.program)
        .args(&spec.args)
        .env_clear()
        .envs(spec.environment.iter().map(|(name, value)| (name, value)))
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
    sys::detach_child(&mut command, terminal);
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

/// Most programs running at once: each costs a pid, three descriptors and a look at every
/// SIGCHLD, and the processes themselves are far dearer than that.
pub const CHILDREN_MAX: usize = 1024;

/// A child that has ended. Its id stays taken until it is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exited {
    /// Its process id, and its group's.
    pub pid: Pid,
    /// What was given to [`Children::insert`].
    pub owner: usize,
    /// How it ended.
    pub status: ExitStatus,
}

struct Entry {
    owner: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    /// Ended and reported; a zombie until it is released.
    Exited,
    /// Ended, but collected by somebody else: the id is no longer ours to signal.
    Lost,
}

/// The children that run or are not released yet.
pub struct Children {
    entries: BTreeMap<Pid, Entry>,
    collects_orphans: bool,
}

impl Children {
    /// An empty table. When this process is the first of its (container's) system, all orphans
    /// become its children and are collected too.
    pub fn new() -> Self {
        Self {
            entries: BTreeMap::new(),
            collects_orphans: std::process::id() == 1,
        }
    }

    /// Children running or not released.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// No child is left.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether one more may be started. To be asked **before** a spawn: a process that runs has
    /// to be tracked, so [`Children::insert`] never refuses.
    pub fn has_room(&self) -> bool {
        self.entries.len() < CHILDREN_MAX
    }

    /// Takes charge of a process that was just spawned.
    pub fn insert(&mut self, pid: Pid, owner: usize) {
        debug_assert!(self.has_room());
        let state = State::Running;
        self.entries.insert(pid, Entry { owner, state });
    }

    /// The next child that has ended since the last call, each once; never blocks. To be called
    /// at every SIGCHLD until it returns `None`.
    pub fn poll_exited(&mut self) -> Option<Exited> {
        if self.collects_orphans {
            self.collect_orphans();
        }
        let running = self
            .entries
            .iter_mut()
            .filter(|(_, entry)| entry.state == State::Running);
        for (&pid, entry) in running {
            let status = match sys::peek_exit(Some(pid)) {
                Ok(None) => continue,
                Ok(Some((_, status))) => {
                    entry.state = State::Exited;
                    status
                }
                Err(_) => {
                    entry.state = State::Lost;
                    ExitStatus::Unknown
                }
            };
            let owner = entry.owner;
            return Some(Exited { pid, owner, status });
        }
        None
    }

    /// Sends a signal to the group that `pid` leads. HUP and TERM are followed by CONT: a stopped
    /// process would not notice them. A child that is not in the table, or whose id is no longer
    /// ours, is left alone.
    pub fn signal_group(&self, pid: Pid, signal: Signal) -> io::Result<()> {
        match self.entries.get(&pid) {
            Some(entry) if entry.state != State::Lost => {}
            _ => return Ok(()),
        }
        sys::signal_group(pid, signal.number())?;
        if matches!(signal, Signal::Hangup | Signal::Terminate) {
            sys::signal_group(pid, libc::SIGCONT)?;
        }
        Ok(())
    }

    /// Lets go of a child that [`Children::poll_exited`] reported. One that still runs stays.
    pub fn release(&mut self, pid: Pid) {
        if self
            .entries
            .get(&pid)
            .is_some_and(|entry| entry.state != State::Running)
        {
            sys::collect(pid);
            self.entries.remove(&pid);
        }
        if self.collects_orphans {
            // One of ours that waited for its release may have hidden them.
            self.collect_orphans();
        }
    }

    /// The kernel shows the oldest zombie only: behind one of ours that waits for its release,
    /// orphans wait too, as long as that drain may last.
    fn collect_orphans(&self) {
        while let Ok(Some((pid, _))) = sys::peek_exit(None) {
            if self.entries.contains_key(&pid) || !sys::collect(pid) {
                return;
            }
        }
    }
}

impl Default for Children {
    fn default() -> Self {
        Self::new()
    }
}
