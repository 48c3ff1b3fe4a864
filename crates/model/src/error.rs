//! Errors of building, loading and training a model.

use declarations::Fault;

/// Why a model could not be built or loaded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A hyper-parameter is invalid.
    #[error("{0}")]
    Config(String),

    /// The weights or the optimizer's moments do not match the model's hyper-parameters.
    #[error("{0}")]
    Weights(String),

    /// A checkpoint's tensors do not match the model that its footer describes.
    #[error("the checkpoint {path} does not hold the model that its footer describes: {reason}: rerun `train`")]
    Checkpoint {
        /// The checkpoint.
        path: String,
        /// What is missing or wrong.
        reason: String,
    },

    /// A checkpoint has a weight that is NaN or infinite.
    #[error(
        "the checkpoint {path} has a weight that is NaN or infinite: its training diverged; rerun `train` with a lower learning_rate"
    )]
    NotFinite {
        /// The checkpoint.
        path: String,
    },

    /// A checkpoint has the weights of another step.
    #[error(
        "the checkpoint {path} has the same weights, to the bit, as {of}: one is a copy of the other; rerun `train`"
    )]
    Copy {
        /// The checkpoint.
        path: String,
        /// The one of the other step.
        of: String,
    },

    /// A model has another number of symbols than the dataset.
    #[error(
        "the model of {path} has {has} symbols and the vocabulary of the dataset has {expected}: `prep` was rerun on another text; rerun `train`"
    )]
    Symbols {
        /// The checkpoint.
        path: String,
        /// The model's symbols.
        has: usize,
        /// The dataset's.
        expected: usize,
    },

    /// Two checkpoints of a training have different shapes.
    #[error(
        "the checkpoint {path} has {has}, and {of} has {expected}: the checkpoints of a training have one shape; put other models into \
         a run of their own"
    )]
    Shape {
        /// The checkpoint.
        path: String,
        /// Its shape.
        has: String,
        /// The first checkpoint of the training.
        of: String,
        /// The shape of that.
        expected: String,
    },

    /// A model computes NaN or infinity.
    #[error(
        "the model of step {step} computes NaN or infinity: its training diverged; rerun `train` with a lower learning_rate"
    )]
    Diverged {
        /// The step.
        step: u32,
    },

    /// The device is not available, or this build does not support it.
    #[error("{0}")]
    Device(String),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Config(_) | Error::Device(_) => Self::parameter(error.to_string()),
            Error::Weights(_)
            | Error::Checkpoint { .. }
            | Error::NotFinite { .. }
            | Error::Copy { .. }
            | Error::Symbols { .. }
            | Error::Shape { .. }
            | Error::Diverged { .. } => Self::input(error.to_string()),
        }
    }
}
