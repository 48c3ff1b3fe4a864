//! Calibration of the statistics by simulation: 4,000 studies without an effect, in which both metrics share a strong curved drift
//! over all seeds, and autocorrelated noise. Intervals must cover the truth in 93 to 97 % of the studies, and at most 6 % of
//! the p-values may be below 0.05. With planted effects, the power is counted.
//!
//! `cargo test --release --locked --test calibration -- --nocapture` prints the tables of `docs/statistics.md`.

use correlate::association::{Paired, associate};
use correlate::interval::Estimate;
use correlate::partial::Partial;
use correlate::permutation::sample_p_value;
use correlate::rank::{spearman, unit_ranks};
use random_streams::{ChaCha8Rng, Distribution, RngExt, StandardNormal, stream};

const STUDIES: u64 = 4000;
/// Fewer than in the stage, which changes the resolution of p-values but not how often they are small.
const DRAWS: u32 = 1000;
/// The claims of a dataset that are usually tested; the first step of Holm's correction needs `p ≤ 0.05/18`.
const FAMILY: f64 = 18.0;

/// The snapshots of a training of 2,000 steps: evenly spaced, or log-spaced and then evenly.
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

/// A simulated study of two metrics.
#[derive(Clone, Copy)]
struct Design {
    seeds: usize,
    schedule: Schedule,
    /// Autocorrelation time of the noise, in steps.
    autocorrelation: f64,
    /// Correlation of the two metrics' noise.
    effect: f64,
    /// Standard deviation of the logarithm of each seed's pace through the drifts.
    pace: f64,
}

impl Design {
    fn new(seeds: usize, effect: f64) -> Self {
        Self { seeds, schedule: SCHEDULES[0], autocorrelation: 200.0, effect, pace: 0.0 }
    }

    /// Two metrics of every seed, `[seeds, steps]` each: drifts that all seeds share, twenty times as large as the noise, and
    /// noise.
    fn draw(self, stream: &mut ChaCha8Rng) -> [Vec<Vec<f64>>; 2] {
        let mut metrics = [Vec::new(), Vec::new()];
        let steps = self.schedule.steps;
        for _ in 0..self.seeds {
            let (own, other) = (self.noise(stream), self.noise(stream));
            let pace = if self.pace > 0.0 { (self.pace * normal(stream)).exp() } else { 1.0 };
            let x = steps.iter().zip(&own).map(|(step, own)| 20.0 * (-pace * step / 400.0).exp() + own);
            let rest = (1.0 - self.effect * self.effect).sqrt();
            let drift = |step: &f64| 15.0 / (1.0 + pace * step / 150.0);
            let y = steps.iter().zip(own.iter().zip(&other));
            let y = y.map(|(step, (own, other))| drift(step) + self.effect * own + rest * other);
            metrics[0].push(x.collect());
            metrics[1].push(y.collect());
        }
        metrics
    }

    /// Noise of one seed over the steps: an Ornstein–Uhlenbeck process that grows with the training from a twentieth, as seeds
    /// differ little at first.
    fn noise(self, stream: &mut ChaCha8Rng) -> Vec<f64> {
        let mut level = normal(stream);
        let mut before = 0.0;
        let mut next = |step: &f64| {
            let kept = (-(step - before) / self.autocorrelation).exp();
            level = kept * level + (1.0 - kept * kept).sqrt() * normal(stream);
            before = *step;
            level * (0.05 + 0.95 * step / 2000.0)
        };
        self.schedule.steps.iter().map(&mut next).collect()
    }
}

fn normal(stream: &mut ChaCha8Rng) -> f64 {
    StandardNormal.sample(stream)
}

