//! Matrix products in bf16, rounded to bfloat16 and summed in float32, by the tiles of Intel's AMX: sixteen times the products of
//! float32 that the same core does in its vectors.
//!
//! Both matrices are rounded while they are packed into tiles of 16 × 16 pairs, a pair being two values along the inner dimension:
//! in a tile of `A` a row of pairs after the other, in one of `B` a pair of rows after the other. The micro-kernel holds 32 × 32
//! sums in tiles and adds up along the inner dimension in order, so a result depends neither on threads nor on how the work was
//! blocked.
//!
//! The tiles' own instructions are assembly, since their intrinsics are not stable; packing is compiled for
//! [`InstructionSet::Avx512Bf16`].

use std::arch::asm;
use std::arch::x86_64::{
    __cpuid_count, __m512bh, __m512i, _mm512_cvtne2ps_pbh, _mm512_maskz_loadu_ps, _mm512_permutex2var_epi64,
    _mm512_permutexvar_epi16, _mm512_set_epi16, _mm512_setr_epi64, _mm512_storeu_si512, _mm512_unpackhi_epi32,
    _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};
use std::mem::MaybeUninit;
use std::sync::LazyLock;

use rayon::prelude::*;
use simd_dispatch::InstructionSet;

use super::matrix::Matrix;

/// Rows of a tile, and pairs.
const SIDE: usize = 16;
/// Values along the inner dimension in one tile.
const DEPTH: usize = 2 * SIDE;
/// Rows of `A`, or columns of `B`, per packed panel: two tiles.
const PANEL: usize = 2 * SIDE;
/// Tile depths per block: what is packed of `B` at a time stays in the cache.
const BLOCK: usize = 16;

/// A tile: 16 rows of 16 pairs of bfloat16.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Tile([u32; SIDE * SIDE]);

/// Whether this processor has tiles of bfloat16 and this process may use them. Detected once.
fn is_detected() -> bool {
    static DETECTED: LazyLock<bool> = LazyLock::new(|| {
        const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
        const XFEATURE_XTILEDATA: libc::c_long = 18;
        const AMX_BF16: u32 = 1 << 22;
        const AMX_TILE: u32 = 1 << 24;
        let has_leaf = __cpuid_count(0, 0).eax >= 7;
        has_leaf
            && __cpuid_count(7, 0).edx & (AMX_BF16 | AMX_TILE) == AMX_BF16 | AMX_TILE
            && InstructionSet::Avx512Bf16.is_detected()
            // SAFETY: asks the kernel for permission to use the tiles, which changes nothing else.
            && unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) } == 0
    });
    *DETECTED
}

/// `C ← A·B`, both rounded; initialises all of `c`, which has rows without gaps. Returns whether the processor has tiles: without
/// them nothing is done.
pub(super) fn product(a: Matrix, b: Matrix, c: &mut [MaybeUninit<f32>]) -> bool {
    if !is_detected() {
        return false;
    }
    let (columns, inner) = (b.columns(), a.columns());
    assert!(b.rows() == inner && c.len() == a.rows() * columns, "a product of M by N");
    if inner == 0 {
        c.fill(MaybeUninit::new(0.0));
    }
    // Panels are packed alike: by rows of `A`, and by rows of `B` transposed.
    let b = b.transposed();
    let depths = inner.div_ceil(DEPTH);
    let mut packed_b = vec![Tile([0; SIDE * SIDE]); columns.div_ceil(PANEL) * 2 * depths.min(BLOCK)];
    for first in (0..depths).step_by(BLOCK) {
        let count = (depths - first).min(BLOCK);
        let packed_b = &mut packed_b[..columns.div_ceil(PANEL) * 2 * count];
        packed_b.par_chunks_mut(2 * count).enumerate().for_each(|(panel, tiles)| {
            // SAFETY: the processor has the instructions, as was detected.
            unsafe { pack(b, panel * PANEL, first, tiles, Order::ByPair) };
        });
        let packed_b = &*packed_b;
        c.par_chunks_mut(PANEL * columns).enumerate().for_each_init(
            || vec![Tile([0; SIDE * SIDE]); 2 * count],
            |packed_a, (panel, c)| {
                // SAFETY: the processor has the instructions, as was detected; `c` holds the sums of the blocks before, if there
                // are any.
                unsafe {
                    pack(a, panel * PANEL, first, packed_a, Order::ByRow);
                    multiply(packed_a, packed_b, c, columns, first > 0);
                }
            },
        );
    }
    true
}

/// How a tile is laid out: 16 pairs of one row after the other, or 16 rows of one pair after the other.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Order {
    ByRow,
    ByPair,
}

