//! An allocator that counts what each thread allocates; all that is unsafe in this program.
#![expect(unsafe_code, reason = "an allocator is unsafe to implement")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

fn count(allocations: usize, more: usize, less: usize) {
    // A thread that is coming to its end has no counters any more.
    ALLOCATIONS
        .try_with(|count| count.set(count.get() + allocations))
        .ok();
    BYTES
        .try_with(|bytes| bytes.set(bytes.get().wrapping_add(more).wrapping_sub(less)))
        .ok();
}

// SAFETY: all is passed on as it comes to the system's allocator; counting allocates nothing, because
// both counters are initialised without code and dropped without.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size(), 0);
        // SAFETY: the caller promises what `alloc` wants.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, 0, layout.size());
        // SAFETY: every pointer that we gave was the system's.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size, layout.size());
        // SAFETY: every pointer that we gave was the system's.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// How often this thread allocates while `action` runs.
pub(crate) fn allocations_of(action: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    action();
    ALLOCATIONS.get() - before
}

/// How many bytes more this thread has after `action` than before.
pub(crate) fn bytes_kept_by(action: impl FnOnce()) -> usize {
    let before = BYTES.get();
    action();
    BYTES.get().wrapping_sub(before)
}
