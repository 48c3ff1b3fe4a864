//! When something happens to attention while a model learns, and in which order: the table `onsets`.

use std::collections::BTreeMap;

use declarations::Part;
use schemas::tables::{HeadMetrics, Onsets};

use crate::association::{distinct, named, said};
use crate::fit::two_levels;
use crate::inputs::{Run, Seed};
use crate::interval::Estimate;
use crate::rank::mean;
use crate::series::{Column, Series, attention_measures, contains, outcomes, pair_series};
use crate::timeline::stretches;

/// How far above uniform attention the best head's score must rise for a head of that kind to be there: a tenth of the
/// attention, more than fifty times what tells the best untrained head from uniform attention.
pub const HEAD_MARGIN: f64 = 0.1;
/// How far apart the layers' attention must come, on the mean over pairs, for layers to be specialised, in bits.
pub const LAYER_MARGIN: f64 = 0.05;
/// The share of a metric's variance over training that two levels must explain for the level to have changed. A straight ramp
/// has 3/4, a jump all. Noise around one level reaches it in 2 of 1,000 series on the steps 0,50,100-2000/100 and in 17 of 1,000
/// on 0,1-512*2,600-2000/100; a random walk does in two of three. So a change point says when, not that it had to be.
pub const LEAST_EXPLAINED: f64 = 0.5;

/// The kinds of heads: the event, the metric that scores it, and the metric's value in a row.
const KINDS: [(&str, Column<HeadMetrics>); 3] = [
    ("previous_token_head", ("previous_token_score", |row| Some(row.previous_token_score))),
    ("induction_head", ("induction_score", |row| row.induction_score)),
    ("attention_sink", ("first_token_mass", |row| Some(row.first_token_mass))),
];

/// Every event of a run's trainings, over all layers first and then layer by layer.
///
/// - `previous_token_head`, `induction_head`, `attention_sink`: [`appearance`] of the best head's `previous_token_score`,
///   `induction_score` (prefix matching; Olsson et al. 2022) or `first_token_mass` (Xiao et al. 2023): at each step the
///   highest score of any head, above what uniform attention gives, by [`HEAD_MARGIN`].
/// - `layer_specialisation`: [`appearance`] of the mean `js_divergence` over pairs of layers, of a layer over the pairs that
///   contain it, above 0, by [`LAYER_MARGIN`].
/// - `change_point`: [`change`] of each metric that is correlated with learning, and of `val_loss`.
///
/// `value` is the geometric mean over the seeds in which the event happens and its interval is that of the logarithms,
/// `exp(m ± t(0.975, n−1)·sd/√n)`, on every schedule: an onset is a time that seeds multiply rather than shift, and so its interval
/// cannot begin before the training. The snapshots bound what can be known: the event lies between `steps_before` and `steps`, and
/// an interval without width says no more than that all seeds lie between the same two.
pub fn onsets(run: &Run) -> Vec<Onsets> {
    let layers: Vec<Option<u16>> = std::iter::once(None).chain((0..run.layers()).map(Some)).collect();
    let mut rows = Vec::new();
    for (event, (metric, value)) in KINDS {
        for layer in &layers {
            let sighting = |seed: &Seed| {
                let uniform = seed.baselines.iter().find(|row| row.metric == metric).map(|row| row.value);
                let best = best_head(seed, *layer, value);
                match uniform {
                    Some(uniform) if !best.is_empty() => appearance(&best, uniform, HEAD_MARGIN),
                    _ => Sighting::never(format!("{metric} is not defined here")),
                }
            };
            rows.push(row(run, (event, metric, *layer), run.seeds.iter().map(sighting).collect()));
        }
    }
    if run.has(Part::Similarity) {
        for layer in &layers {
            let sighting = |seed: &Seed| {
                let divergence = pair_series(seed, contains(*layer), |row| Some(row.js_divergence));
                match divergence.is_empty() {
                    true => Sighting::never("one layer has no other to differ from".to_owned()),
                    false => appearance(&divergence, 0.0, LAYER_MARGIN),
                }
            };
            let named = ("layer_specialisation", "js_divergence", *layer);
            rows.push(row(run, named, run.seeds.iter().map(sighting).collect()));
        }
    }
    let loss = outcomes(run).into_iter().filter(|measure| measure.name == "val_loss");
    for measure in attention_measures(run).into_iter().chain(loss) {
        let named = ("change_point", measure.name, measure.layer);
        rows.push(row(run, named, measure.by_seed.iter().map(change).collect()));
    }
    put_in_order(&mut rows);
    rows
}

