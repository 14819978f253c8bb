//! Our own process: what it shows, allows and hands on, and the kernel's random bytes and locks.

use std::ffi::{c_char, c_int};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::check;
use super::signals::{SIGNAL_NUMBER_MAX, bit, is_ignored};

#[cfg(all(target_os = "linux", target_env = "gnu"))]
type Resource = libc::__rlimit_resource_t;
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
type Resource = std::ffi::c_int;

/// What we were started with and changed for ourselves only: children get it back.
#[derive(Clone, Copy)]
pub(super) struct Inherited {
    pub open_files: Option<libc::rlimit>,
    pub core_size: Option<libc::rlimit>,
    pub umask: libc::mode_t,
    /// Signals that we were told to ignore: bit n-1 is signal n.
    pub ignored: u64,
    /// Signals that we were told to leave waiting.
    pub blocked: libc::sigset_t,
}

pub(super) static INHERITED: OnceLock<Inherited> = OnceLock::new();

/// Hardens and enlarges this process. Call once at start; a second call does nothing.
///
/// No core dump and no peeking by processes of the same user (`PR_SET_DUMPABLE` 0), files that
/// we make are ours alone (umask 077), the soft limit of open files rises to the hard one, every
/// descriptor above 2 that we were started with is kept from our children, and a write to a
/// closed pipe is an error instead of a signal. Each step that the system refuses is left out:
/// none of them is worth not starting.
pub fn prepare_process() {
    INHERITED.get_or_init(|| {
        // Not to be had any more once we can't be looked into.
        let score = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/proc/self/oom_score_adj");
        if let Ok(score) = score {
            let _ = KILL_SCORE.set(score);
        }
        #[cfg(target_os = "linux")]
        // SAFETY: PR_SET_DUMPABLE takes integers only.
        unsafe {
            libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
        }
        let ignored = ignored_signals();
        // SAFETY: SIG_IGN is a valid disposition and SIGPIPE a valid signal.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
        keep_descriptors_from_children();
        Inherited {
            open_files: change_limit(libc::RLIMIT_NOFILE, |limit| limit.rlim_cur = limit.rlim_max),
            core_size: change_limit(libc::RLIMIT_CORE, |limit| limit.rlim_cur = 0),
            // SAFETY: umask cannot fail and touches no memory.
            umask: unsafe { libc::umask(0o077) },
            ignored,
            blocked: unblock_signals(),
        }
    });
}

/// std's start-up ignores SIGPIPE before `main` can look.
static PIPE_WAS_IGNORED: AtomicBool = AtomicBool::new(false);

#[cfg(target_os = "linux")]
#[used]
// SAFETY: the C library calls each function of this list once, before `main`.
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = {
    extern "C" fn note_sigpipe() {
        PIPE_WAS_IGNORED.store(is_ignored(libc::SIGPIPE), Ordering::Relaxed);
    }
    note_sigpipe
};

fn ignored_signals() -> u64 {
    let is_ignored = |number: &c_int| match *number {
        libc::SIGPIPE => PIPE_WAS_IGNORED.load(Ordering::Relaxed),
        number => is_ignored(number),
    };
    let numbers = (1..=SIGNAL_NUMBER_MAX).filter(is_ignored);
    numbers.fold(0, |set, number| set | bit(number))
}

/// Whether we were started with signal `number` ignored, as `nohup` does with SIGHUP.
pub fn was_ignored(number: c_int) -> bool {
    let ignored = INHERITED
        .get()
        .map_or_else(ignored_signals, |at| at.ignored);
    ignored & bit(number) != 0
}

/// Lets every signal through, and returns which did not come through before.
fn unblock_signals() -> libc::sigset_t {
    // SAFETY: both sets are valid when zeroed and outlive the calls.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        let mut before = none;
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, &raw mut before);
        before
    }
}

/// The score by which the kernel picks whom to kill for memory.
static KILL_SCORE: OnceLock<File> = OnceLock::new();

/// Ours is that of a session's processes, until this is dropped: a child takes it over.
pub struct RaisedKillScore {
    before: i32,
}

