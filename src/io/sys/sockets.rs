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

/// Keeps a TCP connection from being readable with less than `bytes`, its end and errors aside.
/// Lowering it makes what has gathered readable at once (tcp(7), `SO_RCVLOWAT`).
pub fn set_low_water(socket: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        let bytes = c_int::try_from(bytes).unwrap_or(c_int::MAX);
        set_option(socket, libc::SOL_SOCKET, libc::SO_RCVLOWAT, &bytes)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (socket, bytes);
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Makes the close of a TCP connection a reset instead of an orderly end.
pub fn reset_on_close(socket: BorrowedFd<'_>) -> io::Result<()> {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    set_option(socket, libc::SOL_SOCKET, libc::SO_LINGER, &linger)
}

/// Keeps the kernel from taking more than `bytes` that it can't send yet.
pub fn set_unsent_max(socket: BorrowedFd<'_>, bytes: u32) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    return set_option(socket, libc::IPPROTO_TCP, libc::TCP_NOTSENT_LOWAT, &bytes);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (socket, bytes);
        Ok(())
    }
}

/// Bytes written to a connection and not acknowledged, or written to a pipe and not read; 0 where
/// the kernel does not tell.
pub fn bytes_in_flight(fd: BorrowedFd<'_>, is_pipe: bool) -> usize {
    // For sockets TIOCOUTQ is SIOCOUTQ, tcp(7).
    let request = if is_pipe {
        libc::FIONREAD
    } else {
        libc::TIOCOUTQ
    };
    let mut bytes: c_int = 0;
    // SAFETY: both requests write one int, and `bytes` is one that outlives the call.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), request as _, &raw mut bytes) };
    if result == 0 {
        usize::try_from(bytes).unwrap_or(0)
    } else {
        0
    }
}
