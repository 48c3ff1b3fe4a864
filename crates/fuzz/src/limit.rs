//! An allocator with a limit, so that unbounded memory is a finding and not the end of the machine.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering};

/// The most bytes that one execution may hold at once.
pub(crate) const MOST: isize = 512 << 20;

/// Bytes held now, less those held when the execution began.
static HELD: AtomicIsize = AtomicIsize::new(0);

/// Starts to count anew.
pub(crate) fn reset() {
    HELD.store(0, Ordering::Relaxed);
}

/// The system's allocator, which aborts beyond the limit.
pub(crate) struct Limited;

impl Limited {
    fn add(bytes: usize) {
        let bytes = isize::try_from(bytes).unwrap_or(isize::MAX);
        if HELD.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) > MOST {
            // Below, printing may allocate.
            HELD.store(isize::MIN / 2, Ordering::Relaxed);
            eprintln!("finding: more than {MOST} bytes at once; the last allocation is of {bytes} bytes");
            std::process::abort();
        }
    }

    fn remove(bytes: usize) {
        HELD.fetch_sub(isize::try_from(bytes).unwrap_or(isize::MAX), Ordering::Relaxed);
    }
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::add(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::add(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        Self::remove(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::remove(layout.size());
        Self::add(size);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
