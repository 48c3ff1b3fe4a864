//! Axes: from values to positions, round ticks, and a panel's frame. The one place that knows how an axis is built.

use declarations::Steps;

use crate::canvas::{Align, Figure, Point};
use crate::number;
use crate::style;

/// How values lie along an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Spacing {
    /// Evenly.
    Linear,
    /// By their logarithms; values are positive.
    Logarithmic,
    /// By their logarithms from this value on, and evenly from 0 to it, which are as far apart as a doubling: so that 0, which
    /// has no logarithm, has its place too.
    FromZero(f64),
}

/// A range of values on a range of positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    low: f64,
    high: f64,
    spacing: Spacing,
    /// Whether the lowest value is where the highest would be, and ticks are written with a minus sign.
    mirrored: bool,
}

impl Scale {
    /// From one value to another; a range without width is widened.
    pub fn new(low: f64, high: f64) -> Self {
        let half = if high > low { 0.0 } else { (low.abs() * 0.05).max(0.5) };
        Self { low: low - half, high: high + half, spacing: Spacing::Linear, mirrored: false }
    }

    /// All of these values with some air around them; from 0 to 1 if there are none.
    pub fn around(values: impl IntoIterator<Item = f64>) -> Self {
        let (low, high) = range(values).unwrap_or((0.0, 1.0));
        let air = 0.05 * (high - low);
        Self::new(low - air, high + air)
    }

    /// All of these positive values with some air around them, spaced by their logarithms.
    pub fn around_logarithmic(values: impl IntoIterator<Item = f64>) -> Self {
        let (low, high) = range(values.into_iter().filter(|value| *value > 0.0)).unwrap_or((0.1, 10.0));
        let air = (high / low).powf(0.06).max(1.05);
        Self { low: low / air, high: high * air, spacing: Spacing::Logarithmic, mirrored: false }
    }

    /// The steps of a training, from 0 to the last snapshot: by their logarithms if the snapshots are log-spaced, the axis being
    /// linear up to the first snapshot after step 0, where there is nothing to see.
    pub fn of_steps(steps: &Steps) -> Self {
        let linear = Self::new(0.0, f64::from(steps.last().unwrap_or(0)));
        match steps.iter().find(|step| *step > 0) {
            Some(first) if steps.is_log_spaced() => Self { spacing: Spacing::FromZero(first.into()), ..linear },
            _ => linear,
        }
    }

    /// The same for distances that stand for negative values: nearest at the far end, ticks with a minus sign.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self { mirrored: true, ..self }
    }

    /// The lowest value.
    pub fn low(&self) -> f64 {
        self.low
    }

    /// The highest value.
    pub fn high(&self) -> f64 {
        self.high
    }

    /// Where a value lies: 0 at the lowest, 1 at the highest.
    pub fn share(&self, value: f64) -> f64 {
        let share = match self.spacing {
            Spacing::Linear => (value - self.low) / (self.high - self.low),
            Spacing::Logarithmic => (value / self.low).ln() / (self.high / self.low).ln(),
            Spacing::FromZero(first) => {
                let doublings = |value: f64| if value < first { value / first } else { 1.0 + (value / first).log2() };
                doublings(value) / doublings(self.high)
            }
        };
        if self.mirrored { 1.0 - share } else { share }
    }

    /// Round values within the range, not many more than asked for: multiples of 1, 2 or 5 times a power of ten; on a
    /// logarithmic axis those numbers themselves.
    pub fn ticks(&self, about: usize) -> Vec<f64> {
        let within =
            |value: &f64| *value >= self.low - 1e-9 * self.width() && *value <= self.high + 1e-9 * self.width();
        match self.spacing {
            Spacing::Linear => {
                let every = self.every(about);
                let (first, last) = ((self.low / every).ceil() as i64 - 1, (self.high / every).floor() as i64 + 1);
                (first..=last).map(|number| number as f64 * every).filter(within).collect()
            }
            Spacing::FromZero(first) => {
                let rest = Self { low: first, spacing: Spacing::Logarithmic, ..*self };
                std::iter::once(0.0).chain(rest.ticks(about)).collect()
            }
            Spacing::Logarithmic => {
                let exponents = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
                let leads = |leads: &'static [f64]| -> Vec<f64> {
                    let all = exponents
                        .clone()
                        .flat_map(|exponent| leads.iter().map(move |lead| lead * 10f64.powi(exponent)));
                    all.filter(within).collect()
                };
                let dense = leads(&[1.0, 2.0, 5.0]);
                if dense.len() > about + 2 { leads(&[1.0]) } else { dense }
            }
        }
    }

    /// A tick as text: with the decimals that tell neighbouring ticks apart.
    pub fn label(&self, tick: f64, about: usize) -> String {
        let finest = match self.spacing {
            Spacing::Linear => self.every(about),
            Spacing::Logarithmic => tick,
            Spacing::FromZero(_) => 1.0,
        };
        let tick = if self.mirrored { -tick } else { tick };
        number::decimals(tick, (-(finest * 1.000_001).log10().floor()).clamp(0.0, 12.0) as usize)
    }

    fn width(&self) -> f64 {
        self.high - self.low
    }

    fn every(&self, about: usize) -> f64 {
        let rough = self.width() / about.max(1) as f64;
        let power = 10f64.powf(rough.log10().floor());
        let rounds = [0.5, 1.0, 2.0, 5.0, 10.0].map(|lead| lead * power);
        let coarse = rounds.iter().position(|round| *round >= rough * 0.999_999).unwrap_or(rounds.len() - 1);
        let within = (self.high / rounds[coarse]).floor() - (self.low / rounds[coarse]).ceil() + 1.0;
        // One tick says where something is, but not how much more another is.
        if within < 2.0 && about > 1 { rounds[coarse - 1] } else { rounds[coarse] }
    }
}

