//! What matrix products multiply.

use std::fmt;

use clap::ValueEnum;
use serde::Serialize;

/// The precision of the matrix products of a training's linear layers; everything else is float32.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Products of float32
    #[default]
    Float32,
    /// Products of numbers rounded to bfloat16, summed in float32, as PyTorch's autocast: several times as fast on
    /// processors with AMX, no faster on others
    Bf16,
    /// Products of integers of 13 bits, of which 128 share a scale, summed exactly among those and then in float32: faster than
    /// float32 on processors with AVX-512's VNNI
    Int16,
}

impl fmt::Display for Precision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Precision::Float32 => "float32",
            Precision::Bf16 => "bf16",
            Precision::Int16 => "int16",
        })
    }
}
