//! Onsets of kinds of heads and change points of metrics, and their order: the table `onsets`.

use std::collections::BTreeMap;

use declarations::Part;
use schemas::Measure;
use schemas::enums::Event;
use schemas::tables::{Evaluations, HeadMetrics, LayerSimilarity, Onsets};

use crate::association::{count, distinct, named, said};
use crate::fit::two_levels;
use crate::inputs::{Run, Seed};
use crate::interval::Estimate;
use crate::rank::mean;
use crate::series::{Metric, Series, attention_metrics, contains, pair_series, val_loss};
use crate::timeline::trapezoid_weights;

/// How far above uniform attention the best head's score must rise for a head of that kind to exist: a tenth of the
/// attention, more than fifty times the difference between the best untrained head and uniform attention.
pub const HEAD_MARGIN: f64 = 0.1;
/// How far the mean divergence over pairs of layers must rise for layers to be specialised, in bits.
pub const LAYER_MARGIN: f64 = 0.05;
/// The share of a metric's variance over training that two levels must explain for a change point. A straight ramp has 3/4, a
/// jump all. Noise around one level reaches it in 2 of 1,000 series on the steps 0,50,100-2000/100 and in 17 of 1,000 on
/// 0,1-512*2,600-2000/100; a random walk does in two of three. So a change point says when, and is no test that there is one.
pub const LEAST_EXPLAINED: f64 = 0.5;

/// The kinds of heads: the event, and the measure that scores it.
const KINDS: [(Event, Measure<HeadMetrics>); 3] = [
    (Event::PreviousTokenHead, HeadMetrics::previous_token_score),
    (Event::InductionHead, HeadMetrics::induction_score),
    (Event::AttentionSink, HeadMetrics::first_token_mass),
];

/// Every event of a run's trainings, over all layers first and then layer by layer.
///
/// - `previous_token_head`, `induction_head`, `attention_sink`: [`onset`] of the best head's `previous_token_score`,
///   `induction_score` (prefix matching; Olsson et al. 2022) or `first_token_mass` (Xiao et al. 2023): at each step the
///   highest score of any head, above what uniform attention gives, by [`HEAD_MARGIN`].
/// - `layer_specialisation`: [`onset`] of the mean `js_divergence` over pairs of layers, of a layer over the pairs that contain
///   it, above 0, by [`LAYER_MARGIN`].
/// - `change_point`: [`change_point`] of each measure of attention, and of `val_loss`.
///
/// `value` is the geometric mean over the seeds that have the event and its interval is that of the logarithms,
/// `exp(m ± t(0.975, n−1)·sd/√n)`, on every schedule: seeds scale an onset rather than shift it, and so its interval cannot begin
/// before the training. The snapshots bound the resolution: the event lies between `steps_before` and `steps`, and an interval
/// of zero width only says that all seeds lie between the same two.
pub fn onsets(run: &Run) -> Vec<Onsets> {
    let layers: Vec<Option<u16>> = std::iter::once(None).chain((0..run.layers()).map(Some)).collect();
    let mut rows = Vec::new();
    for (event, score) in KINDS {
        for layer in &layers {
            let of_seed = |seed: &Seed| {
                let uniform = seed.baselines.iter().find(|row| row.metric == score.name()).map(|row| row.value);
                let best = best_head(seed, *layer, score.get);
                match uniform {
                    Some(uniform) if !best.is_empty() => onset(&best, uniform, HEAD_MARGIN),
                    _ => Occurrence::none(format!("{} is not defined here", score.name())),
                }
            };
            rows.push(row(run, (event, score.name(), *layer), run.seeds.iter().map(of_seed).collect()));
        }
    }
    if run.has(Part::Similarity) {
        for layer in &layers {
            let divergence = LayerSimilarity::js_divergence;
            let of_seed = |seed: &Seed| {
                let series = pair_series(seed, contains(*layer), divergence.get);
                match series.is_empty() {
                    true => Occurrence::none("one layer has no other to differ from".to_owned()),
                    false => onset(&series, 0.0, LAYER_MARGIN),
                }
            };
            let named = (Event::LayerSpecialisation, divergence.name(), *layer);
            rows.push(row(run, named, run.seeds.iter().map(of_seed).collect()));
        }
    }
    let by_seed = run.seeds.iter().map(val_loss).collect();
    let loss = Metric { name: Evaluations::val_loss.name(), layer: None, by_seed };
    for metric in attention_metrics(run).into_iter().chain([loss]) {
        let named = (Event::ChangePoint, metric.name, metric.layer);
        rows.push(row(run, named, metric.by_seed.iter().map(change_point).collect()));
    }
    rank_in_time(&mut rows);
    rows
}

