//! Causal attention in blocks of queries: each thread has only the scores of one block of one head in memory.

use std::mem::MaybeUninit;

use burn::backend::flex::FlexTensor;
use gemm::Parallelism;
use rayon::prelude::*;

use super::kernels::{self, Mask, RowGradient};
use super::matrix::Matrix;
use super::product::Product;
use super::storage::{filled, shape, tensor, values};
use crate::ops::arguments::{Dropout, Heads};

/// Queries per block: keys after a block's last query are skipped.
const QUERIES: usize = 32;

const QUERY: usize = 0;
const KEY: usize = 1;
const VALUE: usize = 2;

/// The sizes of a batch of attention heads.
#[derive(Clone, Copy)]
struct Sizes {
    batch: usize,
    time: usize,
    embd: usize,
    heads: usize,
    head_size: usize,
}

impl Sizes {
    /// # Panics
    /// If `qkv` is not `batch` sequences of queries, keys and values that divide evenly into heads: columns that belong to no head
    /// would never be written.
    fn new(qkv: &FlexTensor, Heads { batch, heads }: Heads) -> Self {
        let [rows, width] = shape(qkv);
        assert!(batch > 0 && rows > 0 && rows.is_multiple_of(batch), "{rows} rows are {batch} sequences of one length");
        assert!(
            heads > 0 && width > 0 && width.is_multiple_of(3 * heads),
            "{width} columns are queries, keys and values of {heads} equal heads"
        );
        let embd = width / 3;
        Self { batch, time: rows / batch, embd, heads, head_size: embd / heads }
    }

    /// The factor of the scores, `1/√d`.
    fn scaling(self) -> f32 {
        1.0 / (self.head_size as f32).sqrt()
    }

    /// Pairs of a sequence and a head, each a task.
    fn tasks(self) -> usize {
        self.batch * self.heads
    }

    /// Blocks of queries, each as its first query and the end of the keys that its last query attends to.
    fn blocks(self) -> impl DoubleEndedIterator<Item = (usize, usize)> {
        (0..self.time).step_by(QUERIES).map(move |first| (first, (first + QUERIES).min(self.time)))
    }

    /// Room for the scores of one block.
    fn scratch(self) -> Vec<f32> {
        vec![0.0; QUERIES.min(self.time) * self.time]
    }

    /// The offset of a row of one task in `[batch·time, embd]`.
    fn output_offset(self, task: usize, row: usize) -> usize {
        (task / self.heads * self.time + row) * self.embd + task % self.heads * self.head_size
    }

    /// The offset of a row of one task and part in `[batch·time, 3·embd]`.
    fn qkv_offset(self, task: usize, part: usize, row: usize) -> usize {
        (task / self.heads * self.time + row) * 3 * self.embd + part * self.embd + task % self.heads * self.head_size
    }

    /// A head's queries, keys or values, of `count` positions from `first` on.
    fn part(self, qkv: &[f32], task: usize, part: usize, (first, count): (usize, usize)) -> Matrix<'_> {
        Matrix::new(&qkv[self.qkv_offset(task, part, first)..], [count, self.head_size], 3 * self.embd)
    }
}

/// A matrix that several tasks write at once: each its own head's columns, which interleave in memory, so that no slice can
/// be split among them.
#[derive(Clone, Copy)]
struct SharedOutput {
    start: *mut f32,
    length: usize,
    leading_dimension: usize,
}

// SAFETY: it is only written through `SharedOutput::compute`, whose caller has the elements to itself.
unsafe impl Send for SharedOutput {}
// SAFETY: as above.
unsafe impl Sync for SharedOutput {}

impl SharedOutput {
    fn new(out: &mut [MaybeUninit<f32>], leading_dimension: usize) -> Self {
        Self { start: out.as_mut_ptr().cast(), length: out.len(), leading_dimension }
    }

    /// Writes a product from `offset` on.
    ///
    /// # Safety
    /// The output must be alive, and no other task may access these elements meanwhile; where the product accumulates, they
    /// must be initialised.
    unsafe fn compute(self, offset: usize, product: Product) {
        let (rows, columns) = (product.a.rows(), product.b.columns());
        let end = offset + rows * self.leading_dimension + columns;
        assert!(end <= self.length + self.leading_dimension, "a product within its output");
        // SAFETY: within the output, as was just checked; the rest is the caller's promise.
        unsafe { product.compute(self.start.add(offset), self.leading_dimension) };
    }
}

fn product<'a>(a: Matrix<'a>, b: Matrix<'a>, alpha: f32) -> Product<'a> {
    Product { a, b, alpha, accumulate: false, threads: Parallelism::None }
}

