//! The way to a server: its bytes as they are, or TLS over them.
//!
//! Promises: every whole record is handed out at once; between two calls a wire has memory for the beginning of
//! one record, and none where there is no such beginning; what it has to say lies in [`Scratch`]
//! until the owner takes it, which it does after every call. Leaves to its owner: whom TLS believes, and every
//! deadline.

use std::ops::ControlFlow;

use crate::base::{ByteBuf, wipe};
use crate::login::mssql::Envelope;
use crate::tls::{Client, Progress, Stream, StreamError};
use crate::wire::sink::Sink;

/// The most of one record that may wait for its end.
const RECORD_BYTES_MAX: usize = crate::tls::RECORD_PLAINTEXT_MAX + 512;

/// Plaintext that is sealed in one go: what it comes to lies twice in memory for a moment.
pub(super) const SEAL_BYTES: usize = 64 * 1024;

/// Memory that is needed for a moment only, one for all wires.
#[derive(Default)]
pub struct Scratch {
    incoming: ByteBuf,
    outgoing: ByteBuf,
}

impl Scratch {
    /// Some memory is held.
    pub fn holds_memory(&self) -> bool {
        self.incoming.capacity() + self.outgoing.capacity() > 0
    }

    /// What the last call has to say to the server, as it goes to its socket.
    pub fn outgoing(&self) -> &[u8] {
        self.outgoing.filled()
    }

    /// Puts packets around what a handshake has to say.
    fn seal(&mut self) {
        let words = std::mem::take(&mut self.outgoing);
        Envelope::seal(words.filled(), &mut |packet| self.outgoing.extend(packet));
    }

    /// It was taken.
    pub fn clear(&mut self) {
        self.outgoing.clear();
    }

    /// As [`Scratch::clear`], where there may be a password in it.
    pub fn wipe(&mut self) {
        wipe(self.outgoing.filled_mut());
        self.outgoing.clear();
    }
}

/// See the module.
#[derive(Default)]
pub struct Wire {
    stream: Option<Box<Stream>>,
    /// The handshake lies in packets.
    envelope: Option<Envelope>,
}

impl Wire {
    /// Begins TLS on a connection whose bytes went as they are so far.
    pub fn start(&mut self, client: Client, scratch: &mut Scratch) -> Result<(), StreamError> {
        let mut stream = Box::new(Stream::new(client)?);
        stream.receive(&mut scratch.outgoing, &mut |_| ControlFlow::Continue(()))?;
        self.stream = Some(stream);
        Ok(())
    }

    /// The same, where the handshake lies in PRELOGIN packets.
    pub fn start_in_packets(
        &mut self,
        client: Client,
        scratch: &mut Scratch,
    ) -> Result<(), StreamError> {
        self.start(client, scratch)?;
        self.envelope = Some(Envelope::default());
        scratch.seal();
        Ok(())
    }

    /// TLS stands, or is being agreed.
    pub fn is_secure(&self) -> bool {
        self.stream.is_some()
    }

    /// TLS stands.
    pub fn is_open(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.is_open())
    }

    /// The server meant the end that its socket has come to. Without TLS nobody can tell.
    pub fn is_end_meant(&self) -> bool {
        self.stream
            .as_ref()
            .is_none_or(|stream| stream.is_peer_closed())
    }

    /// Room for a read of ciphertext, to be followed by [`Wire::receive`] or forgotten.
    pub fn slot<'a>(&self, size: usize, scratch: &'a mut Scratch) -> &'a mut [u8] {
        scratch.incoming.clear();
        if let Some(stream) = &self.stream {
            scratch.incoming.extend(stream.undecoded());
        }
        scratch.incoming.slot(size, RECORD_BYTES_MAX)
    }

    /// Ciphertext of a record that is not whole yet.
    pub fn undecoded(&self) -> usize {
        self.stream.as_ref().map_or(0, |it| it.undecoded().len())
    }

    /// The most plaintext that `size` bytes of ciphertext can come to.
    pub fn plaintext_max(&self, size: usize) -> usize {
        self.undecoded() + size
    }

    /// `size` bytes were read into the latest [`Wire::slot`]; hands `sink` every whole record.
    pub fn receive(
        &mut self,
        size: usize,
        scratch: &mut Scratch,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<Progress, StreamError> {
        let Some(stream) = &mut self.stream else {
            return Ok(Progress::Open);
        };
        let Scratch { incoming, outgoing } = scratch;
        let before = incoming.len();
        incoming.advance(size);
        if let Some(envelope) = &mut self.envelope {
            let kept = envelope.open(&mut incoming.filled_mut()[before..]);
            incoming.truncate(before + kept);
        }
        std::mem::swap(incoming, stream.incoming());
        let outcome = stream.receive(outgoing, &mut |record| {
            sink(record);
            ControlFlow::Continue(())
        });
        // The large buffer is for the next read, whosever that is.
        std::mem::swap(incoming, stream.incoming());
        let rest = stream.incoming();
        match incoming.is_empty() {
            // An idle connection has no record under way, and needs no memory for one.
            true => *rest = ByteBuf::new(),
            false => {
                rest.clear();
                rest.extend(incoming.filled());
            }
        }
        let is_open = stream.is_open();
        if self.envelope.is_some() {
            scratch.seal();
            self.envelope = self.envelope.take().filter(|_| !is_open);
        }
        outcome
    }

    /// Has `plaintext` lie in `scratch`, as it goes to the socket.
    pub fn send(&mut self, plaintext: &[u8], scratch: &mut Scratch) -> Result<(), StreamError> {
        match &mut self.stream {
            Some(stream) => stream.send(plaintext, &mut scratch.outgoing),
            None => {
                scratch.outgoing.extend(plaintext);
                Ok(())
            }
        }
    }

    /// Says that nothing more will be sent.
    pub fn close(&mut self, scratch: &mut Scratch) {
        if let Some(stream) = &mut self.stream {
            stream.close(&mut scratch.outgoing);
        }
    }
}

/// Takes the words of a machine for its server.
pub(super) struct Words<'a> {
    wire: &'a mut Wire,
    scratch: &'a mut Scratch,
}

impl<'a> Words<'a> {
    pub(super) fn new(wire: &'a mut Wire, scratch: &'a mut Scratch) -> Self {
        Self { wire, scratch }
    }
}

impl Sink for Words<'_> {
    fn put(&mut self, bytes: &[u8]) {
        // A wire that takes no words any more says so at the next record, or a deadline does.
        let _ = self.wire.send(bytes, self.scratch);
    }
}
