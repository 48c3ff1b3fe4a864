//! The stage `snapshot`.

use schemas::enums::Split;

use crate::{Facts, Invalid, Steps, TrainingPlan, TrainingStage, cost, stage};

stage! {
    /// Record the attention patterns of checkpoints in the same probe windows of text
    Snapshot "snapshot" results 2 per Training on device
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
    warn |parameters, facts| parameters.doubts(facts);
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

impl Parameters {
    /// What the text and the block size make of the probe windows.
    fn doubts(&self, facts: &Facts<'_>) -> Vec<Invalid> {
        let Some((text, block_size)) = facts.text.zip(facts.block_size) else { return Vec::new() };
        let (unit, symbols, windows) = (text.alphabet.unit(), text.alphabet.len(), u64::from(self.val_windows));
        let mut found = Vec::new();
        if text.val as u64 >= u64::from(block_size) && (text.val as u64) < windows * u64::from(block_size) {
            let different = (text.val as u64 - u64::from(block_size) + 1).min(windows);
            let what = if different < windows {
                format!("only {different} of them differ")
            } else {
                "they overlap".to_owned()
            };
            found.push(Invalid::new(
                "val_windows",
                format!(
                    "is {windows} windows of {block_size} {unit}s, and the validation split has {}: {what}, so that standard \
                     errors over windows are too small",
                    text.val
                ),
            ));
        }
        let block = block_size / 2;
        if self.repeat_windows > 0 && symbols < block as usize {
            found.push(Invalid::new(
                "repeat_windows",
                format!(
                    "repeat a block of different symbols, and the text has {symbols}: blocks have {symbols} {unit}s where others \
                     of this block_size have {block}, so induction scores do not compare with those of other texts"
                ),
            ));
        }
        found
    }
}

impl TrainingStage for Snapshot {
    fn derive(plan: &TrainingPlan<'_>) -> Derived {
        Derived { steps: plan.steps.clone() }
    }
}
