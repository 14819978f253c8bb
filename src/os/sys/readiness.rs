//! Waiting for one descriptor, and output without waiting to those that are not ours to make
//! non-blocking.

use std::ffi::{c_int, c_short};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// A write of up to `PIPE_BUF` (4096) bytes to this blocking descriptor would not wait now.
pub fn takes_output(fd: BorrowedFd<'_>) -> bool {
    poll(fd, libc::POLLOUT, 0) & (libc::POLLOUT | libc::POLLERR) != 0
}

/// There is something to read, or its end; waits for it, but no longer than this.
pub fn has_input(fd: BorrowedFd<'_>, patience: Duration) -> bool {
    let milliseconds = c_int::try_from(patience.as_millis()).unwrap_or(c_int::MAX);
    poll(fd, libc::POLLIN, milliseconds) != 0
}

/// What of these events there is, or an end.
fn poll(fd: BorrowedFd<'_>, events: c_short, milliseconds: c_int) -> c_short {
    let mut asked = libc::pollfd {
        fd: fd.as_raw_fd(),
        events,
        revents: 0,
    };
    // SAFETY: one structure, which outlives the call.
    let count = unsafe { libc::poll(&raw mut asked, 1, milliseconds) };
    if count == 1 { asked.revents } else { 0 }
}

/// Writes what this pipe takes at once, though it is a blocking descriptor and others may fill the
/// pipe between a look and a write. Older kernels than Linux 6.4 do not know how: an error other
/// than `WouldBlock`.
#[cfg(target_os = "linux")]
pub fn write_now(pipe: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    let parts = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let no_offset: libc::c_long = -1;
    // SAFETY: one part, which outlives the call and is only read; the other arguments are numbers.
    let written = unsafe {
        libc::syscall(
            libc::SYS_pwritev2,
            pipe.as_raw_fd(),
            &raw const parts,
            1,
            no_offset,
            no_offset,
            libc::RWF_NOWAIT,
        )
    };
    usize::try_from(written).map_err(|_| io::Error::last_os_error())
}

/// There is no such call.
#[cfg(not(target_os = "linux"))]
pub fn write_now(_: BorrowedFd<'_>, _: &[u8]) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_full_pipe_takes_nothing_and_nobody_waits() {
        let (mut reader, writer) = io::pipe().unwrap();
        let line = [b'x'; 4000];
        let mut held = 0;
        let refusal = loop {
            match write_now(writer.as_fd(), &line) {
                Ok(written) => held += written,
                Err(error) => break error.kind(),
            }
        };
        // Kernels before 6.4 refuse at once.
        if refusal == io::ErrorKind::WouldBlock {
            assert!(held >= line.len());
            let mut taken = vec![0; held];
            reader.read_exact(&mut taken).unwrap();
            assert!(taken.iter().all(|byte| *byte == b'x'));
        } else {
            assert_eq!(held, 0);
        }
    }
}
