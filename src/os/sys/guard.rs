//! The guardian of a session: a small process between us and the session's leader.
//!
//! The kernel makes it the parent of every process of the session that loses its own (it is a
//! *child subreaper*), so it can tell and kill each of them by an id that nobody else can have: it
//! alone collects them. It needs us for nothing but orders: where we are gone, by SIGKILL even, its
//! socket ends, and it kills what is left of the session.
//!
//! It is a fork of us that executes our own program anew, so that it shares no memory with us; where
//! that is not possible it goes on as a fork. So nothing below `guard` allocates or can panic.

use std::ffi::{CStr, CString, c_char, c_int};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::kernel_files::{GUARDIAN_DESCRIPTORS, NUMBER_BYTES, Proc, decimal, write_file};
use super::own::close_descriptors_from;
use super::stopped_tree::{kill_tree, signal};
use super::{Pid, check};

/// The name under which our program is a guardian, as its argument 0 and in lists of processes: as
/// long as the kernel shows.
pub const GUARDIAN: &str = "hoop-lite-guard";

/// What we tell a guardian; one byte each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Order {
    /// Ask whoever has not detached itself to end.
    EndAttached = b'a',
    /// Kill whoever has not detached itself.
    KillAttached = b'A',
    /// Ask everybody to end.
    EndAll = b'e',
    /// Kill everybody.
    KillAll = b'E',
}

/// What a session's guardian has to know.
pub struct Watch {
    /// Its end of the socket by which it gets orders and reports the leader's end.
    pub control: OwnedFd,
    /// The leader has a controlling terminal.
    pub on_terminal: bool,
    /// The control group that the session lives in; empty without one.
    pub control_group: CString,
    /// A folder of secret files to be removed when we are gone; empty without one.
    pub secrets: CString,
}

/// Guardians execute our program anew; see [`be_guardian`].
static BY_EXEC: AtomicBool = AtomicBool::new(false);

/// From now on guardians execute `/proc/self/exe`: the caller's `main` calls [`be_guardian`].
pub fn let_guardians_execute() {
    BY_EXEC.store(true, Ordering::Relaxed);
}

/// Called between fork and exec: goes on in a child that is going to be the leader, while the caller
/// becomes its guardian.
pub(super) fn split(watch: &Watch) -> io::Result<()> {
    let proc = Proc::open();
    // SAFETY: plain system calls on local memory; `fork` may be called in a forked child.
    let leader = unsafe {
        // Away from our terminal's signals; and no signal but KILL and STOP reaches it.
        libc::setsid();
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut());
        #[cfg(target_os = "linux")]
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        check(libc::fork())?
    };
    if leader > 0 {
        become_guardian(watch, leader, proc);
    }
    // A session that kills its guardian does not free its leader by that.
    #[cfg(target_os = "linux")]
    // SAFETY: integers only.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
    }
    if !watch.control_group.is_empty() {
        // An agent in another PID namespace may have removed it as a leftover; the guardian does
        // without.
        write_file(&watch.control_group, c"cgroup.procs", b"0");
    }
    Ok(())
}

fn become_guardian(watch: &Watch, leader: Pid, proc: Proc) -> ! {
    let control = watch.control.as_raw_fd();
    let kind = if watch.on_terminal { c"t" } else { c"p" };
    let mut digits = [0; NUMBER_BYTES];
    let name = c"hoop-lite-guard";
    let words: [*const c_char; 6] = [
        name.as_ptr(),
        decimal(leader, &mut digits).as_ptr(),
        kind.as_ptr(),
        watch.control_group.as_ptr(),
        watch.secrets.as_ptr(),
        std::ptr::null(),
    ];
    let no_variables: [*const c_char; 1] = [std::ptr::null()];
    // SAFETY: the words and the list are NUL-terminated and outlive the call, and so do the
    // descriptors.
    unsafe {
        for standard in 0..=2 {
            libc::dup2(control, standard);
        }
        proc.keep();
        if BY_EXEC.load(Ordering::Relaxed) {
            let path = c"/proc/self/exe".as_ptr();
            libc::execve(path, words.as_ptr(), no_variables.as_ptr());
        }
    }
    close_descriptors_from(GUARDIAN_DESCRIPTORS);
    guard(leader, watch.on_terminal, &watch.control_group);
    // SAFETY: ends this process without running anything of ours.
    unsafe { libc::_exit(0) }
}

