//! A growable byte queue in one contiguous piece: append at the tail, take at the head.
//!
//! The memory is always initialised up to its capacity, so a reader may be handed the spare part
//! as `&mut [u8]` without `unsafe`. Bounds are the owner's business; this only never grows by
//! itself beyond what was asked for.

/// Contiguous queue of bytes with spare room at the end.
///
/// Invariant: `head <= tail <= memory.len()`, and both are 0 when the queue is empty.
#[derive(Default)]
pub struct ByteBuf {
    memory: Vec<u8>,
    head: usize,
    tail: usize,
}

impl ByteBuf {
    /// An empty queue that owns no memory yet.
    pub const fn new() -> Self {
        Self {
            memory: Vec::new(),
            head: 0,
            tail: 0,
        }
    }

    /// Bytes waiting.
    pub fn len(&self) -> usize {
        self.tail - self.head
    }

    /// Nothing is waiting.
    pub fn is_empty(&self) -> bool {
        self.head == self.tail
    }

    /// Memory held, used or not.
    pub fn capacity(&self) -> usize {
        self.memory.len()
    }

    /// The waiting bytes, oldest first.
    pub fn filled(&self) -> &[u8] {
        &self.memory[self.head..self.tail]
    }

    /// The waiting bytes, to be changed in place.
    pub fn filled_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.head..self.tail]
    }

    /// Drops `n` bytes from the head.
    pub fn consume(&mut self, n: usize) {
        debug_assert!(n <= self.len());
        self.head = (self.head + n).min(self.tail);
        if self.head == self.tail {
            self.head = 0;
            self.tail = 0;
        }
    }

    /// Room for at least `n` more bytes behind the tail; follow with [`ByteBuf::advance`].
    pub fn spare(&mut self, n: usize) -> &mut [u8] {
        self.reserve(n);
        &mut self.memory[self.tail..]
    }

    /// Room for exactly `n` more bytes. Memory that has to grow for it grows to no more than that
    /// and `rest`, the most that usually waits when more is read.
    pub fn slot(&mut self, n: usize, rest: usize) -> &mut [u8] {
        if self.memory.len() - self.tail < n {
            self.compact();
            if self.memory.len() - self.tail < n {
                let rest = if self.is_empty() {
                    0
                } else {
                    rest.max(self.tail)
                };
                self.memory.reserve_exact(n + rest - self.memory.len());
                self.memory.resize(n + rest, 0);
            }
        }
        &mut self.memory[self.tail..self.tail + n]
    }

    /// `n` bytes of the spare room have been filled.
    pub fn advance(&mut self, n: usize) {
        debug_assert!(self.tail + n <= self.memory.len());
        self.tail = (self.tail + n).min(self.memory.len());
    }

    /// Keeps the oldest `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.tail = (self.head + len).min(self.tail);
    }

    /// Appends a copy of `bytes`.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.memory[self.tail..self.tail + bytes.len()].copy_from_slice(bytes);
        self.tail += bytes.len();
    }

    /// Overwrites all of its memory, what was consumed included, and is empty.
    pub fn wipe(&mut self) {
        super::wipe(&mut self.memory);
        self.clear();
    }

    /// Overwrites what was consumed.
    pub fn wipe_consumed(&mut self) {
        let (before, rest) = self.memory.split_at_mut(self.head);
        super::wipe(before);
        super::wipe(&mut rest[self.tail - self.head..]);
    }

    /// Forgets the content, keeps the memory.
    pub fn clear(&mut self) {
        self.head = 0;
        self.tail = 0;
    }

    /// Returns memory beyond `keep` bytes when the content allows it.
    pub fn shrink(&mut self, keep: usize) {
        if self.memory.len() <= keep.max(self.len()) {
            return;
        }
        self.compact();
        self.memory.truncate(keep.max(self.tail));
        self.memory.shrink_to_fit();
    }

    fn compact(&mut self) {
        if self.head > 0 {
            self.memory.copy_within(self.head..self.tail, 0);
            self.tail -= self.head;
            self.head = 0;
        }
    }

    fn reserve(&mut self, n: usize) {
        if self.memory.len() - self.tail >= n {
            return;
        }
        // Moving the content costs less than new memory only while little of it is left.
        if self.memory.len() - self.len() >= n && self.head >= self.len() {
            self.compact();
            return;
        }
        self.compact();
        if self.memory.len() - self.tail < n {
            let wanted = (self.tail + n)
                .max(self.memory.len().saturating_mul(2))
                .max(MEMORY_MIN);
            self.memory.resize(wanted, 0);
        }
    }
}

/// The first allocation: a small answer fits, an idle owner pays nothing.
const MEMORY_MIN: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn starts_without_memory() {
        let buf = ByteBuf::new();
        assert_eq!((buf.len(), buf.capacity()), (0, 0));
    }

    #[test]
    fn shrink_keeps_the_content() {
        let mut buf = ByteBuf::new();
        buf.extend(&[7; 10_000]);
        buf.consume(9_990);
        buf.shrink(64);
        assert_eq!(buf.filled(), &[7; 10]);
        assert!(buf.capacity() <= 64);
    }

    #[test]
    fn a_slot_takes_no_more_memory_than_it_and_what_waits() {
        let mut buf = ByteBuf::new();
        assert_eq!(buf.slot(1000, 64).len(), 1000);
        assert_eq!(buf.capacity(), 1000);
        buf.advance(1000);
        buf.consume(990);
        assert_eq!(buf.slot(1000, 64).len(), 1000);
        assert_eq!(buf.capacity(), 1064);
        buf.advance(1000);
        assert_eq!(buf.slot(1000, 64).len(), 1000);
        assert_eq!(buf.capacity(), 2010);
    }

    #[test]
    fn what_was_consumed_is_wiped_and_the_rest_stays() {
        let mut buf = ByteBuf::new();
        buf.extend(b"s3cret rest");
        buf.consume(7);
        buf.wipe_consumed();
        assert_eq!(buf.filled(), b"rest");
        assert_eq!(buf.memory[..7], [0; 7]);
        buf.consume(4);
        buf.wipe_consumed();
        assert!(buf.memory.iter().all(|byte| *byte == 0));
    }

    proptest! {
        #[test]
        fn behaves_like_a_queue(steps in proptest::collection::vec((0usize..4, 0usize..700), 1..80)) {
            let mut buf = ByteBuf::new();
            let mut model = std::collections::VecDeque::new();
            let mut next = 0u8;
            for (kind, n) in steps {
                match kind {
                    0 => {
                        let bytes: Vec<u8> = (0..n).map(|_| { next = next.wrapping_add(1); next }).collect();
                        buf.extend(&bytes);
                        model.extend(bytes);
                    }
                    1 => {
                        let n = n.min(buf.len());
                        buf.consume(n);
                        model.drain(..n);
                    }
                    _ => {
                        let spare = match kind {
                            2 => buf.spare(n),
                            _ => buf.slot(n, 100),
                        };
                        prop_assert!(spare.len() >= n);
                        for byte in &mut spare[..n] { next = next.wrapping_add(1); *byte = next; model.push_back(next); }
                        buf.advance(n);
                    }
                }
                prop_assert_eq!(buf.filled(), model.make_contiguous() as &[u8]);
            }
        }
    }
}