/// An event in one training.
#[derive(Clone, Debug, PartialEq)]
pub struct Occurrence {
    /// The snapshot before it and the first one that shows it, or why there is none.
    pub steps: Result<(u32, u32), String>,
    /// How much the metric changes.
    pub change: Option<f64>,
    /// The share of the metric's variance that two levels explain.
    pub explained: Option<f64>,
}

impl Occurrence {
    fn none(reason: String) -> Self {
        Self { steps: Err(reason), change: None, explained: None }
    }
}

/// The onset of a score that starts at a baseline: the first snapshot of two in a row that are at least half-way between the
/// baseline and the score's maximum. Two in a row, here and for the maximum, `max_s min(x_s, x_{s+1})`, so that the noise of a
/// single snapshot is no onset. At the half-way point a rise is steepest, and noise at either end moves it least.
///
/// The maximum is that of this training: if the score still rises at the end, a longer training would have a later half-way
/// point. There is no onset if the maximum stays within the margin of the baseline, if the first snapshot is half-way already,
/// or if there are fewer than 2 snapshots.
pub fn onset(series: &Series, baseline: f64, margin: f64) -> Occurrence {
    let (steps, values): (Vec<u32>, Vec<f64>) = series.iter().unzip();
    if values.iter().any(|value| !value.is_finite()) {
        return Occurrence::none("a value is not finite".to_owned());
    }
    let held: Vec<f64> = values.windows(2).map(|pair| pair[0].min(pair[1])).collect();
    let Some(maximum) = held.iter().copied().reduce(f64::max) else {
        return Occurrence::none("fewer than 2 snapshots".to_owned());
    };
    let rise = maximum - baseline;
    let steps = match held.iter().position(|held| *held >= baseline + rise / 2.0) {
        _ if rise < margin => Err(format!("it rises by less than {margin} above its baseline")),
        Some(0) => Err("it is there from the first snapshot on".to_owned()),
        Some(at) => Ok((steps[at - 1], steps[at])),
        None => Err("it never holds for two snapshots".to_owned()),
    };
    Occurrence { steps, change: Some(rise), explained: None }
}

