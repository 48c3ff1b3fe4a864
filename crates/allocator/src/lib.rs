//! Memory for large blocks of numbers.
//!
//! A training step allocates and frees some gigabytes in large blocks. Given back to the system, every block comes back
//! as pages that the kernel must clear and map: measured on the study's model, a fifth of the step. So large blocks come
//! from a stretch of addresses that is reserved once and whose pages stay. A freed block joins the free ones beside it, so
//! that a wide activation lies where narrow ones lay before, and what is held is hardly more than the most that was ever in
//! use.

use std::alloc::{GlobalAlloc, Layout};
use std::collections::BTreeMap;
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mimalloc::MiMalloc;

/// The smallest block that comes from the stretch; what is smaller mimalloc handles well.
const LARGE: usize = 1 << 17;
/// Blocks lie on pairs of cache lines, as the crate `gemm` wants its packed operands to (`CACHELINE_ALIGN`).
const ALIGNMENT: usize = 128;
/// What a block is longer than asked for: activations are powers of two long, and would otherwise all begin at the same
/// place in a page, so that their values crowd into the same few lines of the cache.
const OFFSET: usize = 5 * ALIGNMENT;
/// The stretch is as long as the system lets it be, up to so many bytes; addresses alone cost nothing.
const LONGEST: usize = 1 << 40;
const SHORTEST: usize = 1 << 32;

/// The allocator of programs that work on large blocks, tensors or decompressed columns, over and over.
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: allocator::LargeBlocks = allocator::LargeBlocks::new();
/// # let numbers = vec![1.0_f32; 1 << 20];
/// # assert_eq!(numbers.iter().sum::<f32>(), 1_048_576.0);
/// ```
#[derive(Debug)]
pub struct LargeBlocks(Mutex<Stretch>);

/// A stretch of addresses, of which the first have been in use.
#[derive(Debug)]
struct Stretch {
    /// Where it begins; none until the first block, or where the system gives none.
    start: Option<usize>,
    asked: bool,
    length: usize,
    /// Bytes from the start on that have ever been in use.
    touched: usize,
    /// Free blocks within those: their lengths by their places, no two of them adjacent.
    free: BTreeMap<usize, usize>,
}

impl Stretch {
    /// Reserves addresses, once.
    fn reserve(&mut self) -> Option<usize> {
        if !self.asked {
            self.asked = true;
            self.length = LONGEST;
            while self.start.is_none() && self.length >= SHORTEST {
                self.start = reserved(self.length);
                if self.start.is_none() {
                    self.length /= 2;
                }
            }
        }
        self.start
    }

    /// The address of a block, from the smallest free one that is long enough, else from what was never in use.
    fn take(&mut self, bytes: usize) -> Option<usize> {
        let start = self.reserve()?;
        let long_enough = self.free.iter().filter(|(_, length)| **length >= bytes);
        if let Some((&place, &length)) = long_enough.min_by_key(|(_, length)| **length) {
            self.free.remove(&place);
            if length > bytes {
                self.free.insert(place + bytes, length - bytes);
            }
            return Some(start + place);
        }
        // A free block at the end grows.
        let last = self.free.last_key_value().filter(|(place, length)| **place + **length == self.touched);
        let place = last.map_or(self.touched, |(place, _)| *place);
        if place + bytes > self.length {
            return None;
        }
        self.free.remove(&place);
        self.touched = place + bytes;
        Some(start + place)
    }

    /// Whether a block is of this stretch and not mimalloc's.
    fn owns(&self, address: usize) -> bool {
        self.start.is_some_and(|start| (start..start + self.length).contains(&address))
    }

    /// Whether a block could be made longer or shorter where it lies.
    fn resize(&mut self, address: usize, bytes: usize, wanted: usize) -> bool {
        if wanted <= bytes {
            if wanted < bytes {
                self.give(address + wanted, bytes - wanted);
            }
            return true;
        }
        let (end, more) = (address - self.start.unwrap_or(0) + bytes, wanted - bytes);
        let behind = self.free.get(&end).copied().unwrap_or(0);
        let is_last = end + behind == self.touched;
        if behind < more && !(is_last && end + more <= self.length) {
            return false;
        }
        self.free.remove(&end);
        if behind > more {
            self.free.insert(end + more, behind - more);
        }
        self.touched = self.touched.max(end + more);
        true
    }