/// The smallest and the largest of the finite values.
pub fn range(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values.into_iter().filter(|value| value.is_finite()).fold(None, |range, value| {
        let (low, high) = range.unwrap_or((value, value));
        Some((low.min(value), high.max(value)))
    })
}

/// A rectangle of a figure with a scale along each side.
#[derive(Clone, Copy, Debug)]
pub struct Panel {
    /// Its left edge on the figure.
    pub left: f64,
    /// Its top edge.
    pub top: f64,
    /// Its right edge.
    pub right: f64,
    /// Its bottom edge.
    pub bottom: f64,
    /// Along its bottom.
    pub x: Scale,
    /// Along its left side, upwards.
    pub y: Scale,
}

/// What is written on a panel's axes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Labels<'words> {
    /// The horizontal quantity with its unit; nothing is written below the panel without one.
    pub x: Option<&'words str>,
    /// The vertical quantity with its unit.
    pub y: Option<&'words str>,
    /// What is peculiar to this panel, above it.
    pub heading: Option<&'words str>,
    /// Whether the horizontal axis has places rather than values, so that ticks mean nothing.
    pub categories: bool,
    /// Whether the vertical axis is that of the panel to the left, where its numbers are.
    pub shared: bool,
    /// Whether the vertical axis has rows rather than values, so that ticks mean nothing.
    pub rows: bool,
}

/// The horizontal axis of everything that is seen over a training.
pub const STEPS: &str = "training step (optimizer updates)";

/// That axis's name where a schedule may be log-spaced.
pub fn steps_label(steps: &Steps) -> &'static str {
    if steps.is_log_spaced() { "training step (optimizer updates, logarithmic beyond 0)" } else { STEPS }
}

impl Panel {
    /// Where a pair of values lies on the figure.
    pub fn at(&self, x: f64, y: f64) -> Point {
        (self.across(x), self.up(y))
    }

    /// Where a horizontal value lies.
    pub fn across(&self, x: f64) -> f64 {
        self.left + self.x.share(x) * (self.right - self.left)
    }

    /// Where a vertical value lies.
    pub fn up(&self, y: f64) -> f64 {
        self.bottom - self.y.share(y) * (self.bottom - self.top)
    }

    /// Draws grid, axes, ticks and labels: before what is in the panel.
    pub fn frame(&self, figure: &mut Figure, labels: Labels<'_>) {
        let down = ((self.bottom - self.top) / 75.0).clamp(3.0, 8.0) as usize;
        let along = ((self.right - self.left) / 150.0).clamp(3.0, 10.0) as usize;
        let (mut widest, gap) = (0.0_f64, 12.0);
        for tick in self.y.ticks(down).into_iter().filter(|_| !labels.rows) {
            let (y, label) = (self.up(tick), self.y.label(tick, down));
            figure.line(vec![(self.left, y), (self.right, y)], style::GRID, 1.5);
            if !labels.shared {
                figure.text_level(&label, (self.left - gap, y), style::TICK, Align::End);
            }
            widest = widest.max(style::TICK.width(&label));
        }
        for tick in self.x.ticks(along).into_iter().filter(|_| !labels.categories) {
            let x = self.across(tick);
            figure.line(vec![(x, self.top), (x, self.bottom)], style::GRID, 1.5);
            if labels.x.is_some() {
                figure.line(vec![(x, self.bottom), (x, self.bottom + 7.0)], style::AXIS, 2.0);
                let label = self.x.label(tick, along);
                figure.text_level(&label, (x, self.bottom + 24.0), style::TICK, Align::Middle);
            }
        }
        figure.line(vec![(self.left, self.bottom), (self.right, self.bottom)], style::AXIS, 2.0);
        if let Some(words) = labels.x {
            figure.text_level(
                words,
                (f64::midpoint(self.left, self.right), self.bottom + 60.0),
                style::LABEL,
                Align::Middle,
            );
        }
        if let Some(words) = labels.y {
            let x = self.left - gap - widest - 30.0;
            figure.text_upwards(words, (x, f64::midpoint(self.top, self.bottom)), style::LABEL);
        }
        if let Some(words) = labels.heading {
            figure.text(words, (self.left, self.top - 16.0), style::HEADING, Align::Start);
        }
    }
}

