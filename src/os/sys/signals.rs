//! Caught signals: one handler that notes number and sender, and writes a byte.

use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use super::check;

/// The last number that a signal can have, real-time ones included.
pub const SIGNAL_NUMBER_MAX: c_int = 64;

/// Signals caught and not yet taken: bit n-1 is signal n. Those that a process sent us, and those
/// of the kernel: a terminal's, a timer's, a child's end.
static CAUGHT_FROM_PROCESSES: AtomicU64 = AtomicU64::new(0);
static CAUGHT_FROM_KERNEL: AtomicU64 = AtomicU64::new(0);
/// Where the handler writes a byte to wake the loop; -1: nowhere.
static SIGNALS_WAKE: AtomicI32 = AtomicI32::new(-1);

/// Numbers as bits, or no bit for one that no signal has.
pub(super) const fn bit(number: c_int) -> u64 {
    if 0 < number && number <= SIGNAL_NUMBER_MAX {
        1 << (number - 1)
    } else {
        0
    }
}

extern "C" fn on_signal(number: c_int, info: *mut libc::siginfo_t, _context: *mut c_void) {
    // SAFETY: the kernel lends a valid structure. `signal`, `raise`, `getpid` and `write` may be
    // called in a handler; the byte is static; a full or closed pipe is an error that changes
    // nothing. errno is put back for the code that was interrupted.
    unsafe {
        let is_from_kernel = is_from_kernel(&*info);
        if is_from_kernel && FAULTS.contains(&number) {
            // Raised by our own code, which can't go on: dies of it when the handler returns.
            libc::signal(number, libc::SIG_DFL);
            libc::raise(number);
            return;
        }
        let is_our_own = !is_from_kernel && (*info).si_pid() == libc::getpid();
        if is_our_own {
            return;
        }
        let caught = match is_from_kernel {
            true => &CAUGHT_FROM_KERNEL,
            false => &CAUGHT_FROM_PROCESSES,
        };
        caught.fetch_or(bit(number), Ordering::SeqCst);
        let wake = SIGNALS_WAKE.load(Ordering::SeqCst);
        let saved = *errno_location();
        libc::write(wake, b"!".as_ptr().cast(), 1);
        *errno_location() = saved;
    }
}

/// Signals by which the kernel tells a program that it has gone wrong.
const FAULTS: [c_int; 6] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGTRAP,
    libc::SIGSYS,
];

fn is_from_kernel(info: &libc::siginfo_t) -> bool {
    #[cfg(target_os = "linux")]
    {
        info.si_code > 0
    }
    #[cfg(not(target_os = "linux"))]
    // SAFETY: the kernel fills the sender's id for every signal that we catch.
    unsafe {
        info.si_pid() == 0 || info.si_signo == libc::SIGCHLD
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

/// Catches signal `number` from now on; see [`take_signals`].
pub fn catch_signal(number: c_int) -> io::Result<()> {
    // SAFETY: the handler only makes async-signal-safe calls; the structure is valid when zeroed
    // (empty mask) and outlives the call.
    let result = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_signal as *const () as libc::sighandler_t;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_NOCLDSTOP;
        // A write to a terminal that is not ours to write to would be begun again for ever.
        if !matches!(number, libc::SIGTTIN | libc::SIGTTOU) {
            action.sa_flags |= libc::SA_RESTART;
        }
        libc::sigaction(number, &raw const action, std::ptr::null_mut())
    };
    match check(result) {
        Err(error) if !catch_reserved(number) => Err(error),
        _ => Ok(()),
    }
}

/// Catches one that the C library keeps for itself, without a use for it in this program: 32, 33
/// and with musl 34, which is the first real-time signal of everybody else. `false`: not possible.
fn catch_reserved(number: c_int) -> bool {
    #[cfg(target_os = "linux")]
    if (32..=34).contains(&number) {
        // As the kernel has it for one that is caught already.
        let caught = change_action(libc::SIGTERM, None);
        return caught.is_some_and(|action| change_action(number, Some(&action)).is_some());
    }
    let _ = number;
    false
}

/// What the kernel does at a signal: its handler (`SIG_DFL`, `SIG_IGN` or an address), then words
/// whose order differs between processors. Longer than on any of them.
#[cfg(target_os = "linux")]
type Action = [libc::sighandler_t; 16];

/// The kernel's own call, which knows no reserved signal; returns what was there before. Safe
/// between fork and exec.
#[cfg(target_os = "linux")]
fn change_action(number: c_int, action: Option<&Action>) -> Option<Action> {
    /// Of the kernel's signal mask.
    const MASK_BYTES: usize = 8;
    let new = action.map_or(std::ptr::null(), |action| action.as_ptr());
    let mut before: Action = [0; 16];
    let old = before.as_mut_ptr();
    // SAFETY: the kernel reads one structure and writes the other, both shorter than an `Action`
    // and alive for the whole call. A new handler is one that it gave us for another signal.
    let result = unsafe { libc::syscall(libc::SYS_rt_sigaction, number, new, old, MASK_BYTES) };
    (result == 0).then_some(before)
}

/// Sets `SIG_DFL` or `SIG_IGN`; a number that does not exist is left alone. Safe between fork and
/// exec.
pub(super) fn set_disposition(number: c_int, disposition: libc::sighandler_t) {
    #[cfg(target_os = "linux")]
    {
        let mut action: Action = [0; 16];
        action[0] = disposition;
        change_action(number, Some(&action));
    }
    #[cfg(not(target_os = "linux"))]
    // SAFETY: both dispositions are valid for every signal.
    unsafe {
        libc::signal(number, disposition);
    }
}

/// Whether signal `number` is ignored now, as `nohup` does with SIGHUP.
pub fn is_ignored(number: c_int) -> bool {
    #[cfg(target_os = "linux")]
    {
        change_action(number, None).is_some_and(|action| action[0] == libc::SIG_IGN)
    }
    #[cfg(not(target_os = "linux"))]
    // SAFETY: with a null new action the call only writes the old one, valid when zeroed.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(number, std::ptr::null(), &raw mut action) == 0
            && action.sa_sigaction == libc::SIG_IGN
    }
}

/// The signals caught since the last call, of the kernel and of processes: bit n-1 is signal n.
pub fn take_signals() -> (u64, u64) {
    (
        CAUGHT_FROM_KERNEL.swap(0, Ordering::SeqCst),
        CAUGHT_FROM_PROCESSES.swap(0, Ordering::SeqCst),
    )
}

/// Stops this process as the caught signal `number` would have done it uncaught, and returns when
/// it is continued. The kernel does nothing where nobody could continue us.
pub fn stop_by(number: c_int) {
    set_disposition(number, libc::SIG_DFL);
    // SAFETY: takes an integer.
    unsafe { libc::raise(number) };
    // It was caught before, so it can be caught again.
    let _ = catch_signal(number);
}

/// Whether our terminal tells us alone when it hangs up.
pub fn leads_session() -> bool {
    // SAFETY: both take and return integers.
    unsafe { libc::getsid(0) == libc::getpid() }
}
