//! Whether a training fits into memory.

use std::fs;

use declarations::train::Parameters;
use declarations::{Fault, training_memory};

/// Refuses a training that does not fit into memory.
///
/// # Errors
/// A parameter fault with the memory needed and available.
pub(crate) fn check(parameters: &Parameters, symbols: usize) -> Result<(), Fault> {
    let needed = training_memory(parameters, u32::try_from(symbols).unwrap_or(u32::MAX));
    let available = total_bytes().unwrap_or(f64::INFINITY);
    if needed <= available {
        return Ok(());
    }
    Err(Fault::parameter(format!(
        "the training needs about {:.0} GB of memory and this machine has {:.0} GB: use a smaller --n-embd, --n-layer, \
         --block-size or --batch-size",
        needed / 1e9,
        available / 1e9
    )))
}

/// The machine's memory; none if it is not Linux.
fn total_bytes() -> Option<f64> {
    let meminfo = fs::read_to_string("/proc/meminfo").ok()?;
    let kibibytes = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?.trim().strip_suffix("kB")?;
    Some(kibibytes.trim().parse::<f64>().ok()? * 1024.0)
}
