//! What a session's parameters take of the heap, so that a bound on them is one on memory.
//!
//! Promises never to count less than an allocator takes; a quarter more is good enough.

/// An entry of a map of texts, node and all, when the nodes are half full.
pub(super) const MAP_ENTRY_BYTES: usize = 128;

/// A block of `capacity` bytes: allocators have a head, and sizes that are a quarter apart.
pub(super) fn block(capacity: usize) -> usize {
    match capacity {
        0 => 0,
        _ => capacity + capacity / 4 + 16,
    }
}

/// Words and the list of them.
pub(super) fn words(words: &Vec<Vec<u8>>) -> usize {
    let contents = words.iter().map(|word| block(word.capacity()));
    block(words.capacity() * size_of::<Vec<u8>>()) + contents.sum::<usize>()
}
