//! Memory for tensors.
//!
//! A training step allocates and frees some gigabytes in large blocks. Given back to the system, every block comes back
//! as pages that the kernel must clear and map: measured on the study's model, a fifth of the step. So large blocks are kept
//! for the next tensor of about their size; and when none of that size is kept, as much of the others goes before more is
//! asked for, so that the memory held is hardly more than the most that was ever in use.

use std::alloc::{GlobalAlloc, Layout};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use mimalloc::MiMalloc;

/// The smallest block that is kept; what is smaller mimalloc handles well.
const LARGE: usize = 1 << 17;
/// Blocks lie on cache lines.
const ALIGNMENT: usize = 64;
/// Sizes are rounded up to so many steps between powers of two: an eighth at most is wasted.
const STEPS: usize = 8;
/// One list for each size up to 2⁶⁴.
const LISTS: usize = 64 * STEPS;

/// The allocator of programs that compute with tensors.
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: model::TensorMemory = model::TensorMemory::new();
/// # let numbers = vec![1.0_f32; 1 << 20];
/// # assert_eq!(numbers.iter().sum::<f32>(), 1_048_576.0);
/// ```
#[derive(Debug)]
pub struct TensorMemory {
    /// The first free block of each size; each free block begins with the address of the next.
    free: [Mutex<usize>; LISTS],
    /// The bytes of all of them.
    kept: AtomicUsize,
}

impl TensorMemory {
    /// Nothing kept yet.
    pub const fn new() -> Self {
        Self { free: [const { Mutex::new(0) }; LISTS], kept: AtomicUsize::new(0) }
    }

    /// A kept block of a list; null if there is none.
    fn take(&self, list: usize) -> *mut u8 {
        let mut first = self.free[list].lock().unwrap_or_else(PoisonError::into_inner);
        let block = ptr::with_exposed_provenance_mut::<usize>(*first);
        if !block.is_null() {
            // SAFETY: a listed block is nobody's, as large as its list says, and begins with the address of the next.
            *first = unsafe { block.read() };
            self.kept.fetch_sub(bytes_of(list), Ordering::Relaxed);
        }
        block.cast()
    }

    fn keep(&self, list: usize, block: *mut u8) {
        let mut first = self.free[list].lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the block was just freed, and is large and aligned enough for an address.
        unsafe { block.cast::<usize>().write(*first) };
        *first = block.expose_provenance();
        self.kept.fetch_add(bytes_of(list), Ordering::Relaxed);
    }

    /// Gives back about so many bytes of what is kept, largest blocks first.
    fn give_back(&self, bytes: usize) {
        let mut given = 0;
        for list in (0..LISTS).rev() {
            while given < bytes && self.kept.load(Ordering::Relaxed) > 0 {
                let block = self.take(list);
                if block.is_null() {
                    break;
                }
                // SAFETY: the block is nobody's, and was asked for in this way.
                unsafe { MiMalloc.dealloc(block, whole(bytes_of(list))) };
                given += bytes_of(list);
            }
        }
    }
}

impl Default for TensorMemory {
    fn default() -> Self {
        Self::new()
    }
}

/// The list of blocks that hold `size` bytes, a large number.
fn list_of(size: usize) -> usize {
    let exponent = size.ilog2() as usize;
    let step = 1 << (exponent - STEPS.ilog2() as usize);
    exponent * STEPS + (size - (1 << exponent)).div_ceil(step)
}

/// How large the blocks of a list are.
fn bytes_of(list: usize) -> usize {
    ((1 << (list / STEPS)) / STEPS) * (STEPS + list % STEPS)
}

/// Whether blocks of a layout are kept: of large ones, those whose alignment ours satisfies.
fn is_kept(layout: Layout) -> bool {
    layout.size() >= LARGE && layout.align() <= ALIGNMENT
}

/// How a block of so many bytes is asked for.
fn whole(bytes: usize) -> Layout {
    Layout::from_size_align(bytes, ALIGNMENT).unwrap_or_else(|_| Layout::new::<usize>())
}

