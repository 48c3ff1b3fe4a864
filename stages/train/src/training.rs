//! The training loop.

use std::time::{Duration, Instant};

use cli::Terminal;
use declarations::Fault;
use declarations::train::Parameters;
use model::{GptConfig, StepOptions, Trainer, TrainerConfig, TrainerState, Weights, table_index};
use random_streams::RngExt;
use schemas::enums::Activity;
use schemas::tables::{Evaluations, Timings, Tracking, TrainingLog};
use training_results::{best_evaluation, total_secs};

use crate::batches::{Split, Texts};
use crate::history::{Committed, History};
use crate::parameters::adamw;
use crate::schedule::learning_rate;

/// Time between commits where no checkpoint is kept: the most that a killed training loses.
const COMMIT_EVERY: Duration = Duration::from_secs(60);

/// One training: its parameters, its text and where it runs.
pub(crate) struct Training<'all> {
    pub(crate) parameters: &'all Parameters,
    pub(crate) seed: u64,
    pub(crate) texts: &'all Texts,
    pub(crate) terminal: &'all Terminal,
}

impl Training<'_> {
    /// Trains to the end, from the history's last commit or from the start.
    ///
    /// # Errors
    /// A parameter fault if the device or the precision is not supported, before anything is removed, or if the training
    /// diverges; an input fault if a table cannot be written or removed. If a signal asks for it, the training ends at the next
    /// step: it is committed there, and the error says so.
    pub(crate) fn run(&self, mut history: History) -> Result<(), Fault> {
        let parameters = self.parameters;
        let kept = parameters.kept();
        let committed = history.take_committed();
        let resumed = committed.is_some();
        let first = committed.as_ref().map_or(0, |committed| committed.step);
        let mut trainer = self.trainer(committed, history.config())?;
        // Nothing is refused from here on, so files can be removed.
        if resumed {
            history.take_on()?;
            // An interrupted commit may have left checkpoints that are not to be kept, or later ones.
            history.keep_only(&kept, first)?;
        } else {
            history.clear()?;
        }
        let progress = self.terminal.progress("train", parameters.max_iters.into());
        progress.reach(first.into());
        let (mut last_commit, mut saved) = (Instant::now(), resumed.then_some(first));
        let mut untimed = UntimedSteps::default();
        for step in first..=parameters.max_iters {
            // The step of the last commit was evaluated and saved before.
            let committed = resumed && step == first;
            if parameters.evaluates(step, &kept) && !committed {
                untimed.record(&mut history, step);
                let evaluation = self.evaluate(&trainer, step, &mut history);
                if !evaluation.train_loss.is_finite() || !evaluation.val_loss.is_finite() {
                    return Err(diverged(step, "the loss", saved));
                }
                progress.note(format!("val loss {}", printed(evaluation.val_loss, 3)));
                history.evaluations.push(evaluation);
            }
            // Asked for after the evaluation: what is committed here is not evaluated again.
            let stop = self.terminal.stop().filter(|_| step < parameters.max_iters);
            if !committed && (stop.is_some() || kept.contains(step) || last_commit.elapsed() >= COMMIT_EVERY) {
                untimed.record(&mut history, step);
                commit(&trainer, step, &mut history, saved)?;
                history.keep_only(&kept, step)?;
                (last_commit, saved) = (Instant::now(), Some(step));
            }
            if let Some(signal) = stop {
                history.write_timings()?;
                let last = parameters.max_iters;
                return Err(Fault::stopped(
                    signal,
                    format!("saved at step {step} of {last}; the same command resumes there"),
                ));
            }
            if step == parameters.max_iters {
                break;
            }
            let loss = self.step(&mut trainer, step, &mut history, &mut untimed);
            if !loss.is_finite() {
                return Err(diverged(step, "the loss", saved));
            }
            if parameters.logs(step) {
                let val = history.evaluations.last().map_or(f64::NAN, |evaluation| evaluation.val_loss);
                progress.note(format!("loss {} · val loss {}", printed(loss, 3), printed(val, 3)));
            }
            progress.advance(1);
        }
        // The time of the last commit is not in the timings that it wrote.
        history.write_timings()?;
        drop(progress);
        self.report(&history);
        Ok(())
    }

    /// The model and optimizer at a commit, or at the start.
    fn trainer(&self, committed: Option<Committed>, config: GptConfig) -> Result<Trainer, Fault> {
        let Parameters { device, precision, .. } = *self.parameters;
        let state = match committed {
            Some(Committed { step, weights, moments }) => TrainerState { weights, moments: Some(moments), steps: step },
            None => TrainerState::initial(Weights::initial(config, self.seed)),
        };
        Ok(Trainer::new(TrainerConfig { device, precision, adamw: adamw(self.parameters) }, state)?)
    }

    /// One step, logged if it is due; returns its loss.
    fn step(&self, trainer: &mut Trainer, step: u32, history: &mut History, untimed: &mut UntimedSteps) -> f64 {
        let parameters = self.parameters;
        let started = Instant::now();
        let batches = self.texts.batches(parameters, step);
        let characters: usize = batches.iter().map(|batch| batch.inputs.len()).sum();
        let rate = learning_rate(parameters, step);
        let logs = parameters.logs(step);
        let dropout_seed = random_streams::stream("dropout", &[&self.seed, &u64::from(step)]).random::<u64>();
        let options = StepOptions {
            learning_rate: rate,
            grad_clip: parameters.grad_clip,
            dropout_seed,
            track_attention: logs && parameters.tracking,
        };
        let report = trainer.step(&batches, options);
        untimed.add(started.elapsed().as_secs_f64() - report.tracking_secs, characters);
        if logs {
            history.log.push(TrainingLog { step, loss: report.loss, learning_rate: rate, grad_norm: report.grad_norm });
        }
        if !report.attention.is_empty() {
            history.timings.push(timing(Activity::Tracking, step, report.tracking_secs, characters));
        }
        history.tracking.extend(report.attention.iter().map(|head| Tracking {
            step,
            layer: table_index(head.layer),
            head: table_index(head.head),
            entropy_nats: head.entropy_nats,
            normalized_entropy: head.normalized_entropy,
            mean_distance: head.mean_distance,
            first_token_mass: head.first_token_mass,
        }));
        report.loss
    }

    /// Mean losses over the evaluation batches of both splits.
    fn evaluate(&self, trainer: &Trainer, step: u32, history: &mut History) -> Evaluations {
        let started = Instant::now();
        let mut characters = 0;
        let mut losses = |split| {
            let batches = self.texts.evaluation(self.parameters, split, step);
            let loss = |batch: model::Batch| {
                characters += batch.inputs.len();
                trainer.evaluate(&batch)
            };
            mean_and_stderr(&batches.map(loss).collect::<Vec<_>>())
        };
        let (train_loss, train_loss_stderr) = losses(Split::Train);
        let (val_loss, val_loss_stderr) = losses(Split::Val);
        history.timings.push(timing(Activity::Evaluation, step, started.elapsed().as_secs_f64(), characters));
        Evaluations {
            step,
            train_loss,
            val_loss,
            train_loss_stderr,
            val_loss_stderr,
            val_bits_per_char: val_loss / std::f64::consts::LN_2,
            learning_rate: learning_rate(self.parameters, step),
        }
    }

    fn report(&self, history: &History) {
        let (interval, last) = (self.parameters.eval_interval, self.parameters.max_iters);
        let seconds = total_secs(&history.timings);
        if let Some(best) = best_evaluation(&history.evaluations, interval) {
            let Parameters { eval_iters, batch_size, .. } = *self.parameters;
            let (loss, at) = (printed(best.val_loss, 4), best.step);
            self.terminal.say(format!(
                "trained {last} steps in {seconds:.0} s: best validation loss {loss} at step {at} ({eval_iters} × {batch_size} random \
                 windows)"
            ));
        }
    }
}

