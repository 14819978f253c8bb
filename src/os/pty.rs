//! Programs in a terminal of their own.
//!
//! Promises a real controlling terminal (job control, window size, hang-up) with the kernel's
//! default settings. The bytes that pass are nobody's business here.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use mio::event::Source;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use super::child::{CommandSpec, Custody, Pid, SpawnError, spawn};
use super::sys::{self, ChildPlace};
use crate::base::TerminalSize;

/// A running program in a terminal.
#[derive(Debug)]
pub struct PtyChild {
    /// The child that we have: its guardian, where it has one.
    pub pid: Pid,
    /// Our side of its terminal.
    pub master: Master,
}

/// Our side of a terminal; non-blocking. Dropping it hangs the terminal up.
#[derive(Debug)]
pub struct Master(File);

impl Master {
    /// Sets the window size; the programs in the foreground get SIGWINCH when it changed.
    pub fn resize(&self, size: TerminalSize) -> io::Result<()> {
        set_size(self.0.as_fd(), size)
    }
}

fn set_size(terminal: BorrowedFd<'_>, size: TerminalSize) -> io::Result<()> {
    sys::set_window_size(terminal, size.rows, size.columns, size.width, size.height)
}

/// Starts a program with a new terminal as its controlling one and as its standard streams.
pub fn spawn_pty(
    spec: &CommandSpec,
    size: TerminalSize,
    custody: Custody,
) -> Result<PtyChild, SpawnError> {
    let (master, slave) = sys::open_terminal()?;
    set_size(slave.as_fd(), size)?;
    sys::set_utf8_input(slave.as_fd())?;
    let (second, third) = (slave.try_clone()?, slave.try_clone()?);
    let pid = spawn(
        spec,
        [slave.into(), second.into(), third.into()],
        ChildPlace::Terminal,
        custody,
    )?;
    let master = Master(File::from(master));
    Ok(PtyChild { pid, master })
}

impl Read for Master {
    /// `Ok(0)` when no process has the terminal open any more.
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self.0.read(bytes) {
            // How Linux says that the last slave was closed.
            Err(error) if error.raw_os_error() == Some(libc::EIO) => Ok(0),
            other => other,
        }
    }
}

impl Write for Master {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Master {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Source for Master {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        SourceFd(&self.0.as_raw_fd()).register(registry, token, interests)
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        SourceFd(&self.0.as_raw_fd()).reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        SourceFd(&self.0.as_raw_fd()).deregister(registry)
    }
}
