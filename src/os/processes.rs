//! From a command to a running process, and from a session's end to the last of its processes.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use mio::{Registry, Token};

use super::child::{self, CommandSpec, Custody, SpawnError};
use super::children::Children;
use super::control_groups::ControlGroups;
use super::guardians::Guardians;
use super::pty::{self, PtyChild};
use super::secret_files::{SecretFile, SecretFiles};
use super::sys::{ExitStatus, Pid, Watch, effective_user};
use crate::base::{Secret, TerminalSize};
use crate::limits;
use crate::session::{EXIT_INTERNAL, End, Exit, Program};

/// How the processes of sessions are kept, and how they end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keeping {
    /// A normal end reaches what has detached itself, too.
    pub ends_detached: bool,
    /// Each session lives in a Landlock domain of its own.
    pub is_separate: bool,
}

/// A process that runs, and what it needs while it does.
pub struct Spawned {
    /// Its descriptors.
    pub streams: ProcessStreams,
    /// Removed when they are dropped.
    pub files: Vec<SecretFile>,
    /// Where its guardian is told what to do.
    control: UnixStream,
    control_group: CString,
}

impl Spawned {
    /// Its guardian.
    pub fn pid(&self) -> Pid {
        match &self.streams {
            ProcessStreams::Pipes(child) => child.pid,
            ProcessStreams::Terminal(child) => child.pid,
        }
    }
}

/// What a process reads and writes.
pub enum ProcessStreams {
    /// With pipes.
    Pipes(child::PipedChild),
    /// On a terminal.
    Terminal(PtyChild),
}

/// Why it does not run: the exit code and the sentence for its client.
pub struct NotSpawned {
    /// As a shell would have it.
    pub code: u16,
    /// Upstream's sentence.
    pub text: String,
}

/// All processes of the agent.
pub struct Processes {
    keeping: Keeping,
    children: Children,
    guardians: Guardians,
    control_groups: ControlGroups,
    secret_files: SecretFiles,
    search_path: OsString,
}

/// A process that ended by itself.
pub struct EndedProcess {
    /// Its target, as it was given to [`Processes::track`].
    pub owner: usize,
    /// The child that we had for it.
    pub pid: Pid,
    /// How.
    pub exit: Exit,
}

impl Processes {
    /// No process yet. Commands without a path are looked up in `search_path`.
    pub fn new(search_path: OsString, keeping: Keeping) -> Self {
        // A session of our own, ordinary user could write to its neighbours' groups.
        let can_group = !keeping.is_separate || effective_user() == 0;
        Self {
            keeping,
            children: Children::new(),
            guardians: Guardians::default(),
            control_groups: ControlGroups::new(can_group),
            secret_files: SecretFiles::new(SecretFiles::default_bases()),
            search_path,
        }
    }

    /// Processes that run or are being ended.
    pub fn len(&self) -> usize {
        self.children.len()
    }

    /// No process runs.
    pub fn is_empty(&self) -> bool {
        self.children.is_empty()
    }

    /// Writes the program's files and starts it.
    pub fn spawn(&mut self, mut program: Program) -> Result<Spawned, NotSpawned> {
        if !self.children.has_room() {
            return Err(failed("the agent runs as many processes as it can".into()));
        }
        let mut environment = std::mem::take(&mut program.environment);
        let terminal = program.terminal;
        let mut kept = Vec::with_capacity(program.files.len());
        for (name, content) in std::mem::take(&mut program.files) {
            let file = self
                .secret_files
                .create(content.expose())
                .map_err(|error| NotSpawned {
                    code: EXIT_INTERNAL,
                    text: format!(
                        "internal error, failed executing pre command, reason=failed storing \
                     environment variable \"{name}\", err={error}"
                    ),
                })?;
            let path = file.path().as_os_str().as_bytes();
            environment.push((name.into(), Secret::new(path)));
            kept.push(file);
        }
        let paths: Vec<&OsStr> = kept.iter().map(|file| file.path().as_os_str()).collect();
        let mut argv = program.complete_argv(&paths).into_iter();
        let executable = argv.next().unwrap_or_default();
        let path = environment.iter().rev().find(|(name, _)| name == "PATH");
        let path = path.map(|(_, path)| OsStr::from_bytes(path.expose()));
        let search_path = path.unwrap_or(&self.search_path).to_owned();
        let spec = CommandSpec {
            program: executable,
            args: argv.collect(),
            environment,
            search_path,
            working_directory: None,
        };
        self.start(&spec, terminal, kept)
            .map_err(|error| explain(&spec, terminal.is_some(), &error))
    }

