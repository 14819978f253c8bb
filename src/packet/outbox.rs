//! Packets on their way to the gateway: one contiguous queue of length-prefixed messages.
//!
//! Bytes of a target are read straight behind their packet's header ([`Outbox::slot`]), and a
//! DATA frame's head is written over bytes that have left already ([`Outbox::frame`]), so nothing
//! is moved between the target's socket and the cipher. Order is first in, first out; that
//! control packets do not wait long follows from how little its owner lets pile up here.

use super::packet;
use super::{Kind, Packet, SpecEntry};
use crate::limits;

/// A frame's head always fits before the oldest waiting byte.
pub const FRAME_HEAD_BYTES: usize = 9;

/// Flag and length in front of every message (the gRPC length prefix).
const PREFIX_BYTES: usize = 5;

/// The queue. Invariant: `FRAME_HEAD_BYTES <= head <= tail <= memory.len()` once memory is held.
#[derive(Default)]
pub struct Outbox {
    memory: Vec<u8>,
    head: usize,
    tail: usize,
    /// Bytes in front of the payload in the latest slot; none when there is no slot.
    header: usize,
}

impl Outbox {
    /// An empty queue without memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes waiting.
    pub fn len(&self) -> usize {
        self.tail - self.head
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.head == self.tail
    }

    /// Memory held.
    pub fn capacity(&self) -> usize {
        self.memory.len()
    }