/// Makes the children that are started now more likely to be killed for memory than we are.
pub fn raise_kill_score() -> Option<RaisedKillScore> {
    const MORE: i32 = 500;
    const SCORE_MAX: i32 = 1000;
    let mut text = [0; 8];
    let size = KILL_SCORE.get()?.read_at(&mut text, 0).ok()?;
    let before = std::str::from_utf8(text.get(..size)?).ok()?;
    let before: i32 = before.trim_ascii().parse().ok()?;
    set_kill_score((before + MORE).clamp(0, SCORE_MAX));
    Some(RaisedKillScore { before })
}

impl Drop for RaisedKillScore {
    fn drop(&mut self) {
        // Going back to the old score needs no privilege.
        set_kill_score(self.before);
    }
}

fn set_kill_score(score: i32) {
    if let Some(file) = KILL_SCORE.get() {
        // Where it can't be set, we and our children have the same score.
        let _ = file.write_at(score.to_string().as_bytes(), 0);
    }
}

/// The soft limit of open files as it stands now; `u64::MAX` when there is none or it is unknown.
#[allow(clippy::useless_conversion, reason = "FreeBSD's type has a sign")]
pub fn open_files_max() -> u64 {
    let limit = read_limit(libc::RLIMIT_NOFILE).map(|limit| limit.rlim_cur);
    limit
        .and_then(|limit| limit.try_into().ok())
        .unwrap_or(u64::MAX)
}

