//! The study's four numbers of one training, from its tables: what `results` averages over seeds, and `final_info.json` lists.

use schemas::enums::Activity;
use schemas::tables::{Evaluations, Timings, TrainingLog};

/// The mean training loss over the last tenth of the logged iterations, at least one: a single batch's loss is mostly noise. An
/// imported training has no log; then it is the training loss of the last evaluation. None without either.
pub fn final_train_loss(log: &[TrainingLog], evaluations: &[Evaluations]) -> Option<f64> {
    let mut log: Vec<_> = log.iter().map(|row| (row.step, row.loss)).collect();
    log.sort_unstable_by_key(|(step, _)| *step);
    let last = (log.len() / 10).max(1).min(log.len());
    let losses = &log[log.len() - last..];
    match losses {
        [] => evaluations.iter().max_by_key(|row| row.step).map(|row| row.train_loss),
        _ => Some(losses.iter().map(|(_, loss)| loss).sum::<f64>() / losses.len() as f64),
    }
}

/// The evaluation with the lowest validation loss, the first of equal ones, over multiples of the interval and the last step:
/// those at other steps, which checkpoints add, would give runs with more checkpoints more chances. None if there is none.
pub fn best_evaluation(evaluations: &[Evaluations], eval_interval: u32) -> Option<&Evaluations> {
    let last = evaluations.iter().map(|row| row.step).max();
    let regular = evaluations.iter().filter(|row| row.step.is_multiple_of(eval_interval) || Some(row.step) == last);
    regular.min_by(|one, other| one.val_loss.total_cmp(&other.val_loss).then(one.step.cmp(&other.step)))
}

/// The time of all activities, in seconds.
pub fn total_secs(timings: &[Timings]) -> f64 {
    timings.iter().map(|row| row.wall_secs).sum()
}

/// Characters per second of the samples of a step; none if they took no time.
pub fn inference_speed(timings: &[Timings], step: u32) -> Option<f64> {
    let samples = timings.iter().filter(|row| row.activity == Activity::Generation && row.step == step);
    let (characters, seconds) = samples
        .fold((0.0, 0.0), |(characters, seconds), row| (characters + row.characters as f64, seconds + row.wall_secs));
    (seconds > 0.0).then(|| characters / seconds)
}