    /// A block is free, and one with the free ones beside it.
    fn give(&mut self, address: usize, bytes: usize) {
        let mut place = address - self.start.unwrap_or(0);
        let mut length = bytes;
        if let Some(after) = self.free.remove(&(place + length)) {
            length += after;
        }
        let before = self.free.range(..place).next_back().map(|(&place, &length)| (place, length));
        if let Some((earlier, its_length)) = before.filter(|(earlier, its_length)| earlier + its_length == place) {
            place = earlier;
            length += its_length;
        }
        self.free.insert(place, length);
    }
}

/// Addresses that are nobody else's, without memory behind them until they are used, and then in huge pages where the
/// system has them.
fn reserved(length: usize) -> Option<usize> {
    // SAFETY: asks for new addresses, and says how they will be used.
    unsafe {
        let (access, kind) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE);
        let start = libc::mmap(ptr::null_mut(), length, access, kind, -1, 0);
        if start == libc::MAP_FAILED {
            return None;
        }
        #[cfg(target_os = "linux")]
        libc::madvise(start, length, libc::MADV_HUGEPAGE);
        Some(start.expose_provenance())
    }
}

impl LargeBlocks {
    /// Nothing reserved yet.
    pub const fn new() -> Self {
        Self(Mutex::new(Stretch { start: None, asked: false, length: 0, touched: 0, free: BTreeMap::new() }))
    }