/// Writes a product into the rows of a slice without gaps.
fn compute(product: Product, out: &mut [f32], leading_dimension: usize) {
    let (rows, columns) = (product.a.rows(), product.b.columns());
    assert!(columns <= leading_dimension && rows * leading_dimension <= out.len(), "a product within its output");
    // SAFETY: the rows lie within `out`, which is exclusive and initialised.
    unsafe { product.compute(out.as_mut_ptr(), leading_dimension) };
}

/// One head on one sequence.
#[derive(Clone, Copy)]
struct Head<'qkv> {
    sizes: Sizes,
    qkv: &'qkv [f32],
    /// Heads counted over all sequences.
    task: usize,
    dropout: Dropout,
    attended: SharedOutput,
}

impl Head<'_> {
    fn part(&self, part: usize, rows: (usize, usize)) -> Matrix<'_> {
        self.sizes.part(self.qkv, self.task, part, rows)
    }

    /// Attention of the queries of one block. `scores` is scratch in rows of all keys, and then holds the weights in the
    /// columns up to the block's last query.
    ///
    /// # Safety
    /// The output must be alive, and no other task may have this head's columns of this sequence.
    unsafe fn attend(&self, (first, end): (usize, usize), scores: &mut [f32], log_sums: &mut [f32]) {
        let Sizes { time, .. } = self.sizes;
        let queries = end - first;
        let (q, k, v) = (self.part(QUERY, (first, queries)), self.part(KEY, (0, end)), self.part(VALUE, (0, end)));
        compute(product(q, k.transposed(), self.sizes.scaling()), scores, time);
        for (query, row) in (first..end).zip(scores.chunks_exact_mut(time)) {
            let mask = Mask::new(self.dropout, (self.task * time + query) as u64);
            log_sums[query] = kernels::softmax(&mut row[..end], query + 1, mask);
        }
        let weights = Matrix::new(scores, [queries, end], time);
        // SAFETY: rows `first..end` of this head's columns; the rest is the caller's promise.
        unsafe { self.attended.compute(self.sizes.output_offset(self.task, first), product(weights, v, 1.0)) };
    }
}

/// The attended values, and the log-sum-exp of every row by sequence, head and query.
pub(super) fn forward(qkv: &FlexTensor, heads: Heads, dropout: Dropout) -> (FlexTensor, Vec<f32>) {
    let sizes = Sizes::new(qkv, heads);
    let qkv = values(qkv);
    let mut log_sums = vec![0.0; sizes.tasks() * sizes.time];
    let fill = |out: &mut [MaybeUninit<f32>]| {
        let attended = SharedOutput::new(out, sizes.embd);
        log_sums.par_chunks_mut(sizes.time).enumerate().for_each_init(
            || sizes.scratch(),
            |scores, (task, log_sums)| {
                let head = Head { sizes, qkv, task, dropout, attended };
                // SAFETY: each task has one head's columns of one sequence, and they end before `out` does.
                sizes.blocks().for_each(|block| unsafe { head.attend(block, scores, log_sums) });
            },
        );
    };
    // SAFETY: the tasks together write all columns of all rows, since heads divide the columns evenly.
    let out = unsafe { filled(qkv.len() / 3, fill) };
    (tensor(out, [sizes.batch * sizes.time, sizes.embd]), log_sums)
}

/// The weights of every head, `[batch, heads, query, key]`, and the attended values.
pub(super) fn observe(qkv: &FlexTensor, heads: Heads) -> (FlexTensor, FlexTensor) {
    let sizes = Sizes::new(qkv, heads);
    let Sizes { batch, time, embd, .. } = sizes;
    let qkv = values(qkv);
    let mut weights = vec![0.0; sizes.tasks() * time * time];
    let fill = |out: &mut [MaybeUninit<f32>]| {
        let attended = SharedOutput::new(out, embd);
        weights.par_chunks_mut(time * time).enumerate().for_each(|(task, weights)| {
            let head = Head { sizes, qkv, task, dropout: Dropout::OFF, attended };
            let mut log_sums = vec![0.0; time];
            let blocks = sizes.blocks().zip(weights.chunks_mut(QUERIES * time));
            // SAFETY: as in `forward`.
            blocks.for_each(|(block, weights)| unsafe { head.attend(block, weights, &mut log_sums) });
        });
    };
    // SAFETY: as in `forward`.
    let out = unsafe { filled(qkv.len() / 3, fill) };
    (tensor(weights, [batch, sizes.heads, time, time]), tensor(out, [batch * time, embd]))
}

/// What a forward pass leaves for its backward pass.
#[derive(Clone, Copy)]
pub(super) struct Forward<'a> {
    pub(super) qkv: &'a FlexTensor,
    pub(super) output: &'a FlexTensor,
    pub(super) log_sums: &'a [f32],
    pub(super) heads: Heads,
    pub(super) dropout: Dropout,
}

