//! The stage `import`.

use std::path::PathBuf;

use schemas::enums::Split;

use crate::{Cost, Invalid, Steps, TrainingPlan, TrainingStage, stage};

stage! {
    /// Import checkpoints that were trained elsewhere, in place of training
    ///
    /// Reads nanoGPT's ckpt.pt, or safetensors with nanoGPT's or GPT-2's names, and evaluates each on both splits of the text. Writes
    /// what `train` writes, but without a log of training steps, and without what resuming needs. docs/import-export.md describes
    /// what is supported.
    Import "import" results 1 per Training on device
    example "import --dataset shakespeare_char --run run_1 --seed 1337 --steps 2000 --checkpoints out/ckpt.pt"
    derived {
        /// Steps whose checkpoints are imported, such as 0,500,1000-5000/1000
        steps: Steps,
    }
    parameters "Evaluation" {
        /// Sequences per batch
        batch_size: u32 [1..=65_536] = 12,
        /// Batches per split, evenly spaced over it
        eval_iters: u32 [1..=1_000_000] = 20,
    }
    settings {
        /// File of the checkpoint; {step} and {seed} in it stand for a step and the seed
        checkpoints: Option<String> = None,
    }
    check |parameters| {
        if parameters.steps.is_empty() {
            return Err(Invalid::new("steps", "names no step: write those of the checkpoints, such as 2000"));
        }
        if parameters.steps.count() > 1 && !parameters.checkpoints.iter().all(|path| path.contains(STEP)) {
            let message = "names one file and there are several steps: write {step} where its path has the step";
            return Err(Invalid::new("checkpoints", message));
        }
        match &parameters.checkpoints {
            Some(_) => Ok(()),
            None => Err(Invalid::new("checkpoints", "is missing: give a file, such as out/ckpt.pt")),
        }
    };
    reads {
        Corpus.splits(|_| &[Split::Train, Split::Val]),
        Vocabulary,
    }
    writes {
        // Without rows: what a training elsewhere logged is not in its checkpoints.
        TrainingLog,
        Evaluations,
        // Without rows.
        Tracking,
        Timings.stages(&["train"]),
        Checkpoints.at(|parameters, _| parameters.steps.clone()),
    }
    cost |_, _| Cost::small();
}

/// What stands for a step in a path.
pub const STEP: &str = "{step}";
/// What stands for the seed in a path.
pub const SEED: &str = "{seed}";

/// The file of a step and seed, by the pattern of its path.
pub fn file(pattern: &str, step: u32, seed: u64) -> PathBuf {
    pattern.replace(STEP, &step.to_string()).replace(SEED, &seed.to_string()).into()
}

impl Parameters {
    /// The file of each step, in their order.
    pub fn files(&self, seed: u64) -> Vec<(u32, PathBuf)> {
        let pattern = self.checkpoints.as_deref().unwrap_or_default();
        self.steps.iter().map(|step| (step, file(pattern, step, seed))).collect()
    }
}

impl TrainingStage for Import {
    /// The checkpoints of the snapshots, of which the last ended the training.
    fn derive(plan: &TrainingPlan<'_>) -> Derived {
        Derived { steps: plan.steps.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stage;

    #[test]
    fn several_steps_have_several_files() {
        let parameters = |flags: &str| {
            let line = format!("import --dataset d --run r --seed 7 {flags}");
            crate::Job::<Import>::parse(line.split_whitespace()).map(|job| job.parameters)
        };
        let series = parameters("--steps 0,500 --checkpoints out-{seed}/{step}.pt").expect("a series");
        assert_eq!(series.files(7), [(0, "out-7/0.pt".into()), (500, "out-7/500.pt".into())]);
        let one = parameters("--steps 500 --checkpoints ckpt.pt").expect("one");
        assert_eq!(one.files(7), [(500, "ckpt.pt".into())]);
        assert!(Import::config(&one).get("checkpoints").is_none(), "its content decides, wherever it lies");
        for (flags, said) in
            [("--steps 0,500 --checkpoints ckpt.pt", "{step}"), ("--steps 5", "missing"), ("--checkpoints x", "steps")]
        {
            let refused = parameters(flags).map_err(|error| error.to_string()).expect_err(said);
            assert!(refused.contains(said), "{refused}");
        }
    }
}
