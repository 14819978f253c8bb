//! An allocator that counts what a test's own thread takes, so that counts are exact.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static IS_COUNTED: Cell<bool> = const { Cell::new(false) };
    /// Bytes that were taken and not given back while it was counted.
    static HELD: Cell<usize> = const { Cell::new(0) };
    /// How often some were taken.
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

struct Measuring;

fn note(more: usize, less: usize) {
    // The allocator is asked for the last time when a thread's variables are gone already.
    if IS_COUNTED.try_with(Cell::get).unwrap_or(false) {
        HELD.set(HELD.get().wrapping_add(more).wrapping_sub(less));
        COUNT.set(COUNT.get() + usize::from(more > 0));
    }
}

#[allow(unsafe_code)]
// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Measuring {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size(), 0);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(0, layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size, layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Measuring = Measuring;

/// Counts what `run` does.
pub fn counted<T>(run: impl FnOnce() -> T) -> T {
    IS_COUNTED.set(true);
    let result = run();
    IS_COUNTED.set(false);
    result
}

/// Counts all that this thread does from now on.
pub fn count_everything() {
    IS_COUNTED.set(true);
}

/// Bytes that were taken and not given back while it was counted.
pub fn held() -> usize {
    HELD.get()
}

/// How often some were taken while it was counted.
pub fn count() -> usize {
    COUNT.get()
}
