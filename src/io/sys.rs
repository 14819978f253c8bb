//! Thin safe wrappers over the system calls that std and mio do not offer.
//!
//! The only module with `unsafe`. It promises that every function is sound for any argument and
//! that an error is the kernel's own; what the calls are good for is its callers' business.
//! Linux is the product's system; elsewhere the nearest portable call is made, or none.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

/// A process id; the id of a process group is that of its leader.
pub type Pid = libc::pid_t;

#[cfg(all(target_os = "linux", target_env = "gnu"))]
type Resource = libc::__rlimit_resource_t;
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
type Resource = c_int;

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

// ---- our own process ------------------------------------------------------------------------

/// What we were started with and changed for ourselves only: children get it back.
#[derive(Clone, Copy)]
struct Inherited {
    open_files: Option<libc::rlimit>,
    core_size: Option<libc::rlimit>,
    umask: libc::mode_t,
}

static INHERITED: OnceLock<Inherited> = OnceLock::new();

/// Hardens and enlarges this process. Call once at start; a second call does nothing.
///
/// No core dump and no peeking by processes of the same user (`PR_SET_DUMPABLE` 0), files that
/// we make are ours alone (umask 077), the soft limit of open files rises to the hard one, every
/// descriptor above 2 that we were started with is kept from our children, and a write to a
/// closed pipe is an error instead of a signal. Each step that the system refuses is left out:
/// none of them is worth not starting.
pub fn prepare_process() {
    INHERITED.get_or_init(|| {
        #[cfg(target_os = "linux")]
        // SAFETY: PR_SET_DUMPABLE takes integers only.
        unsafe {
            libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
        }
        // SAFETY: SIG_IGN is a valid disposition and SIGPIPE a valid signal.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
        keep_descriptors_from_children();
        Inherited {
            open_files: change_limit(libc::RLIMIT_NOFILE, |limit| limit.rlim_cur = limit.rlim_max),
            core_size: change_limit(libc::RLIMIT_CORE, |limit| limit.rlim_cur = 0),
            // SAFETY: umask cannot fail and touches no memory.
            umask: unsafe { libc::umask(0o077) },
        }
    });
}

