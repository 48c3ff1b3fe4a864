//! The GPT: nanoGPT's architecture, its weights to and from checkpoint rows, its training step, its attention and its
//! decoder. It is the only crate that depends on Burn, and offers the same on every device.
//!
//! - [`GptConfig`] are a model's hyper-parameters; [`Weights`] are its tensors on the host, in nanoGPT's names and layout.
//! - [`Trainer`] trains: one [`Trainer::step`] is one AdamW update, reproducible bit for bit.
//! - [`Model`] is a trained model: [`Model::observe`] gives its attention in a window; a [`Decoder`] predicts token by token.

mod batch;
mod config;
mod decoder;
mod device;
mod error;
mod gpt;
mod host;
mod kv_cache;
mod model;
mod observe;
mod ops;
mod optimizer;
mod series;
mod tracking;
mod trainer;
mod weights;

pub use batch::Batch;
pub use config::{GptConfig, ParameterShape, table_index};
pub use declarations::{ContextPolicy, Device, Precision};
pub use decoder::Decoder;
pub use device::check_device;
pub use error::Error;
pub use kv_cache::{HeadRow, Prediction};
pub use model::Model;
pub use observe::Observation;
pub use optimizer::{AdamW, Moments};
pub use series::Series;
pub use tracking::HeadAttention;
pub use trainer::{StepOptions, StepReport, Trainer, TrainerConfig, TrainerState};
pub use weights::{Tensor, Weights};
