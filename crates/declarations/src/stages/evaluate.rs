//! The stage `evaluate`.

use schemas::enums::Split;

use crate::{Invalid, Schedule, Steps, TrainingPlan, TrainingStage, cost, stage};

stage! {
    /// Measure the loss of checkpoints over the whole validation and test split
    ///
    /// Every character of a split but its first is predicted once, in windows of block_size characters that overlap, so that
    /// all but the first window's have much context. These are the losses that models are compared by; those of `train` are of a
    /// few random windows.
    Evaluate "evaluate" results 1 per Training on device
    example "evaluate --dataset shakespeare_char --run run_0 --seed 1337 --steps 2000 --stride 32"
    derived {
        /// Steps whose checkpoints are evaluated, such as 0,50,100-2000/100
        steps: Steps,
    }
    parameters "Windows" {
        /// Characters by which the window moves on, at most block_size: a smaller one gives more context and takes more time
        /// [default: three quarters of block_size]
        stride: Option<u32> = None,
    }
    schedule {
        /// The checkpoints that are evaluated: the last one, or all snapshots
        steps: Schedule = Schedule::Last,
    }
    check |parameters| {
        if parameters.steps.is_empty() {
            return Err(Invalid::new("steps", "names no step: write some, such as 0,50,100-2000/100"));
        }
        match parameters.stride {
            Some(0) => Err(Invalid::new("stride", "is 0: it must be at least 1")),
            _ => Ok(()),
        }
    };
    warn |parameters, facts| {
        let longer = parameters.stride.zip(facts.block_size).filter(|(stride, block_size)| stride > block_size);
        let message = |(stride, block_size)| {
            Invalid::new("stride", format!("is {stride}, and block_size is {block_size}: {block_size} is used, and no character is left out"))
        };
        longer.map(message).into_iter().collect()
    };
    reads {
        Corpus.splits(|_| &[Split::Val, Split::Test]),
        Vocabulary,
        Checkpoints.at(|parameters, _| parameters.steps.clone()),
    }
    writes {
        SplitLosses,
    }
    cost cost::evaluate;
}

impl TrainingStage for Evaluate {
    fn derive(plan: &TrainingPlan<'_>) -> Derived {
        Derived { steps: plan.checkpoints(plan.sections.evaluate.steps) }
    }
}

impl Parameters {
    /// The stride of windows of so many characters. Three quarters of them by default: half would cost more than 3 % of the default
    /// run's time.
    pub fn stride(&self, block_size: usize) -> usize {
        self.stride.map_or(block_size - block_size / 4, |stride| stride as usize).clamp(1, block_size.max(1))
    }
}