/// An event in one training.
#[derive(Clone, Debug, PartialEq)]
pub struct Sighting {
    /// The snapshot before it and the first one that shows it, or why it does not happen.
    pub steps: Result<(u32, u32), String>,
    /// How much the metric changes.
    pub change: Option<f64>,
    /// The share of the metric's variance that two levels explain.
    pub explained: Option<f64>,
}

impl Sighting {
    fn never(reason: String) -> Self {
        Self { steps: Err(reason), change: None, explained: None }
    }
}

/// When a score that starts at a baseline has risen: the first snapshot of two in a row that are at least half-way between the
/// baseline and the score's maximum. Two in a row, here and for the maximum, `max_s min(x_s, x_{s+1})`, because one snapshot
/// may be a whim of its batch. The half-way point is where a rise is steepest, and what noise at either end moves least.
///
/// The maximum is that of this training: of a score that still rises at the end, a longer training would put the half-way
/// point later. It does not happen if the maximum stays within the margin of the baseline, if the first snapshot is half-way
/// already, or if there are fewer than 2 snapshots.
pub fn appearance(series: &Series, baseline: f64, margin: f64) -> Sighting {
    let (steps, values): (Vec<u32>, Vec<f64>) = series.iter().unzip();
    if values.iter().any(|value| !value.is_finite()) {
        return Sighting::never("a value is not finite".to_owned());
    }
    let held: Vec<f64> = values.windows(2).map(|pair| pair[0].min(pair[1])).collect();
    let Some(maximum) = held.iter().copied().reduce(f64::max) else {
        return Sighting::never("fewer than 2 snapshots".to_owned());
    };
    let rise = maximum - baseline;
    let steps = match held.iter().position(|held| *held >= baseline + rise / 2.0) {
        _ if rise < margin => Err(format!("it rises by less than {margin} above its baseline")),
        Some(0) => Err("it is there from the first snapshot on".to_owned()),
        Some(at) => Ok((steps[at - 1], steps[at])),
        None => Err("it never holds for two snapshots".to_owned()),
    };
    Sighting { steps, change: Some(rise), explained: None }
}

/// When the level of a series changes: the first snapshot of the second of two levels ([`two_levels`]), a snapshot weighing as
/// much as the [`stretches`] of the schedule's axis that it stands for. It does not where the two levels explain less than
/// [`LEAST_EXPLAINED`] of the variance, with fewer than 4 snapshots, or where nothing varies.
pub fn change(series: &Series) -> Sighting {
    let (steps, values): (Vec<u32>, Vec<f64>) = series.iter().unzip();
    let Some(levels) = two_levels(&values, &stretches(&steps)) else {
        return Sighting::never(match values.len() {
            0..4 => "fewer than 4 snapshots".to_owned(),
            _ => "it is constant".to_owned(),
        });
    };
    let found = levels.explained >= LEAST_EXPLAINED;
    let reason = || format!("two levels explain less than {LEAST_EXPLAINED} of its variance");
    Sighting {
        steps: found.then(|| (steps[levels.at - 1], steps[levels.at])).ok_or_else(reason),
        change: Some(levels.after - levels.before),
        explained: Some(levels.explained),
    }
}

/// At each step, the highest score of any head of a layer, or of all layers.
fn best_head(seed: &Seed, layer: Option<u16>, value: fn(&HeadMetrics) -> Option<f64>) -> Series {
    let mut best: Series = BTreeMap::new();
    for row in seed.head_metrics.iter().filter(|row| layer.is_none_or(|layer| row.layer == layer)) {
        if let Some(value) = value(row) {
            best.entry(row.step).and_modify(|best| *best = best.max(value)).or_insert(value);
        }
    }
    best
}

