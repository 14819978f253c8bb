//! Signals as events of the loop.
//!
//! Promises that a caught signal wakes the loop and is reported at least once after it came;
//! several of one kind may be reported as one. What they mean is the reactor's business.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use mio::event::Source;

use super::sys;

/// A signal that we receive or send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGHUP: the terminal went away.
    Hangup,
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGQUIT: Ctrl-\.
    Quit,
    /// SIGTERM: please end.
    Terminate,
    /// SIGCHLD: a child ended.
    Child,
    /// SIGUSR1: say how you are.
    Report,
    /// SIGKILL: end; only sent, never received.
    Kill,
    /// SIGTSTP, SIGTTIN, SIGTTOU: the terminal wants us to stop.
    Stop(i32),
    /// One of any other number.
    Other(i32),
}

impl Signal {
    /// The kernel's number.
    pub fn number(self) -> i32 {
        match self {
            Signal::Hangup => libc::SIGHUP,
            Signal::Interrupt => libc::SIGINT,
            Signal::Quit => libc::SIGQUIT,
            Signal::Terminate => libc::SIGTERM,
            Signal::Child => libc::SIGCHLD,
            Signal::Report => libc::SIGUSR1,
            Signal::Kill => libc::SIGKILL,
            Signal::Stop(number) | Signal::Other(number) => number,
        }
    }

    fn of_number(number: i32) -> Self {
        match number {
            libc::SIGHUP => Signal::Hangup,
            libc::SIGINT => Signal::Interrupt,
            libc::SIGQUIT => Signal::Quit,
            libc::SIGTERM => Signal::Terminate,
            libc::SIGCHLD => Signal::Child,
            libc::SIGUSR1 => Signal::Report,
            libc::SIGKILL => Signal::Kill,
            libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU => Signal::Stop(number),
            _ => Signal::Other(number),
        }
    }
}

/// A signal that came, and from whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Which.
    pub signal: Signal,
    /// The kernel made it (a terminal's key, a timer, a child's end), no process sent it.
    pub is_from_kernel: bool,
}

/// Which signals are caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Catch {
    /// Those that mean something to the agent.
    Own,
    /// All that can be: they are meant for the program beside us.
    All,
}

impl Catch {
    fn has(self, number: i32) -> bool {
        let is_own = match Signal::of_number(number) {
            Signal::Kill | Signal::Stop(_) => false,
            Signal::Other(number) => number == libc::SIGUSR2,
            _ => true,
        };
        // Whatever else can't be caught the kernel refuses.
        is_own || self == Catch::All
    }
}

/// The receiving end of all signals that the process handles.
#[derive(Debug)]
pub struct Signals {
    receiver: mio::net::UnixStream,
    /// The handler writes to its descriptor.
    _sender: UnixStream,
}

impl Signals {
    /// Catches signals from now on. All but TERM and CHLD that we were told to ignore (`nohup`, a
    /// shell's `&`) stay ignored. There can be one receiver at a time.
    pub fn new(catch: Catch) -> io::Result<Self> {
        let (receiver, sender) = UnixStream::pair()?;
        receiver.set_nonblocking(true)?;
        sender.set_nonblocking(true)?;
        if !sys::wake_on_signals(Some(sender.as_fd())) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let signals = Self {
            receiver: mio::net::UnixStream::from_std(receiver),
            _sender: sender,
        };
        for number in (1..=sys::SIGNAL_NUMBER_MAX).filter(|number| catch.has(*number)) {
            let is_needed = matches!(number, libc::SIGTERM | libc::SIGCHLD);
            if is_needed {
                sys::catch_signal(number)?;
            } else if !sys::was_ignored(number) {
                // STOP, KILL, and numbers that this system does not have.
                let _ = sys::catch_signal(number);
            }
        }
        Ok(signals)
    }

    /// What is readable when signals came.
    pub fn source(&mut self) -> &mut dyn Source {
        &mut self.receiver
    }

    /// The signals that came since the last call, each once; never blocks. The kernel's come first:
    /// that a child has ended should be known before we are asked to end.
    pub fn drain(&mut self) -> impl Iterator<Item = Received> + use<> {
        let mut scratch = [0; 64];
        // The bytes go first: a signal that comes in between leaves a new one behind.
        while matches!(self.receiver.read(&mut scratch), Ok(n) if n > 0) {}
        let mut caught = sys::take_signals();
        std::iter::from_fn(move || {
            let is_from_kernel = caught.0 != 0;
            let set = match is_from_kernel {
                true => &mut caught.0,
                false => &mut caught.1,
            };
            let number = i32::try_from(set.trailing_zeros()).ok()? + 1;
            *set &= set.checked_sub(1)?;
            Some(Received {
                signal: Signal::of_number(number),
                is_from_kernel,
            })
        })
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        sys::wake_on_signals(None);
    }
}
