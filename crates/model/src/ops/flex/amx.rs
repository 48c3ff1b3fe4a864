//! Products of matrices rounded to bfloat16 and summed in float32, by the tiles of Intel's AMX: sixteen times the products
//! of float32 that the same core does in its vectors.
//!
//! Both matrices are rounded while they are packed into tiles of 16 lines by 16 pairs, the pairs lying along the sum: a tile
//! of the left matrix line by line, one of the right pair by pair. The kernel holds 32 × 32 sums in tiles and adds up
//! along the inner dimension in order, so a result depends neither on threads nor on how the work was blocked.

use std::arch::asm;
use std::arch::x86_64::{
    __cpuid_count, __m512bh, __m512i, _mm512_cvtne2ps_pbh, _mm512_maskz_loadu_ps, _mm512_permutex2var_epi64,
    _mm512_permutexvar_epi16, _mm512_set_epi16, _mm512_setr_epi64, _mm512_storeu_si512, _mm512_unpackhi_epi32,
    _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};
use std::mem::MaybeUninit;
use std::sync::LazyLock;

use rayon::prelude::*;

use super::matrix::{Lines, Strided};

/// Lines a tile, and pairs.
const LINES: usize = 16;
/// Values along the sum that one tile holds.
const DEPTH: usize = 2 * LINES;
/// Lines a panel: two tiles.
const PANEL: usize = 2 * LINES;
/// Tile depths a block: what is packed of the right matrix at a time stays in the cache.
const BLOCK: usize = 16;

/// A tile: 16 lines of 16 pairs of bfloat16, or 16 pairs of 16 lines.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Tile([u32; LINES * LINES]);

/// Whether this processor has tiles of bfloat16 and this process may use them. Asked for once.
pub(super) fn is_here() -> bool {
    static HERE: LazyLock<bool> = LazyLock::new(|| {
        const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
        const XFEATURE_XTILEDATA: libc::c_long = 18;
        let (has_bf16, has_tiles) = (1 << 22, 1 << 24);
        let has_leaf = __cpuid_count(0, 0).eax >= 7;
        let features = __cpuid_count(7, 0).edx;
        has_leaf
            && features & has_bf16 != 0
            && features & has_tiles != 0
            && is_x86_feature_detected!("avx512bf16")
            && is_x86_feature_detected!("avx512bw")
            // SAFETY: asks the kernel for leave to use the tiles, which changes nothing else.
            && unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) } == 0
    });
    *HERE
}

/// `out = left · right`, both rounded to bfloat16; `out` of rows without gaps.
///
/// # Safety
/// The processor must have tiles: see [`is_here`]. The matrices, of `rows × inner` and `inner × columns` values, must lie in memory
/// that is theirs and that nobody writes meanwhile, each without gaps in one of its directions.
pub(super) unsafe fn product(
    [rows, columns, inner]: [usize; 3],
    out: &mut [MaybeUninit<f32>],
    left: Strided,
    right: Strided,
) {
    assert_eq!(out.len(), rows * columns, "a product of rows by columns");
    let (left, right) = (Lines::of_left(left, rows, inner), Lines::of_right(right, columns, inner));
    let depths = inner.div_ceil(DEPTH);
    let mut packed = vec![Tile([0; LINES * LINES]); columns.div_ceil(PANEL) * 2 * depths.min(BLOCK)];
    for first in (0..depths).step_by(BLOCK) {
        let count = (depths - first).min(BLOCK);
        let packed = &mut packed[..columns.div_ceil(PANEL) * 2 * count];
        // SAFETY: the processor has what packing and multiplying are compiled for, as the caller promised.
        packed.par_chunks_mut(2 * count).enumerate().for_each(|(panel, tiles)| unsafe {
            pack(right, panel * PANEL, first, tiles, false);
        });
        let packed = &*packed;
        out.par_chunks_mut(PANEL * columns).enumerate().for_each_init(
            || vec![Tile([0; LINES * LINES]); 2 * count],
            |tiles, (panel, out)| {
                // SAFETY: as above; `out` holds the sums of the earlier blocks, if there are any.
                unsafe {
                    pack(left, panel * PANEL, first, tiles, true);
                    multiply(tiles, packed, out, columns, first > 0);
                }
            },
        );
    }
}