fn share(count: usize) -> f64 {
    count as f64 / STUDIES as f64
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

#[test]
fn without_an_effect_intervals_cover_and_p_values_are_uniform() {
    println!("| seeds | steps | autocorrelation time | raw interval covers | partial interval covers | p < 0.05 |");
    println!("|---|---|---|---|---|---|");
    let mut broken = Vec::new();
    for seeds in [3, 10] {
        for schedule in SCHEDULES {
            for autocorrelation in [50.0, 200.0, 800.0] {
                let design = Design { schedule, autocorrelation, ..Design::new(seeds, 0.0) };
                let key = [seeds as u64, schedule.steps.len() as u64, autocorrelation as u64];
                let (mut raw, mut z, mut covered, mut significant) = (Vec::new(), Vec::new(), 0, 0);
                for number in 0..STUDIES {
                    let mut stream = stream("no effect", &[&key[0], &key[1], &key[2], &number]);
                    let [x, y] = design.draw(&mut stream);
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
                // The estimand of the raw interval: the correlation in a new seed.
                let truth = (z.iter().sum::<f64>() / z.len() as f64).tanh();
                let raw = share(raw.iter().filter(|(low, high)| *low <= truth && truth <= *high).count());
                let (covered, significant) = (share(covered), share(significant));
                let name = schedule.name;
                println!(
                    "| {seeds} | {name} | {autocorrelation} | {} | {} | {} |",
                    percent(raw),
                    percent(covered),
                    percent(significant)
                );
                let kept = (0.93..=0.97).contains(&raw) && (0.93..=0.97).contains(&covered) && significant <= 0.06;
                if !kept {
                    broken.push(format!("{seeds} seeds, {name}, {autocorrelation}: {raw}, {covered}, {significant}"));
                }
            }
        }
    }
    assert_eq!(broken, [""; 0]);
}

#[test]
fn planted_effects_are_found_by_enough_seeds() {
    const SEEDS: [usize; 7] = [3, 4, 5, 6, 8, 10, 20];
    println!("| effect | partial Spearman | {} |", SEEDS.map(|seeds| seeds.to_string()).join(" | "));
    println!("|---|---|{}", "---|".repeat(SEEDS.len()));
    for effect in [0.3, 0.6, 0.9] {
        let mut cells = Vec::new();
        let (mut values, mut powers) = (0.0, Vec::new());
        for seeds in SEEDS {
            let (mut apart, mut significant, mut corrected, mut student) = (0, 0, 0, 0);
            for number in 0..STUDIES {
                let mut stream = stream("planted", &[&((effect * 10.0) as u64), &(seeds as u64), &number]);
                let [x, y] = Design::new(seeds, effect).draw(&mut stream);
                let partial = Partial::of(&x, &y).expect("varies");
                let (low, high) = partial.estimate().interval.expect("three seeds or more");
                apart += usize::from(low > 0.0 || high < 0.0);
                let p_value = partial.p_value(DRAWS, stream);
                significant += usize::from(p_value < 0.05);
                corrected += usize::from(p_value <= 0.05 / FAMILY);
                let t_test = partial.estimate().p_value(0.0).expect("three seeds or more");
                student += usize::from(t_test <= 0.05 / FAMILY);
                values += partial.value() / (STUDIES as f64 * SEEDS.len() as f64);
            }
            let cell = [apart, significant, corrected, student].map(|count| percent(share(count)));
            cells.push(cell.join(" / "));
            powers.push([share(significant), share(corrected)]);
            // `findings` says what a t-test of these seeds finds; where the exact test can reject, it finds no less.
            assert!(seeds < 6 || corrected >= student, "{seeds} seeds, effect {effect}: {corrected} {student}");
        }
        println!("| {effect} | {values:.2} | {} |", cells.join(" | "));
        for power in powers[..3].iter().map(|[_, corrected]| corrected).chain([&powers[0][0]]) {
            assert_eq!(*power, 0.0, "no p-value of n seeds is below 1/n!: three reach 1/6, five 1/120");
        }
        assert!(powers.windows(2).all(|pair| pair[1][0] >= pair[0][0] - 0.03), "more seeds find more: {powers:?}");
        assert!(powers[6][0] > 0.8, "twenty seeds find an effect of {effect}: {powers:?}");
    }
}

/// What the partial correlation does not remove: a seed that learns faster is ahead in both metrics.
#[test]
fn seeds_of_different_pace_seem_associated() {
    println!("| seeds | pace differs by | p < 0.05 | interval excludes 0 |");
    println!("|---|---|---|---|");
    for seeds in [3, 10] {
        for pace in [0.05, 0.1, 0.2] {
            let design = Design { pace, ..Design::new(seeds, 0.0) };
            let (mut significant, mut apart) = (0, 0);
            for number in 0..STUDIES {
                let mut stream = stream("pace", &[&(seeds as u64), &((pace * 100.0) as u64), &number]);
                let [x, y] = design.draw(&mut stream);
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
                let mut draw = || -> Vec<f64> { (0..samples).map(|_| normal(&mut stream)).collect() };
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

/// The t-test assumes a normal distribution over seeds, and corrected levels reach far into its tails: how often a family of 18
/// independent tests then rejects any true null hypothesis.
#[test]
fn t_tests_of_a_family_assume_normal_statistics() {
    const TESTS: u64 = 40_000;
    type Draw = fn(&mut ChaCha8Rng) -> f64;
    let distributions: [(&str, Draw); 5] = [
        ("normal", normal),
        ("heavy tails (t, 3 degrees of freedom)", |stream| {
            let squares: f64 = (0..3).map(|_| normal(stream).powi(2)).sum();
            normal(stream) / (squares / 3.0).sqrt()
        }),
        ("uniform", |stream| stream.random::<f64>() - 0.5),
        ("skewed (log-normal, σ = 0.5)", |stream| (0.5 * normal(stream)).exp() - 0.125_f64.exp()),
        ("very skewed (exponential)", |stream| -(1.0 - stream.random::<f64>()).ln() - 1.0),
    ];
    println!("| distribution over seeds | 3 seeds | 5 seeds | 8 seeds |");
    println!("|---|---|---|---|");
    for (name, draw) in distributions {
        let rate = |seeds: u64| {
            let mut stream = stream("t-tests", &[&name, &seeds]);
            let p_value = |_| {
                let values: Vec<f64> = (0..seeds).map(|_| draw(&mut stream)).collect();
                Estimate::over(&values).and_then(|estimate| estimate.p_value(0.0)).expect("two seeds or more")
            };
            let rejected = (0..TESTS).map(p_value).filter(|p_value| *p_value <= 0.05 / FAMILY).count();
            1.0 - (1.0 - rejected as f64 / TESTS as f64).powf(FAMILY)
        };
        let rates = [3, 5, 8].map(rate);
        println!("| {name} | {} |", rates.map(percent).join(" | "));
        let controlled = rates.iter().all(|rate| *rate <= 0.065);
        assert_eq!(controlled, name.starts_with("normal") || name.starts_with("heavy"), "{name}: {rates:?}");
    }
}
