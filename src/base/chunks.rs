//! A byte queue in pieces: append at the tail, take at the head, memory close to the content.
//!
//! For content that may become large while somebody takes it slowly: nothing is ever moved, and
//! what was taken is given back, to [`Pieces`] that all queues of an owner share, so that a steady
//! flow allocates nothing. [`super::ByteBuf`] is the contiguous sibling for small content.

use std::collections::VecDeque;
use std::ops::Range;

use crate::limits::QUEUE_PIECES_KEPT;

/// A full piece: large enough for few, large writes, small enough to give memory back early.
const CHUNK_BYTES: usize = 64 * 1024;

/// Full pieces that no queue needs at the moment, [`QUEUE_PIECES_KEPT`] at most.
#[derive(Default)]
pub struct Pieces {
    free: Vec<Vec<u8>>,
}

impl Pieces {
    fn take(&mut self) -> Vec<u8> {
        let free = self.free.pop();
        free.unwrap_or_else(|| Vec::with_capacity(CHUNK_BYTES))
    }

    fn give_back(&mut self, mut piece: Vec<u8>) {
        if self.free.len() < QUEUE_PIECES_KEPT && piece.capacity() == CHUNK_BYTES {
            piece.clear();
            self.free.push(piece);
        }
    }
}

/// One piece: what waits in it begins at `start`.
struct Chunk {
    bytes: Vec<u8>,
    start: usize,
}

impl Chunk {
    fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, start: 0 }
    }

    fn waiting(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }
}

/// The queue. Invariant: something waits in every piece but perhaps the only one.
#[derive(Default)]
pub struct Chunks {
    chunks: VecDeque<Chunk>,
    len: usize,
}

impl Chunks {
    /// An empty queue that owns no memory yet.
    pub const fn new() -> Self {
        Self {
            chunks: VecDeque::new(),
            len: 0,
        }
    }

    /// Bytes waiting.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Nothing is waiting.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Some memory is held, used or not.
    pub fn holds_memory(&self) -> bool {
        !self.chunks.is_empty()
    }

    /// The oldest waiting bytes, as many as lie in one piece; empty only when nothing waits.
    pub fn first(&self) -> &[u8] {
        self.chunks.front().map_or(&[], Chunk::waiting)
    }

    /// The waiting bytes, oldest first, as they lie.
    pub fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let all = self.chunks.iter().map(Chunk::waiting);
        all.filter(|part| !part.is_empty())
    }

    /// Drops the `n` oldest bytes, or all. The last piece is kept for what comes next.
    pub fn consume(&mut self, mut n: usize, pieces: &mut Pieces) {
        let mut is_last = self.chunks.len() == 1;
        while n > 0
            && let Some(first) = self.chunks.front_mut()
        {
            let part = n.min(first.waiting().len());
            n -= part;
            first.start += part;
            self.len -= part;
            if !first.waiting().is_empty() {
                return;
            }
            if is_last {
                first.bytes.clear();
                first.start = 0;
                return;
            }
            if let Some(piece) = self.chunks.pop_front() {
                pieces.give_back(piece.bytes);
            }
            is_last = self.chunks.len() == 1;
        }
    }

    /// Appends a copy of `bytes`.
    pub fn extend(&mut self, mut bytes: &[u8], pieces: &mut Pieces) {
        self.len += bytes.len();
        while !bytes.is_empty() {
            let back = self.chunks.back_mut().map(|chunk| &mut chunk.bytes);
            let used = back.as_ref().map_or(CHUNK_BYTES, |chunk| chunk.len());
            let room = CHUNK_BYTES.saturating_sub(used);
            let (now, later) = bytes.split_at(bytes.len().min(room));
            match back {
                Some(chunk) if !now.is_empty() => {
                    // Grown by ourselves, so that a piece never takes more than its size.
                    let wanted = (chunk.capacity() * 2).clamp(used + now.len(), CHUNK_BYTES);
                    chunk.reserve_exact(wanted.saturating_sub(used));
                    chunk.extend_from_slice(now);
                }
                // What follows a full piece will hardly stay small.
                Some(_) => self.chunks.push_back(Chunk::new(pieces.take())),
                None => self.chunks.push_back(Chunk::new(Vec::new())),
            }
            bytes = later;
        }
    }

    /// Whether `buffer` is worth keeping for `size` bytes in it: it can serve as a piece again, and is
    /// at most twice as large as what would wait in it.
    pub fn suits(buffer: &Vec<u8>, size: usize) -> bool {
        (size..=size * 2).contains(&buffer.capacity()) && buffer.capacity() <= CHUNK_BYTES
    }

    /// Appends the bytes at `range` of `buffer` without copying them: the memory becomes a piece of
    /// the queue, and `buffer` gets another one, empty.
    pub fn keep(&mut self, buffer: &mut Vec<u8>, range: Range<usize>, pieces: &mut Pieces) {
        if self.is_empty()
            && let Some(idle) = self.chunks.pop_back()
        {
            pieces.give_back(idle.bytes);
        }
        buffer.truncate(range.end);
        let bytes = std::mem::replace(buffer, pieces.take());
        let chunk = Chunk {
            bytes,
            start: range.start,
        };
        if !chunk.waiting().is_empty() {
            self.len += chunk.waiting().len();
            self.chunks.push_back(chunk);
        }
    }

    /// Forgets the content and the memory.
    pub fn clear(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn memory_stays_close_to_the_content() {
        let (mut queue, mut pieces) = (Chunks::new(), Pieces::default());
        for _ in 0..1000 {
            queue.extend(&[7; 10_000], &mut pieces);
        }
        let held = |queue: &Chunks| -> usize {
            let chunks = queue.chunks.iter();
            chunks.map(|chunk| chunk.bytes.capacity()).sum()
        };
        assert!(held(&queue) <= queue.len() + CHUNK_BYTES);
        while queue.len() > 100 {
            queue.consume(1234.min(queue.len() - 100), &mut pieces);
        }
        assert!(held(&queue) <= 2 * CHUNK_BYTES);
        assert_eq!(pieces.free.len(), QUEUE_PIECES_KEPT);
        queue.consume(100, &mut pieces);
        queue.clear();
        assert!(!queue.holds_memory());
    }

    proptest! {
        #[test]
        fn behaves_like_a_queue(
            steps in proptest::collection::vec((0..4u8, 0usize..200_000), 1..40),
        ) {
            let (mut queue, mut pieces) = (Chunks::new(), Pieces::default());
            let mut model = VecDeque::new();
            let mut next = 0u8;
            for (step, n) in steps {
                let mut bytes = || -> Vec<u8> {
                    (0..n).map(|_| { next = next.wrapping_add(1); next }).collect()
                };
                if step == 0 {
                    let bytes = bytes();
                    queue.extend(&bytes, &mut pieces);
                    model.extend(bytes);
                } else if step == 1 {
                    let mut buffer = bytes();
                    let range = n / 7..n - n / 9;
                    model.extend(&buffer[range.clone()]);
                    queue.keep(&mut buffer, range, &mut pieces);
                    prop_assert!(buffer.is_empty());
                } else {
                    prop_assert_eq!(queue.first().is_empty(), model.is_empty());
                    let waiting: Vec<u8> = queue.parts().flatten().copied().collect();
                    prop_assert!(waiting.starts_with(queue.first()));
                    prop_assert_eq!(&waiting, model.make_contiguous());
                    model.drain(..n.min(model.len()));
                    queue.consume(n, &mut pieces);
                }
                prop_assert_eq!(queue.len(), model.len());
            }
        }
    }
}
