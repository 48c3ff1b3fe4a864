//! The stage `snapshot`.

use schemas::enums::Split;

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
        // They are numbered by a u16.
        let windows = u32::from(parameters.val_windows) + u32::from(parameters.repeat_windows);
        match windows <= 1 << 16 {
            true => Ok(()),
            false => Err(Invalid::new("repeat_windows", format!("and val_windows are {windows} windows: at most 65536"))),
        }
    };
    reads {
        Corpus.splits(|_| &[Split::Val]),
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