/// The way from `main` when we were executed as a guardian: `arguments` are those of
/// `become_guardian` behind the name. Does nothing for anybody else.
pub fn be_guardian(arguments: &[CString]) {
    let [leader, kind, control_group, secrets] = arguments else {
        return;
    };
    let Some(leader) = leader.to_str().ok().and_then(|text| text.parse().ok()) else {
        return;
    };
    #[cfg(target_os = "linux")]
    // SAFETY: integers, and a NUL-terminated name that the call copies.
    unsafe {
        libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
        libc::prctl(libc::PR_SET_NAME, c"hoop-lite-guard".as_ptr(), 0, 0, 0);
    }
    let we_are_gone = guard(leader, kind.as_c_str() == c"t", control_group);
    if let Ok(folder) = secrets.to_str()
        && we_are_gone
        && !folder.is_empty()
    {
        let _ = std::fs::remove_dir_all(Path::new(folder));
    }
}

/// Watches until nobody of the session is left; whether the agent was gone by then.
fn guard(leader: Pid, on_terminal: bool, control_group: &CStr) -> bool {
    let mut guardian = Guardian {
        leader,
        leader_lives: true,
        on_terminal,
        group_is_told: false,
        control_group,
        proc: Proc::kept(),
        order: None,
        told: [0; TOLD_MAX],
        kills: 0,
        agent_is_gone: false,
    };
    guardian.watch();
    if !control_group.is_empty() {
        // SAFETY: a NUL-terminated path that outlives the call.
        unsafe { libc::rmdir(control_group.as_ptr()) };
    }
    guardian.agent_is_gone
}

/// Processes that are remembered as asked to end, so that nobody is asked twice. When there are more,
/// some are not asked but killed when their time is up.
const TOLD_MAX: usize = 128;

/// The descriptor of the socket in a guardian.
const CONTROL: c_int = 0;

struct Guardian<'a> {
    leader: Pid,
    /// Not collected yet, so that its id and its group's are taken.
    leader_lives: bool,
    on_terminal: bool,
    group_is_told: bool,
    control_group: &'a CStr,
    proc: Proc,
    order: Option<Order>,
    told: [Pid; TOLD_MAX],
    /// Times that everybody was killed.
    kills: u32,
    agent_is_gone: bool,
}

