//! A global allocator that keeps large blocks mapped.
//!
//! A training step allocates and frees some gigabytes in large blocks. Returned to the system, every block comes back as pages
//! that the kernel must clear and map: measured on the study's model, a fifth of the step. So large blocks come from an arena:
//! addresses that are reserved once and whose pages stay mapped, in huge pages where the system has them. Free blocks coalesce, so
//! that a large activation reuses the memory of small ones, and hardly more is held than was ever in use at once.
//!
//! By hand, since libraries hold more memory. Training 15 steps of 6 layers of width 128 on an AMD EPYC, medians of four turns:
//!
//! | allocator | CPU time | page faults | peak memory |
//! |---|---|---|---|
//! | this one | 1.56 s | 900 | 111 MiB |
//! | mimalloc 3 | 1.67 s | 30,000 | 153 MiB |
//! | mimalloc 3 that never purges (`MIMALLOC_PURGE_DELAY=-1`) | 1.58 s | 900 | 172 MiB |
//!
//! jemalloc, which could keep its pages too, is built with `make`, which a machine with Rust, gcc and Python need not have. A
//! pool inside the model would miss most blocks: Burn allocates its tensors itself.

use std::alloc::{GlobalAlloc, Layout};
use std::collections::BTreeMap;
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mimalloc::MiMalloc;

/// The smallest block that comes from the arena; mimalloc handles smaller ones well.
const LARGE: usize = 1 << 17;
/// The alignment of blocks: a pair of cache lines, as `gemm` requests for its packed operands (`CACHELINE_ALIGN`).
const ALIGNMENT: usize = 128;
/// The padding of a block: sizes of activations are powers of two, and without it all would begin at the same offset in a page
/// and compete for the same cache sets.
const PADDING: usize = 5 * ALIGNMENT;
/// The arena's size is the largest that the system reserves within these bounds; addresses without pages cost nothing.
const LARGEST_ARENA: usize = 1 << 40;
const SMALLEST_ARENA: usize = 1 << 32;

/// The allocator of programs that allocate and free large blocks again and again: tensors, decompressed columns.
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: allocator::LargeBlocks = allocator::LargeBlocks::new();
/// # let numbers = vec![1.0_f32; 1 << 20];
/// # assert_eq!(numbers.iter().sum::<f32>(), 1_048_576.0);
/// ```
#[derive(Debug)]
pub struct LargeBlocks(Mutex<Arena>);

/// A range of reserved addresses.
#[derive(Debug)]
struct Arena {
    /// Its address; none before the first block, or if the system reserves none.
    start: Option<usize>,
    /// Whether the system was asked for it.
    requested: bool,
    size: usize,
    /// The end of the last block that was ever allocated, as an offset.
    high_water: usize,
    /// The free list below that: sizes by offset, no two blocks adjacent.
    free: BTreeMap<usize, usize>,
}

impl Arena {
    /// Reserves addresses, once.
    fn reserve(&mut self) -> Option<usize> {
        if !self.requested {
            self.requested = true;
            self.size = LARGEST_ARENA;
            while self.start.is_none() && self.size >= SMALLEST_ARENA {
                self.start = reserve(self.size);
                if self.start.is_none() {
                    self.size /= 2;
                }
            }
        }
        self.start
    }

    /// The address of a new block: best fit from the free list, else beyond the high-water mark.
    fn allocate(&mut self, bytes: usize) -> Option<usize> {
        let start = self.reserve()?;
        let fitting = self.free.iter().filter(|(_, size)| **size >= bytes);
        if let Some((&offset, &size)) = fitting.min_by_key(|(_, size)| **size) {
            self.free.remove(&offset);
            if size > bytes {
                self.free.insert(offset + bytes, size - bytes);
            }
            return Some(start + offset);
        }
        // A free block at the high-water mark grows.
        let last = self.free.last_key_value().filter(|(offset, size)| **offset + **size == self.high_water);
        let offset = last.map_or(self.high_water, |(offset, _)| *offset);
        if offset + bytes > self.size {
            return None;
        }
        self.free.remove(&offset);
        self.high_water = offset + bytes;
        Some(start + offset)
    }

