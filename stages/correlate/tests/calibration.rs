//! Whether the statistics keep their word, by simulation: 4,000 studies with no effect, in which both metrics share a strong
//! curved drift over all seeds, and noise that remembers. The intervals must cover what they are of in 93 to 97 % of the
//! studies, and at most 6 % of the p-values may lie below 0.05. With planted effects, what is found is counted.
//!
//! `cargo test --release --locked --test calibration -- --nocapture` prints the tables of `docs/statistics.md`.

use correlate::association::{Paired, associate};
use correlate::partial::Partial;
use correlate::permutation::sample_p_value;
use correlate::rank::{spearman, unit_ranks};
use random_streams::{ChaCha8Rng, Distribution, StandardNormal, stream};

const STUDIES: u64 = 4000;
/// Fewer than the stage's, which changes how finely a p-value is known and not how often it is low.
const DRAWS: u32 = 1000;

/// When a training of 2,000 steps is looked at: evenly, or log-spaced and then evenly.
#[derive(Clone, Copy)]
struct Schedule {
    name: &'static str,
    steps: &'static [f64],
}

const SCHEDULES: [Schedule; 2] = [
    Schedule {
        name: "even",
        steps: &[
            0., 100., 200., 300., 400., 500., 600., 700., 800., 900., 1000., 1100., 1200., 1300., 1400., 1500., 1600.,
            1700., 1800., 1900., 2000.,
        ],
    },
    Schedule {
        name: "log",
        steps: &[0., 1., 2., 4., 8., 16., 32., 64., 128., 256., 512., 800., 1000., 1200., 1400., 1600., 1800., 2000.],
    },
];

/// Noise of one seed over the steps: an Ornstein–Uhlenbeck process that forgets within `memory` steps, and that grows with the
/// training from a twentieth, as seeds differ little at first.
fn noise(schedule: Schedule, memory: f64, stream: &mut ChaCha8Rng) -> Vec<f64> {
    let mut normal = || -> f64 { StandardNormal.sample(stream) };
    let mut level = normal();
    let mut before = 0.0;
    let grown = |(step, level): (&f64, f64)| level * (0.05 + 0.95 * step / 2000.0);
    let levels = schedule.steps.iter().map(|step| {
        let kept = (-(step - before) / memory).exp();
        level = kept * level + (1.0 - kept * kept).sqrt() * normal();
        before = *step;
        level
    });
    schedule.steps.iter().zip(levels.collect::<Vec<_>>()).map(grown).collect()
}

/// Two metrics of every seed, `[seeds, steps]` each: drifts that all seeds share, twenty times as large as the noise, and noise
/// of which `y` takes the share `effect` from `x`.
fn study(seeds: usize, schedule: Schedule, memory: f64, effect: f64, stream: &mut ChaCha8Rng) -> [Vec<Vec<f64>>; 2] {
    study_at_pace(seeds, schedule, memory, effect, 0.0, stream)
}

/// The same where seeds go through the drifts each at its own pace, whose logarithm has the standard deviation `pace`.
fn study_at_pace(
    seeds: usize,
    schedule: Schedule,
    memory: f64,
    effect: f64,
    pace: f64,
    stream: &mut ChaCha8Rng,
) -> [Vec<Vec<f64>>; 2] {
    let mut metrics = [Vec::new(), Vec::new()];
    for _ in 0..seeds {
        let (own, other) = (noise(schedule, memory, stream), noise(schedule, memory, stream));
        let pace = if pace > 0.0 { (pace * Distribution::<f64>::sample(&StandardNormal, stream)).exp() } else { 1.0 };
        let x = schedule.steps.iter().zip(&own).map(|(step, own)| 20.0 * (-pace * step / 400.0).exp() + own);
        let rest = (1.0 - effect * effect).sqrt();
        let drift = |step: &f64| 15.0 / (1.0 + pace * step / 150.0);
        let y = schedule.steps.iter().zip(own.iter().zip(&other));
        let y = y.map(|(step, (own, other))| drift(step) + effect * own + rest * other);
        metrics[0].push(x.collect());
        metrics[1].push(y.collect());
    }
    metrics
}