/// The soft limit of open files as it stands now; `u64::MAX` when there is none or it is unknown.
pub fn open_files_max() -> u64 {
    read_limit(libc::RLIMIT_NOFILE).map_or(u64::MAX, |limit| limit.rlim_cur)
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

fn close_on_exec(fd: RawFd) {
    if fd > 2 {
        // SAFETY: F_SETFD takes an integer; a descriptor that is not open is an error, no harm.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

/// Linux 5.11: all descriptors above 2 in one call. Safe between fork and exec.
fn close_range_on_exec() -> bool {
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

// ---- children -------------------------------------------------------------------------------

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

/// Makes `command` start in a session and process group of its own, with the limits and umask
/// that we were started with, default signals, an empty signal mask and no descriptor but 0, 1
/// and 2. With `terminal`, descriptor 0 becomes its controlling terminal.
pub fn detach_child(command: &mut Command, terminal: bool) {
    let inherited = INHERITED.get().copied();
    // SAFETY: between fork and exec the closure makes plain system calls only: it takes no lock,
    // allocates nothing and touches no state of other threads.
    unsafe {
        command.pre_exec(move || {
            check(libc::setsid())?;
            if terminal {
                check(libc::ioctl(0, libc::TIOCSCTTY as _, 0))?;
            }
            default_signals();
            if let Some(inherited) = inherited {
                restore(&inherited);
            }
            close_range_on_exec();
            Ok(())
        });
    }
}

/// Called between fork and exec.
fn default_signals() {
    /// Real-time signals included; numbers that do not exist are refused by the kernel.
    const SIGNAL_NUMBER_MAX: c_int = 64;
    // SAFETY: both structures are valid when zeroed (SIG_DFL is 0) and outlive the calls.
    unsafe {
        let action: libc::sigaction = std::mem::zeroed();
        for number in 1..=SIGNAL_NUMBER_MAX {
            libc::sigaction(number, &raw const action, std::ptr::null_mut());
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
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
    // SAFETY: integers only; 0, 1 and negative ids, which mean others, are refused.
    send(pid, || unsafe { libc::kill(pid, number) })
}

/// Sends a signal to a process group. A group that is gone is no error.
pub fn signal_group(group: Pid, number: c_int) -> io::Result<()> {
    // SAFETY: integers only; 0, 1 and negative ids, which mean others, are refused.
    send(group, || unsafe { libc::killpg(group, number) })
}

fn send(pid: Pid, call: impl FnOnce() -> c_int) -> io::Result<()> {
    if pid <= 1 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    match check(call()) {
        Err(error) if error.raw_os_error() != Some(libc::ESRCH) => Err(error),
        _ => Ok(()),
    }
}

// ---- terminals ------------------------------------------------------------------------------

/// Opens a pseudo-terminal: its master, non-blocking, and its slave. Both close on exec.
#[cfg(target_os = "linux")]
pub fn open_terminal() -> io::Result<(OwnedFd, OwnedFd)> {
    let master = open_terminal_file("/dev/ptmx", libc::O_NONBLOCK)
        .or_else(|_| open_terminal_file("/dev/pts/ptmx", libc::O_NONBLOCK))?;
    let locked: c_int = 0;
    // SAFETY: TIOCSPTLCK reads one int, TIOCGPTPEER takes open flags and returns a new
    // descriptor that nobody else owns, TIOCGPTN writes one unsigned int.
    unsafe {
        check(libc::ioctl(
            master.as_raw_fd(),
            libc::TIOCSPTLCK,
            &raw const locked,
        ))?;
        let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
        // Linux 4.13; works where /dev/pts is not mounted at its usual place.
        let slave = libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags);
        if slave >= 0 {
            return Ok((master, OwnedFd::from_raw_fd(slave)));
        }
        let mut number: libc::c_uint = 0;
        check(libc::ioctl(
            master.as_raw_fd(),
            libc::TIOCGPTN,
            &raw mut number,
        ))?;
        let slave = open_terminal_file(&format!("/dev/pts/{number}"), 0)?;
        Ok((master, slave))
    }
}

/// Opens a pseudo-terminal: its master, non-blocking, and its slave. Both close on exec.
#[cfg(not(target_os = "linux"))]
pub fn open_terminal() -> io::Result<(OwnedFd, OwnedFd)> {
    // SAFETY: the new descriptor is owned by nobody else; `ptsname` returns a NUL-terminated
    // string that is copied before the next call could change it.
    unsafe {
        let fd = check(libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY))?;
        let master = OwnedFd::from_raw_fd(fd);
        close_on_exec(fd);
        check(libc::grantpt(fd))?;
        check(libc::unlockpt(fd))?;
        let name = libc::ptsname(fd);
        if name.is_null() {
            return Err(io::Error::last_os_error());
        }
        let slave = open_terminal_file(&CStr::from_ptr(name).to_string_lossy(), 0)?;
        let flags = check(libc::fcntl(fd, libc::F_GETFL))?;
        check(libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK))?;
        Ok((master, slave))
    }
}

fn open_terminal_file(path: &str, flags: c_int) -> io::Result<OwnedFd> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true);
    options.custom_flags(flags | libc::O_NOCTTY);
    Ok(options.open(path)?.into())
}

/// Sets the window size of a terminal; the foreground processes are told by SIGWINCH.
pub fn set_window_size(
    terminal: BorrowedFd<'_>,
    rows: u16,
    cols: u16,
    x_pixels: u16,
    y_pixels: u16,
) -> io::Result<()> {
    let size = libc::winsize {
        ws_row: rows,
        ws_col: cols,
        ws_xpixel: x_pixels,
        ws_ypixel: y_pixels,
    };
    // SAFETY: `size` outlives the call, which only reads it.
    let result =
        unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ as _, &raw const size) };
    check(result).map(drop)
}