    /// Whether a block is in this arena and not mimalloc's.
    fn owns(&self, address: usize) -> bool {
        self.start.is_some_and(|start| (start..start + self.size).contains(&address))
    }

    /// Grows or shrinks a block in place; false if there is no room.
    fn resize(&mut self, address: usize, bytes: usize, wanted: usize) -> bool {
        if wanted <= bytes {
            if wanted < bytes {
                self.free(address + wanted, bytes - wanted);
            }
            return true;
        }
        let (end, more) = (address - self.start.unwrap_or(0) + bytes, wanted - bytes);
        let next_free = self.free.get(&end).copied().unwrap_or(0);
        let is_last = end + next_free == self.high_water;
        if next_free < more && !(is_last && end + more <= self.size) {
            return false;
        }
        self.free.remove(&end);
        if next_free > more {
            self.free.insert(end + more, next_free - more);
        }
        self.high_water = self.high_water.max(end + more);
        true
    }

    /// Frees a block and coalesces it with adjacent free ones.
    fn free(&mut self, address: usize, bytes: usize) {
        let (mut offset, mut size) = (address - self.start.unwrap_or(0), bytes);
        if let Some(next_size) = self.free.remove(&(offset + size)) {
            size += next_size;
        }
        let previous = self.free.range(..offset).next_back().map(|(&offset, &size)| (offset, size));
        if let Some((previous, previous_size)) = previous.filter(|(previous, size)| previous + size == offset) {
            offset = previous;
            size += previous_size;
        }
        self.free.insert(offset, size);
    }
}

/// Reserves addresses. Their pages are mapped on first use, as huge pages where the system has them.
fn reserve(size: usize) -> Option<usize> {
    // SAFETY: maps new addresses, and advises the kernel on these.
    unsafe {
        let (access, kind) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE);
        let start = libc::mmap(ptr::null_mut(), size, access, kind, -1, 0);
        if start == libc::MAP_FAILED {
            return None;
        }
        #[cfg(target_os = "linux")]
        libc::madvise(start, size, libc::MADV_HUGEPAGE);
        Some(start.expose_provenance())
    }
}

impl LargeBlocks {
    /// An allocator that has reserved nothing yet.
    pub const fn new() -> Self {
        Self(Mutex::new(Arena { start: None, requested: false, size: 0, high_water: 0, free: BTreeMap::new() }))
    }

