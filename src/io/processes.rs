//! From a command to a running process, and from a session's end to the last of its processes.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use super::child::{self, CommandSpec, SpawnError};
use super::children::Children;
use super::pty::{self, PtyChild};
use super::secret_files::{SecretFile, SecretFiles};
use super::signal::Signal;
use super::sys::{ExitStatus, Pid};
use crate::limits;
use crate::session::{Command, EXIT_INTERNAL, Exit, Size};

/// A process that runs, and what it needs while it does.
pub enum Spawned {
    /// With pipes.
    Pipes(child::PipedChild, Vec<SecretFile>),
    /// On a terminal.
    Terminal(PtyChild, Vec<SecretFile>),
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
    children: Children,
    secret_files: SecretFiles,
    search_path: OsString,
    /// Groups that were asked to end, oldest first, and when they will be made to.
    ending: VecDeque<(Instant, Pid)>,
    /// Leaders among them that have ended, and when to see whether their groups have too.
    leaderless: Vec<Pid>,
    check_at: Option<Instant>,
}

/// A process that ended by itself.
pub struct Ended {
    /// Its target, as it was given to [`Processes::track`].
    pub owner: usize,
    /// Its id; not released yet.
    pub pid: Pid,
    /// How.
    pub exit: Exit,
}

impl Processes {
    /// No process yet. Commands without a path are looked up in `search_path`.
    pub fn new(search_path: OsString) -> Self {
        Self {
            children: Children::new(),
            secret_files: SecretFiles::new(SecretFiles::default_bases()),
            search_path,
            ending: VecDeque::new(),
            leaderless: Vec::new(),
            check_at: None,
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

    /// Writes the command's files and starts it.
    pub fn spawn(&mut self, mut command: Command) -> Result<Spawned, NotSpawned> {
        if !self.children.has_room() {
            return Err(failed("the agent runs as many processes as it can".into()));
        }
        let mut environment = std::mem::take(&mut command.environment);
        let terminal = command.terminal;
        let mut kept = Vec::with_capacity(command.files.len());
        for (name, content) in std::mem::take(&mut command.files) {
            let file = self
                .secret_files
                .create(&content)
                .map_err(|error| NotSpawned {
                    code: EXIT_INTERNAL,
                    text: format!(
                        "internal error, failed executing pre command, reason=failed storing \
                     environment variable \"{name}\", err={error}"
                    ),
                })?;
            environment.push((name.into(), file.path().as_os_str().to_owned()));
            kept.push(file);
        }
        let paths: Vec<&OsStr> = kept.iter().map(|file| file.path().as_os_str()).collect();
        let mut argv = command.complete_argv(&paths).into_iter();
        let program = argv.next().unwrap_or_default();
        let path = environment.iter().rev().find(|(name, _)| name == "PATH");
        let search_path = path.map_or(&self.search_path, |(_, path)| path).clone();
        let spec = CommandSpec {
            program,
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
        terminal: Option<Size>,
        files: Vec<SecretFile>,
    ) -> Result<Spawned, SpawnError> {
        match terminal {
            None => child::spawn_pipes(spec).map(|child| Spawned::Pipes(child, files)),
            Some(size) => {
                pty::spawn_pty(spec, window(size)).map(|child| Spawned::Terminal(child, files))
            }
        }
    }

    /// Takes charge of a started process.
    pub fn track(&mut self, pid: Pid, owner: usize) {
        self.children.insert(pid, owner);
    }

    /// The next process that ended; call at every SIGCHLD until `None`.
    pub fn poll_ended(&mut self) -> Option<Ended> {
        let exited = self.children.poll_exited()?;
        let exit = match exited.status {
            ExitStatus::Exited(code) => Exit::Code(u8::try_from(code & 0xff).unwrap_or(u8::MAX)),
            ExitStatus::Signaled(number) => Exit::Signal(u8::try_from(number).unwrap_or(u8::MAX)),
            ExitStatus::Unknown => Exit::Code(u8::MAX),
        };
        Some(Ended {
            owner: exited.owner,
            pid: exited.pid,
            exit,
        })
    }

    /// A session is over: its group is asked to end, and made to after a while. With `is_over`,
    /// the leader has ended and nobody holds its output, so nobody is waited for.
    pub fn end(&mut self, now: Instant, pid: Pid, was_on_terminal: bool, is_over: bool) {
        if was_on_terminal {
            // A shell on a terminal ignores TERM but not the loss of its terminal.
            let _ = self.children.signal_group(pid, Signal::Hangup);
        }
        // Nobody is left to tell when there is no such group.
        let _ = self.children.signal_group(pid, Signal::Terminate);
        if is_over {
            self.children.release(pid);
        } else {
            // Until then the leader's id stays taken, so that the last signal can't hit another.
            self.ending.push_back((now + limits::KILL_GRACE, pid));
        }
    }

    /// Lets go of a process that has ended and leads no session.
    pub fn release(&mut self, pid: Pid) {
        self.children.release(pid);
    }

    /// The leader of a session that was asked to end is gone; its id stays taken until nobody
    /// else of the session runs.
    pub fn leader_gone(&mut self, now: Instant, pid: Pid) {
        self.leaderless.push(pid);
        self.check_at.get_or_insert(now + LEADERLESS_CHECK_DELAY);
    }

    /// When [`Processes::kill_overdue`] wants to be called.
    pub fn next_kill(&self) -> Option<Instant> {
        let kill = self.ending.front().map(|(at, _)| *at);
        kill.into_iter().chain(self.check_at).min()
    }

    /// Ends what was asked and did not.
    pub fn kill_overdue(&mut self, now: Instant) {
        if self.check_at.is_some_and(|at| at <= now) {
            self.check_at = None;
            self.release_empty_sessions();
        }
        let count = self.ending.partition_point(|(at, _)| *at <= now);
        self.kill_first(count);
    }

    /// Nobody who was asked to end may take more time than a revoked key leaves him.
    pub fn hasten(&mut self, now: Instant) {
        let latest = now + limits::REVOKED_GRACE;
        for (at, _) in &mut self.ending {
            *at = latest.min(*at);
        }
    }

    /// Lets go of leaders whose whole session has ended. One look at all processes serves all.
    fn release_empty_sessions(&mut self) {
        let Some(sessions) = living_sessions() else {
            return;
        };
        for pid in std::mem::take(&mut self.leaderless) {
            if sessions.contains(&pid) {
                continue;
            }
            self.children.release(pid);
            self.ending.retain(|(_, other)| *other != pid);
        }
    }

    /// Ends everything at once: the program is leaving.
    pub fn kill_all(&mut self) {
        self.kill_first(self.ending.len());
    }

    fn kill_first(&mut self, count: usize) {
        if count == 0 {
            return;
        }
        let pids: Vec<Pid> = self.ending.drain(..count).map(|(_, pid)| pid).collect();
        self.children.kill_sessions(&pids);
        for pid in &pids {
            self.children.release(*pid);
        }
        self.leaderless.retain(|pid| !pids.contains(pid));
    }
}

/// Sessions with a process that still runs; `None` where the system does not say.
fn living_sessions() -> Option<BTreeSet<Pid>> {
    let mut sessions = BTreeSet::new();
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let is_process = entry
            .file_name()
            .as_bytes()
            .first()
            .is_some_and(u8::is_ascii_digit);
        if !is_process {
            continue;
        }
        // One that ended in the meantime is of no interest.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        // The name in parentheses may hold anything; state, parent, group and session follow it.
        let mut fields = stat
            .rsplit(')')
            .next()
            .unwrap_or("")
            .split_ascii_whitespace();
        let (state, session) = (fields.next(), fields.nth(2));
        if state != Some("Z")
            && let Some(session) = session.and_then(|text| text.parse().ok())
        {
            sessions.insert(session);
        }
    }
    Some(sessions)
}

/// Leaders that end together are looked at together.
const LEADERLESS_CHECK_DELAY: Duration = Duration::from_millis(50);

fn window(size: Size) -> pty::Size {
    pty::Size {
        rows: size.rows,
        cols: size.columns,
        x_pixels: size.width,
        y_pixels: size.height,
    }
}

/// Changes a terminal's size; a terminal that is closing does not mind.
pub fn resize(master: &pty::Master, size: Size) {
    let _ = master.resize(window(size));
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
