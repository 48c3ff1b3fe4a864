//! Whether a training fits into memory.

use std::fs;

use cli::Fault;
use model::GptConfig;

use crate::Parameters;

/// Refuses a training that does not fit into memory. Counted are the weights, gradients and two moments, and per layer and
/// character the activations of the norms, attention, residual sums and hidden layer: 17 n_embd numbers.
///
/// # Errors
/// A parameter fault with the memory needed and available.
pub(crate) fn check(parameters: &Parameters, config: &GptConfig) -> Result<(), Fault> {
    let [layers, width, block, symbols, batch] =
        [config.n_layer, config.n_embd, config.block_size, config.vocab_size, parameters.batch_size]
            .map(|size| size as f64);
    let weights = 12.0 * layers * width * width + (symbols + block) * width;
    let needed = 4.0 * (4.0 * weights + 17.0 * layers * width * batch * block);
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
