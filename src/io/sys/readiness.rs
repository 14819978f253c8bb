//! Asking a descriptor, without waiting, whether it takes output.

use std::os::fd::{AsRawFd, BorrowedFd};

/// A write of up to `PIPE_BUF` (4096) bytes to this blocking descriptor would not wait now.
pub fn takes_output(fd: BorrowedFd<'_>) -> bool {
    let mut asked = libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLOUT,
        revents: 0,
    };
    // SAFETY: one structure, which outlives the call; a timeout of 0 returns at once.
    let count = unsafe { libc::poll(&raw mut asked, 1, 0) };
    count == 1 && asked.revents & (libc::POLLOUT | libc::POLLERR) != 0
}