fn share(count: usize) -> f64 {
    count as f64 / STUDIES as f64
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

#[test]
fn intervals_cover_and_p_values_do_not_lie_where_there_is_no_effect() {
    println!("| seeds | steps | memory | raw interval covers | partial interval covers | p < 0.05 |");
    println!("|---|---|---|---|---|---|");
    let mut broken = Vec::new();
    for seeds in [3, 10] {
        for schedule in SCHEDULES {
            for memory in [50.0, 200.0, 800.0] {
                let key = [seeds as u64, schedule.steps.len() as u64, memory as u64];
                let (mut raw, mut z, mut covered, mut significant) = (Vec::new(), Vec::new(), 0, 0);
                for number in 0..STUDIES {
                    let mut stream = stream("no effect", &[&key[0], &key[1], &key[2], &number]);
                    let [x, y] = study(seeds, schedule, memory, 0.0, &mut stream);
                    let pairs = x.iter().zip(&y).map(|(x, y)| Paired { seed: 0, x: x.clone(), y: y.clone() });
                    let association = associate(&pairs.collect::<Vec<_>>());
                    raw.push(association.spearman.and_then(|estimate| estimate.interval).expect("seeds"));
                    let steps = schedule.steps.len() as f64;
                    let highest = 1.0 - 6.0 / (steps * (steps * steps - 1.0));
                    let of = |(x, y): (&Vec<f64>, &Vec<f64>)| spearman(x, y).expect("varies");
                    z.extend(x.iter().zip(&y).map(|pair| of(pair).clamp(-highest, highest).atanh()));
                    let partial = Partial::of(&x, &y).expect("varies");
                    let (low, high) = partial.estimate().interval.expect("three seeds or more");
                    covered += usize::from(low <= 0.0 && 0.0 <= high);
                    significant += usize::from(partial.p_value(DRAWS, stream) < 0.05);
                }
                // What the raw interval is of: the correlation of a seed that no study saw.
                let truth = (z.iter().sum::<f64>() / z.len() as f64).tanh();
                let raw = share(raw.iter().filter(|(low, high)| *low <= truth && truth <= *high).count());
                let (covered, significant) = (share(covered), share(significant));
                let name = schedule.name;
                println!(
                    "| {seeds} | {name} | {memory} | {} | {} | {} |",
                    percent(raw),
                    percent(covered),
                    percent(significant)
                );
                let kept = (0.93..=0.97).contains(&raw) && (0.93..=0.97).contains(&covered) && significant <= 0.06;
                if !kept {
                    broken.push(format!("{seeds} seeds, {name}, {memory}: {raw}, {covered}, {significant}"));
                }
            }
        }
    }
    assert_eq!(broken, [""; 0]);
}

#[test]
fn planted_effects_are_found_by_enough_seeds() {
    println!("| effect | partial Spearman | {} |", SEEDS.map(|seeds| seeds.to_string()).join(" | "));
    println!("|---|---|{}", "---|".repeat(SEEDS.len()));
    const SEEDS: [usize; 7] = [3, 4, 5, 6, 8, 10, 20];
    for effect in [0.3, 0.6, 0.9] {
        let mut cells = Vec::new();
        let (mut values, mut powers) = (0.0, Vec::new());
        for seeds in SEEDS {
            let (mut significant, mut apart) = (0, 0);
            for number in 0..STUDIES {
                let mut stream = stream("planted", &[&((effect * 10.0) as u64), &(seeds as u64), &number]);
                let [x, y] = study(seeds, SCHEDULES[0], 200.0, effect, &mut stream);
                let partial = Partial::of(&x, &y).expect("varies");
                let (low, high) = partial.estimate().interval.expect("three seeds or more");
                apart += usize::from(low > 0.0 || high < 0.0);
                significant += usize::from(partial.p_value(DRAWS, stream) < 0.05);
                values += partial.value() / (STUDIES as f64 * SEEDS.len() as f64);
            }
            cells.push(format!("{} / {}", percent(share(significant)), percent(share(apart))));
            powers.push(share(significant));
        }
        println!("| {effect} | {values:.2} | {} |", cells.join(" | "));
        assert_eq!(powers[0], 0.0, "three seeds have six pairings, so no p-value is below 1/6");
        assert!(powers.windows(2).all(|pair| pair[1] >= pair[0] - 0.03), "more seeds find more: {powers:?}");
        assert!(powers[6] > 0.8, "twenty seeds find an effect of {effect}: {powers:?}");
    }
}

/// What the partial correlation does not take out: a seed that learns faster is ahead in both metrics.
#[test]
fn seeds_of_their_own_pace_seem_associated() {
    println!("| seeds | pace differs by | p < 0.05 | interval excludes 0 |");
    println!("|---|---|---|---|");
    for seeds in [3, 10] {
        for pace in [0.05, 0.1, 0.2] {
            let (mut significant, mut apart) = (0, 0);
            for number in 0..STUDIES {
                let mut stream = stream("pace", &[&(seeds as u64), &((pace * 100.0) as u64), &number]);
                let [x, y] = study_at_pace(seeds, SCHEDULES[0], 200.0, 0.0, pace, &mut stream);
                let partial = Partial::of(&x, &y).expect("varies");
                let (low, high) = partial.estimate().interval.expect("three seeds or more");
                apart += usize::from(low > 0.0 || high < 0.0);
                significant += usize::from(partial.p_value(DRAWS, stream) < 0.05);
            }
            println!("| {seeds} | {} | {} | {} |", percent(pace), percent(share(significant)), percent(share(apart)));
            assert_eq!(share(significant) > 0.06, seeds == 10 && pace >= 0.1, "the limit that the page names");
        }
    }
}

#[test]
fn samples_without_an_association_show_none() {
    println!("| seeds | samples | interval covers | p < 0.05 |");
    println!("|---|---|---|---|");
    for seeds in [3, 10] {
        for samples in [5, 10] {
            let (mut covered, mut significant) = (0, 0);
            for number in 0..STUDIES {
                let mut stream = stream("samples", &[&seeds, &(samples as u64), &number]);
                let mut draw = || -> Vec<f64> { (0..samples).map(|_| StandardNormal.sample(&mut stream)).collect() };
                let pairs: Vec<Paired> = (0..seeds).map(|seed| Paired { seed, x: draw(), y: draw() }).collect();
                let (low, high) =
                    associate(&pairs).spearman.and_then(|estimate| estimate.interval).expect("three seeds or more");
                covered += usize::from(low <= 0.0 && 0.0 <= high);
                let ranks: Vec<_> = pairs.iter().map(|pair| (unit_ranks(&pair.x), unit_ranks(&pair.y))).collect();
                significant += usize::from(sample_p_value(&ranks, DRAWS, stream) < 0.05);
            }
            let (covered, significant) = (share(covered), share(significant));
            println!("| {seeds} | {samples} | {} | {} |", percent(covered), percent(significant));
            assert!((0.93..=0.97).contains(&covered), "{seeds} seeds of {samples} samples: {covered}");
            assert!(significant <= 0.06, "{seeds} seeds of {samples} samples: {significant}");
        }
    }
}
