//! The weights of snapshots in statistics over a schedule.

use declarations::Steps;

/// The weight of each step by the trapezoid rule: half the distance between its two neighbours. Statistics over snapshots use
/// it, so that a part of the training with dense snapshots weighs no more than one with sparse ones.
///
/// The axis is that of the schedule. Where the steps are log-spaced ([`Steps::is_log_spaced`]) it is the logarithm of the step,
/// with step 0 one doubling before the first step after it; else it is the step itself. A single step weighs 1.
pub fn trapezoid_weights(steps: &[u32]) -> Vec<f64> {
    let first = steps.iter().copied().find(|step| *step > 0).map_or(1.0, f64::from);
    let log_spaced = steps.iter().copied().collect::<Steps>().is_log_spaced();
    let place = |step: u32| match step {
        0 if log_spaced => (first / 2.0).ln(),
        step if log_spaced => f64::from(step).ln(),
        step => f64::from(step),
    };
    let places: Vec<f64> = steps.iter().map(|step| place(*step)).collect();
    if places.len() < 2 {
        return vec![1.0; places.len()];
    }
    let neighbour = |at: usize| places[at.min(places.len() - 1)];
    (0..places.len()).map(|at| (neighbour(at + 1) - neighbour(at.saturating_sub(1))) / 2.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_weighs_half_the_distance_between_its_neighbours() {
        assert_eq!(trapezoid_weights(&[0, 50, 100, 200, 300]), [25.0, 50.0, 75.0, 100.0, 50.0]);
        assert_eq!(trapezoid_weights(&[700]), [1.0]);
        assert!(trapezoid_weights(&[]).is_empty());
    }

    #[test]
    fn log_spaced_steps_weigh_by_doublings() {
        let doublings: Vec<f64> =
            trapezoid_weights(&[0, 1, 2, 4, 8, 16, 32]).iter().map(|weight| weight / 2f64.ln()).collect();
        for (weight, expected) in doublings.iter().zip([0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5]) {
            assert!((weight - expected).abs() < 1e-12, "{doublings:?}");
        }
        // A hundred late snapshots weigh no more together than the doublings that they span.
        let pythia: Steps = "0,1-512*2,1000-143000/1000".parse().expect("steps");
        let late: f64 = trapezoid_weights(pythia.as_slice())[11..].iter().sum();
        assert!((late - (143_000_f64 / (512.0 * 1000.0_f64).sqrt()).ln()).abs() < 1e-9);
    }
}