/// Rounds and packs two tiles of lines from line `from` on, for each depth from `first` on, zeros where there is nothing. `by_line`
/// says whether a tile goes line by line or pair by pair.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn pack(source: Lines, from: usize, first: usize, tiles: &mut [Tile], by_line: bool) {
    for (at, tile) in tiles.iter_mut().enumerate() {
        let (line, depth) = (from + at % 2 * LINES, (first + at / 2) * DEPTH);
        let lines = source.lines.saturating_sub(line).min(LINES);
        let along = source.inner.saturating_sub(depth).min(DEPTH);
        let start = source.matrix.start.wrapping_add(line * source.line + depth * source.along);
        // SAFETY: `start` has so many lines and values along the sum before the matrix ends.
        let natural = unsafe {
            if source.along == 1 {
                whole_lines(start, source.line, lines, along)
            } else {
                whole_pairs(start, source.along, lines, along)
            }
        };
        let turned = if by_line == (source.along == 1) { natural } else { transpose(natural) };
        for (pairs, vector) in tile.0.chunks_exact_mut(LINES).zip(turned) {
            // SAFETY: 16 values of 4 bytes are a vector.
            unsafe { _mm512_storeu_si512(pairs.as_mut_ptr().cast(), vector) };
        }
    }
}

/// The first `count` of sixteen.
fn mask(count: usize) -> u16 {
    ((1_u32 << count.min(LINES)) - 1) as u16
}

/// A vector a line, of 16 pairs, from lines that lie without gaps.
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn whole_lines(start: *const f32, line: usize, lines: usize, along: usize) -> [__m512i; LINES] {
    std::array::from_fn(|at| {
        let (low, high) = if at < lines { (mask(along), mask(along.saturating_sub(LINES))) } else { (0, 0) };
        let values = start.wrapping_add(at * line);
        // SAFETY: what the masks leave out is not read, and the rest is the caller's promise; the bits of either type will do.
        unsafe {
            let (low, high) =
                (_mm512_maskz_loadu_ps(low, values), _mm512_maskz_loadu_ps(high, values.wrapping_add(LINES)));
            std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low))
        }
    })
}

