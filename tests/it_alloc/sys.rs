//! An allocator that counts what each thread allocates and looks at what it frees; all that is unsafe in
//! this program.
#![expect(unsafe_code, reason = "an allocator is unsafe to implement")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;
use std::slice;

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static BYTES: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
    static MARKER: Cell<Option<[u8; MARKER_LEN]>> = const { Cell::new(None) };
    static FOUND: Cell<usize> = const { Cell::new(0) };
}

/// How many bytes a marker has.
pub(crate) const MARKER_LEN: usize = 16;

// A thread that is coming to its end has none of these any more.

fn count(allocations: usize, more: usize, less: usize) {
    ALLOCATIONS
        .try_with(|count| count.set(count.get() + allocations))
        .ok();
    let bytes = BYTES.try_with(|bytes| {
        // Memory may be freed by another thread than it was allocated by.
        let now = bytes.get().wrapping_add(more).wrapping_sub(less);
        bytes.set(now);
        now
    });
    let Ok(bytes) = bytes else { return };
    PEAK.try_with(|peak| {
        // Less than before looks like a huge rise.
        if bytes.wrapping_sub(peak.get()) < usize::MAX / 2 {
            peak.set(bytes);
        }
    })
    .ok();
}

fn look_at(bytes: &[u8]) {
    let Ok(Some(marker)) = MARKER.try_with(Cell::get) else {
        return;
    };
    if bytes.windows(MARKER_LEN).any(|window| window == marker) {
        FOUND.try_with(|found| found.set(found.get() + 1)).ok();
    }
}

// SAFETY: all memory is the system's, passed on as it comes; counting and looking allocate nothing, because
// what they use is initialised without code and dropped without.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size(), 0);
        // SAFETY: the caller promises what `alloc_zeroed` wants. Zeroed, so that all of it can be looked at.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, 0, layout.size());
        // SAFETY: the memory is as large as that, is initialised since it was allocated, and nobody else
        // has it any more.
        look_at(unsafe { slice::from_raw_parts(pointer, layout.size()) });
        // SAFETY: every pointer that we gave was the system's.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that `size` fits a layout of this alignment.
        let new_layout = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: the caller promises that `size` is not zero.
        let new = unsafe { System.alloc_zeroed(new_layout) };
        if !new.is_null() {
            count(1, size, 0);
            // SAFETY: both have that many bytes, and one of them is new.
            unsafe { ptr::copy_nonoverlapping(pointer, new, layout.size().min(size)) };
            // SAFETY: the caller gives up the old memory with a new one.
            unsafe { self.dealloc(pointer, layout) };
        }
        new
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

/// How many bytes more than before this thread has at most while `action` runs.
pub(crate) fn peak_of(action: impl FnOnce()) -> usize {
    let before = BYTES.get();
    PEAK.set(before);
    action();
    PEAK.get().wrapping_sub(before)
}

/// How many pieces of memory that this thread frees while `action` runs have `marker` in them.
pub(crate) fn freed_with(marker: [u8; MARKER_LEN], action: impl FnOnce()) -> usize {
    FOUND.set(0);
    MARKER.set(Some(marker));
    action();
    MARKER.set(None);
    FOUND.get()
}
