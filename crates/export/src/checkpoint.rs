//! A checkpoint for PyTorch and nanoGPT.

use std::path::Path;

use declarations::Fault;
use nanogpt_files::{State, Tensor, ckpt, meta, safetensors};
use schemas::tables::{Checkpoints, Evaluations, Vocabulary};
use schemas::{Artifacts, Error, Partition};
use training_results::best_evaluation;

pub(crate) fn export(artifacts: &Artifacts, partition: &Partition, to: &Path) -> Result<(), Fault> {
    let checkpoint = artifacts.read::<Checkpoints>(partition)?;
    let vocabulary = artifacts.read::<Vocabulary>(partition)?.rows;
    let unreadable = |error: serde_json::Error| {
        Fault::input(format!("{} does not describe its model: {error}", checkpoint.source.path))
    };
    let model = serde_json::from_value(checkpoint.provenance.config.clone()).map_err(unreadable)?;
    let tensor = |row: Checkpoints| Tensor {
        name: row.tensor,
        // A u32 fits in a usize on every platform that the CPU kernels run on.
        shape: row.shape.into_iter().map(|size| size as usize).collect(),
        values: row.values,
    };
    let tensors: Vec<Tensor> = checkpoint.rows.into_iter().map(tensor).collect();
    let step = partition.value(schemas::Key::Step).and_then(|step| step.parse().ok()).unwrap_or_default();
    let best_val_loss = match artifacts.read::<Evaluations>(partition) {
        Ok(mut evaluations) => {
            let interval = crate::eval_interval(&evaluations.provenance);
            evaluations.rows.retain(|row| row.step <= step);
            best_evaluation(&evaluations.rows, interval).map(|row| row.val_loss)
        }
        Err(Error::Missing { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let dataset = partition.value(schemas::Key::Dataset).unwrap_or_default();
    let state = State { model, step, best_val_loss, dataset };
    let symbols: Vec<String> = vocabulary.into_iter().map(|row| row.symbol).collect();
    let too_large = |error: std::io::Error| Fault::input(format!("the model is too large for a ckpt.pt: {error}"));

    let (weights, config) = safetensors(&tensors, &state);
    crate::write(&to.join("model.safetensors"), &weights)?;
    crate::write(&to.join("config.json"), config.as_bytes())?;
    let list = serde_json::to_string(&symbols).map_err(|error| Fault::bug(error.to_string()))?;
    crate::write(&to.join("vocabulary.json"), list.as_bytes())?;
    crate::write(&to.join("ckpt.pt"), &ckpt(&tensors, &state).map_err(too_large)?)?;
    crate::write(&to.join("meta.pkl"), &meta(&symbols).map_err(too_large)?)
}
