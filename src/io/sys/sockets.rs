//! Socket options that std and mio do not set.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::check;

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
