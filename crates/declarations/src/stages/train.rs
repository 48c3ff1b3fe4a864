//! The stage `train`.

use schemas::enums::Split;

use serde_json::{Map, Value as Json};

use crate::{Invalid, Precision, Stage, Steps, TrainingPlan, TrainingStage, cost, stage};

stage! {
    /// Train one GPT on one text
    ///
    /// Logs, evaluates, tracks attention and saves checkpoints. A killed training resumes from its last commit and ends with
    /// the same weights and tables, bit for bit. Parameters have nanoGPT's names.
    Train "train" results 1 per Training on device
    example "train --dataset shakespeare_char --run run_1 --seed 1337 --tracking true --checkpoint-steps 0,500,1000,2000"
    derived {
        /// Steps whose checkpoints are kept, beside the first and the last, such as 0,50,100-2000/100
        checkpoint_steps: Steps,
    }
    parameters "Model" {
        /// Transformer blocks
        n_layer: u32 [1..=65_536] = 6,
        /// Attention heads per block
        n_head: u32 [1..=65_536] = 4,
        /// Width of the residual stream
        n_embd: u32 [1..=65_536] = 128,
        /// Longest context, in characters
        block_size: u32 [1..=65_536] = 64,
        /// Whether linear layers and layer norms have biases
        bias: bool = false,
        /// Dropout probability in training
        dropout: f64 [0.0..1.0] = 0.0,
    }
    parameters "Training" {
        /// Sequences per micro-batch
        batch_size: u32 [1..] = 12,
        /// Micro-batches per step
        gradient_accumulation_steps: u32 [1..] = 1,
        /// Number format of the matrix products of linear layers
        precision: Precision = Precision::Float32,
        /// Steps (optimizer updates)
        max_iters: u32 [1..] = 2000,
        /// Highest learning rate
        learning_rate: f64 [0.0..] = 1e-3,
        /// Learning rate after the decay
        min_lr: f64 [0.0..] = 1e-4,
        /// Steps of linear warm-up
        warmup_iters: u32 = 100,
        /// Step at which the cosine decay ends [default: max_iters]
        lr_decay_iters: Option<u32> = None,
        /// AdamW's weight decay of matrices and embeddings
        weight_decay: f64 [0.0..] = 0.1,
        /// AdamW's decay rate of the first moment
        beta1: f64 [0.0..1.0] = 0.9,
        /// AdamW's decay rate of the second moment
        beta2: f64 [0.0..1.0] = 0.99,
        /// Global gradient norm to clip at; 0 disables clipping
        grad_clip: f64 [0.0..] = 1.0,
    }
    parameters "Evaluation and logging" {
        /// Steps between evaluations; every kept checkpoint is evaluated too
        eval_interval: u32 [1..] = 100,
        /// Batches per split in an evaluation
        eval_iters: u32 [1..] = 20,
        /// Steps between logged ones
        log_interval: u32 [1..] = 10,
        /// Whether attention is tracked at every logged step
        tracking: bool = false,
    }
    check |parameters| {
        if !parameters.n_embd.is_multiple_of(parameters.n_head) {
            let message = format!(
                "is {}: it must be a multiple of n_head, which is {}, since heads have equal shares",
                parameters.n_embd, parameters.n_head
            );
            return Err(Invalid::new("n_embd", message));
        }
        match parameters.checkpoint_steps.last().filter(|&last| last > parameters.max_iters) {
            Some(last) => Err(Invalid::new(
                "checkpoint_steps",
                format!("goes to {last}, and the training ends at max_iters {}: leave out later steps", parameters.max_iters),
            )),
            None => Ok(()),
        }
    };
    text |parameters, text| {
        let shortest = text.train.min(text.val);
        let needed = parameters.block_size as usize + 1;
        if shortest >= needed {
            return Ok(());
        }
        let message = format!(
            "is {}, and a split of the text has {shortest} characters, fewer than {needed}: use a smaller block_size or a longer text",
            parameters.block_size
        );
        Err(Invalid::new("block_size", message))
    };
    warn |parameters, _| parameters.contradictions();
    continues Parameters::continues;
    reads {
        Corpus.splits(|_| &[Split::Train, Split::Val]),
        Vocabulary,
    }
    writes {
        TrainingLog,
        Evaluations,
        // Without rows if attention is not tracked.
        Tracking,
        Timings.stages(&["train"]),
        Checkpoints.at(|parameters, _| parameters.kept()),
        Optimizer.only_to_resume(),
    }
    cost cost::train;
}

