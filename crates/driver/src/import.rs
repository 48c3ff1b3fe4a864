//! Runs whose checkpoints were trained elsewhere: `import` takes the place of `train`.

use std::path::Path;

use declarations::import::{SEED, STEP, file};
use declarations::{Fault, StageName, Steps};
use nanogpt_files::{Checkpoint, ModelArgs};

use crate::study::Run;

/// Has a run import what `import.checkpoints` names, if it names something. What the checkpoint says of its model and its step
/// stands in for the section `train`, by which jobs are estimated and generate from the last step.
///
/// # Errors
/// A file that cannot be read, or that stands for several seeds or steps.
pub(crate) fn apply(run: &mut Run, seeds: &[u64]) -> Result<(), Fault> {
    let Some(pattern) = run.sections.import.checkpoints.clone() else { return Ok(()) };
    let [first, others @ ..] = seeds else { return Ok(()) };
    if !others.is_empty() && !pattern.contains(SEED) {
        return Err(Fault::parameter(format!(
            "`import.checkpoints` is {pattern}, which would be the same model for {} seeds, and a seed is a replicate: write \
             {SEED} where the path has the seed, or choose one seed by --set seeds=[{first}]",
            seeds.len()
        )));
    }
    let is_series = pattern.contains(STEP);
    let last = run.sections.snapshot.steps.last().filter(|_| is_series);
    let path = file(&pattern, last.unwrap_or_default(), *first);
    let checkpoint = Checkpoint::open(&path).map_err(|error| Fault::input(format!("`import.checkpoints`: {error}")))?;
    let step = last.or(checkpoint.step).ok_or_else(|| unknown_step(&path))?;
    describe(run, &checkpoint.model, step, &path)?;
    if !is_series {
        run.sections.snapshot.steps = [step].into_iter().collect::<Steps>();
    }
    run.stages.iter_mut().filter(|stage| **stage == StageName::Train).for_each(|stage| *stage = StageName::Import);
    Ok(())
}

fn unknown_step(path: &Path) -> Fault {
    Fault::input(format!(
        "`import.checkpoints`: {} does not say after how many steps it was saved: write {{\"iter_num\": 2000}} into a config.json \
         beside it, or its step into its name and {STEP} into the path",
        path.display()
    ))
}

fn describe(run: &mut Run, model: &ModelArgs, step: u32, path: &Path) -> Result<(), Fault> {
    let number = |name: &str, size: usize| {
        u32::try_from(size).map_err(|_| Fault::input(format!("{} has {size} as its {name}", path.display())))
    };
    let train = &mut run.sections.train;
    train.n_layer = number("n_layer", model.n_layer)?;
    train.n_head = number("n_head", model.n_head)?;
    train.n_embd = number("n_embd", model.n_embd)?;
    train.block_size = number("block_size", model.block_size)?;
    train.bias = model.bias;
    train.dropout = model.dropout;
    train.max_iters = step;
    // Every imported checkpoint is evaluated, and nothing is tracked.
    train.eval_interval = 1;
    train.tracking = false;
    Ok(())
}
