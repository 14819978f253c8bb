//! Signals as events of the loop.
//!
//! Promises that a caught signal wakes the loop and is reported at least once after it came;
//! several of one kind may be reported as one. What they mean is the reactor's business.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use mio::event::Source;
use mio::{Interest, Registry, Token};

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
    /// SIGKILL: end; only sent, never received.
    Kill,
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
            Signal::Kill => libc::SIGKILL,
        }
    }
}

/// Children first: who ends should be known before we are asked to end.
const RECEIVED: [Signal; 5] = [
    Signal::Child,
    Signal::Terminate,
    Signal::Interrupt,
    Signal::Quit,
    Signal::Hangup,
];

/// The receiving end of all signals that the process handles; a mio source for reading.
#[derive(Debug)]
pub struct Signals {
    receiver: mio::net::UnixStream,
    /// The handler writes to its descriptor.
    _sender: UnixStream,
}

impl Signals {
    /// Catches TERM, INT, QUIT, HUP and CHLD from now on. One of HUP, INT and QUIT that we were
    /// told to ignore (`nohup`, a shell's `&`) stays ignored. There can be one at a time.
    pub fn new() -> io::Result<Self> {
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
        for signal in RECEIVED {
            let optional = matches!(signal, Signal::Hangup | Signal::Interrupt | Signal::Quit);
            if !(optional && sys::is_ignored(signal.number())) {
                sys::catch_signal(signal.number())?;
            }
        }
        Ok(signals)
    }

    /// The signals that came since the last call, each once; never blocks.
    pub fn drain(&mut self) -> impl Iterator<Item = Signal> + use<> {
        let mut scratch = [0; 64];
        // The bytes go first: a signal that comes in between leaves a new one behind.
        while matches!(self.receiver.read(&mut scratch), Ok(n) if n > 0) {}
        let caught = sys::take_signals();
        RECEIVED
            .into_iter()
            .filter(move |signal| caught & (1 << signal.number()) != 0)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        sys::wake_on_signals(None);
    }
}

impl Source for Signals {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        self.receiver.register(registry, token, interests)
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        self.receiver.reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.receiver.deregister(registry)
    }
}
