//! The program's allocator: the system's, but blocks of the size of a TLS record are kept.
//!
//! rustls makes a vector for every record that it encrypts or decrypts. musl answers each with a
//! mapping of its own, which costs more than the cipher: two system calls and the zeroing of fresh
//! pages. So some blocks of that size are kept back when they are freed, and handed out again.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// Every kept block has this size: the largest record (16 KiB and what TLS adds) fits.
const BLOCK_BYTES: usize = 20 * 1024;

/// Smaller ones share their pages with others, and cost no call.
const BLOCK_BYTES_MIN: usize = 12 * 1024;

/// Blocks kept. A record lives until the next one is made, so one of each direction is in use.
const BLOCK_COUNT: usize = 4;

/// What malloc promises without being asked.
const ALIGNMENT_MAX: usize = align_of::<usize>();

/// See the module.
pub struct RecordMemory {
    /// Free blocks of [`BLOCK_BYTES`] each, or null. Taken and given back by a swap of the whole
    /// pointer, so that no thread can see a block that another one has.
    kept: [AtomicPtr<u8>; BLOCK_COUNT],
}

impl RecordMemory {
    /// With nothing kept.
    #[allow(clippy::new_without_default, reason = "for a static")]
    pub const fn new() -> Self {
        Self {
            kept: [const { AtomicPtr::new(ptr::null_mut()) }; BLOCK_COUNT],
        }
    }

    fn take(&self) -> *mut u8 {
        for slot in &self.kept {
            if !slot.load(Ordering::Relaxed).is_null() {
                let block = slot.swap(ptr::null_mut(), Ordering::Acquire);
                if !block.is_null() {
                    return block;
                }
            }
        }
        ptr::null_mut()
    }

    /// `true` when the block is kept now.
    fn keep(&self, block: *mut u8) -> bool {
        let empty = ptr::null_mut();
        self.kept.iter().any(|slot| {
            slot.compare_exchange(empty, block, Ordering::Release, Ordering::Relaxed)
                .is_ok()
        })
    }
}

/// Requests of this layout are served by whole blocks, and only they.
fn is_block(layout: Layout) -> bool {
    (BLOCK_BYTES_MIN + 1..=BLOCK_BYTES).contains(&layout.size()) && layout.align() <= ALIGNMENT_MAX
}

/// What the system is asked for.
fn served(layout: Layout) -> Layout {
    if is_block(layout) {
        // SAFETY: the alignment is that of a valid layout, and the size is far from the largest.
        unsafe { Layout::from_size_align_unchecked(BLOCK_BYTES, layout.align()) }
    } else {
        layout
    }
}

// SAFETY: what comes from `System` has the size and alignment of `served`, which are at least the
// caller's, and goes back to `System` with a layout of the same class. A kept block is a live
// allocation of `BLOCK_BYTES` with the alignment of malloc, and in one place at a time.
unsafe impl GlobalAlloc for RecordMemory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_block(layout) {
            let block = self.take();
            if !block.is_null() {
                return block;
            }
        }
        // SAFETY: not smaller than the caller's layout, whose size is not zero.
        unsafe { System.alloc(served(layout)) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as for `alloc`. Kept blocks are not zero, so the system is asked.
        unsafe { System.alloc_zeroed(served(layout)) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if is_block(layout) && self.keep(block) {
            return;
        }
        // SAFETY: it came from `System` with this layout.
        unsafe { System.dealloc(block, served(layout)) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that `size`, with this alignment, is a valid layout.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        if is_block(layout) && is_block(wanted) {
            return block;
        }
        // SAFETY: it came from `System` with the layout of `served`.
        unsafe { System.realloc(block, served(layout), served(wanted).size()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 1).unwrap()
    }

    #[test]
    fn a_freed_record_is_handed_out_again() {
        let memory = RecordMemory::new();
        // SAFETY: every block is used and freed with the layout that it was asked for with.
        unsafe {
            let first = memory.alloc(layout(16_384));
            memory.dealloc(first, layout(16_384));
            let second = memory.alloc(layout(16_406));
            assert_eq!(first, second);
            let other = memory.alloc(layout(16_406));
            assert_ne!(second, other);
            memory.dealloc(second, layout(16_406));
            memory.dealloc(other, layout(16_406));
        }
    }

    #[test]
    fn no_more_blocks_are_kept_than_there_is_room() {
        let memory = RecordMemory::new();
        // SAFETY: as above.
        unsafe {
            let blocks = [(); 2 * BLOCK_COUNT].map(|()| memory.alloc(layout(16_384)));
            for block in blocks {
                memory.dealloc(block, layout(16_384));
            }
        }
        let kept = |slot: &AtomicPtr<u8>| !slot.load(Ordering::Relaxed).is_null();
        assert!(memory.kept.iter().all(kept));
    }

    proptest! {
        #[test]
        fn content_survives_whatever_is_asked_for(
            steps in proptest::collection::vec((0usize..6, 1usize..40_000, any::<bool>()), 1..200),
        ) {
            let memory = RecordMemory::new();
            let mut held: Vec<(*mut u8, usize, u8)> = Vec::new();
            for (number, (slot, size, again)) in steps.into_iter().enumerate() {
                #[allow(clippy::cast_possible_truncation, reason = "any byte will do")]
                let mark = number as u8;
                // SAFETY: every block is used within its size, and freed or resized with it.
                unsafe {
                    if slot < held.len() {
                        let (block, old, mark) = held.swap_remove(slot);
                        let content = std::slice::from_raw_parts(block, old);
                        prop_assert!(content.iter().all(|byte| *byte == mark));
                        if again {
                            let block = memory.realloc(block, layout(old), size);
                            let kept = std::slice::from_raw_parts_mut(block, size);
                            prop_assert!(kept.iter().take(old).all(|byte| *byte == mark));
                            kept.fill(mark);
                            held.push((block, size, mark));
                        } else {
                            memory.dealloc(block, layout(old));
                        }
                    } else {
                        let block = memory.alloc(layout(size));
                        std::slice::from_raw_parts_mut(block, size).fill(mark);
                        held.push((block, size, mark));
                    }
                }
            }
            for (block, size, _) in held {
                // SAFETY: as above.
                unsafe { memory.dealloc(block, layout(size)) };
            }
        }
    }
}
