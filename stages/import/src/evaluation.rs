//! The loss of a model on evenly spaced windows of both splits.

use declarations::Fault;
use declarations::import::Parameters;
use model::Batch;

/// The tokens of the train and the validation split.
pub(crate) struct Texts(pub(crate) [Vec<u16>; 2]);

/// A mean loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Loss {
    /// Mean cross-entropy over characters, in nats.
    pub(crate) mean: f64,
    /// Standard error of the batches' means; 0 of one batch.
    pub(crate) stderr: f64,
    /// Characters that were predicted.
    pub(crate) characters: u64,
}

impl Texts {
    /// The evaluation batches of both splits.
    ///
    /// # Errors
    /// An input fault if a split is not longer than a block.
    pub(crate) fn batches(&self, block_size: usize, parameters: &Parameters) -> Result<[Vec<Batch>; 2], Fault> {
        for split in &self.0 {
            if split.len() <= block_size {
                return Err(Fault::input(format!(
                    "a split of the text has {} characters, and a model with block_size {block_size} needs {}: use a longer text",
                    split.len(),
                    block_size + 1
                )));
            }
        }
        // A u32 fits in a usize on every platform that the CPU kernels run on.
        let (size, batches) = (parameters.batch_size as usize, parameters.eval_iters as usize);
        Ok([0, 1].map(|split| {
            let text = &self.0[split];
            let starts = starts(text.len() - block_size, size.saturating_mul(batches));
            let batch = |starts: &[usize]| {
                let windows = |shift: usize| {
                    starts.iter().flat_map(|start| &text[start + shift..][..block_size]).copied().collect()
                };
                Batch { size: starts.len(), inputs: windows(0), targets: windows(1) }
            };
            starts.chunks(size).map(batch).collect()
        }))
    }
}

/// At most `most` of the positions below `available`, evenly spaced.
fn starts(available: usize, most: usize) -> Vec<usize> {
    let count = most.min(available);
    // In 128 bits, since a text can have more characters than the root of a usize.
    let start = |number: usize| (number as u128 * available as u128 / count as u128) as usize;
    (0..count).map(start).collect()
}

impl Loss {
    pub(crate) fn of(batches: &[Batch], loss: impl Fn(&Batch) -> f64) -> Self {
        let means: Vec<f64> = batches.iter().map(loss).collect();
        let characters: usize = batches.iter().map(|batch| batch.inputs.len()).sum();
        let total: f64 = batches.iter().zip(&means).map(|(batch, mean)| mean * batch.inputs.len() as f64).sum();
        let count = means.len() as f64;
        let center = means.iter().sum::<f64>() / count;
        let squares: f64 = means.iter().map(|mean| (mean - center).powi(2)).sum();
        let stderr = if means.len() < 2 { 0.0 } else { (squares / (count - 1.0) / count).sqrt() };
        Self { mean: total / characters as f64, stderr, characters: characters as u64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_evenly_spaced_and_distinct() {
        assert_eq!(starts(10, 5), [0, 2, 4, 6, 8]);
        assert_eq!(starts(3, 100), [0, 1, 2]);
    }

    #[test]
    fn a_short_batch_counts_for_its_characters() {
        let batch = |size: usize| Batch { size, inputs: vec![0; 2 * size], targets: vec![0; 2 * size] };
        let loss = Loss::of(&[batch(3), batch(1)], |batch| batch.size as f64);
        assert_eq!((loss.mean, loss.stderr, loss.characters), (2.5, 1.0, 8));
    }
}