/// Tells the line editor of a terminal that its input is UTF-8, so that erase takes whole
/// characters. Everything else keeps the kernel's defaults.
pub fn set_utf8_input(terminal: BorrowedFd<'_>) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    // SAFETY: the structure is valid when zeroed and outlives both calls.
    unsafe {
        let mut settings: libc::termios = std::mem::zeroed();
        check(libc::tcgetattr(terminal.as_raw_fd(), &raw mut settings))?;
        settings.c_iflag |= libc::IUTF8;
        check(libc::tcsetattr(
            terminal.as_raw_fd(),
            libc::TCSANOW,
            &raw const settings,
        ))?;
    }
    let _ = terminal;
    Ok(())
}

// ---- signals --------------------------------------------------------------------------------

/// Signals caught and not yet taken: bit n is signal n.
static SIGNALS_CAUGHT: AtomicU32 = AtomicU32::new(0);
/// Where the handler writes a byte to wake the loop; -1: nowhere.
static SIGNALS_WAKE: AtomicI32 = AtomicI32::new(-1);

extern "C" fn on_signal(number: c_int) {
    // Only numbers below 32 are registered, so the shift stays inside the word.
    SIGNALS_CAUGHT.fetch_or(1u32.wrapping_shl(number.cast_unsigned()), Ordering::SeqCst);
    let wake = SIGNALS_WAKE.load(Ordering::SeqCst);
    // SAFETY: `write` may be called in a handler; the byte is static; a full or closed pipe is an
    // error that changes nothing. errno is put back for the code that was interrupted.
    unsafe {
        let saved = *errno_location();
        libc::write(wake, b"!".as_ptr().cast(), 1);
        *errno_location() = saved;
    }
}

unsafe fn errno_location() -> *mut c_int {
    #[cfg(any(target_os = "linux", target_os = "dragonfly"))]
    // SAFETY: always returns the calling thread's errno.
    unsafe {
        libc::__errno_location()
    }
    #[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
    // SAFETY: always returns the calling thread's errno.
    unsafe {
        libc::__error()
    }
    #[cfg(any(target_os = "netbsd", target_os = "openbsd"))]
    // SAFETY: always returns the calling thread's errno.
    unsafe {
        libc::__errno()
    }
}

/// Lets caught signals write to `wake` (non-blocking), or stops that. `false`: another
/// descriptor already gets them.
pub fn wake_on_signals(wake: Option<BorrowedFd<'_>>) -> bool {
    match wake {
        Some(fd) => SIGNALS_WAKE
            .compare_exchange(-1, fd.as_raw_fd(), Ordering::SeqCst, Ordering::SeqCst)
            .is_ok(),
        None => SIGNALS_WAKE.swap(-1, Ordering::SeqCst) >= 0,
    }
}

/// Catches signal `number` (below 32) from now on; see [`take_signals`].
pub fn catch_signal(number: c_int) -> io::Result<()> {
    if !(1..32).contains(&number) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: the handler only makes async-signal-safe calls; the structure is valid when zeroed
    // (empty mask) and outlives the call.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_signal as extern "C" fn(c_int) as libc::sighandler_t;
        action.sa_flags = libc::SA_RESTART | libc::SA_NOCLDSTOP;
        check(libc::sigaction(
            number,
            &raw const action,
            std::ptr::null_mut(),
        ))
        .map(drop)
    }
}

/// Whether we were told to ignore signal `number`, as `nohup` does with SIGHUP.
pub fn is_ignored(number: c_int) -> bool {
    // SAFETY: with a null new action the call only writes the old one, valid when zeroed.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(number, std::ptr::null(), &raw mut action) == 0
            && action.sa_sigaction == libc::SIG_IGN
    }
}

/// The signals caught since the last call: bit n is signal n.
pub fn take_signals() -> u32 {
    SIGNALS_CAUGHT.swap(0, Ordering::SeqCst)
}

// ---- sockets --------------------------------------------------------------------------------

fn set_option<T>(fd: BorrowedFd<'_>, level: c_int, name: c_int, value: &T) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0);
    // SAFETY: pointer and length describe `value`, which the call only reads.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            name,
            (&raw const *value).cast(),
            length,
        )
    };
    check(result).map(drop)
}

