//! The learning rate.

use std::f64::consts::PI;

use declarations::train::Parameters;

/// The learning rate after `step` steps: linear warm-up, then cosine decay to the minimum (Loshchilov & Hutter 2017), as in
/// nanoGPT.
pub(crate) fn learning_rate(parameters: &Parameters, step: u32) -> f64 {
    let Parameters { learning_rate, min_lr, warmup_iters, max_iters, lr_decay_iters, .. } = *parameters;
    let decay_iters = lr_decay_iters.unwrap_or(max_iters);
    if step < warmup_iters {
        return learning_rate * (f64::from(step) + 1.0) / (f64::from(warmup_iters) + 1.0);
    }
    if step >= decay_iters {
        return min_lr;
    }
    let progress = f64::from(step - warmup_iters) / f64::from(decay_iters - warmup_iters);
    min_lr + 0.5 * (1.0 + (PI * progress).cos()) * (learning_rate - min_lr)
}

#[cfg(test)]
mod tests {
    use declarations::Job;
    use declarations::train::Train;

    use super::*;

    fn rate(step: u32, more: &[&str]) -> f64 {
        let line = ["train", "--dataset", "d", "--run", "r", "--seed", "1", "--max-iters", "1100"];
        let job = Job::<Train>::parse(line.iter().chain(more)).expect("a command line");
        learning_rate(&job.parameters, step)
    }

    #[test]
    fn warms_up_then_falls_to_the_minimum() {
        assert!((rate(0, &[]) - 1e-3 / 101.0).abs() < 1e-15);
        assert!((rate(99, &[]) - 1e-3 * 100.0 / 101.0).abs() < 1e-15);
        assert_eq!(rate(100, &[]), 1e-3);
        assert!((rate(600, &[]) - 5.5e-4).abs() < 1e-15, "half way down the cosine");
        assert_eq!(rate(1100, &[]), 1e-4);
    }

    #[test]
    fn an_earlier_end_of_the_decay_keeps_the_minimum() {
        assert_eq!(rate(500, &["--lr-decay-iters", "500"]), 1e-4);
        assert_eq!(rate(7, &["--warmup-iters", "0", "--lr-decay-iters", "0"]), 1e-4);
    }
}