fn read_limit(resource: Resource) -> Option<libc::rlimit> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` outlives the call, which only writes to it.
    (unsafe { libc::getrlimit(resource, &raw mut limit) } == 0).then_some(limit)
}

/// Returns the limit as it was, or nothing when it could not be changed.
fn change_limit(resource: Resource, change: fn(&mut libc::rlimit)) -> Option<libc::rlimit> {
    let before = read_limit(resource)?;
    let mut after = before;
    change(&mut after);
    // SAFETY: `after` outlives the call, which only reads it.
    (unsafe { libc::setrlimit(resource, &raw const after) } == 0).then_some(before)
}

/// Marks every descriptor above 2 close-on-exec.
fn keep_descriptors_from_children() {
    if close_range_on_exec() {
        return;
    }
    let list = if cfg!(target_os = "linux") {
        "/proc/self/fd"
    } else {
        "/dev/fd"
    };
    if let Ok(entries) = std::fs::read_dir(list) {
        for entry in entries.flatten() {
            if let Some(fd) = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
            {
                close_on_exec(fd);
            }
        }
    } else {
        let end = open_files_max().min(DESCRIPTORS_TRIED_MAX);
        (3..RawFd::try_from(end).unwrap_or(RawFd::MAX)).for_each(close_on_exec);
    }
}

/// Where neither the kernel nor /proc lists descriptors, a leaked one is looked for up to here.
const DESCRIPTORS_TRIED_MAX: u64 = 65_536;

pub(super) fn close_on_exec(fd: RawFd) {
    if fd > 2 {
        // SAFETY: F_SETFD takes an integer; a descriptor that is not open is an error, no harm.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

/// Linux 5.11: all descriptors above 2 in one call. Safe between fork and exec.
pub(super) fn close_range_on_exec() -> bool {
    #[cfg(target_os = "linux")]
    {
        const CLOSE_RANGE_CLOEXEC: u32 = 4;
        // SAFETY: three integers; with this flag nothing is closed before an exec.
        unsafe { libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, CLOSE_RANGE_CLOEXEC) == 0 }
    }
    #[cfg(not(target_os = "linux"))]
    false
}

/// Overwrites the values of `names` in the block that the kernel shows as
/// `/proc/<pid>/environ`, then removes the variables. What was read from them before stays with
/// the reader.
///
/// Call at start, **before the first thread and before any variable is set**: neither the block
/// nor the C library's list is locked.
pub fn wipe_environment(names: &[&str]) {
    // SAFETY: by contract no other thread reads or changes the environment. The list ends with a
    // null pointer and each entry is a NUL-terminated string in writable memory: the kernel's
    // block, or the C library's heap.
    unsafe {
        let mut entry = environment_list();
        while !entry.is_null() && !(*entry).is_null() {
            let length = libc::strlen(*entry);
            let bytes = std::slice::from_raw_parts_mut((*entry).cast::<u8>(), length);
            wipe_value(bytes, names);
            entry = entry.add(1);
        }
        for name in names {
            std::env::remove_var(name);
        }
    }
}

fn wipe_value(entry: &mut [u8], names: &[&str]) {
    let Some(split) = entry.iter().position(|&byte| byte == b'=') else {
        return;
    };
    let (name, value) = entry.split_at_mut(split + 1);
    if names
        .iter()
        .any(|wanted| wanted.as_bytes() == &name[..split])
    {
        value.fill(0);
    }
}

fn environment_list() -> *mut *mut c_char {
    #[cfg(target_vendor = "apple")]
    // SAFETY: the function returns the address of the C library's list, never null.
    unsafe {
        *libc::_NSGetEnviron()
    }
    #[cfg(not(target_vendor = "apple"))]
    {
        unsafe extern "C" {
            static mut environ: *mut *mut c_char;
        }
        // SAFETY: every unix C library defines `environ`; only the pointer is copied.
        unsafe { environ }
    }
}

/// Has the C library read this list, which lasts as long as the process. To be called between fork and exec.
pub(super) fn set_environment_list(list: *mut *mut c_char) {
    #[cfg(target_vendor = "apple")]
    // SAFETY: as in `environment_list`; the child has no other thread.
    unsafe {
        *libc::_NSGetEnviron() = list;
    }
    #[cfg(not(target_vendor = "apple"))]
    {
        unsafe extern "C" {
            static mut environ: *mut *mut c_char;
        }
        // SAFETY: as in `environment_list`; the child has no other thread.
        unsafe { environ = list }
    }
}

/// Closes every descriptor from `first` on. May be called between fork and exec.
pub(super) fn close_descriptors_from(first: RawFd) {
    #[cfg(target_os = "linux")]
    // SAFETY: three integers; the caller lets go of the descriptors.
    if unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0u32) } == 0 {
        return;
    }
    let end = open_files_max().min(DESCRIPTORS_TRIED_MAX);
    for fd in first..RawFd::try_from(end).unwrap_or(first) {
        // SAFETY: as above; one that is not open is an error, no harm.
        unsafe { libc::close(fd) };
    }
}

/// Fills `bytes` from the kernel's random source.
pub fn random_bytes(bytes: &mut [u8]) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "freebsd"))]
    {
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            // SAFETY: the pointer and the length describe `rest`, which is ours to write.
            let n = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
            match usize::try_from(n) {
                Ok(n) => filled += n,
                Err(_) => {
                    let error = io::Error::last_os_error();
                    if error.kind() != io::ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
            }
        }
        Ok(())
    }
    #[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
    io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, bytes)
}

/// The user that files we make belong to.
pub fn effective_user() -> u32 {
    // SAFETY: cannot fail and touches no memory.
    unsafe { libc::geteuid() }
}

/// Keeps the pages of `bytes` from being written to swap space, as far as the system lets us.
pub fn lock_memory(bytes: &[u8]) {
    // SAFETY: only the pages' place changes; an address range that is mapped, since it is borrowed.
    unsafe { libc::mlock(bytes.as_ptr().cast(), bytes.len()) };
}

/// Becomes another user for good, with no group but `group`. Call before the first thread.
pub fn become_user(user: u32, group: u32) -> io::Result<()> {
    // SAFETY: integers, and an empty list.
    unsafe {
        check(libc::setgroups(0, std::ptr::null()))?;
        check(libc::setgid(group))?;
        check(libc::setuid(user))?;
    }
    // The kernel may have made us visible again.
    #[cfg(target_os = "linux")]
    // SAFETY: integers only.
    unsafe {
        libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
    }
    Ok(())
}

/// Tries to take the exclusive advisory lock of an open file or directory, without waiting.
/// `false`: another open description holds it. The kernel lets go when the holder dies.
pub fn try_lock(file: BorrowedFd<'_>) -> io::Result<bool> {
    // SAFETY: the descriptor is open as long as it is borrowed.
    match check(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) }) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}