    /// What is kept in order under the lock is smaller than a large block, so keeping it never comes back here.
    fn stretch(&self) -> MutexGuard<'_, Stretch> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for LargeBlocks {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether a block of a layout comes from the stretch.
fn is_large(layout: Layout) -> bool {
    layout.size() >= LARGE && layout.align() <= ALIGNMENT
}

/// How long the block of a layout is in the stretch.
fn length(layout: Layout) -> usize {
    layout.size().next_multiple_of(ALIGNMENT) + OFFSET
}

// SAFETY: a block of the stretch goes to one owner at a time, is as long as is asked for and begins at a multiple of
// `ALIGNMENT`, and the pages behind it stay; every other is mimalloc's.
unsafe impl GlobalAlloc for LargeBlocks {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_large(layout)
            && let Some(address) = self.stretch().take(length(layout))
        {
            return ptr::with_exposed_provenance_mut(address);
        }
        // SAFETY: passed on to the caller.
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if is_large(layout) {
            let mut stretch = self.stretch();
            if stretch.owns(block.addr()) {
                return stretch.give(block.addr(), length(layout));
            }
        }
        // SAFETY: passed on to the caller; the block is not the stretch's.
        unsafe { MiMalloc.dealloc(block, layout) };
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !is_large(layout) {
            // SAFETY: passed on to the caller.
            return unsafe { MiMalloc.alloc_zeroed(layout) };
        }
        // SAFETY: passed on to the caller; what is cleared is the block.
        unsafe {
            let block = self.alloc(layout);
            if !block.is_null() {
                block.write_bytes(0, layout.size());
            }
            block
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Ok(wanted) = Layout::from_size_align(size, layout.align()) else { return ptr::null_mut() };
        if !is_large(layout) && !is_large(wanted) {
            // SAFETY: passed on to the caller.
            return unsafe { MiMalloc.realloc(block, layout, size) };
        }
        if is_large(layout) && is_large(wanted) {
            let mut stretch = self.stretch();
            if stretch.owns(block.addr()) && stretch.resize(block.addr(), length(layout), length(wanted)) {
                return block;
            }
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

    fn layout(bytes: usize) -> Layout {
        Layout::from_size_align(bytes, 4).expect("a layout")
    }

    #[test]
    fn what_is_freed_serves_again_and_zeroed_is_zero() {
        let memory = LargeBlocks::new();
        let layout = layout(2 * LARGE + 5);
        // SAFETY: blocks are used within their layouts and freed once.
        unsafe {
            let first = memory.alloc(layout);
            first.write_bytes(7, layout.size());
            memory.dealloc(first, layout);
            let again = memory.alloc_zeroed(layout);
            assert_eq!(again, first);
            assert!((0..layout.size()).all(|at| again.add(at).read() == 0));
            memory.dealloc(again, layout);
        }
    }

    #[test]
    fn a_block_keeps_its_content_when_it_grows_and_shrinks_past_every_border() {
        let memory = LargeBlocks::new();
        let sizes = [100, LARGE - 1, LARGE, 5 * LARGE, 2 * LARGE, 100];
        // SAFETY: as above.
        unsafe {
            let mut block = memory.alloc(layout(sizes[0]));
            block.write_bytes(9, 100);
            for pair in sizes.windows(2) {
                block = memory.realloc(block, layout(pair[0]), pair[1]);
                assert!((0..100).all(|at| block.add(at).read() == 9), "{pair:?}");
            }
            memory.dealloc(block, layout(100));
        }
    }

    #[test]
    fn neighbours_that_are_free_become_one_block() {
        // In every order of freeing, the pages of three blocks then hold one as long as all of them.
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut stretch = Stretch { length: 1 << 30, start: Some(ALIGNMENT), asked: true, ..empty() };
            let blocks: Vec<_> = [LARGE, 3 * LARGE, 2 * LARGE]
                .map(|bytes| (stretch.take(bytes).expect("room"), bytes))
                .into_iter()
                .collect();
            order.iter().for_each(|&which| stretch.give(blocks[which].0, blocks[which].1));
            assert_eq!(stretch.take(6 * LARGE), Some(ALIGNMENT), "{order:?}");
            assert_eq!((stretch.touched, stretch.free.len()), (6 * LARGE, 0));
        }
    }

    #[test]
    fn the_smallest_block_that_fits_is_taken_and_the_last_one_grows() {
        let mut stretch = Stretch { length: 30 * LARGE, start: Some(ALIGNMENT), asked: true, ..empty() };
        let [large, _, small, _, last] =
            [5, 1, 2, 1, 3].map(|units| (stretch.take(units * LARGE).expect("room"), units * LARGE));
        stretch.give(large.0, large.1);
        stretch.give(small.0, small.1);
        assert_eq!(stretch.take(2 * LARGE), Some(small.0));
        assert_eq!(stretch.take(2 * LARGE), Some(large.0), "the beginning of a longer block");
        stretch.give(last.0, last.1);
        assert_eq!((stretch.take(4 * LARGE), stretch.touched), (Some(last.0), 13 * LARGE));
        assert_eq!(stretch.take(18 * LARGE), None, "beyond the stretch");
    }

    #[test]
    fn a_block_grows_where_it_lies_if_there_is_room_behind_it() {
        let mut stretch = Stretch { length: 30 * LARGE, start: Some(ALIGNMENT), asked: true, ..empty() };
        let [block, behind, last] = [2, 3, 1].map(|units| stretch.take(units * LARGE).expect("room"));
        assert!(!stretch.resize(block, 2 * LARGE, 3 * LARGE), "there is another behind it");
        stretch.give(behind, 3 * LARGE);
        assert!(!stretch.resize(block, 2 * LARGE, 6 * LARGE), "and another behind what is free");
        assert!(stretch.resize(block, 2 * LARGE, 4 * LARGE));
        assert_eq!(stretch.free, BTreeMap::from([(4 * LARGE, LARGE)]));
        assert!(stretch.resize(block, 4 * LARGE, 5 * LARGE) && stretch.free.is_empty());
        assert!(stretch.resize(last, LARGE, 20 * LARGE), "nothing is behind the last one");
        assert!(!stretch.resize(last, 20 * LARGE, 26 * LARGE), "beyond the stretch");
        assert!(stretch.resize(last, 20 * LARGE, LARGE), "the end of a shorter block is free");
        assert!(stretch.resize(last, LARGE, 21 * LARGE), "and serves again");
        assert_eq!((stretch.touched, stretch.free.len()), (26 * LARGE, 0));
    }

    #[test]
    fn threads_never_share_a_block() {
        let memory = LargeBlocks::new();
        std::thread::scope(|scope| {
            for thread in 0..4_u8 {
                let memory = &memory;
                scope.spawn(move || {
                    for turn in 0..200_usize {
                        let layouts = [1, 2, 3].map(|units| layout(LARGE + units * 4096 * (turn % 7 + 1)));
                        // SAFETY: as above.
                        unsafe {
                            let blocks = layouts.map(|layout| (memory.alloc(layout), layout));
                            blocks.iter().for_each(|(block, layout)| block.write_bytes(thread, layout.size()));
                            for (block, layout) in blocks {
                                assert!((0..layout.size()).step_by(997).all(|at| block.add(at).read() == thread));
                                memory.dealloc(block, layout);
                            }
                        }
                    }
                });
            }
        });
        let stretch = memory.stretch();
        assert_eq!(stretch.free.values().sum::<usize>(), stretch.touched, "all of it is free again");
        assert_eq!(stretch.free.len(), 1, "in one block");
    }

    fn empty() -> Stretch {
        Stretch { start: None, asked: false, length: 0, touched: 0, free: BTreeMap::new() }
    }
}