impl Guardian<'_> {
    fn watch(&mut self) {
        let ends = child_ends();
        while self.collect() {
            match self.order {
                None => {}
                Some(Order::EndAttached) => self.ask(false),
                Some(Order::EndAll) => self.ask(true),
                Some(Order::KillAttached) => self.kill(false),
                Some(Order::KillAll) => {
                    self.kill(true);
                    self.kills = self.kills.saturating_add(1);
                }
            }
            self.wait(ends);
        }
    }

    /// Collects who has ended; `false` when nobody is left.
    fn collect(&mut self) -> bool {
        loop {
            let mut status = 0;
            // SAFETY: the status outlives the call, which only writes to it.
            let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
            if pid <= 0 {
                return pid == 0;
            }
            if pid == self.leader && self.leader_lives {
                self.leader_lives = false;
                send(&status.to_ne_bytes());
            }
            for told in &mut self.told {
                if *told == pid {
                    *told = 0;
                }
            }
        }
    }

    /// Waits for an order, the end of the agent or the end of a child.
    fn wait(&mut self, ends: c_int) {
        let mut scratch = [0u8; 256];
        // SAFETY: a set of descriptors, a time and a buffer that outlive the calls; the descriptors are
        // among the first few, where the set has room, and `read` is asked for no more than the
        // buffer's size.
        unsafe {
            // Unlike poll(2), select(2) does not mind a limit of descriptors that is put on us.
            let mut sources: libc::fd_set = std::mem::zeroed();
            if !self.agent_is_gone {
                libc::FD_SET(CONTROL, &raw mut sources);
            }
            if ends >= 0 {
                libc::FD_SET(ends, &raw mut sources);
            }
            let patience = match self.order {
                Some(Order::KillAll) => Some(KILL_POLL_MS << self.kills.min(KILL_POLL_DOUBLED_MAX)),
                _ if ends < 0 => Some(POLL_MS),
                _ => None,
            };
            let mut time = libc::timeval {
                tv_sec: 0,
                tv_usec: (patience.unwrap_or(0) * 1000) as _,
            };
            let time = match patience {
                Some(_) => &raw mut time,
                None => std::ptr::null_mut(),
            };
            let (sources, none) = (&raw mut sources, std::ptr::null_mut());
            if libc::select(CONTROL.max(ends) + 1, sources, none, none, time) <= 0 {
                return;
            }
            if ends >= 0 && libc::FD_ISSET(ends, sources) {
                libc::read(ends, scratch.as_mut_ptr().cast(), scratch.len());
            }
            if !libc::FD_ISSET(CONTROL, sources) {
                return;
            }
            let size = libc::read(CONTROL, scratch.as_mut_ptr().cast(), scratch.len());
            let size = usize::try_from(size).unwrap_or(0);
            self.agent_is_gone = size == 0;
            for byte in scratch.iter().take(size) {
                self.order = order(*byte).or(self.order);
            }
        }
        if self.agent_is_gone {
            self.order = Some(Order::KillAll);
        }
    }

    /// Asks to end: the leader's group, and everybody else who has lost its parent.
    fn ask(&mut self, all: bool) {
        if self.leader_lives && !self.group_is_told {
            self.group_is_told = true;
            if self.on_terminal {
                // A shell on a terminal ignores TERM but not the loss of its terminal.
                signal(-self.leader, libc::SIGHUP);
            }
            signal(-self.leader, libc::SIGTERM);
            signal(-self.leader, libc::SIGCONT);
        }
        let proc = self.proc;
        proc.for_each_child(|child| {
            // SAFETY: integers only; the child is not collected, so the id is its own.
            let group = unsafe { libc::getpgid(child) };
            let was_told = self.told.contains(&child) || self.group_is_told && group == self.leader;
            if !was_told && (all || self.is_attached(child)) {
                signal(child, libc::SIGTERM);
                // A stopped process would not notice.
                signal(child, libc::SIGCONT);
                if let Some(free) = self.told.iter_mut().find(|pid| **pid == 0) {
                    *free = child;
                }
            }
        });
    }

    /// Kills those that the kernel has made our children; those whose parent dies are next. When all are
    /// to die, kills whatever can be found below us, too.
    fn kill(&self, all: bool) {
        if all && !self.control_group.is_empty() {
            // Linux 5.14; without it the children are killed one by one.
            write_file(self.control_group, c"cgroup.kill", b"1");
        }
        if all {
            kill_tree(&self.proc);
        }
        if all && self.leader_lives {
            signal(-self.leader, libc::SIGKILL);
        }
        self.proc.for_each_child(|child| {
            if all || self.is_attached(child) {
                signal(child, libc::SIGKILL);
            }
        });
    }

    /// It lives in the leader's session, and would notice a hang-up.
    fn is_attached(&self, child: Pid) -> bool {
        // SAFETY: integers only; the child is not collected, so the id is its own.
        let session = unsafe { libc::getsid(child) };
        session == self.leader && !self.proc.ignores_hangup(child)
    }
}

/// Where the end of a child can't be waited for, it is looked for this often.
const POLL_MS: i32 = if cfg!(target_os = "linux") { 999 } else { 100 };

/// How soon all are killed again while one of the killed still lives: a fork that found no place before
/// may find one now. Twice as late each time, since what may not be signalled ends when it wants to.
const KILL_POLL_MS: i32 = 5;
const KILL_POLL_DOUBLED_MAX: u32 = 7;

/// A descriptor that can be read when a child has ended; -1 where there is none.
fn child_ends() -> c_int {
    #[cfg(target_os = "linux")]
    // SAFETY: the set is valid when zeroed and outlives the call.
    unsafe {
        let mut ends: libc::sigset_t = std::mem::zeroed();
        libc::sigaddset(&raw mut ends, libc::SIGCHLD);
        libc::signalfd(-1, &raw const ends, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    }
    #[cfg(not(target_os = "linux"))]
    -1
}

fn order(byte: u8) -> Option<Order> {
    let all = [
        Order::EndAttached,
        Order::KillAttached,
        Order::EndAll,
        Order::KillAll,
    ];
    all.into_iter().find(|order| *order as u8 == byte)
}

fn send(bytes: &[u8]) {
    // SAFETY: pointer and length are of `bytes`. Nobody is left to tell when it fails.
    unsafe { libc::write(CONTROL, bytes.as_ptr().cast(), bytes.len()) };
}