/// The row of one event, from one sighting a seed.
fn row(run: &Run, (event, metric, layer): (&str, &str, Option<u16>), sightings: Vec<Sighting>) -> Onsets {
    let seeds = || run.seeds.iter().map(|seed| seed.seed).zip(&sightings);
    let seen: Vec<(u64, (u32, u32))> =
        seeds().filter_map(|(seed, sighting)| Some((seed, *sighting.steps.as_ref().ok()?))).collect();
    let unseen: Vec<(u64, String)> =
        seeds().filter_map(|(seed, sighting)| Some((seed, sighting.steps.as_ref().err()?.clone()))).collect();
    let steps: Vec<u32> = seen.iter().map(|(_, (_, step))| *step).collect();
    let estimate = geometric(&steps);
    let counted = |sighting: &&Sighting| seen.is_empty() || sighting.steps.is_ok();
    let mean_of = |part: fn(&Sighting) -> Option<f64>| {
        let values: Vec<f64> = sightings.iter().filter(counted).filter_map(part).collect();
        (!values.is_empty()).then(|| mean(&values))
    };
    let mut reasons = if seen.is_empty() { distinct(&unseen) } else { named(&unseen) };
    if seen.len() == 1 {
        reasons.push("one seed: no interval".to_owned());
    }
    Onsets {
        event: event.to_owned(),
        metric: metric.to_owned(),
        layer,
        value: estimate.map(|estimate| estimate.mean),
        low: estimate.and_then(|estimate| estimate.low()),
        high: estimate.and_then(|estimate| estimate.high()),
        n: seen.len() as u32,
        seeds: run.seeds.len() as u32,
        in_seeds: seen.iter().map(|(seed, _)| *seed).collect(),
        steps_before: seen.iter().map(|(_, (before, _))| *before).collect(),
        steps,
        change: mean_of(|sighting| sighting.change),
        explained: mean_of(|sighting| sighting.explained),
        rank: None,
        reason: said(&reasons),
    }
}

/// The geometric mean of steps, which are positive, and its interval.
fn geometric(steps: &[u32]) -> Option<Estimate> {
    let mut sorted = steps.to_vec();
    // In one order whatever that of the seeds is, so that equal steps give equal means to the last bit.
    sorted.sort_unstable();
    let logarithms: Vec<f64> = sorted.iter().map(|step| f64::from(*step).ln()).collect();
    let estimate = Estimate::over(&logarithms)?;
    // Rounding must not take a mean out of what it is the mean of.
    let (first, last) = (f64::from(sorted[0]), f64::from(sorted[sorted.len() - 1]));
    let mean = estimate.mean.exp().clamp(first, last);
    let interval = estimate.interval.map(|(low, high)| (low.exp().min(mean), high.exp().max(mean)));
    Some(Estimate { mean, interval, ..estimate })
}

