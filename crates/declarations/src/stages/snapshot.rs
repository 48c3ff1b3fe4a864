//! The stage `snapshot`.

use crate::{Invalid, Steps, TrainingPlan, TrainingStage, cost, stage};

stage! {
    /// Record the attention patterns of checkpoints in the same probe windows of text
    Snapshot "snapshot" results 1 per Training on device
    example "snapshot --dataset shakespeare_char --run run_1 --seed 1337 --steps 0,50,100-2000/100"
    derived {
        /// Steps whose checkpoints are recorded, such as 0,50,100-2000/100
        steps: Steps,
    }
    parameters "Probe windows" {
        /// Windows of block_size characters of the validation split, evenly spaced
        val_windows: u16 [1..] = 8,
        /// Windows of a random block that occurs twice, for induction scores
        repeat_windows: u16 = 4,
    }
    schedule {
        /// Steps at which the training saves a checkpoint, up to max_iters, and attention is recorded
        steps: Steps = "0,50,100-2000/100".parse().unwrap_or_default(),
    }
    check |parameters| {
        if parameters.steps.is_empty() {
            return Err(Invalid::new("steps", "names no step: write some, such as 0,50,100-2000/100"));
        }
        match parameters.val_windows.checked_add(parameters.repeat_windows) {
            Some(_) => Ok(()),
            None => Err(Invalid::new("repeat_windows", format!("and val_windows are more than {} together", u16::MAX))),
        }
    };
    reads {
        Corpus.splits(|_| &["val"]),
        Vocabulary,
        Checkpoints.at(|parameters, _| parameters.steps.clone()),
    }
    writes {
        Attention.at(|parameters, _| parameters.steps.clone()),
        Windows,
        HeadOutputs,
    }
    cost |parameters, training| cost::snapshot(parameters.steps.count(), training);
}

impl TrainingStage for Snapshot {
    fn derive(plan: &TrainingPlan<'_>) -> Derived {
        Derived { steps: plan.steps.clone() }
    }
}
