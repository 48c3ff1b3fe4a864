//! The training itself.

use std::time::{Duration, Instant};

use cli::{Fault, Terminal};
use model::{DeviceChoice, StepOptions, Trainer, TrainerConfig, TrainerState, Weights};
use random_streams::RngExt;
use schemas::tables::{Evaluations, Timings, Tracking, TrainingLog};

use crate::Parameters;
use crate::batches::{Split, Texts};
use crate::history::{Committed, History};
use crate::schedule::learning_rate;

/// Between the checkpoints that are kept, the work of so long is committed, so that a killed training loses no more.
const COMMIT_EVERY: Duration = Duration::from_secs(60);

/// One training and what it needs.
pub(crate) struct Training<'all> {
    pub(crate) parameters: &'all Parameters,
    pub(crate) seed: u64,
    pub(crate) texts: &'all Texts,
    pub(crate) device: DeviceChoice,
    pub(crate) terminal: &'all Terminal,
}

impl Training<'_> {
    /// Trains to the end, from the history's last commit or from the start.
    pub(crate) fn run(&self, mut history: History) -> Result<(), Fault> {
        let parameters = self.parameters;
        let kept = parameters.kept();
        let (device, precision, adamw) = (self.device, parameters.precision, parameters.adamw());
        let config = TrainerConfig { device, precision, adamw };
        let (first, mut trainer) = match history.take_committed() {
            Some(committed) => {
                // A commit that was cut off may have left checkpoints that are not to be kept, or lie after it.
                history.keep_only(&kept, committed.step)?;
                let Committed { step, weights, moments } = committed;
                (step, Trainer::new(config, TrainerState { weights, moments: Some(moments), steps: step })?)
            }
            None => {
                history.clear()?;
                let weights = Weights::initial(history.config(), self.seed);
                (0, Trainer::new(config, TrainerState::initial(weights))?)
            }
        };
        let resumed = !history.evaluations.is_empty();
        let progress = self.terminal.progress("train", parameters.max_iters.into());
        progress.reach(first.into());
        let mut last_commit = Instant::now();
        let mut stretch = Stretch::default();
        for step in first..=parameters.max_iters {
            // What the last commit stands at has been evaluated and saved already.
            let committed = resumed && step == first;
            if parameters.evaluates(step) && !committed {
                stretch.end(&mut history, step);
                let evaluation = self.evaluate(&trainer, step, &mut history);
                if !evaluation.train_loss.is_finite() || !evaluation.val_loss.is_finite() {
                    return Err(diverged(step));
                }
                progress.note(format!("val loss {:.3}", evaluation.val_loss));
                history.evaluations.push(evaluation);
            }
            if !committed && (kept.contains(step) || last_commit.elapsed() >= COMMIT_EVERY) {
                stretch.end(&mut history, step);
                commit(&trainer, step, &mut history)?;
                history.keep_only(&kept, step)?;
                last_commit = Instant::now();
            }
            if step == parameters.max_iters {
                break;
            }
            let loss = self.iterate(&mut trainer, step, &mut history, &mut stretch);
            if !loss.is_finite() {
                return Err(diverged(step));
            }
            if parameters.logs(step) {
                let val = history.evaluations.last().map_or(f64::NAN, |evaluation| evaluation.val_loss);
                progress.note(format!("loss {loss:.3} · val {val:.3}"));
            }
            progress.advance(1);
        }
        // The last checkpoint's own time is known only now.
        history.write_timings()?;
        drop(progress);
        self.report(&history);
        Ok(())
    }

    /// One update, logged where it is due; returns its loss.
    fn iterate(&self, trainer: &mut Trainer, step: u32, history: &mut History, stretch: &mut Stretch) -> f64 {
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
        stretch.add(started.elapsed().as_secs_f64() - report.tracking_secs, characters);
        if logs {
            history.log.push(TrainingLog { step, loss: report.loss, learning_rate: rate, grad_norm: report.grad_norm });
        }
        if !report.attention.is_empty() {
            history.timings.push(timing("tracking", step, report.tracking_secs, characters));
        }
        history.tracking.extend(report.attention.iter().map(|head| Tracking {
            step,
            layer: head.layer as u16,
            head: head.head as u16,
            entropy_nats: head.entropy_nats,
            normalized_entropy: head.normalized_entropy,
            mean_distance: head.mean_distance,
            first_token_mass: head.first_token_mass,
        }));
        report.loss
    }

    /// Mean loss over batches of both splits.
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
        history.timings.push(timing("evaluation", step, started.elapsed().as_secs_f64(), characters));
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
        let interval = self.parameters.eval_interval;
        let best = history
            .evaluations
            .iter()
            .filter(|evaluation| evaluation.step.is_multiple_of(interval))
            .min_by(|one, other| one.val_loss.total_cmp(&other.val_loss));
        let seconds: f64 = history.timings.iter().map(|timing| timing.wall_secs).sum();
        if let Some(best) = best {
            let (steps, loss, at) = (self.parameters.max_iters, best.val_loss, best.step);
            self.terminal
                .say(format!("trained {steps} steps in {seconds:.0} s: best validation loss {loss:.4} at step {at}"));
        }
    }
}

/// Iterations since the last row of `timings`.
#[derive(Default)]
struct Stretch {
    secs: f64,
    characters: usize,
}

impl Stretch {
    fn add(&mut self, secs: f64, characters: usize) {
        self.secs += secs;
        self.characters += characters;
    }

    fn end(&mut self, history: &mut History, step: u32) {
        if self.characters > 0 {
            history.timings.push(timing("steps", step, self.secs, self.characters));
        }
        *self = Self::default();
    }
}

fn diverged(step: u32) -> Fault {
    Fault::parameter(format!(
        "the loss after {step} updates is no finite number, so the training has diverged: take a lower --learning-rate, a longer \
         --warmup-iters or --grad-clip 1"
    ))
}

fn commit(trainer: &Trainer, step: u32, history: &mut History) -> Result<(), Fault> {
    let started = Instant::now();
    history.commit(step, &trainer.weights(), &trainer.moments())?;
    history.timings.push(timing("checkpoint", step, started.elapsed().as_secs_f64(), 0));
    Ok(())
}

fn timing(activity: &str, step: u32, wall_secs: f64, characters: usize) -> Timings {
    Timings { activity: activity.to_owned(), step, sample: None, wall_secs, characters: characters as u64 }
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