// SAFETY: blocks are mimalloc's; a kept one goes to one owner at a time and is at least as large and aligned as is asked for.
unsafe impl GlobalAlloc for TensorMemory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !is_kept(layout) {
            // SAFETY: passed on to the caller.
            return unsafe { MiMalloc.alloc(layout) };
        }
        let list = list_of(layout.size());
        let block = self.take(list);
        if !block.is_null() {
            return block;
        }
        self.give_back(bytes_of(list));
        // SAFETY: the size is not zero.
        unsafe { MiMalloc.alloc(whole(bytes_of(list))) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !is_kept(layout) {
            // SAFETY: passed on to the caller.
            return unsafe { MiMalloc.alloc_zeroed(layout) };
        }
        let list = list_of(layout.size());
        let block = self.take(list);
        if block.is_null() {
            self.give_back(bytes_of(list));
            // SAFETY: the size is not zero. Pages that are new are clear already, which mimalloc knows.
            return unsafe { MiMalloc.alloc_zeroed(whole(bytes_of(list))) };
        }
        // SAFETY: the block is ours and at least so large.
        unsafe { block.write_bytes(0, layout.size()) };
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if is_kept(layout) {
            self.keep(list_of(layout.size()), block);
        } else {
            // SAFETY: passed on to the caller.
            unsafe { MiMalloc.dealloc(block, layout) };
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Ok(wanted) = Layout::from_size_align(size, layout.align()) else { return ptr::null_mut() };
        if !is_kept(layout) && !is_kept(wanted) {
            // SAFETY: passed on to the caller.
            return unsafe { MiMalloc.realloc(block, layout, size) };
        }
        if is_kept(layout) && is_kept(wanted) && list_of(layout.size()) == list_of(size) {
            return block;
        }
        // SAFETY: both blocks hold what is copied, and the caller gives up the old one.
        unsafe {
            let moved = self.alloc(wanted);
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(block, layout.size().min(size));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_up_by_an_eighth_at_most() {
        for size in [LARGE, LARGE + 1, 3 << 20, 25 << 20, (1 << 25) - 1, (1 << 25) + 12_345] {
            let list = list_of(size);
            let bytes = bytes_of(list);
            assert!(bytes >= size && bytes - size <= size / 8, "{size} became {bytes}");
            assert_eq!(list_of(bytes), list, "a block belongs to the list that its own size names");
        }
    }

    #[test]
    fn a_freed_block_serves_again_and_zeroed_is_zero() {
        let memory = TensorMemory::new();
        let layout = Layout::from_size_align(2 * LARGE + 5, 4).expect("a layout");
        // SAFETY: layouts are of some size, and blocks are used within it and freed once.
        unsafe {
            let first = memory.alloc(layout);
            first.write_bytes(7, layout.size());
            memory.dealloc(first, layout);
            let again = memory.alloc_zeroed(layout);
            assert_eq!(again, first);
            assert!((0..layout.size()).all(|at| again.add(at).read() == 0));
            let other = memory.alloc(layout);
            assert_ne!(other, again);
            other.write(9);
            let grown = memory.realloc(other, layout, 5 * LARGE);
            assert_eq!(grown.read(), 9);
            memory.dealloc(again, layout);
            let small = memory.realloc(grown, Layout::from_size_align(5 * LARGE, 4).expect("a layout"), 100);
            assert_eq!(small.read(), 9);
            memory.dealloc(small, Layout::from_size_align(100, 4).expect("a layout"));
        }
    }

    #[test]
    fn what_is_kept_goes_before_more_is_asked_for() {
        let memory = TensorMemory::new();
        let layout = |megabytes: usize| Layout::from_size_align(megabytes * LARGE, 4).expect("a layout");
        // SAFETY: blocks are freed once, with their own layouts.
        unsafe {
            let blocks = [8, 8, 3].map(|size| (memory.alloc(layout(size)), layout(size)));
            blocks.into_iter().for_each(|(block, layout)| memory.dealloc(block, layout));
            assert_eq!(memory.kept.load(Ordering::Relaxed), 19 * LARGE);
            let other = memory.alloc(layout(6));
            assert_eq!(memory.kept.load(Ordering::Relaxed), 11 * LARGE, "one of the largest went");
            memory.dealloc(other, layout(6));
        }
        memory.give_back(usize::MAX);
        assert_eq!(memory.kept.load(Ordering::Relaxed), 0);
    }
}
