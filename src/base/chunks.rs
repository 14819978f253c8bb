//! A byte queue in pieces: append at the tail, take at the head, memory close to the content.
//!
//! For content that may become large while somebody takes it slowly: nothing is ever moved, and
//! what was taken is given back, to [`Pieces`] that all queues of an owner share, so that a steady
//! flow allocates nothing. [`super::ByteBuf`] is the contiguous sibling for small content.

use std::collections::VecDeque;

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

/// The queue. Invariant: no piece but the first is empty, and `head` lies within the first.
#[derive(Default)]
pub struct Chunks {
    chunks: VecDeque<Vec<u8>>,
    head: usize,
    len: usize,
}

impl Chunks {
    /// An empty queue that owns no memory yet.
    pub const fn new() -> Self {
        Self {
            chunks: VecDeque::new(),
            head: 0,
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
        self.chunks
            .front()
            .and_then(|chunk| chunk.get(self.head..))
            .unwrap_or_default()
    }

    /// The waiting bytes, oldest first, as they lie.
    pub fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let later = self.chunks.iter().skip(1).map(Vec::as_slice);
        let all = std::iter::once(self.first()).chain(later);
        all.filter(|part| !part.is_empty())
    }

    /// Drops the `n` oldest bytes, or all. The last piece is kept for what comes next.
    pub fn consume(&mut self, mut n: usize, pieces: &mut Pieces) {
        while n > 0 && self.len > 0 {
            let part = n.min(self.first().len());
            n -= part;
            self.head += part;
            self.len -= part;
            if self.first().is_empty() {
                self.head = 0;
                if self.chunks.len() == 1 {
                    self.chunks[0].clear();
                } else if let Some(piece) = self.chunks.pop_front() {
                    pieces.give_back(piece);
                }
            }
        }
    }

    /// Appends a copy of `bytes`.
    pub fn extend(&mut self, mut bytes: &[u8], pieces: &mut Pieces) {
        self.len += bytes.len();
        while !bytes.is_empty() {
            let used = self.chunks.back().map_or(CHUNK_BYTES, Vec::len);
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK_BYTES - used));
            match self.chunks.back_mut() {
                Some(chunk) if !now.is_empty() => {
                    // Grown by ourselves, so that a piece never takes more than its size.
                    let wanted = (chunk.capacity() * 2).clamp(used + now.len(), CHUNK_BYTES);
                    chunk.reserve_exact(wanted.saturating_sub(used));
                    chunk.extend_from_slice(now);
                }
                // What follows a full piece will hardly stay small.
                Some(_) => self.chunks.push_back(pieces.take()),
                None => self.chunks.push_back(Vec::new()),
            }
            bytes = later;
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
        let held = |queue: &Chunks| queue.chunks.iter().map(Vec::capacity).sum::<usize>();
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
            steps in proptest::collection::vec((any::<bool>(), 0usize..200_000), 1..40),
        ) {
            let (mut queue, mut pieces) = (Chunks::new(), Pieces::default());
            let mut model = VecDeque::new();
            let mut next = 0u8;
            for (is_put, n) in steps {
                if is_put {
                    let bytes: Vec<u8> =
                        (0..n).map(|_| { next = next.wrapping_add(1); next }).collect();
                    queue.extend(&bytes, &mut pieces);
                    model.extend(bytes);
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