/// A vector a pair, of 16 lines, from lines that lie side by side.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn whole_pairs(start: *const f32, apart: usize, lines: usize, along: usize) -> [__m512i; LINES] {
    // One value of the first half, then one of the second.
    let interleave = _mm512_set_epi16(
        31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1,
        16, 0,
    );
    std::array::from_fn(|pair| {
        let mask = |at: usize| if at < along { mask(lines) } else { 0 };
        let value = |at: usize| start.wrapping_add(at * apart);
        // SAFETY: what the masks leave out is not read, and the rest is the caller's promise; the bits of either type will do.
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

/// 16 × 16 pairs, lines and columns exchanged: in twos, in fours, in eights, as a whole.
#[target_feature(enable = "avx512f")]
fn transpose(mut rows: [__m512i; LINES]) -> [__m512i; LINES] {
    for at in (0..LINES).step_by(2) {
        let (one, other) = (rows[at], rows[at + 1]);
        (rows[at], rows[at + 1]) = (_mm512_unpacklo_epi32(one, other), _mm512_unpackhi_epi32(one, other));
    }
    for at in (0..LINES).step_by(4) {
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

/// `out = [out +] left · right` for the rows of one panel and all panels of columns.
unsafe fn multiply(left: &[Tile], right: &[Tile], out: &mut [MaybeUninit<f32>], columns: usize, add: bool) {
    let rows = out.len() / columns;
    let _tiles = Tiles::configured();
    let mut edge = [0.0_f32; PANEL * PANEL];
    for (panel, right) in right.chunks_exact(left.len()).enumerate() {
        let (first, width) = (panel * PANEL, (columns - panel * PANEL).min(PANEL));
        let target = out[first..].as_mut_ptr().cast::<f32>();
        if rows == PANEL && width == PANEL {
            // SAFETY: the tiles are configured, and 32 rows of 32 columns from here on are `out`'s.
            unsafe { kernel(left, right, target, columns, add) };
            continue;
        }
        for row in 0..if add { rows } else { 0 } {
            // SAFETY: what is added to was written by the block before.
            unsafe { edge[row * PANEL..].as_mut_ptr().copy_from_nonoverlapping(target.add(row * columns), width) };
        }
        // SAFETY: the tiles are configured, and `edge` has 32 rows of 32 columns.
        unsafe { kernel(left, right, edge.as_mut_ptr(), PANEL, add) };
        for row in 0..rows {
            // SAFETY: so many rows and columns are `out`'s.
            unsafe { target.add(row * columns).copy_from_nonoverlapping(edge[row * PANEL..].as_ptr(), width) };
        }
    }
}

/// This thread's eight tiles, of 16 lines of 64 bytes each, until it is dropped.
struct Tiles;

impl Tiles {
    fn configured() -> Self {
        #[repr(align(64))]
        struct Configuration([u8; 64]);
        let mut configuration = Configuration([0; 64]);
        configuration.0[0] = 1;
        for tile in 0..8 {
            configuration.0[16 + 2 * tile] = 64;
            configuration.0[48 + tile] = LINES as u8;
        }
        // SAFETY: only a processor that has tiles comes here, and it reads the 64 bytes.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const configuration, options(nostack)) };
        Self
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { asm!("tilerelease", options(nomem, nostack)) };
    }
}

/// `out = [out +] left · right` for a panel each; the rows of `out` lie `row` values apart.
///
/// # Safety
/// The tiles must be configured, both panels equally deep, and 32 rows of 32 values of `out` the caller's own.
unsafe fn kernel(left: &[Tile], right: &[Tile], out: *mut f32, row: usize, add: bool) {
    let row_bytes = row * size_of::<f32>();
    // SAFETY: reads the panels to their ends and what the caller owns of `out`.
    unsafe {
        asm!(
            "lea {lower}, [{out} + {half}]",
            "test {add}, {add}",
            "jz 2f",
            "tileloadd tmm0, [{out} + {row} * 1]",
            "tileloadd tmm1, [{out} + {row} * 1 + 64]",
            "tileloadd tmm2, [{lower} + {row} * 1]",
            "tileloadd tmm3, [{lower} + {row} * 1 + 64]",
            "jmp 3f",
            "2:",
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "3:",
            "tileloadd tmm4, [{left} + {line} * 1]",
            "tileloadd tmm6, [{right} + {line} * 1]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{right} + {line} * 1 + 1024]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{left} + {line} * 1 + 1024]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {left}, 2048",
            "add {right}, 2048",
            "dec {depths}",
            "jnz 3b",
            "tilestored [{out} + {row} * 1], tmm0",
            "tilestored [{out} + {row} * 1 + 64], tmm1",
            "tilestored [{lower} + {row} * 1], tmm2",
            "tilestored [{lower} + {row} * 1 + 64], tmm3",
            left = inout(reg) left.as_ptr() => _,
            right = inout(reg) right.as_ptr() => _,
            depths = inout(reg) left.len() / 2 => _,
            out = in(reg) out,
            lower = out(reg) _,
            half = in(reg) LINES * row_bytes,
            row = in(reg) row_bytes,
            line = in(reg) size_of::<[u32; LINES]>(),
            add = in(reg) usize::from(add),
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}
