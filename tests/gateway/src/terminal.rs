//! A program on a terminal of its own, as a person or `docker run --tty` starts it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};

/// The program, which leads the terminal's session. Dropping it hangs the terminal up.
pub struct OnTerminal {
    child: Child,
    master: File,
    seen: String,
}

impl OnTerminal {
    /// Starts `command` with a new terminal as its standard streams.
    pub fn spawn(command: &mut Command) -> Self {
        let (mut master, mut slave) = (0, 0);
        let none = std::ptr::null_mut();
        // SAFETY: the call writes two descriptors, which are ours then; null means no name, modes
        // and size.
        let (master, slave) = unsafe {
            let result = libc::openpty(&mut master, &mut slave, none, none.cast(), none.cast());
            assert_eq!(result, 0, "no terminal");
            libc::fcntl(master, libc::F_SETFD, libc::FD_CLOEXEC);
            (OwnedFd::from_raw_fd(master), OwnedFd::from_raw_fd(slave))
        };
        command
            .stdin(slave.try_clone().unwrap())
            .stdout(slave.try_clone().unwrap())
            .stderr(slave);
        // SAFETY: plain system calls between fork and exec.
        unsafe {
            command.pre_exec(|| {
                libc::setsid();
                libc::ioctl(0, libc::TIOCSCTTY, 0);
                Ok(())
            });
        }
        Self {
            child: command.spawn().unwrap(),
            master: File::from(master),
            seen: String::new(),
        }
    }

    /// Types.
    pub fn write(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until the screen shows `wanted` behind what was waited for before.
    pub fn expect(&mut self, wanted: &str) {
        let mut scratch = [0; 4096];
        while !self.seen.contains(wanted) {
            let mut poll = libc::pollfd {
                fd: self.master.as_raw_fd(),
                events: libc::POLLIN,
                revents: 0,
            };
            let patience = i32::try_from(crate::gateway::deadline().as_millis()).unwrap();
            // SAFETY: one structure that outlives the call.
            let ready = unsafe { libc::poll(&raw mut poll, 1, patience) };
            assert_eq!(ready, 1, "no {wanted:?} but {:?}", self.seen);
            let size = self.master.read(&mut scratch).unwrap_or(0);
            assert!(size > 0, "no {wanted:?} but {:?}", self.seen);
            self.seen
                .push_str(&String::from_utf8_lossy(&scratch[..size]));
        }
        let end = self.seen.find(wanted).unwrap() + wanted.len();
        self.seen.drain(..end);
    }

    /// Sends a signal to the program alone.
    pub fn signal(&self, signal: i32) {
        // SAFETY: kill takes no pointers; the pid is that of our own child.
        unsafe { libc::kill(i32::try_from(self.child.id()).unwrap(), signal) };
    }

    /// Takes the terminal away.
    pub fn hang_up(mut self) -> ExitStatus {
        self.master = File::open("/dev/null").unwrap();
        self.wait_exit()
    }

    /// Waits for the program's end.
    pub fn wait_exit(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        // One that has ended is no loss.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