/// Steps since the last row of `timings`.
#[derive(Default)]
struct UntimedSteps {
    secs: f64,
    characters: usize,
}

impl UntimedSteps {
    fn add(&mut self, secs: f64, characters: usize) {
        self.secs += secs;
        self.characters += characters;
    }

    fn record(&mut self, history: &mut History, step: u32) {
        if self.characters > 0 {
            history.timings.push(timing(Activity::Steps, step, self.secs, self.characters));
        }
        *self = Self::default();
    }
}

/// A training that cannot go on, since `what` is not finite; `saved` is the step of its last checkpoint, which stays.
fn diverged(step: u32, what: &str, saved: Option<u32>) -> Fault {
    let saved = saved.map_or(String::new(), |saved| format!(" The checkpoint of step {saved} is kept."));
    Fault::parameter(format!(
        "the training diverged: {what} at step {step} is NaN or infinite; use a lower learning_rate, a longer \
         warmup_iters, or grad_clip 1.{saved}"
    ))
}

fn commit(trainer: &Trainer, step: u32, history: &mut History, saved: Option<u32>) -> Result<(), Fault> {
    let started = Instant::now();
    let weights = trainer.weights();
    // Losses can be finite all the same, as where a token with such weights does not occur.
    if !weights.are_finite() {
        return Err(diverged(step, "a weight", saved));
    }
    history.commit(step, &weights, &trainer.moments())?;
    history.timings.push(timing(Activity::Checkpoint, step, started.elapsed().as_secs_f64(), 0));
    Ok(())
}