    fn start(
        &mut self,
        spec: &CommandSpec,
        terminal: Option<TerminalSize>,
        files: Vec<SecretFile>,
    ) -> Result<Spawned, SpawnError> {
        let (control, its_end) = UnixStream::pair()?;
        control.set_nonblocking(true)?;
        let control_group = self.control_groups.create();
        let folder = files.first().and_then(|file| file.path().parent());
        let folder = folder.map(|folder| folder.as_os_str().as_bytes());
        let custody = Custody {
            watch: Some(Watch {
                control: OwnedFd::from(its_end),
                on_terminal: terminal.is_some(),
                control_group: control_group.clone(),
                secrets: CString::new(folder.unwrap_or_default()).unwrap_or_default(),
            }),
            is_separate: self.keeping.is_separate,
        };
        let streams = match terminal {
            None => child::spawn_pipes(spec, custody).map(ProcessStreams::Pipes),
            Some(size) => pty::spawn_pty(spec, size, custody).map(ProcessStreams::Terminal),
        };
        let streams = streams.inspect_err(|_| self.control_groups.discard(&control_group))?;
        Ok(Spawned {
            streams,
            files,
            control,
            control_group,
        })
    }

    /// Takes charge of a started session's process. On an error it is to be ended.
    pub fn keep(
        &mut self,
        registry: &Registry,
        spawned: Spawned,
        owner: usize,
    ) -> (Pid, ProcessStreams, Vec<SecretFile>, io::Result<()>) {
        let pid = spawned.pid();
        self.children.insert(pid, owner);
        let control = mio::net::UnixStream::from_std(spawned.control);
        let group = &spawned.control_group;
        let result = self.guardians.insert(registry, pid, control, group);
        (pid, spawned.streams, spawned.files, result)
    }

    /// Takes charge of a started process that leads no session.
    pub fn track(&mut self, pid: Pid, owner: usize) {
        self.children.insert(pid, owner);
    }

    /// The process that ended, if the guardian of `token` says so.
    pub fn heard(&mut self, token: Token) -> Option<EndedProcess> {
        let pid = Guardians::pid(token)?;
        let exit = self.guardians.report(pid)?;
        let owner = self.children.owner(pid)?;
        Some(EndedProcess { owner, pid, exit })
    }

    /// The next process that ended; call at every SIGCHLD until `None`.
    pub fn poll_ended(&mut self) -> Option<EndedProcess> {
        loop {
            let exited = self.children.poll_exited()?;
            let (owner, pid) = (exited.owner, exited.pid);
            let is_guardian = self.guardians.knows(pid);
            let exit = match is_guardian {
                true => self.guardians.remove(pid),
                false => Some(exit_of(exited.status)),
            };
            self.children.release(pid);
            if let Some(exit) = exit {
                return Some(EndedProcess { owner, pid, exit });
            }
        }
    }

    /// A session is over: its processes are asked to end, and made to after a while.
    pub fn end(&mut self, now: Instant, pid: Pid, end: End) {
        let end = match self.keeping.ends_detached {
            true => End::Forced,
            false => end,
        };
        self.guardians.end(now, &self.children, pid, end);
    }

    /// When [`Processes::kill_overdue`] wants to be called.
    pub fn next_kill(&self) -> Option<Instant> {
        self.guardians.next_kill()
    }

    /// Kills what was asked to end and did not.
    pub fn kill_overdue(&mut self, now: Instant) {
        self.guardians.kill_overdue(now, &self.children);
    }

    /// The key is revoked: no process gets more than a moment, not even one that a session has left
    /// behind long ago.
    pub fn revoke(&mut self, now: Instant) {
        self.end_all(now, limits::REVOKED_GRACE);
    }

    /// Asks every process of every session to end, and kills it where it has not within `grace`.
    pub fn end_all(&mut self, now: Instant, grace: Duration) {
        self.guardians.end_all(now, &self.children, grace);
    }

    /// All has been done to end them: what killed guardians could not remove goes.
    pub fn clear(&mut self) {
        self.guardians.remove_groups();
    }
}

fn exit_of(status: ExitStatus) -> Exit {
    match status {
        ExitStatus::Exited(code) => Exit::Code(u8::try_from(code & 0xff).unwrap_or(u8::MAX)),
        ExitStatus::Signaled(number) => Exit::Signal(u8::try_from(number).unwrap_or(u8::MAX)),
        ExitStatus::Unknown => Exit::Code(u8::MAX),
    }
}

/// Changes a terminal's size; a terminal that is closing does not mind.
pub fn resize(master: &pty::Master, size: TerminalSize) {
    let _ = master.resize(size);
}

fn failed(reason: String) -> NotSpawned {
    NotSpawned {
        code: 1,
        text: format!("failed starting command, reason={reason}"),
    }
}

fn explain(spec: &CommandSpec, on_terminal: bool, error: &SpawnError) -> NotSpawned {
    let program = spec.program.to_string_lossy();
    match error {
        SpawnError::NotFound => NotSpawned {
            code: 127,
            text: format!("exec: \"{program}\": executable file not found in $PATH"),
        },
        SpawnError::NotExecutable => NotSpawned {
            code: 126,
            text: format!("exec: \"{program}\": permission denied"),
        },
        SpawnError::Other(error) if on_terminal => NotSpawned {
            code: EXIT_INTERNAL,
            text: format!("failed starting pty, reason=no terminal (/dev/ptmx): {error}"),
        },
        SpawnError::Other(error) => failed(error.to_string()),
    }
}
