//! Causal attention in blocks of queries: the scores of one block of one head are all that is ever in memory.

use burn::backend::flex::FlexTensor;
use burn::tensor::Shape;
use gemm::Parallelism;
use rayon::prelude::*;

use super::kernels::{self, Mask};
use super::matrix::{Strided, product};
use super::{filled, tensor, values};
use crate::ops::{Dropout, Heads};

/// Queries a block: what lies right of a block's last query is never computed.
const QUERIES: usize = 32;

/// How the matrix of queries, keys and values is divided.
#[derive(Clone, Copy)]
struct Division {
    time: usize,
    embd: usize,
    heads: usize,
    head_size: usize,
}

impl Division {
    fn new(qkv: &FlexTensor, Heads { batch, heads }: Heads) -> Self {
        let [rows, width] = qkv.layout().shape()[..] else { unreachable!("activations are matrices") };
        Self { time: rows / batch, embd: width / 3, heads, head_size: width / 3 / heads }
    }

    /// The factor of the scores, `1/√d`.
    fn scaling(self) -> f32 {
        1.0 / (self.head_size as f32).sqrt()
    }

    /// Blocks of queries, each with the keys that its last query sees.
    fn blocks(self) -> impl DoubleEndedIterator<Item = (usize, usize)> {
        (0..self.time).step_by(QUERIES).map(move |first| (first, (first + QUERIES).min(self.time)))
    }

    /// Space for the scores of one block.
    fn scratch(self) -> Vec<f32> {
        vec![0.0; QUERIES.min(self.time) * self.time]
    }
}

/// Where tasks write: each its own head's columns, which interleave in memory, so that no slice can be split among them.
#[derive(Clone, Copy)]
struct Shared(*mut f32);

// SAFETY: every task writes the columns of its own text and head only, and nobody reads them until all have ended.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    fn at(self, offset: usize) -> *mut f32 {
        self.0.wrapping_add(offset)
    }
}

/// One head's work on one text.
#[derive(Clone, Copy)]
struct Head<'qkv> {
    division: Division,
    qkv: &'qkv [f32],
    /// Texts and heads counted through.
    task: usize,
    dropout: Dropout,
    attended: Shared,
}

impl Head<'_> {
    /// Queries (0), keys (1) or values (2) from one row on.
    fn part(&self, part: usize, row: usize) -> Strided {
        let Division { time, embd, heads, head_size } = self.division;
        let (text, head) = (self.task / heads, self.task % heads);
        let first = (text * time + row) * 3 * embd + part * embd + head * head_size;
        Strided::rows_of(self.qkv, first, 3 * embd)
    }

    /// Attends by the queries of one block. `scores` is scratch, in rows of all keys, and then has the weights in the columns
    /// up to the block's last query.
    fn attend(&self, (first, end): (usize, usize), scores: &mut [f32], log_sums: &mut [f32]) {
        let Division { time, embd, heads, head_size } = self.division;
        let (text, head) = (self.task / heads, self.task % heads);
        let queries = end - first;
        assert!(scores.len() >= queries * time, "a block's scores fill rows of all keys");
        let (left, right) = (self.part(0, first), self.part(1, 0).transposed());
        let target = (scores.as_mut_ptr(), time);
        // SAFETY: `scores` has queries × time values and is this task's own.
        unsafe {
            let scaling = self.division.scaling();
            product([queries, end, head_size], target, false, left, right, scaling, Parallelism::None);
        }
        for (query, row) in (first..end).zip(scores.chunks_exact_mut(time)) {
            let mask = Mask::new(self.dropout, (self.task * time + query) as u64);
            log_sums[query] = kernels::softmax(&mut row[..end], query + 1, mask);
        }
        let weights = Strided::rows_of(scores, 0, time);
        let target = (self.attended.at((text * time + first) * embd + head * head_size), embd);
        // SAFETY: rows `first..end` of this text and this head's columns are this task's own.
        unsafe {
            product([queries, head_size, end], target, false, weights, self.part(2, 0), 1.0, Parallelism::None);
        }
    }
}

/// The attended values, and the log-sum-exp of every row by text, head and query.
pub(super) fn forward(qkv: &FlexTensor, heads: Heads, dropout: Dropout) -> (FlexTensor, Vec<f32>) {
    let division = Division::new(qkv, heads);
    let qkv = values(qkv);
    let mut log_sums = vec![0.0; heads.batch * division.heads * division.time];
    let out = filled(qkv.len() / 3, |out| {
        let attended = Shared(out.as_mut_ptr().cast());
        log_sums.par_chunks_mut(division.time).enumerate().for_each_init(
            || division.scratch(),
            |scores, (task, log_sums)| {
                let head = Head { division, qkv, task, dropout, attended };
                division.blocks().for_each(|block| head.attend(block, scores, log_sums));
            },
        );
    });
    (tensor(out, attended_shape(division, heads)), log_sums)
}

