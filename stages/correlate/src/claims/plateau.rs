//! A hypothesis from the literature (arXiv 2506.13688): on an early plateau of the loss a model's generations are repetitive,
//! while attention patterns already converge; repetition falls when the loss does.

use declarations::Part;

use super::claim::{Case, Claim, Evidence};
use super::hypothesis::Alternative;
use crate::inputs::Seed;
use crate::rank::mean;
use crate::series::{Series, head_series, mean_by, val_loss};

const NEEDS: [Part; 2] = [Part::Snapshots, Part::Quality];

/// The share of the total decrease of the loss below which a decrease counts as flat.
const FLAT: f64 = 0.1;
/// The smallest decrease of repetition after its peak that counts as one.
const FALL: f64 = 0.05;

/// `plateau_repeats`: during the early loss plateau generations repeat themselves. Mean `repetition_4` of the texts written on the
/// [`plateau`] minus that of those written in the last quarter of the steps, above 0.
pub(super) fn plateau_repeats(case: Case<'_>) -> Evidence {
    let claim = Claim {
        name: "plateau_repeats",
        statement: "during the early loss plateau generations repeat themselves",
        statistic: "mean repetition_4 on the plateau − in the last quarter",
        alternative: Alternative::Greater(0.0),
    };
    claim.per_seed(case, &NEEDS, |seed| {
        let plateau = plateau(&val_loss(seed))?;
        let repetition = repetition(seed);
        let on = |steps: &[u32]| mean_at(&repetition, steps.iter().copied());
        Ok(on(&plateau)? - in_last_quarter(&repetition)?)
    })
}

/// `attention_settles_first`: attention patterns settle before repetition falls. The first snapshot at which `repetition_4` is
/// half-way down from its peak to its mean in the last quarter, minus the first from which on the mean `normalized_entropy`
/// stays within a quarter of its largest distance from its final value, in steps, above 0.
pub(super) fn attention_settles_first(case: Case<'_>) -> Evidence {
    let claim = Claim {
        name: "attention_settles_first",
        statement: "attention patterns settle before repetition falls",
        statistic: "step at which repetition_4 has half fallen − step at which mean entropy has settled",
        alternative: Alternative::Greater(0.0),
    };
    claim.per_seed_of_snapshots(case, &NEEDS, 2.0, |seed| {
        let entropy = head_series(seed, None, |row| Some(row.normalized_entropy));
        Ok(f64::from(fall(&repetition(seed))?) - f64::from(settling(&entropy)?))
    })
}

fn repetition(seed: &Seed) -> Series {
    mean_by(seed.sample_scores.iter().filter_map(|row| Some((row.step?, row.repetition_4))))
}

/// The steps of the early plateau: the first longest run of three or more snapshots after the untrained one, in the first half of
/// the training, over which the loss decreases by less than a tenth of its total decrease, while it decreases by more
/// afterwards, and at most half as fast as [afterwards](fastest_after). The last condition excludes curves that decrease steadily,
/// of which closely spaced snapshots always have a flat run.
fn plateau(loss: &Series) -> Result<Vec<u32>, String> {
    let points: Vec<(u32, f64)> = loss.iter().map(|(step, loss)| (*step, *loss)).collect();
    let (Some((_, first)), Some((last, _))) = (points.first(), points.last()) else {
        return Err("there are no snapshots".to_owned());
    };
    let lowest = points.iter().map(|(_, loss)| *loss).fold(f64::INFINITY, f64::min);
    let fall = FLAT * (first - lowest);
    let early = points.iter().skip(1).filter(|(step, _)| *step <= last / 2).count();
    let early = &points[1..1 + early];
    let is_flat = |run: &[(u32, f64)]| {
        let ((start, from), (end, to)) = (run[0], run[run.len() - 1]);
        let speed = (from - to) / f64::from(end - start);
        from - to < fall && to - lowest > fall && speed <= fastest_after(&points, end, end - start) / 2.0
    };
    for length in (3..=early.len()).rev() {
        if let Some(run) = early.windows(length).find(|run| is_flat(run)) {
            return Ok(run.iter().map(|(step, _)| *step).collect());
        }
    }
    Err("the loss has no early plateau: three snapshots over which it decreases by less than a tenth of its total decrease, and \
         at most half as fast as later"
        .to_owned())
}

/// The largest decrease of the loss per step, over `steps` steps (or to the end) from a snapshot at `step` or later.
fn fastest_after(points: &[(u32, f64)], step: u32, steps: u32) -> f64 {
    let after = &points[points.partition_point(|(at, _)| *at < step)..];
    let fall = |(place, (start, from)): (usize, &(u32, f64))| {
        let later = &after[place + 1..];
        let (end, to) = later.iter().find(|(end, _)| end - start >= steps).or(later.last())?;
        Some((from - to) / f64::from(end - start))
    };
    after.iter().enumerate().filter_map(fall).fold(0.0, f64::max)
}