/// Ends a TCP connection whose sent bytes stay unacknowledged for `timeout_ms`.
pub fn set_user_timeout(socket: BorrowedFd<'_>, timeout_ms: u32) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    return set_option(
        socket,
        libc::IPPROTO_TCP,
        libc::TCP_USER_TIMEOUT,
        &timeout_ms,
    );
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (socket, timeout_ms);
        Ok(())
    }
}

/// Probes a silent TCP connection after `idle_s`, then every `interval_s`, and ends it after
/// `probes` without an answer.
pub fn set_keepalive(
    socket: BorrowedFd<'_>,
    idle_s: c_int,
    interval_s: c_int,
    probes: c_int,
) -> io::Result<()> {
    #[cfg(target_vendor = "apple")]
    const IDLE: c_int = libc::TCP_KEEPALIVE;
    #[cfg(not(target_vendor = "apple"))]
    const IDLE: c_int = libc::TCP_KEEPIDLE;
    let on: c_int = 1;
    set_option(socket, libc::SOL_SOCKET, libc::SO_KEEPALIVE, &on)?;
    set_option(socket, libc::IPPROTO_TCP, IDLE, &idle_s)?;
    set_option(socket, libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, &interval_s)?;
    set_option(socket, libc::IPPROTO_TCP, libc::TCP_KEEPCNT, &probes)
}

/// Makes the close of a TCP connection a reset instead of an orderly end.
pub fn reset_on_close(socket: BorrowedFd<'_>) -> io::Result<()> {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    set_option(socket, libc::SOL_SOCKET, libc::SO_LINGER, &linger)
}

// ---- names ----------------------------------------------------------------------------------

/// Why a name has no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupError {
    /// The name does not exist or has no address.
    NotFound,
    /// No answer for now: servers unreachable or failing.
    Temporary,
    /// The resolver itself failed.
    Failed,
}

/// Asks the system's resolver, waiting as long as it takes. Order as the system prefers.
pub fn lookup(host: &CStr) -> Result<Vec<IpAddr>, LookupError> {
    // SAFETY: hints are valid when zeroed; the list is read only while it is ours and freed once.
    unsafe {
        let mut hints: libc::addrinfo = std::mem::zeroed();
        hints.ai_family = libc::AF_UNSPEC;
        hints.ai_socktype = libc::SOCK_STREAM;
        let mut list = std::ptr::null_mut();
        let code = libc::getaddrinfo(
            host.as_ptr(),
            std::ptr::null(),
            &raw const hints,
            &raw mut list,
        );
        if code != 0 {
            return Err(lookup_error(code));
        }
        let mut addresses = Vec::new();
        let mut entry: *const libc::addrinfo = list;
        while !entry.is_null() {
            addresses.extend(address_of((*entry).ai_addr));
            entry = (*entry).ai_next;
        }
        libc::freeaddrinfo(list);
        Ok(addresses)
    }
}

fn lookup_error(code: c_int) -> LookupError {
    /// Not in the libc crate for every system: the name exists but has no address.
    const EAI_NODATA: c_int = if cfg!(target_os = "linux") { -5 } else { 7 };
    match code {
        libc::EAI_NONAME | EAI_NODATA => LookupError::NotFound,
        libc::EAI_AGAIN => LookupError::Temporary,
        _ => LookupError::Failed,
    }
}

/// # Safety
/// `address` is null or points to a socket address of the family that it says.
unsafe fn address_of(address: *const libc::sockaddr) -> Option<IpAddr> {
    if address.is_null() {
        return None;
    }
    // SAFETY: the caller vouches for the pointer; unaligned reads make no assumption beyond it.
    unsafe {
        match c_int::from((*address).sa_family) {
            libc::AF_INET => {
                let v4 = address.cast::<libc::sockaddr_in>().read_unaligned();
                Some(IpAddr::V4(Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr))))
            }
            libc::AF_INET6 => {
                let v6 = address.cast::<libc::sockaddr_in6>().read_unaligned();
                Some(IpAddr::V6(Ipv6Addr::from(v6.sin6_addr.s6_addr)))
            }
            _ => None,
        }
    }
}
