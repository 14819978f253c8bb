//! Children: how they start, end and are told to end.

use std::ffi::{CString, c_int};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::domain::enter_domain;
use super::environment::EnvironmentBlock;
use super::guard::{Watch, split};
use super::own::{INHERITED, Inherited, close_range_on_exec};
use super::signals::{SIGNAL_NUMBER_MAX, bit, set_disposition};
use super::{Pid, check};

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// It returned this code, 0 to 255.
    Exited(i32),
    /// This signal ended it.
    Signaled(i32),
    /// Somebody else collected it; how it ended is not known.
    Unknown,
}

impl ExitStatus {
    /// The code that the user sees: the program's own, 128 and the signal's number for a death
    /// by signal, 254 when it is not known.
    pub fn code(self) -> i32 {
        match self {
            ExitStatus::Exited(code) => code,
            ExitStatus::Signaled(number) => 128 + number,
            ExitStatus::Unknown => 254,
        }
    }
}

/// Where a child lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildPlace {
    /// In our own session, process group and terminal.
    Beside,
    /// In a session and process group of its own.
    Session,
    /// The same, with descriptor 0 as the controlling terminal.
    Terminal,
}

/// How the processes of a session are watched over and shut off.
pub struct Custody {
    /// The guardian between us and the leader; none where only tests look.
    pub watch: Option<Watch>,
    /// They live in a Landlock domain of their own.
    pub is_separate: bool,
}

/// Makes `command` start in its `place`, with nothing but `environment`, the limits and umask that we were started
/// with and no descriptor but 0, 1 and 2. A session starts with default signals and an empty signal mask, what
/// is beside us with those that we were started with. With a guardian, the child that std sees is
/// the guardian.
pub fn detach_child(
    command: &mut Command,
    place: ChildPlace,
    custody: Custody,
    environment: EnvironmentBlock,
) {
    let inherited = INHERITED.get().copied();
    // SAFETY: between fork and exec the closure makes plain system calls only: it takes no lock,
    // allocates nothing and touches no state of other threads.
    unsafe {
        command.pre_exec(move || {
            if let Some(watch) = &custody.watch {
                split(watch)?;
            }
            if place != ChildPlace::Beside {
                check(libc::setsid())?;
            }
            if place == ChildPlace::Terminal {
                check(libc::ioctl(0, libc::TIOCSCTTY as _, 0))?;
            }
            default_signals();
            if let Some(inherited) = inherited {
                restore(&inherited);
                if place == ChildPlace::Beside {
                    restore_signals(&inherited);
                }
            }
            close_range_on_exec();
            environment.install();
            match custody.is_separate {
                true => enter_domain(),
                false => Ok(()),
            }
        });
    }
}

/// Called between fork and exec.
fn default_signals() {
    for number in 1..=SIGNAL_NUMBER_MAX {
        set_disposition(number, libc::SIG_DFL);
    }
    // SAFETY: the set is valid when zeroed and outlives the calls.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Called between fork and exec, after [`default_signals`].
fn restore_signals(inherited: &Inherited) {
    for number in 1..=SIGNAL_NUMBER_MAX {
        if inherited.ignored & bit(number) != 0 {
            set_disposition(number, libc::SIG_IGN);
        }
    }
    let (set, none) = (&raw const inherited.blocked, std::ptr::null_mut());
    // SAFETY: the set outlives the call, which only reads it.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, set, none) };
}

/// Called between fork and exec.
fn restore(inherited: &Inherited) {
    // SAFETY: the limits outlive the calls, which only read them.
    unsafe {
        if let Some(limit) = &inherited.open_files {
            libc::setrlimit(libc::RLIMIT_NOFILE, limit);
        }
        if let Some(limit) = &inherited.core_size {
            libc::setrlimit(libc::RLIMIT_CORE, limit);
        }
        libc::umask(inherited.umask);
    }
}

/// Whether the kernel would let us execute `path`, as far as its permissions tell.
pub fn may_execute(path: &Path) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_encoded_bytes()) else {
        return false;
    };
    // SAFETY: the string is NUL-terminated and outlives the call.
    unsafe { libc::access(path.as_ptr(), libc::X_OK) == 0 }
}

/// Looks for an exited child without collecting it: its id stays taken. `None` for `pid` means
/// any child. `Ok(None)`: none has exited yet.
pub fn peek_exit(pid: Option<Pid>) -> io::Result<Option<(Pid, ExitStatus)>> {
    let (kind, id) = match pid.and_then(|pid| libc::id_t::try_from(pid).ok()) {
        Some(id) => (libc::P_PID, id),
        None => (libc::P_ALL, 0),
    };
    // SAFETY: zeroed is valid for a structure of integers and pointers; the call only writes to
    // it, and for an exited child it fills `si_pid` and `si_status`.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        check(libc::waitid(kind, id, &raw mut info, flags))?;
        if info.si_pid() == 0 {
            return Ok(None);
        }
        let status = match info.si_code {
            libc::CLD_EXITED => ExitStatus::Exited(info.si_status()),
            _ => ExitStatus::Signaled(info.si_status()),
        };
        Ok(Some((info.si_pid(), status)))
    }
}

/// Collects an exited child; from here on its id may be given to another process. `false`: it
/// still runs, or is no child of ours.
pub fn collect(pid: Pid) -> bool {
    // SAFETY: a null status pointer is allowed.
    pid > 0 && unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::WNOHANG) } == pid
}

/// Sends a signal to one process. A process that is gone is no error.
pub fn signal_process(pid: Pid, number: c_int) -> io::Result<()> {
    if pid <= 1 {
        // These mean others, too.
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: integers only.
    match check(unsafe { libc::kill(pid, number) }) {
        Err(error) if error.raw_os_error() != Some(libc::ESRCH) => Err(error),
        _ => Ok(()),
    }
}