/// Rounds and packs two tiles of rows from row `from` on, for each depth from `first` on, zeros beyond the matrix.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn pack(source: Matrix, from: usize, first: usize, tiles: &mut [Tile], order: Order) {
    assert!(source.row_stride() == 1 || source.column_stride() == 1, "values are adjacent in one direction");
    for (at, tile) in tiles.iter_mut().enumerate() {
        let (row, depth) = (from + at % 2 * SIDE, (first + at / 2) * DEPTH);
        let rows = source.rows().saturating_sub(row).min(SIDE);
        let inner = source.columns().saturating_sub(depth).min(DEPTH);
        let start = source.values().as_ptr().wrapping_add(row * source.row_stride() + depth * source.column_stride());
        // SAFETY: from `start` on the matrix has these rows and these values along the inner dimension.
        let (natural, found) = unsafe {
            if source.column_stride() == 1 {
                (pairs_by_row(start, source.row_stride(), rows, inner), Order::ByRow)
            } else {
                (rows_by_pair(start, source.column_stride(), rows, inner), Order::ByPair)
            }
        };
        let vectors = if order == found { natural } else { transpose(natural) };
        for (pairs, vector) in tile.0.chunks_exact_mut(SIDE).zip(vectors) {
            // SAFETY: 16 values of 4 bytes are a vector.
            unsafe { _mm512_storeu_si512(pairs.as_mut_ptr().cast(), vector) };
        }
    }
}

/// The mask of the first `count` of sixteen lanes.
fn mask(count: usize) -> u16 {
    // At most 16.
    let unset = (SIDE - count.min(SIDE)) as u32;
    u16::MAX.checked_shr(unset).unwrap_or(0)
}

/// 16 vectors, of the 16 pairs of a row each.
///
/// # Safety
/// `rows` rows of `inner` adjacent values must be readable, `stride` apart from `start` on.
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn pairs_by_row(start: *const f32, stride: usize, rows: usize, inner: usize) -> [__m512i; SIDE] {
    std::array::from_fn(|row| {
        let (low, high) = if row < rows { (mask(inner), mask(inner.saturating_sub(SIDE))) } else { (0, 0) };
        let values = start.wrapping_add(row * stride);
        // SAFETY: masked lanes are not read, and the rest is the caller's promise; both types are 64 bytes of plain data.
        unsafe {
            let (low, high) =
                (_mm512_maskz_loadu_ps(low, values), _mm512_maskz_loadu_ps(high, values.wrapping_add(SIDE)));
            std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low))
        }
    })
}

/// 16 vectors, of a pair of each of 16 rows.
///
/// # Safety
/// `inner` columns of `rows` adjacent values must be readable, `stride` apart from `start` on.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn rows_by_pair(start: *const f32, stride: usize, rows: usize, inner: usize) -> [__m512i; SIDE] {
    // One value of the first half, then one of the second.
    let interleave = _mm512_set_epi16(
        31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1,
        16, 0,
    );
    std::array::from_fn(|pair| {
        let mask = |at: usize| if at < inner { mask(rows) } else { 0 };
        let value = |at: usize| start.wrapping_add(at * stride);
        // SAFETY: masked lanes are not read, and the rest is the caller's promise; both types are 64 bytes of plain data.
        unsafe {
            let one = _mm512_maskz_loadu_ps(mask(2 * pair), value(2 * pair));
            let other = _mm512_maskz_loadu_ps(mask(2 * pair + 1), value(2 * pair + 1));
            _mm512_permutexvar_epi16(
                interleave,
                std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(other, one)),
            )
        }
    })
}

/// 16 × 16 pairs transposed: in twos, in fours, in eights, as a whole.
#[target_feature(enable = "avx512f")]
fn transpose(mut rows: [__m512i; SIDE]) -> [__m512i; SIDE] {
    for at in (0..SIDE).step_by(2) {
        let (one, other) = (rows[at], rows[at + 1]);
        (rows[at], rows[at + 1]) = (_mm512_unpacklo_epi32(one, other), _mm512_unpackhi_epi32(one, other));
    }
    for at in (0..SIDE).step_by(4) {
        let [a, b, c, d] = [rows[at], rows[at + 1], rows[at + 2], rows[at + 3]];
        rows[at] = _mm512_unpacklo_epi64(a, c);
        rows[at + 1] = _mm512_unpackhi_epi64(a, c);
        rows[at + 2] = _mm512_unpacklo_epi64(b, d);
        rows[at + 3] = _mm512_unpackhi_epi64(b, d);
    }
    // Now quarter `q` of vector `4g + r` holds column `4q + r` of rows `4g` to `4g + 3`.
    let (low, high) = (_mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13), _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15));
    let (front, back) = (_mm512_setr_epi64(0, 1, 2, 3, 8, 9, 10, 11), _mm512_setr_epi64(4, 5, 6, 7, 12, 13, 14, 15));
    std::array::from_fn(|column| {
        let (quarter, at) = (column / 4, column % 4);
        let halves = if quarter % 2 == 0 { low } else { high };
        let first_rows = _mm512_permutex2var_epi64(rows[at], halves, rows[4 + at]);
        let last_rows = _mm512_permutex2var_epi64(rows[8 + at], halves, rows[12 + at]);
        _mm512_permutex2var_epi64(first_rows, if quarter < 2 { front } else { back }, last_rows)
    })
}