impl Parameters {
    /// Steps whose checkpoints are kept: the listed ones, the first and the last.
    pub fn kept(&self) -> Steps {
        self.checkpoint_steps.iter().chain([0, self.max_iters]).collect()
    }

    /// Whether both splits are evaluated at a step: at multiples of the interval, and where a checkpoint is [kept](Self::kept).
    pub fn evaluates(&self, step: u32, kept: &Steps) -> bool {
        step.is_multiple_of(self.eval_interval) || kept.contains(step)
    }

    /// Whether a step is logged: at multiples of the interval, and the last.
    pub fn logs(&self, step: u32) -> bool {
        step.is_multiple_of(self.log_interval) || step + 1 == self.max_iters
    }

    /// Schedules that contradict each other: each can be trained with, and probably nobody means it.
    fn contradictions(&self) -> Vec<Invalid> {
        let Self { max_iters, warmup_iters, learning_rate, min_lr, eval_interval, log_interval, .. } = *self;
        let decay = self.lr_decay_iters.unwrap_or(max_iters);
        let mut found = Vec::new();
        if warmup_iters >= max_iters {
            found.push(Invalid::new(
                "warmup_iters",
                format!(
                    "is {warmup_iters}, and the training ends at max_iters {max_iters}: the learning rate only rises"
                ),
            ));
        } else if warmup_iters > decay {
            found.push(Invalid::new(
                "warmup_iters",
                format!("is {warmup_iters}, and the decay ends at {decay}: the learning rate falls to min_lr at once"),
            ));
        }
        if min_lr > learning_rate {
            found.push(Invalid::new(
                "min_lr",
                format!("is {min_lr}, above learning_rate {learning_rate}: the learning rate rises after the warm-up"),
            ));
        }
        if eval_interval > max_iters {
            found.push(Invalid::new(
                "eval_interval",
                format!(
                    "is {eval_interval}, and the training ends at max_iters {max_iters}: only kept checkpoints are evaluated, \
                     the first and the last among them"
                ),
            ));
        }
        if log_interval > max_iters {
            found.push(Invalid::new(
                "log_interval",
                format!(
                    "is {log_interval}, and the training ends at max_iters {max_iters}: only the first and the last step \
                     are logged"
                ),
            ));
        }
        found
    }

    /// Whether this training goes on from one with the `config` `earlier`: it is the same but longer, its learning rate at
    /// every step is the same, and of the checkpoints that it keeps, the earlier one kept those of its own steps. What is logged,
    /// evaluated, tracked or kept by the earlier one only because it ended there is left out in the longer one.
    pub fn continues(&self, earlier: &Map<String, Json>) -> bool {
        const OF_THE_LENGTH: [&str; 3] = ["max_iters", "lr_decay_iters", "checkpoint_steps"];
        let equal = |(name, value): (&String, &Json)| {
            OF_THE_LENGTH.contains(&name.as_str()) || earlier.get(name) == Some(value)
        };
        let number =
            |name: &str| earlier.get(name).and_then(Json::as_u64).and_then(|number| u32::try_from(number).ok());
        let Some(end) = number("max_iters").filter(|&end| end < self.max_iters) else {
            return false;
        };
        let Some(Ok(kept)) = earlier.get("checkpoint_steps").and_then(Json::as_str).map(str::parse::<Steps>) else {
            return false;
        };
        let is_kept = |step: u32| step == 0 || step == end || kept.contains(step);
        Train::config(self).iter().all(equal)
            && number("lr_decay_iters").unwrap_or(end) == self.lr_decay_iters.unwrap_or(self.max_iters)
            && self.kept().iter().filter(|&step| step <= end).all(is_kept)
    }
}

impl TrainingStage for Train {
    /// The checkpoints that `snapshot` and `generate` read.
    fn derive(plan: &TrainingPlan<'_>) -> Derived {
        let last = plan.sections.train.max_iters;
        let steps = if plan.keeps_snapshots() { plan.steps.clone() } else { Steps::default() };
        Derived { checkpoint_steps: steps.iter().chain([0, last]).collect() }
    }
}

#[cfg(test)]
mod tests {
    use schemas::Partition;
    use serde_json::json;

    use super::*;
    use crate::Job;
    use crate::snapshot::Snapshot;