/// Gives every event that happens its place in time among those of the same layer.
fn put_in_order(rows: &mut [Onsets]) {
    let times: Vec<(Option<u16>, Option<f64>)> = rows.iter().map(|row| (row.layer, row.value)).collect();
    for row in rows {
        row.rank = row.value.map(|value| {
            let earlier = |(layer, other): &&(Option<u16>, Option<f64>)| {
                *layer == row.layer && other.is_some_and(|other| other < value)
            };
            1 + times.iter().filter(earlier).count() as u32
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::{self, Shape};
    use random_streams::{RngExt, stream};

    fn series(values: &[f64]) -> Series {
        (0..).step_by(100).zip(values.iter().copied()).collect()
    }

    fn find<'rows>(rows: &'rows [Onsets], event: &str, metric: &str, layer: Option<u16>) -> &'rows Onsets {
        let same = |row: &&Onsets| row.event == event && row.metric == metric && row.layer == layer;
        rows.iter().find(same).expect("such a row")
    }

    /// A study in which nothing happens: every metric is what uniform attention gives.
    fn still(shape: Shape) -> Run {
        let mut run = synthetic::dataset("d", shape).runs.remove(1);
        for seed in &mut run.seeds {
            for row in &mut seed.head_metrics {
                (row.previous_token_score, row.first_token_mass) = (0.07, 0.07);
                row.induction_score = Some(0.02);
            }
            seed.layer_similarity.iter_mut().for_each(|row| row.js_divergence = 0.0);
        }
        run
    }

    #[test]
    fn a_head_appears_half_way_up() {
        let rise = appearance(&series(&[0.1, 0.1, 0.2, 0.6, 0.8, 0.9, 0.9]), 0.1, 0.1);
        assert_eq!(rise.steps, Ok((200, 300)));
        assert!((rise.change.expect("a change") - 0.8).abs() < 1e-12);
        // One snapshot alone is no head, neither as an onset nor as a maximum.
        let spike = appearance(&series(&[0.1, 0.9, 0.1, 0.1, 0.5, 0.5]), 0.1, 0.1);
        assert_eq!(spike.steps, Ok((300, 400)));
        let alone = appearance(&series(&[0.1, 0.1, 0.9, 0.1]), 0.1, 0.1);
        assert!(alone.steps.expect_err("a whim").contains("less than 0.1"));
    }

    #[test]
    fn what_does_not_appear_has_a_reason() {
        let reason = |values: &[f64]| appearance(&series(values), 0.1, 0.1).steps.expect_err("no onset");
        assert!(reason(&[0.1, 0.15, 0.19, 0.19]).contains("less than 0.1"));
        assert!(reason(&[0.1; 5]).contains("less than 0.1"));
        assert!(reason(&[0.8, 0.9, 0.9]).contains("from the first snapshot on"));
        assert!(reason(&[0.9]).contains("fewer than 2"));
        assert!(reason(&[]).contains("fewer than 2"));
        assert!(reason(&[0.1, f64::NAN, 0.9]).contains("not finite"));
        // Two snapshots cannot show a rise: the first of a pair is the first of all.
        assert!(reason(&[0.1, 0.9]).contains("less than 0.1"));
        assert_eq!(appearance(&series(&[0.1, 0.9, 0.9]), 0.1, 0.1).steps, Ok((0, 100)));
    }

    #[test]
    fn a_level_changes_once_or_not_at_all() {
        let jump = change(&series(&[2.0, 2.0, 2.0, 0.5, 0.5, 0.5, 0.5]));
        assert_eq!((jump.steps, jump.change, jump.explained), (Ok((200, 300)), Some(-1.5), Some(1.0)));
        let wave: Vec<f64> = (0..24).map(|step| f64::from(step % 2)).collect();
        let wave = change(&series(&wave));
        assert!(wave.steps.expect_err("no level").contains("less than 0.5"));
        assert!(wave.explained.expect("fitted") < LEAST_EXPLAINED);
        assert!(change(&series(&[1.0; 9])).steps.expect_err("constant").contains("constant"));
        assert!(change(&series(&[1.0, 2.0, 3.0])).steps.expect_err("short").contains("fewer than 4"));
    }

    #[test]
    fn noise_around_one_level_is_rarely_a_change() {
        for (schedule, most) in [("0,50,100-2000/100", 0.01), ("0,1-512*2,600-2000/100", 0.03)] {
            let steps: declarations::Steps = schedule.parse().expect("steps");
            let mut noise = stream("noise", &[&schedule]);
            // Twelve uniform numbers are as good as a normal one here.
            let mut normal = || (0..12).map(|_| noise.random::<f64>()).sum::<f64>();
            let found = (0..1000).filter(|_| {
                let series: Series = steps.iter().map(|step| (step, normal())).collect();
                change(&series).steps.is_ok()
            });
            let share = found.count() as f64 / 1000.0;
            assert!(share <= most, "{schedule}: {share}");
        }
    }

    #[test]
    fn a_denser_schedule_does_not_move_a_change() {
        // A drift along the logarithm of the step, seen at every doubling, and then a hundred times at the end.
        let drift = |step: u32| (step, (1.0 + f64::from(step)).ln());
        let sparse: Series = std::iter::once(0).chain((0..=12).map(|power| 1 << power)).map(drift).collect();
        let dense: Series = sparse.keys().copied().chain((2048..4096).step_by(16)).map(drift).collect();
        let (sparse, dense) = (change(&sparse), change(&dense));
        assert_eq!(sparse.steps, dense.steps);
        assert_eq!(sparse.steps, Ok((32, 64)));
    }

    #[test]
    fn planted_events_come_out_in_their_order() {
        let mut run = still(Shape::default());
        // Snapshots are at 0, 100, …, 1200: a previous-token head in layer 0, then an induction head in layer 1, in each
        // seed a snapshot later than in the one before.
        for (late, seed) in (0_u32..).zip(&mut run.seeds) {
            for row in seed.head_metrics.iter_mut().filter(|row| row.head == 1) {
                if row.layer == 0 && row.step >= 300 + 100 * late {
                    row.previous_token_score = 0.9;
                }
                if row.layer == 1 && row.step >= 600 + 100 * late {
                    row.induction_score = Some(0.7);
                }
            }
        }
        let rows = onsets(&run);
        let previous = find(&rows, "previous_token_head", "previous_token_score", None);
        let induction = find(&rows, "induction_head", "induction_score", None);
        assert_eq!((previous.steps.as_slice(), previous.n), ([300, 400, 500].as_slice(), 3));
        assert_eq!(previous.steps_before, [200, 300, 400]);
        assert_eq!(induction.in_seeds, [1337, 1338, 1339]);
        assert!((previous.value.expect("a time") - 60_000_000_f64.cbrt()).abs() < 1e-9);
        let (low, high) = (previous.low.expect("an end"), previous.high.expect("an end"));
        // The logarithms' mean is the middle of their interval.
        assert!(low > 0.0 && (low * high - previous.value.expect("a time").powi(2)).abs() < 1e-6);
        assert!(previous.rank < induction.rank && previous.reason.is_none());
        assert_eq!(find(&rows, "previous_token_head", "previous_token_score", Some(0)).value, previous.value);
        let absent = find(&rows, "previous_token_head", "previous_token_score", Some(1));
        assert_eq!((absent.value, absent.rank, absent.n, absent.seeds), (None, None, 0, 3));
        assert!(absent.reason.as_ref().expect("a reason").contains("less than 0.1"));
        assert!(absent.change.expect("what there is").abs() < 1e-9);
        let sink = find(&rows, "attention_sink", "first_token_mass", None);
        let layers = find(&rows, "layer_specialisation", "js_divergence", None);
        assert_eq!((sink.value, layers.value), (None, None));
        // 3 kinds and specialisation, and 17 metrics, over all of 4 layers and in each; the loss.
        assert_eq!(rows.len(), (3 + 1 + 17) * 5 + 1);
        let constant = find(&rows, "change_point", "js_divergence", None);
        assert!(constant.reason.as_ref().expect("a reason").contains("constant"));
        assert!(find(&rows, "change_point", "val_loss", None).change.expect("the loss falls") < 0.0);
    }

    #[test]
    fn a_seed_without_the_event_is_left_out_and_named() {
        let mut run = still(Shape::default());
        for seed in &mut run.seeds[1..] {
            seed.head_metrics.iter_mut().filter(|row| row.step > 500).for_each(|row| row.first_token_mass = 0.4);
        }
        let rows = onsets(&run);
        let sink = find(&rows, "attention_sink", "first_token_mass", None);
        assert_eq!((sink.value, sink.steps.as_slice()), (Some(600.0), [600, 600].as_slice()));
        assert!((sink.low.expect("an end") - 600.0).abs() < 1e-6 && sink.low <= sink.value && sink.high >= sink.value);
        assert_eq!((sink.n, sink.in_seeds.as_slice()), (2, [1338, 1339].as_slice()));
        assert_eq!(sink.reason.as_deref(), Some("seed 1337: it rises by less than 0.1 above its baseline"));
        assert!((sink.change.expect("of the two") - 0.33).abs() < 1e-9);
    }

    #[test]
    fn one_seed_has_times_but_no_interval_and_one_layer_no_pairs() {
        let mut run = still(Shape { seeds: 1, layers: 1, ..Shape::default() });
        run.seeds[0].head_metrics.iter_mut().filter(|row| row.step > 0).for_each(|row| row.first_token_mass = 0.4);
        let rows = onsets(&run);
        let sink = find(&rows, "attention_sink", "first_token_mass", None);
        assert_eq!((sink.value, sink.low, sink.high), (Some(100.0), None, None));
        assert_eq!(sink.reason.as_deref(), Some("one seed: no interval"));
        let layers = find(&rows, "layer_specialisation", "js_divergence", None);
        assert!(layers.reason.as_ref().expect("a reason").contains("one layer"));
        run.seeds[0].head_metrics.iter_mut().for_each(|row| row.induction_score = None);
        let rows = onsets(&run);
        let induction = find(&rows, "induction_head", "induction_score", None);
        assert!(induction.reason.as_ref().expect("a reason").contains("not defined"));
    }
}