/// `C ← [C +] A·B` for the rows of one panel of `A` and all panels of `B`.
///
/// # Safety
/// The processor must have tiles: see [`is_detected`]. Where it accumulates, all of `c` must be initialised.
unsafe fn multiply(a: &[Tile], b: &[Tile], c: &mut [MaybeUninit<f32>], columns: usize, accumulate: bool) {
    let rows = c.len() / columns;
    assert!(rows <= PANEL && rows * columns == c.len(), "whole rows of one panel");
    assert_eq!(b.len(), columns.div_ceil(PANEL) * a.len(), "a packed panel for all columns");
    // SAFETY: passed on to the caller.
    let _tiles = unsafe { TileConfiguration::load() };
    let mut edge = [0.0_f32; PANEL * PANEL];
    for (panel, b) in b.chunks_exact(a.len()).enumerate() {
        let (first, width) = (panel * PANEL, (columns - panel * PANEL).min(PANEL));
        let target = c[first..].as_mut_ptr().cast::<f32>();
        if rows == PANEL && width == PANEL {
            // SAFETY: the tiles are configured, and 32 rows of 32 columns from here on are `c`'s.
            unsafe { micro_kernel(a, b, target, columns, accumulate) };
            continue;
        }
        for row in 0..if accumulate { rows } else { 0 } {
            // SAFETY: the rows and columns lie within `c`, initialised by the block before.
            unsafe { edge[row * PANEL..].as_mut_ptr().copy_from_nonoverlapping(target.add(row * columns), width) };
        }
        // SAFETY: the tiles are configured, and `edge` has 32 rows of 32 columns.
        unsafe { micro_kernel(a, b, edge.as_mut_ptr(), PANEL, accumulate) };
        for row in 0..rows {
            // SAFETY: the rows and columns lie within `c`.
            unsafe { target.add(row * columns).copy_from_nonoverlapping(edge[row * PANEL..].as_ptr(), width) };
        }
    }
}

/// This thread's eight tiles, of 16 rows of 64 bytes each, until it is dropped.
struct TileConfiguration;

impl TileConfiguration {
    /// # Safety
    /// The processor must have tiles: see [`is_detected`].
    unsafe fn load() -> Self {
        #[repr(align(64))]
        struct Configuration([u8; 64]);
        let mut configuration = Configuration([0; 64]);
        configuration.0[0] = 1;
        for tile in 0..8 {
            configuration.0[16 + 2 * tile] = 64;
            configuration.0[48 + tile] = 16;
        }
        // SAFETY: the processor has tiles, as the caller promises, and reads the 64 bytes.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const configuration, options(nostack)) };
        Self
    }
}

impl Drop for TileConfiguration {
    fn drop(&mut self) {
        // SAFETY: a configuration was loaded, so the processor has tiles.
        unsafe { asm!("tilerelease", options(nomem, nostack)) };
    }
}

/// `C ← [C +] A·B` for a panel each; the rows of `C` are `leading_dimension` values apart.
///
/// # Safety
/// The tiles must be configured, and 32 rows of 32 values of `c` the caller's own and, where it accumulates, initialised.
unsafe fn micro_kernel(a: &[Tile], b: &[Tile], c: *mut f32, leading_dimension: usize, accumulate: bool) {
    assert!(a.len() >= 2 && a.len().is_multiple_of(2) && a.len() == b.len(), "panels of one depth");
    let row_bytes = leading_dimension * size_of::<f32>();
    // SAFETY: reads the panels to their ends, and of `c` what is the caller's.
    unsafe {
        asm!(
            "lea {lower}, [{c} + {half}]",
            "test {accumulate}, {accumulate}",
            "jz 2f",
            "tileloadd tmm0, [{c} + {row} * 1]",
            "tileloadd tmm1, [{c} + {row} * 1 + 64]",
            "tileloadd tmm2, [{lower} + {row} * 1]",
            "tileloadd tmm3, [{lower} + {row} * 1 + 64]",
            "jmp 3f",
            "2:",
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "3:",
            "tileloadd tmm4, [{a} + {tile_row} * 1]",
            "tileloadd tmm6, [{b} + {tile_row} * 1]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{b} + {tile_row} * 1 + 1024]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{a} + {tile_row} * 1 + 1024]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {a}, 2048",
            "add {b}, 2048",
            "dec {depths}",
            "jnz 3b",
            "tilestored [{c} + {row} * 1], tmm0",
            "tilestored [{c} + {row} * 1 + 64], tmm1",
            "tilestored [{lower} + {row} * 1], tmm2",
            "tilestored [{lower} + {row} * 1 + 64], tmm3",
            a = inout(reg) a.as_ptr() => _,
            b = inout(reg) b.as_ptr() => _,
            depths = inout(reg) a.len() / 2 => _,
            c = in(reg) c,
            lower = out(reg) _,
            half = in(reg) SIDE * row_bytes,
            row = in(reg) row_bytes,
            tile_row = in(reg) size_of::<[u32; SIDE]>(),
            accumulate = in(reg) usize::from(accumulate),
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}