    fn parameters(flags: &str) -> Parameters {
        let line = format!("train --dataset d --run r --seed 1 {flags}");
        Job::<Train>::parse(line.split_whitespace()).expect("valid flags").parameters
    }

    fn continues(longer: &str, earlier: &str) -> bool {
        let mut config = Train::config(&parameters(earlier));
        // What the footers of a training have beside its parameters.
        config.insert("vocab_size".to_owned(), json!(65));
        config.insert("seed".to_owned(), json!(1));
        Train::continues(&parameters(longer), &config)
    }

    #[test]
    fn schedules_that_contradict_each_other_are_said() {
        let said = |flags: &str| {
            let found = Train::warnings(&parameters(flags), &crate::Facts::default());
            found.into_iter().map(|warning| (warning.parameter, warning.message)).collect::<Vec<_>>()
        };
        assert_eq!(said(""), []);
        assert_eq!(said("--max-iters 100 --warmup-iters 99 --lr-decay-iters 99 --min-lr 1e-3"), []);
        for (flags, parameter, message) in [
            ("--max-iters 100", "warmup_iters", "the learning rate only rises"),
            ("--lr-decay-iters 50", "warmup_iters", "the decay ends at 50"),
            ("--min-lr 0.1", "min_lr", "is 0.1, above learning_rate 0.001"),
            ("--eval-interval 2001", "eval_interval", "ends at max_iters 2000: only kept checkpoints"),
            ("--log-interval 3000", "log_interval", "only the first and the last step"),
        ] {
            let [(found, text)] = &said(flags)[..] else { panic!("one warning of {flags}: {:?}", said(flags)) };
            assert!(*found == parameter && text.contains(message), "{flags}: {text}");
        }
    }

    #[test]
    fn a_longer_training_with_the_same_learning_rates_continues_a_shorter_one() {
        let shorter = "--max-iters 500 --lr-decay-iters 500 --checkpoint-steps 0,100,500";
        assert!(continues("--max-iters 900 --lr-decay-iters 500 --checkpoint-steps 0,100,900", shorter));
        // The learning rate decays to the same step by default.
        assert!(continues(
            "--max-iters 900 --lr-decay-iters 500 --checkpoint-steps 100",
            "--max-iters 500 --checkpoint-steps 100"
        ));
        assert!(continues("--max-iters 900", "--max-iters 500 --lr-decay-iters 900"));
        // Kept because it was the end, and because it was asked for.
        assert!(continues("--max-iters 900 --lr-decay-iters 500 --checkpoint-steps 0,500", shorter));
        assert!(continues("--max-iters 900 --lr-decay-iters 500", shorter));
    }

    #[test]
    fn no_other_training_continues_another() {
        let shorter = "--max-iters 500 --lr-decay-iters 500 --checkpoint-steps 0,100,500";
        let longer = "--max-iters 900 --lr-decay-iters 500 --checkpoint-steps 0,100,900";
        assert!(!continues(shorter, shorter) && !continues(shorter, longer), "not longer");
        assert!(!continues("--max-iters 900 --checkpoint-steps 0,100,900", shorter), "another learning rate");
        assert!(!continues(&format!("{longer} --checkpoint-steps 0,50,100"), shorter), "a checkpoint is missing");
        for other in
            ["--n-layer 5", "--dropout 0.1", "--eval-interval 50", "--log-interval 5", "--tracking", "--min-lr 0"]
        {
            assert!(!continues(&format!("{longer} {other}"), shorter), "{other}");
        }
        assert!(!Train::continues(&parameters(longer), &Map::new()));
        assert!(
            !Snapshot::continues(
                &crate::snapshot::Parameters {
                    steps: Steps::default(),
                    val_windows: 1,
                    repeat_windows: 0,
                    device: crate::Device::Cpu,
                },
                &Train::config(&parameters(shorter))
            ),
            "most stages do not continue anything"
        );
    }

    #[test]
    fn a_finished_training_needs_no_optimizer() {
        let (parameters, partition) = (parameters("--max-iters 5"), Partition::dataset("d").run("r").seed(1));
        let (outputs, mut results) = (Train::outputs(&parameters, &partition), Train::results(&parameters, &partition));
        let optimizer: Vec<_> = outputs.iter().filter(|path| path.starts_with("optimizer")).cloned().collect();
        assert_eq!((optimizer.len(), results.len()), (1, outputs.len() - 1));
        results.extend(optimizer);
        assert!(outputs.iter().all(|path| results.contains(path)));
    }
}
