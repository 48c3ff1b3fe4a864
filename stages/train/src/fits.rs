//! Whether a training fits in the machine.

use std::fs;

use declarations::train::Parameters;
use declarations::{Fault, training_memory};

/// Refuses a training that needs more memory than the machine has.
pub(crate) fn check(parameters: &Parameters, symbols: usize) -> Result<(), Fault> {
    let needed = training_memory(parameters, u32::try_from(symbols).unwrap_or(u32::MAX));
    let there = total_bytes().unwrap_or(f64::INFINITY);
    if needed <= there {
        return Ok(());
    }
    Err(Fault::parameter(format!(
        "the training needs about {:.0} GB of memory, and this machine has {:.0} GB: take a smaller --n-embd, --n-layer, \
         --block-size or --batch-size",
        needed / 1e9,
        there / 1e9
    )))
}

/// The machine's memory, where Linux tells it.
fn total_bytes() -> Option<f64> {
    let told = fs::read_to_string("/proc/meminfo").ok()?;
    let kibibytes = told.lines().find_map(|line| line.strip_prefix("MemTotal:"))?.trim().strip_suffix("kB")?;
    Some(kibibytes.trim().parse::<f64>().ok()? * 1024.0)
}