/// The weights of every head, `[batch, heads, query, key]`, and the attended values.
pub(super) fn observe(qkv: &FlexTensor, heads: Heads) -> (FlexTensor, FlexTensor) {
    let division = Division::new(qkv, heads);
    let Division { time, .. } = division;
    let qkv = values(qkv);
    let mut weights = vec![0.0; heads.batch * division.heads * time * time];
    let out = filled(qkv.len() / 3, |out| {
        let attended = Shared(out.as_mut_ptr().cast());
        weights.par_chunks_mut(time * time).enumerate().for_each(|(task, weights)| {
            let head = Head { division, qkv, task, dropout: Dropout::OFF, attended };
            let mut log_sums = vec![0.0; time];
            let blocks = division.blocks().zip(weights.chunks_mut(QUERIES * time));
            blocks.for_each(|(block, weights)| head.attend(block, weights, &mut log_sums));
        });
    });
    let shape = Shape::from(vec![heads.batch, division.heads, time, time]);
    (tensor(weights, shape), tensor(out, attended_shape(division, heads)))
}

fn attended_shape(division: Division, heads: Heads) -> Shape {
    Shape::from(vec![heads.batch * division.time, division.embd])
}

/// The gradient of queries, keys and values.
pub(super) fn backward(
    qkv: &FlexTensor,
    output: &FlexTensor,
    gradient: &FlexTensor,
    log_sums: &[f32],
    heads: Heads,
    dropout: Dropout,
) -> FlexTensor {
    let division = Division::new(qkv, heads);
    let Division { time, embd, heads: per_text, head_size } = division;
    let (input, output, gradient) = (values(qkv), values(output), values(gradient));
    let out = filled(input.len(), |out| {
        let shared = Shared(out.as_mut_ptr().cast());
        (0..heads.batch * per_text).into_par_iter().for_each_init(
            || (division.scratch(), division.scratch()),
            |(scores, of_weights), task| {
                let (text, head) = (task / per_text, task % per_text);
                let first_column = |part: usize| text * time * 3 * embd + part * embd + head * head_size;
                let part =
                    |part: usize, row: usize| Strided::rows_of(input, first_column(part) + row * 3 * embd, 3 * embd);
                let target = |part: usize, row: usize| (shared.at(first_column(part) + row * 3 * embd), 3 * embd);
                // The last block first: it sees all keys, so what it writes of them the others add to.
                for (first, end) in division.blocks().rev() {
                    let add = end < time;
                    let queries = end - first;
                    let (block, of_block) = (&mut scores[..queries * end], &mut of_weights[..queries * end]);
                    let row_start = |query: usize| (text * time + first + query) * embd + head * head_size;
                    let of_output = Strided::rows_of(gradient, row_start(0), embd);
                    // SAFETY: both blocks have queries × end values and are this task's own.
                    unsafe {
                        let scaling = division.scaling();
                        product(
                            [queries, end, head_size],
                            (block.as_mut_ptr(), end),
                            false,
                            part(0, first),
                            part(1, 0).transposed(),
                            scaling,
                            Parallelism::None,
                        );
                        product(
                            [queries, end, head_size],
                            (of_block.as_mut_ptr(), end),
                            false,
                            of_output,
                            part(2, 0).transposed(),
                            1.0,
                            Parallelism::None,
                        );
                    }
                    for (query, (row, of_row)) in
                        block.chunks_exact_mut(end).zip(of_block.chunks_exact_mut(end)).enumerate()
                    {
                        let mask = Mask::new(dropout, (task * time + first + query) as u64);
                        // Σ_j w_j g_j is the product of the output and its gradient (Dao et al. 2022, appendix B.4).
                        let columns = row_start(query)..row_start(query) + head_size;
                        let dot = kernels::dot(&gradient[columns.clone()], &output[columns]);
                        let log_sum = log_sums[task * time + first + query];
                        let keys = first + query + 1;
                        kernels::softmax_backward(row, of_row, keys, log_sum, dot, division.scaling(), mask);
                    }
                    let weights = Strided::rows_of(block, 0, end);
                    let of_scores = Strided::rows_of(of_block, 0, end);
                    // SAFETY: this text's rows and this head's columns of the three parts are this task's own.
                    unsafe {
                        product(
                            [queries, head_size, end],
                            target(0, first),
                            false,
                            of_scores,
                            part(1, 0),
                            1.0,
                            Parallelism::None,
                        );
                        product(
                            [end, head_size, queries],
                            target(1, 0),
                            add,
                            of_scores.transposed(),
                            part(0, first),
                            1.0,
                            Parallelism::None,
                        );
                        product(
                            [end, head_size, queries],
                            target(2, 0),
                            add,
                            weights.transposed(),
                            of_output,
                            1.0,
                            Parallelism::None,
                        );
                    }
                }
            },
        );
    });
    tensor(out, qkv.layout().shape().clone())
}