    /// Appends a packet.
    pub fn push(&mut self, kind: Kind, spec: &[SpecEntry<'_>], payload: &[u8]) {
        let slot = self.slot(kind, spec, payload.len());
        slot[..payload.len()].copy_from_slice(payload);
        self.fill(payload.len());
    }

    /// Room for a payload of up to `size_max` bytes behind its packet's header. Nothing is queued until
    /// [`Outbox::fill`], and whatever else is done with the queue before it takes the slot back.
    pub fn slot(&mut self, kind: Kind, spec: &[SpecEntry<'_>], size_max: usize) -> &mut [u8] {
        self.header = PREFIX_BYTES + packet::header_len(kind, spec);
        self.reserve(self.header + size_max);
        let (header, payload) = self.memory[self.tail..].split_at_mut(self.header);
        packet::write_header(&mut header[PREFIX_BYTES..], kind, spec);
        &mut payload[..size_max]
    }

    /// What was put into the first `size` bytes of the latest [`Outbox::slot`].
    pub fn slotted(&self, size: usize) -> &[u8] {
        let start = self.tail + self.header;
        self.memory.get(start..start + size).unwrap_or_default()
    }

    /// Queues the packet whose first `size` payload bytes were put into the latest [`Outbox::slot`].
    pub fn fill(&mut self, size: usize) {
        let header = std::mem::take(&mut self.header);
        let end = self.tail + header + size;
        let Some((prefix, rest)) =
            self.memory[self.tail..self.tail + header].split_first_chunk_mut::<PREFIX_BYTES>()
        else {
            return;
        };
        let message = u32::try_from(rest.len() + size).unwrap_or(u32::MAX);
        let [a, b, c, d] = message.to_be_bytes();
        *prefix = [0, a, b, c, d];
        packet::write_payload_len(rest, size);
        let start = self.tail + PREFIX_BYTES;
        self.tail = end;
        if log::log_enabled!(log::Level::Trace)
            && let Ok(packet) = Packet::decode(&self.memory[start..end])
        {
            packet.trace("to");
        }
    }

    /// As [`Outbox::fill`], and what goes beyond the first `cut` bytes goes into a packet of its own, with the
    /// same header as the slot was made with.
    pub fn fill_cut(&mut self, kind: Kind, spec: &[SpecEntry<'_>], size: usize, cut: usize) {
        let (header, rest) = (self.header, size.saturating_sub(cut));
        let start = self.tail + header + cut;
        self.fill(size.min(cut));
        if header == 0 || rest == 0 {
            return;
        }
        // The rest lies behind the tail, where nothing but this resize may move it.
        let needed = start + header + rest;
        if self.memory.len() < needed {
            self.memory.resize(needed.next_power_of_two(), 0);
        }
        self.memory.copy_within(start..start + rest, start + header);
        self.slot(kind, spec, rest);
        self.fill(rest);
    }

    /// Takes `size` bytes, preceded by `head`, which is written over bytes that left before.
    pub fn frame(&mut self, head: &[u8; FRAME_HEAD_BYTES], size: usize) -> &[u8] {
        self.header = 0;
        let size = size.min(self.len());
        let start = self.head - FRAME_HEAD_BYTES;
        self.memory[start..self.head].copy_from_slice(head);
        let end = self.head + size;
        self.head = end;
        if self.head == self.tail {
            self.head = FRAME_HEAD_BYTES;
            self.tail = FRAME_HEAD_BYTES;
        }
        &self.memory[start..end]
    }

    /// Forgets everything: the stream it was meant for is gone.
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    /// Gives memory back when nothing waits.
    pub fn release_idle(&mut self) {
        if self.is_empty() && self.memory.len() > limits::LINK_BUFFER_BYTES_IDLE {
            self.clear();
        }
    }

    fn reserve(&mut self, size: usize) {
        if self.memory.is_empty() {
            self.head = FRAME_HEAD_BYTES;
            self.tail = FRAME_HEAD_BYTES;
        }
        if self.memory.len() >= self.tail + size {
            return;
        }
        let waiting = self.len();
        if self.head > FRAME_HEAD_BYTES {
            self.memory
                .copy_within(self.head..self.tail, FRAME_HEAD_BYTES);
            self.head = FRAME_HEAD_BYTES;
            self.tail = FRAME_HEAD_BYTES + waiting;
        }
        if self.memory.len() < self.tail + size {
            self.memory
                .resize((self.tail + size).next_power_of_two(), 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Packet, spec};
    use proptest::prelude::*;

    fn drain(outbox: &mut Outbox, piece: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while !outbox.is_empty() {
            let frame = outbox.frame(b"HEADHEAD!", piece);
            assert_eq!(&frame[..FRAME_HEAD_BYTES], b"HEADHEAD!");
            out.extend_from_slice(&frame[FRAME_HEAD_BYTES..]);
        }
        out
    }

    #[test]
    fn a_slot_becomes_a_packet_of_what_was_read() {
        let entries = [(spec::SESSION_ID, b"s" as &[u8])];
        let mut outbox = Outbox::new();
        outbox.slot(Kind::ClientWriteStdout, &entries, 1000)[..3].copy_from_slice(b"abc");
        outbox.fill(3);
        let bytes = drain(&mut outbox, 7);
        let packet = Packet::decode(&bytes[5..]).unwrap();
        assert_eq!(packet.payload, b"abc");
        assert_eq!(packet.spec(spec::SESSION_ID), Some(b"s" as &[u8]));
        assert_eq!(
            bytes[1..5],
            u32::try_from(bytes.len() - 5).unwrap().to_be_bytes()
        );
    }

    #[test]
    fn a_slot_is_filled_once_and_before_anything_else() {
        let mut outbox = Outbox::new();
        outbox.fill(1);
        outbox.slot(Kind::ClientWriteStdout, &[], 10)[0] = b'a';
        outbox.push(Kind::ClientWriteStderr, &[], b"b");
        let size = outbox.len();
        outbox.fill(1);
        outbox.slot(Kind::ClientWriteStdout, &[], 10)[0] = b'c';
        drain(&mut outbox, size);
        outbox.fill(1);
        assert!(outbox.is_empty(), "nobody's bytes are queued");
    }

    #[test]
    fn a_cut_slot_becomes_two_packets_however_little_room_there_is() {
        let entries = [(spec::SESSION_ID, b"s" as &[u8])];
        for (size_max, size, cut) in [(100, 100, 7), (20_000, 19_000, 1), (64, 20, 20), (8, 8, 7)] {
            let content: Vec<u8> = (0..=255).cycle().take(size).collect();
            let mut outbox = Outbox::new();
            outbox.push(Kind::ClientWriteStdout, &entries, b"before");
            let slot = outbox.slot(Kind::ClientPGConnectionWrite, &entries, size_max);
            slot[..size].copy_from_slice(&content);
            assert_eq!(outbox.slotted(size), content);
            outbox.fill_cut(Kind::ClientPGConnectionWrite, &entries, size, cut);
            let bytes = drain(&mut outbox, 1000);
            let (mut rest, mut payloads) = (&bytes[..], Vec::new());
            while !rest.is_empty() {
                let len = u32::from_be_bytes(rest[1..5].try_into().unwrap()) as usize;
                let packet = Packet::decode(&rest[5..5 + len]).unwrap();
                assert_eq!(packet.spec(spec::SESSION_ID), Some(b"s" as &[u8]));
                payloads.push(packet.payload.to_vec());
                rest = &rest[5 + len..];
            }
            assert_eq!(payloads[1..].concat(), content);
            assert_eq!(payloads[1].len(), cut);
        }
    }

    #[test]
    fn an_idle_queue_gives_its_memory_back() {
        let mut outbox = Outbox::new();
        outbox.push(Kind::ClientWriteStdout, &[], &[1; 100_000]);
        drain(&mut outbox, 16_375);
        outbox.release_idle();
        assert_eq!(outbox.capacity(), 0);
    }

    proptest! {
        #[test]
        fn every_packet_leaves_whole_and_in_order(
            payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..500), 1..20),
            piece in 1usize..300,
            drained_between in any::<bool>(),
        ) {
            let mut outbox = Outbox::new();
            let mut bytes = Vec::new();
            for payload in &payloads {
                outbox.push(Kind::ClientTCPConnectionWrite, &[(spec::SESSION_ID, b"x")], payload);
                if drained_between {
                    bytes.extend_from_slice(&outbox.frame(b"123456789", piece)[9..]);
                }
            }
            bytes.extend(drain(&mut outbox, piece));
            let mut rest = &bytes[..];
            for payload in &payloads {
                let size = u32::from_be_bytes(rest[1..5].try_into().unwrap()) as usize;
                prop_assert_eq!(Packet::decode(&rest[5..5 + size]).unwrap().payload, &payload[..]);
                rest = &rest[5 + size..];
            }
            prop_assert!(rest.is_empty());
        }
    }
}