fn timing(activity: Activity, step: u32, wall_secs: f64, characters: usize) -> Timings {
    Timings { activity, step, sample: None, wall_secs, characters: characters as u64 }
}

/// The mean and its standard error, `sd(ddof=1)/√n`; 0 for one value, which has none.
fn mean_and_stderr(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    if values.len() < 2 {
        return (mean, 0.0);
    }
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (count - 1.0) / count).sqrt())
}

/// A loss with so many decimals. Cross-entropy is at least 0; rounding can leave a number just below it, or −0, which would be
/// printed as `-0.0000`.
fn printed(loss: f64, decimals: usize) -> String {
    let loss = if loss <= 0.0 { 0.0 } else { loss };
    format!("{loss:.decimals$}")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use declarations::train::Train;
    use declarations::{Device, Job, Kind, Precision, Stage};
    use schemas::Provenance;
    use schemas::tables::{Checkpoints, Optimizer};

    use super::*;
    use crate::parameters::model_config;

    #[test]
    fn no_loss_is_printed_as_negative() {
        assert_eq!([-0.0, -1e-9, 0.0, 1.23456].map(|loss| printed(loss, 4)), ["0.0000", "0.0000", "0.0000", "1.2346"]);
        assert_eq!(printed(f64::NAN, 3), "NaN");
    }

    fn job(folder: &Path) -> Job<Train> {
        let line = format!(
            "train --artifacts {} --dataset d --run r --seed 1 --max-iters 1 --block-size 2 --n-embd 4 --n-layer 1 --batch-size 1",
            folder.display()
        );
        Job::parse(line.split(' ')).expect("a command line")
    }

    fn history(job: &Job<Train>) -> History {
        let provenance = Provenance::new(Train::NAME, Train::VERSION, Train::config(&job.parameters).into());
        History::new(job.outputs.clone(), job.partition.clone(), provenance, model_config(&job.parameters, 2))
    }

    #[test]
    fn an_unsupported_precision_is_refused_before_the_old_training_is_removed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut job = job(folder.path());
        let tokens = || vec![0, 1, 1, 0, 1];
        let block_size = model_config(&job.parameters, 2).block_size;
        let texts = Texts::new(tokens(), tokens(), block_size, 1).expect("long enough");
        let terminal = Terminal::silent();
        let train = |job: &Job<Train>| {
            let mut history = history(job);
            history.resume(&job.parameters, &terminal);
            Training { parameters: &job.parameters, seed: 1, texts: &texts, terminal: &terminal }.run(history)
        };
        train(&job).expect("it trains");

        // Refused on a GPU for its precision, and in a build without CUDA for its device: by now, as another training.
        (job.parameters.precision, job.parameters.device) = (Precision::Bf16, Device::Cuda);
        let refused = train(&job).expect_err("not supported");
        assert_eq!(refused.kind(), Kind::Parameter, "{refused}");
        let (outputs, partition) = (&job.outputs, &job.partition);
        assert!(outputs.has::<Optimizer>(partition), "the commit point stays");
        assert!(outputs.has::<TrainingLog>(partition) && outputs.has::<Evaluations>(partition));
        assert!([0, 1].iter().all(|&step| outputs.has::<Checkpoints>(&partition.clone().step(step))));
    }
}