/// The gradient of queries, keys and values.
pub(super) fn backward(forward: Forward, gradient: &FlexTensor) -> FlexTensor {
    let sizes = Sizes::new(forward.qkv, forward.heads);
    assert_eq!([shape(forward.output), shape(gradient)], [[sizes.batch * sizes.time, sizes.embd]; 2]);
    assert_eq!(forward.log_sums.len(), sizes.tasks() * sizes.time, "one log-sum-exp per row");
    let input = values(forward.qkv);
    let fill = |out: &mut [MaybeUninit<f32>]| {
        let of_qkv = SharedOutput::new(out, 3 * sizes.embd);
        (0..sizes.tasks()).into_par_iter().for_each_init(
            || [sizes.scratch(), sizes.scratch()],
            |scratch, task| {
                let task = BackwardTask {
                    sizes,
                    task,
                    qkv: input,
                    output: values(forward.output),
                    gradient: values(gradient),
                    log_sums: &forward.log_sums[task * sizes.time..][..sizes.time],
                    dropout: forward.dropout,
                    of_qkv,
                };
                // The last block first: it attends to all keys, so it initialises the gradients that the others add to.
                // SAFETY: each task has one head's columns of one sequence, and they end before `out` does.
                sizes.blocks().rev().for_each(|block| unsafe { task.block(block, scratch) });
            },
        );
    };
    // SAFETY: the tasks together write all columns of all rows, since heads divide the columns evenly.
    let out = unsafe { filled(input.len(), fill) };
    tensor(out, [sizes.batch * sizes.time, 3 * sizes.embd])
}

/// The backward pass of one head on one sequence.
struct BackwardTask<'a> {
    sizes: Sizes,
    /// Heads counted over all sequences.
    task: usize,
    qkv: &'a [f32],
    output: &'a [f32],
    gradient: &'a [f32],
    /// Of this task's rows.
    log_sums: &'a [f32],
    dropout: Dropout,
    of_qkv: SharedOutput,
}

impl BackwardTask<'_> {
    fn part(&self, part: usize, rows: (usize, usize)) -> Matrix<'_> {
        self.sizes.part(self.qkv, self.task, part, rows)
    }

    /// The gradients from the queries of one block, in the order from the last block to the first.
    ///
    /// # Safety
    /// The output must be alive, no other task may have this head's columns of this sequence, and the blocks behind must have
    /// been computed.
    unsafe fn block(&self, (first, end): (usize, usize), [scores, of_weights]: &mut [Vec<f32>; 2]) {
        let Sizes { time, embd, head_size, .. } = self.sizes;
        let queries = end - first;
        let scaling = self.sizes.scaling();
        let (scores, of_weights) = (&mut scores[..queries * end], &mut of_weights[..queries * end]);
        let (q, k, v) = (self.part(QUERY, (first, queries)), self.part(KEY, (0, end)), self.part(VALUE, (0, end)));
        let output_offset = |query: usize| self.sizes.output_offset(self.task, first + query);
        let of_output = Matrix::new(&self.gradient[output_offset(0)..], [queries, head_size], embd);
        compute(product(q, k.transposed(), scaling), scores, end);
        compute(product(of_output, v.transposed(), 1.0), of_weights, end);
        for (query, (row, of_row)) in scores.chunks_exact_mut(end).zip(of_weights.chunks_exact_mut(end)).enumerate() {
            // Σ_j w_j g_j is the product of the output and its gradient (Dao et al. 2022, appendix B.4).
            let columns = output_offset(query)..output_offset(query) + head_size;
            let dot = kernels::dot(&self.gradient[columns.clone()], &self.output[columns]);
            let position = first + query;
            let constants = RowGradient {
                keys: position + 1,
                log_sum: self.log_sums[position],
                dot,
                scaling,
                mask: Mask::new(self.dropout, (self.task * time + position) as u64),
            };
            kernels::softmax_backward(row, of_row, constants);
        }
        let (weights, of_scores) = (Matrix::of_rows(scores, end), Matrix::of_rows(of_weights, end));
        let accumulated = |a, b| Product { accumulate: end < time, ..product(a, b, 1.0) };
        let target = |part: usize, row: usize| self.sizes.qkv_offset(self.task, part, row);
        // SAFETY: this sequence's rows of this head's columns of the three parts; rows that are added to were written by the
        // last block. The rest is the caller's promise.
        unsafe {
            self.of_qkv.compute(target(QUERY, first), product(of_scores, k, 1.0));
            self.of_qkv.compute(target(KEY, 0), accumulated(of_scores.transposed(), q));
            self.of_qkv.compute(target(VALUE, 0), accumulated(weights.transposed(), of_output));
        }
    }
}
