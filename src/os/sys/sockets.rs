//! Socket options that std and mio do not set.

use std::ffi::c_int;
use std::io;
use std::net::TcpListener;
#[cfg(target_os = "linux")]
use std::os::fd::{AsFd, FromRawFd};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

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

/// Listens without waiting on every address of this machine, IPv6 and IPv4 by one socket, whatever
/// `net.ipv6.bindv6only` says.
#[cfg(target_os = "linux")]
pub fn listen_everywhere(port: u16) -> io::Result<TcpListener> {
    let (on, off): (c_int, c_int) = (1, 0);
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: the call takes no pointers, and the new descriptor is owned by nobody else.
    let listener =
        unsafe { TcpListener::from_raw_fd(check(libc::socket(libc::AF_INET6, kind, 0))?) };
    set_option(listener.as_fd(), libc::SOL_SOCKET, libc::SO_REUSEADDR, &on)?;
    set_option(
        listener.as_fd(),
        libc::IPPROTO_IPV6,
        libc::IPV6_V6ONLY,
        &off,
    )?;
    // SAFETY: an address of zeros is valid, and the one of this family is `[::]`.
    let mut address: libc::sockaddr_in6 = unsafe { std::mem::zeroed() };
    address.sin6_family = libc::sa_family_t::try_from(libc::AF_INET6).unwrap_or(0);
    address.sin6_port = port.to_be();
    let length = libc::socklen_t::try_from(size_of_val(&address)).unwrap_or(0);
    // SAFETY: pointer and length describe `address`, which the first call only reads; the second
    // takes no pointers.
    unsafe {
        check(libc::bind(
            listener.as_raw_fd(),
            (&raw const address).cast(),
            length,
        ))?;
        check(libc::listen(listener.as_raw_fd(), BACKLOG))?;
    }
    Ok(listener)
}

/// As the system does it.
#[cfg(not(target_os = "linux"))]
pub fn listen_everywhere(port: u16) -> io::Result<TcpListener> {
    let listener = TcpListener::bind((std::net::Ipv6Addr::UNSPECIFIED, port))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Connections that wait to be accepted: a few probes.
#[cfg(target_os = "linux")]
const BACKLOG: c_int = 128;

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

/// How long the peer of a TCP connection has said nothing, if it was asked again meanwhile: bytes were
/// sent a second time, or its closed window was probed. `None` where it answers, or the kernel does not
/// tell.
pub fn unanswered_for(socket: BorrowedFd<'_>) -> Option<Duration> {
    const RETRANSMITS: usize = 2;
    const PROBES: usize = 3;
    const LAST_ACK_RECEIVED_MS: usize = 56;
    let info = connection_info(socket)?;
    let is_repeated = info[RETRANSMITS] > 0 || info[PROBES] > 0;
    is_repeated.then(|| milliseconds(&info, LAST_ACK_RECEIVED_MS))
}

/// How long no byte has come on a TCP connection, read or unread. `None` where the kernel does not
/// tell.
pub fn nothing_received_for(socket: BorrowedFd<'_>) -> Option<Duration> {
    const LAST_DATA_RECEIVED_MS: usize = 52;
    connection_info(socket).map(|info| milliseconds(&info, LAST_DATA_RECEIVED_MS))
}

/// The head of the kernel's `struct tcp_info`, which only ever grows at its end.
type ConnectionInfo = [u8; 60];

fn milliseconds(info: &ConnectionInfo, at: usize) -> Duration {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&info[at..at + 4]);
    Duration::from_millis(u32::from_ne_bytes(bytes).into())
}

fn connection_info(socket: BorrowedFd<'_>) -> Option<ConnectionInfo> {
    #[cfg(target_os = "linux")]
    {
        let mut info: ConnectionInfo = [0; size_of::<ConnectionInfo>()];
        let mut length = libc::socklen_t::try_from(info.len()).unwrap_or(0);
        // SAFETY: the kernel writes at most `length` bytes, which is the size of `info`.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::IPPROTO_TCP,
                libc::TCP_INFO,
                info.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        (result == 0 && usize::try_from(length) == Ok(info.len())).then_some(info)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = socket;
        None
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
