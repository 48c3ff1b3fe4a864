//! The GPT of the study: nanoGPT's architecture, its weights to and from checkpoint rows, its training step, its attention
//! and its sampler. This crate alone names Burn; what it offers is the same on every device.
//!
//! - [`GptConfig`] is a model's shape; [`Weights`] are its tensors on the host, named and oriented as nanoGPT's.
//! - [`Trainer`] learns: one [`Trainer::step`] is one AdamW update, reproducible bit for bit.
//! - [`Model`] is a trained model: [`Model::observe`] shows the attention in a window, [`Session`] reads texts character
//!   by character and predicts the next.

mod config;
mod device;
mod error;
mod gpt;
mod observe;
mod ops;
mod optimizer;
mod session;
mod tracking;
mod trainer;
mod weights;

pub use declarations::{ContextPolicy, Device, Precision};

pub use config::{GptConfig, ParameterShape};
pub use device::check_device;
pub use error::Error;
pub use observe::{Model, Observation};
pub use optimizer::{AdamW, Moments};
pub use session::{HeadRow, Prediction, Session};
pub use tracking::HeadAttention;
pub use trainer::{Batch, StepReport, Trainer};
pub use weights::{Tensor, Weights};