/// The change point of a series: the first snapshot of the second of two levels ([`two_levels`]), snapshots having
/// [`trapezoid_weights`]. There is none where the two levels explain less than [`LEAST_EXPLAINED`] of the variance, with fewer
/// than 4 snapshots, or where nothing varies.
pub fn change_point(series: &Series) -> Occurrence {
    let (steps, values): (Vec<u32>, Vec<f64>) = series.iter().unzip();
    let Some(levels) = two_levels(&values, &trapezoid_weights(&steps)) else {
        return Occurrence::none(match values.len() {
            0..4 => "fewer than 4 snapshots".to_owned(),
            _ => "it is constant".to_owned(),
        });
    };
    let found = levels.explained >= LEAST_EXPLAINED;
    let reason = || format!("two levels explain less than {LEAST_EXPLAINED} of its variance");
    Occurrence {
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

/// The row of one event, from its occurrence in each seed.
fn row(run: &Run, (event, metric, layer): (Event, &str, Option<u16>), by_seed: Vec<Occurrence>) -> Onsets {
    let seeds = || run.seeds.iter().map(|seed| seed.seed).zip(&by_seed);
    let seen: Vec<(u64, (u32, u32))> =
        seeds().filter_map(|(seed, occurrence)| Some((seed, *occurrence.steps.as_ref().ok()?))).collect();
    let unseen: Vec<(u64, String)> =
        seeds().filter_map(|(seed, occurrence)| Some((seed, occurrence.steps.as_ref().err()?.clone()))).collect();
    let steps: Vec<u32> = seen.iter().map(|(_, (_, step))| *step).collect();
    let estimate = geometric(&steps);
    let counted = |occurrence: &&Occurrence| seen.is_empty() || occurrence.steps.is_ok();
    let mean_of = |part: fn(&Occurrence) -> Option<f64>| {
        let values: Vec<f64> = by_seed.iter().filter(counted).filter_map(part).collect();
        (!values.is_empty()).then(|| mean(&values))
    };
    let mut reasons = if seen.is_empty() { distinct(&unseen) } else { named(&unseen) };
    if seen.len() == 1 {
        reasons.push("one seed: no interval".to_owned());
    }
    Onsets {
        event,
        metric: metric.to_owned(),
        layer,
        value: estimate.map(|estimate| estimate.mean),
        low: estimate.and_then(|estimate| estimate.low()),
        high: estimate.and_then(|estimate| estimate.high()),
        n: count(seen.len()),
        seeds: count(run.seeds.len()),
        in_seeds: seen.iter().map(|(seed, _)| *seed).collect(),
        steps_before: seen.iter().map(|(_, (before, _))| *before).collect(),
        steps,
        change: mean_of(|occurrence| occurrence.change),
        explained: mean_of(|occurrence| occurrence.explained),
        rank: None,
        reason: said(&reasons),
    }
}

/// The geometric mean of steps, which are positive, and its interval.
fn geometric(steps: &[u32]) -> Option<Estimate> {
    let mut sorted = steps.to_vec();
    // Sorted, so that the mean does not depend on the order of the seeds in the last bit.
    sorted.sort_unstable();
    let logarithms: Vec<f64> = sorted.iter().map(|step| f64::from(*step).ln()).collect();
    let estimate = Estimate::over(&logarithms)?;
    // Rounding must not move the mean outside the range of its values.
    let (first, last) = (f64::from(sorted[0]), f64::from(sorted[sorted.len() - 1]));
    let mean = estimate.mean.exp().clamp(first, last);
    let interval = estimate.interval.map(|(low, high)| (low.exp().min(mean), high.exp().max(mean)));
    Some(Estimate { mean, interval, ..estimate })
}

/// Ranks the events of each layer in time; those without a time have no rank.
fn rank_in_time(rows: &mut [Onsets]) {
    let times: Vec<(Option<u16>, Option<f64>)> = rows.iter().map(|row| (row.layer, row.value)).collect();
    for row in rows {
        row.rank = row.value.map(|value| {
            let earlier = |(layer, other): &&(Option<u16>, Option<f64>)| {
                *layer == row.layer && other.is_some_and(|other| other < value)
            };
            1 + count(times.iter().filter(earlier).count())
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

    fn find<'rows>(rows: &'rows [Onsets], event: Event, metric: &str, layer: Option<u16>) -> &'rows Onsets {
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
    fn an_onset_is_half_way_up() {
        let rise = onset(&series(&[0.1, 0.1, 0.2, 0.6, 0.8, 0.9, 0.9]), 0.1, 0.1);
        assert_eq!(rise.steps, Ok((200, 300)));
        assert!((rise.change.expect("a change") - 0.8).abs() < 1e-12);
        // One snapshot alone is no head, neither as an onset nor as a maximum.
        let spike = onset(&series(&[0.1, 0.9, 0.1, 0.1, 0.5, 0.5]), 0.1, 0.1);
        assert_eq!(spike.steps, Ok((300, 400)));
        let alone = onset(&series(&[0.1, 0.1, 0.9, 0.1]), 0.1, 0.1);
        assert!(alone.steps.expect_err("one snapshot").contains("less than 0.1"));
    }

    #[test]
    fn what_has_no_onset_has_a_reason() {
        let reason = |values: &[f64]| onset(&series(values), 0.1, 0.1).steps.expect_err("no onset");
        assert!(reason(&[0.1, 0.15, 0.19, 0.19]).contains("less than 0.1"));
        assert!(reason(&[0.1; 5]).contains("less than 0.1"));
        assert!(reason(&[0.8, 0.9, 0.9]).contains("from the first snapshot on"));
        assert!(reason(&[0.9]).contains("fewer than 2"));
        assert!(reason(&[]).contains("fewer than 2"));
        assert!(reason(&[0.1, f64::NAN, 0.9]).contains("not finite"));
        // Two snapshots cannot show a rise: the first of a pair is the first of all.
        assert!(reason(&[0.1, 0.9]).contains("less than 0.1"));
        assert_eq!(onset(&series(&[0.1, 0.9, 0.9]), 0.1, 0.1).steps, Ok((0, 100)));
    }

    #[test]
    fn a_level_changes_once_or_not_at_all() {
        let jump = change_point(&series(&[2.0, 2.0, 2.0, 0.5, 0.5, 0.5, 0.5]));
        assert_eq!((jump.steps, jump.change, jump.explained), (Ok((200, 300)), Some(-1.5), Some(1.0)));
        let wave: Vec<f64> = (0..24).map(|step| f64::from(step % 2)).collect();
        let wave = change_point(&series(&wave));
        assert!(wave.steps.expect_err("no level").contains("less than 0.5"));
        assert!(wave.explained.expect("fitted") < LEAST_EXPLAINED);
        assert!(change_point(&series(&[1.0; 9])).steps.expect_err("constant").contains("constant"));
        assert!(change_point(&series(&[1.0, 2.0, 3.0])).steps.expect_err("short").contains("fewer than 4"));
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
                change_point(&series).steps.is_ok()
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
        let (sparse, dense) = (change_point(&sparse), change_point(&dense));
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
        let previous = find(&rows, Event::PreviousTokenHead, "previous_token_score", None);
        let induction = find(&rows, Event::InductionHead, "induction_score", None);
        assert_eq!((previous.steps.as_slice(), previous.n), ([300, 400, 500].as_slice(), 3));
        assert_eq!(previous.steps_before, [200, 300, 400]);
        assert_eq!(induction.in_seeds, [1337, 1338, 1339]);
        assert!((previous.value.expect("a time") - 60_000_000_f64.cbrt()).abs() < 1e-9);
        let (low, high) = (previous.low.expect("an end"), previous.high.expect("an end"));
        // The logarithms' mean is the middle of their interval.
        assert!(low > 0.0 && (low * high - previous.value.expect("a time").powi(2)).abs() < 1e-6);
        assert!(previous.rank < induction.rank && previous.reason.is_none());
        assert_eq!(find(&rows, Event::PreviousTokenHead, "previous_token_score", Some(0)).value, previous.value);
        let absent = find(&rows, Event::PreviousTokenHead, "previous_token_score", Some(1));
        assert_eq!((absent.value, absent.rank, absent.n, absent.seeds), (None, None, 0, 3));
        assert!(absent.reason.as_ref().expect("a reason").contains("less than 0.1"));
        assert!(absent.change.expect("what there is").abs() < 1e-9);
        let sink = find(&rows, Event::AttentionSink, "first_token_mass", None);
        let layers = find(&rows, Event::LayerSpecialisation, "js_divergence", None);
        assert_eq!((sink.value, layers.value), (None, None));
        // 3 kinds of heads, specialisation, and every measure, over all of 4 layers and in each; the loss.
        assert_eq!(rows.len(), (3 + 1 + synthetic::attention_measures()) * 5 + 1);
        let constant = find(&rows, Event::ChangePoint, "js_divergence", None);
        assert!(constant.reason.as_ref().expect("a reason").contains("constant"));
        assert!(find(&rows, Event::ChangePoint, "val_loss", None).change.expect("the loss falls") < 0.0);
    }

    #[test]
    fn a_seed_without_the_event_is_left_out_and_named() {
        let mut run = still(Shape::default());
        for seed in &mut run.seeds[1..] {
            seed.head_metrics.iter_mut().filter(|row| row.step > 500).for_each(|row| row.first_token_mass = 0.4);
        }
        let rows = onsets(&run);
        let sink = find(&rows, Event::AttentionSink, "first_token_mass", None);
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
        let sink = find(&rows, Event::AttentionSink, "first_token_mass", None);
        assert_eq!((sink.value, sink.low, sink.high), (Some(100.0), None, None));
        assert_eq!(sink.reason.as_deref(), Some("one seed: no interval"));
        let layers = find(&rows, Event::LayerSpecialisation, "js_divergence", None);
        assert!(layers.reason.as_ref().expect("a reason").contains("one layer"));
        run.seeds[0].head_metrics.iter_mut().for_each(|row| row.induction_score = None);
        let rows = onsets(&run);
        let induction = find(&rows, Event::InductionHead, "induction_score", None);
        assert!(induction.reason.as_ref().expect("a reason").contains("not defined"));
    }
}
