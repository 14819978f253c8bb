//! Caught signals: one handler that notes the number and writes a byte.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use super::check;

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