/// The first step at which a series is half-way down from its peak to its mean in the last quarter.
fn fall(series: &Series) -> Result<u32, String> {
    let end = in_last_quarter(series)?;
    let peak = series.iter().max_by(|(_, one), (_, other)| one.total_cmp(other));
    let Some((&peak_step, &peak)) = peak.filter(|(_, peak)| **peak - end > FALL) else {
        return Err(format!("repetition never exceeds its final level by {FALL}, so it does not fall"));
    };
    let fallen = |(_, value): &(&u32, &f64)| **value <= (peak + end) / 2.0;
    let first = series.range(peak_step..).find(fallen).map(|(step, _)| *step);
    first.ok_or_else(|| "repetition has not fallen by the end".to_owned())
}

/// The first step from which on a series stays within a quarter of its largest distance from its final value.
fn settling(series: &Series) -> Result<u32, String> {
    let Some((_, end)) = series.last_key_value() else {
        return Err("there are no snapshots".to_owned());
    };
    let largest = series.values().map(|value| (value - end).abs()).fold(0.0, f64::max);
    if largest == 0.0 {
        return Err("entropy does not change".to_owned());
    }
    let settled = series.iter().rev().take_while(|(_, value)| (*value - end).abs() <= largest / 4.0);
    Ok(settled.last().map_or(0, |(step, _)| *step))
}

fn in_last_quarter(series: &Series) -> Result<f64, String> {
    let last = series.last_key_value().map_or(0, |(step, _)| *step);
    mean_at(series, series.keys().copied().filter(|step| 4 * u64::from(*step) >= 3 * u64::from(last)))
}

fn mean_at(series: &Series, steps: impl Iterator<Item = u32>) -> Result<f64, String> {
    let values: Vec<f64> = steps.filter_map(|step| series.get(&step).copied()).collect();
    if values.is_empty() { Err("no text was scored there".to_owned()) } else { Ok(mean(&values)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: &[f64]) -> Series {
        (0..).step_by(100).zip(values.iter().copied()).collect()
    }

    #[test]
    fn the_plateau_is_where_the_loss_is_flat_before_it_falls_again() {
        let loss = series(&[4.2, 2.6, 2.5, 2.48, 2.45, 2.1, 1.9, 1.8, 1.75, 1.7, 1.7]);
        assert_eq!(plateau(&loss), Ok(vec![100, 200, 300, 400]));
        let curves: [fn(f64) -> f64; 3] =
            [|x| 4.2 - x / 10.0, |x| 1.8 + 2.4 * (-x / 6.0).exp(), |x| 4.2 * (1.0 + x).powf(-0.3)];
        for curve in curves {
            let falling = series(&(0..22).map(|at| curve(f64::from(at))).collect::<Vec<_>>());
            assert!(plateau(&falling).unwrap_err().contains("no early plateau"));
        }
        // The decrease after it may be shorter than the plateau.
        assert_eq!(plateau(&series(&[4.0, 2.6, 2.6, 2.6, 2.6, 2.6, 2.6, 1.0])), Ok(vec![100, 200, 300]));
        // A loss that stays flat has converged.
        assert!(plateau(&series(&[4.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])).is_err());
        assert!(plateau(&Series::new()).is_err());
    }

    #[test]
    fn steps_near_the_largest_number_have_halves_too() {
        // Flat in the second half only, which is no early plateau whatever the distance of the snapshots.
        let late = [4.2, 3.9, 3.6, 3.3, 3.0, 2.7, 2.69, 2.68, 2.67, 2.3, 1.7];
        for gap in [100, 400_000_000] {
            let loss: Series = (0..11).map(|snapshot| snapshot * gap).zip(late).collect();
            assert!(plateau(&loss).unwrap_err().contains("no early plateau"), "{gap}");
        }
    }

    #[test]
    fn repetition_falls_and_entropy_settles_where_they_do() {
        assert_eq!(fall(&series(&[0.1, 0.8, 0.9, 0.7, 0.3, 0.2, 0.2, 0.2])), Ok(400));
        assert!(fall(&series(&[0.2; 8])).unwrap_err().contains("does not fall"));
        assert_eq!(settling(&series(&[1.0, 0.7, 0.4, 0.3, 0.31, 0.3, 0.3, 0.3])), Ok(200));
        assert_eq!(settling(&series(&[1.0, 0.3, 0.9, 0.3])), Ok(300), "what leaves again has not settled");
        assert!(settling(&series(&[0.5; 4])).is_err());
    }
}