/// Moves heights apart until neighbours are at least `gap` from each other, each as little as possible, within a range
/// if it is long enough. Heights come back in the order in which they were given.
pub fn apart(heights: &[f64], gap: f64, (low, high): (f64, f64)) -> Vec<f64> {
    let mut order: Vec<usize> = (0..heights.len()).collect();
    order.sort_by(|&one, &other| heights[one].total_cmp(&heights[other]));
    // Subtracting what the gaps take leaves heights that must only not fall: pool those that do (isotonic regression).
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for (rank, &number) in order.iter().enumerate() {
        pools.push((heights[number] - gap * rank as f64, 1));
        while let [.., (before, many), (last, few)] = pools[..]
            && before > last
        {
            let mean = (before * many as f64 + last * few as f64) / (many + few) as f64;
            pools.truncate(pools.len() - 2);
            pools.push((mean, many + few));
        }
    }
    let room = (high - gap * heights.len().saturating_sub(1) as f64).max(low);
    let free = pools.iter().flat_map(|&(height, count)| std::iter::repeat_n(height.clamp(low, room), count));
    let mut moved = vec![0.0; heights.len()];
    for (rank, (&number, height)) in order.iter().zip(free).enumerate() {
        moved[number] = height + gap * rank as f64;
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_scale_has_two_ticks_where_one_would_stand_alone() {
        assert_eq!(Scale::new(0.9, 17.5).ticks(3), [5.0, 10.0, 15.0]);
        assert_eq!(Scale::new(0.0, 0.32).ticks(2), [0.0, 0.2]);
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(Scale::new(0.0, 2000.0).ticks(5), [0.0, 500.0, 1000.0, 1500.0, 2000.0]);
        assert_eq!(Scale::new(-0.3, 0.31).ticks(4), [-0.2, 0.0, 0.2]);
        let log = Scale { low: 0.5, high: 20.0, spacing: Spacing::Logarithmic, mirrored: false };
        assert_eq!(log.ticks(6), [0.5, 1.0, 2.0, 5.0, 10.0, 20.0]);
    }

    #[test]
    fn log_spaced_steps_have_a_place_for_0() {
        let steps: Steps = "0,1-512*2,600-2000/100".parse().expect("steps");
        let scale = Scale::of_steps(&steps);
        assert_eq!((scale.share(0.0), scale.share(2000.0)), (0.0, 1.0));
        // Each doubling is as long as the way from 0 to 1.
        let length = scale.share(1.0);
        assert!((scale.share(128.0) - scale.share(64.0) - length).abs() < 1e-12 && length > 0.08);
        let ticks = scale.ticks(6);
        assert_eq!(ticks, [0.0, 1.0, 10.0, 100.0, 1000.0]);
        assert_eq!(ticks.iter().map(|tick| scale.label(*tick, 6)).collect::<Vec<_>>(), ["0", "1", "10", "100", "1000"]);
        assert!(steps_label(&steps).contains("logarithmic"));
        let even: Steps = "0,50,100-2000/100".parse().expect("steps");
        assert_eq!((Scale::of_steps(&even), steps_label(&even)), (Scale::new(0.0, 2000.0), STEPS));
    }

    #[test]
    fn labels_tell_ticks_apart() {
        let scale = Scale::new(1.0, 1.1);
        assert_eq!(
            scale.ticks(5).iter().map(|&tick| scale.label(tick, 5)).collect::<Vec<_>>(),
            ["1.00", "1.02", "1.04", "1.06", "1.08", "1.10"]
        );
        let scale = Scale::new(0.0, 100_000.0);
        assert_eq!(scale.label(20_000.0, 5), "20,000");
    }

    #[test]
    fn a_range_without_width_is_widened() {
        let scale = Scale::around([2.0, 2.0]);
        assert!(scale.low() < 2.0 && scale.high() > 2.0);
        assert!((scale.share(2.0) - 0.5).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn a_tick_is_within_and_there_are_some(low in -1e4..1e4, width in 1e-3..1e5) {
            let scale = Scale::new(low, low + width);
            let ticks = scale.ticks(6);
            prop_assert!((2..=8).contains(&ticks.len()), "{ticks:?}");
            prop_assert!(ticks.iter().all(|&tick| (-1e-6..=1.0 + 1e-6).contains(&scale.share(tick))));
        }

        #[test]
        fn labels_are_apart_in_order_and_inside(heights in prop::collection::vec(0.0..100.0, 1..9)) {
            let moved = apart(&heights, 10.0, (0.0, 100.0));
            let mut order: Vec<usize> = (0..heights.len()).collect();
            order.sort_by(|&one, &other| heights[one].total_cmp(&heights[other]));
            prop_assert!(order.windows(2).all(|pair| moved[pair[1]] - moved[pair[0]] >= 10.0 - 1e-9));
            prop_assert!(moved.iter().all(|height| (-1e-9..=100.0 + 1e-9).contains(height)));
        }
    }
}
