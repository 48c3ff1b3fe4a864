//! Files of models that were trained elsewhere, read and written without Python: nanoGPT's `ckpt.pt` and `meta.pkl`, and
//! safetensors with nanoGPT's or GPT-2's names.
//!
//! Burn has a reader of PyTorch's files, too. This one is apart from it because the driver, which plans by a checkpoint's header,
//! does not build Burn, and because `meta.pkl` is a pickle without a tensor. A pickle is a program; [`pickle`] interprets the part
//! of its language that builds data, calls nothing, and takes memory in proportion to the file.

mod alphabet;
mod checkpoint;
mod error;
pub mod pickle;
mod safetensors;
mod torch;
mod write;

pub use alphabet::{MOST_SYMBOLS, alphabet};
pub use checkpoint::{Checkpoint, ModelArgs, Tensor};
pub use error::Error;
pub use write::{State, ckpt, meta, safetensors};