    /// The free list allocates under the lock, but in blocks that are smaller than large ones, so never from the arena.
    fn arena(&self) -> MutexGuard<'_, Arena> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for LargeBlocks {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether a block of a layout comes from the arena.
fn is_large(layout: Layout) -> bool {
    layout.size() >= LARGE && layout.align() <= ALIGNMENT
}

/// The size of a layout's block in the arena.
fn block_size(layout: Layout) -> usize {
    layout.size().next_multiple_of(ALIGNMENT) + PADDING
}

// SAFETY: a block of the arena has one owner at a time, is at least as large as its layout and begins at a multiple of
// `ALIGNMENT`, and its pages stay mapped; every other is mimalloc's.
unsafe impl GlobalAlloc for LargeBlocks {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_large(layout)
            && let Some(address) = self.arena().allocate(block_size(layout))
        {
            return ptr::with_exposed_provenance_mut(address);
        }
        // SAFETY: passed on to the caller.
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if is_large(layout) {
            let mut arena = self.arena();
            if arena.owns(block.addr()) {
                return arena.free(block.addr(), block_size(layout));
            }
        }
        // SAFETY: passed on to the caller; the block is not the arena's.
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
            let mut arena = self.arena();
            if arena.owns(block.addr()) && arena.resize(block.addr(), block_size(layout), block_size(wanted)) {
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
    fn freed_blocks_are_reused_and_zeroed_blocks_are_zero() {
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
    fn reallocation_keeps_the_content_in_the_arena_and_across_its_border() {
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
    fn adjacent_free_blocks_coalesce() {
        // In every order of freeing, one block as large as all three then fits in their memory.
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut arena = Arena { size: 1 << 30, start: Some(ALIGNMENT), requested: true, ..empty() };
            let blocks: Vec<_> = [LARGE, 3 * LARGE, 2 * LARGE]
                .map(|bytes| (arena.allocate(bytes).expect("room"), bytes))
                .into_iter()
                .collect();
            order.iter().for_each(|&which| arena.free(blocks[which].0, blocks[which].1));
            assert_eq!(arena.allocate(6 * LARGE), Some(ALIGNMENT), "{order:?}");
            assert_eq!((arena.high_water, arena.free.len()), (6 * LARGE, 0));
        }
    }

    #[test]
    fn the_best_fit_is_allocated_and_the_last_block_grows() {
        let mut arena = Arena { size: 30 * LARGE, start: Some(ALIGNMENT), requested: true, ..empty() };
        let [large, _, small, _, last] =
            [5, 1, 2, 1, 3].map(|units| (arena.allocate(units * LARGE).expect("room"), units * LARGE));
        arena.free(large.0, large.1);
        arena.free(small.0, small.1);
        assert_eq!(arena.allocate(2 * LARGE), Some(small.0));
        assert_eq!(arena.allocate(2 * LARGE), Some(large.0), "the beginning of a larger block");
        arena.free(last.0, last.1);
        assert_eq!((arena.allocate(4 * LARGE), arena.high_water), (Some(last.0), 13 * LARGE));
        assert_eq!(arena.allocate(18 * LARGE), None, "beyond the arena");
    }

    #[test]
    fn a_block_grows_where_it_lies_if_there_is_room_behind_it() {
        let mut arena = Arena { size: 30 * LARGE, start: Some(ALIGNMENT), requested: true, ..empty() };
        let [block, behind, last] = [2, 3, 1].map(|units| arena.allocate(units * LARGE).expect("room"));
        assert!(!arena.resize(block, 2 * LARGE, 3 * LARGE), "there is another behind it");
        arena.free(behind, 3 * LARGE);
        assert!(!arena.resize(block, 2 * LARGE, 6 * LARGE), "and another behind what is free");
        assert!(arena.resize(block, 2 * LARGE, 4 * LARGE));
        assert_eq!(arena.free, BTreeMap::from([(4 * LARGE, LARGE)]));
        assert!(arena.resize(block, 4 * LARGE, 5 * LARGE) && arena.free.is_empty());
        assert!(arena.resize(last, LARGE, 20 * LARGE), "nothing is behind the last one");
        assert!(!arena.resize(last, 20 * LARGE, 26 * LARGE), "beyond the arena");
        assert!(arena.resize(last, 20 * LARGE, LARGE), "the end of a shorter block is free");
        assert!(arena.resize(last, LARGE, 21 * LARGE), "and serves again");
        assert_eq!((arena.high_water, arena.free.len()), (26 * LARGE, 0));
    }

    #[test]
    fn threads_never_share_a_block() {
        let memory = LargeBlocks::new();
        std::thread::scope(|scope| {
            for thread in 0..4_u8 {
                let memory = &memory;
                scope.spawn(move || {
                    for round in 0..200_usize {
                        let layouts = [1, 2, 3].map(|units| layout(LARGE + units * 4096 * (round % 7 + 1)));
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
        let arena = memory.arena();
        assert_eq!(arena.free.values().sum::<usize>(), arena.high_water, "all of it is free again");
        assert_eq!(arena.free.len(), 1, "in one block");
    }

    fn empty() -> Arena {
        Arena { start: None, requested: false, size: 0, high_water: 0, free: BTreeMap::new() }
    }
}
