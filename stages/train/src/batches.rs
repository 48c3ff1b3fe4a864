//! The sequences of training and evaluation batches.

use declarations::Fault;
use declarations::train::Parameters;
use model::Batch;
use random_streams::RngExt;

/// A part of the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Split {
    Train,
    Val,
}

/// Both splits, from which batches are drawn. Every batch has a random stream of its own, keyed by seed and step, so it does not
/// depend on the batches drawn before.
pub(crate) struct Texts {
    train: Vec<u16>,
    val: Vec<u16>,
    block_size: usize,
    seed: u64,
}

impl Texts {
    /// The splits of a text.
    ///
    /// # Errors
    /// A parameter fault if a split is not longer than a block.
    pub(crate) fn new(train: Vec<u16>, val: Vec<u16>, block_size: usize, seed: u64) -> Result<Self, Fault> {
        for (name, split) in [("train", &train), ("val", &val)] {
            if split.len() <= block_size {
                return Err(Fault::parameter(format!(
                    "the {name} split has {} characters and --block-size {block_size} needs at least {}: use a smaller --block-size or a longer text",
                    split.len(),
                    block_size + 1
                )));
            }
        }
        Ok(Self { train, val, block_size, seed })
    }

    /// The micro-batches of one step.
    pub(crate) fn batches(&self, parameters: &Parameters, step: u32) -> Vec<Batch> {
        let mut stream = random_streams::stream("batches", &[&self.seed, &u64::from(step)]);
        (0..parameters.gradient_accumulation_steps)
            .map(|_| self.draw(Split::Train, parameters.batch_size as usize, &mut stream))
            .collect()
    }

    /// The batches on which a split is evaluated at one step.
    pub(crate) fn evaluation(&self, parameters: &Parameters, split: Split, step: u32) -> impl Iterator<Item = Batch> {
        let mut stream = random_streams::stream("evaluation batches", &[&self.seed, &u64::from(step), &(split as u64)]);
        (0..parameters.eval_iters).map(move |_| self.draw(split, parameters.batch_size as usize, &mut stream))
    }

    fn draw(&self, split: Split, size: usize, stream: &mut random_streams::ChaCha8Rng) -> Batch {
        let text = match split {
            Split::Train => &self.train,
            Split::Val => &self.val,
        };
        let starts: Vec<usize> = (0..size).map(|_| stream.random_range(0..text.len() - self.block_size)).collect();
        let windows = |shift: usize| {
            let window = |start: &usize| &text[start + shift..][..self.block_size];
            starts.iter().flat_map(window).copied().collect()
        };
        Batch { size, inputs: windows(0), targets: windows(1) }
    }
}
