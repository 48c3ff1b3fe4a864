//! Axes: scales from values to positions, ticks, and the frame of a panel.

use cli::number;
use declarations::Steps;

use crate::canvas::{Align, Figure, Point};
use crate::style::{self, Font};

/// How values are spaced along an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Spacing {
    /// Linear.
    Linear,
    /// Logarithmic; values are positive.
    Logarithmic,
    /// Linear from 0 to a threshold and logarithmic above it, so that 0 is on the axis. The linear part is as long as a
    /// doubling.
    LinearThenLogarithmic {
        /// Where the logarithmic part begins.
        threshold: f64,
    },
}

/// A map from values to positions along an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    low: f64,
    high: f64,
    spacing: Spacing,
    /// Whether the axis runs from high to low and its ticks are written with a minus sign.
    negated: bool,
}

impl Scale {
    /// A linear scale; an empty range is widened.
    pub fn new(low: f64, high: f64) -> Self {
        let half = if high > low { 0.0 } else { (low.abs() * 0.05).max(0.5) };
        Self { low: low - half, high: high + half, spacing: Spacing::Linear, negated: false }
    }

    /// A linear scale over all finite values with 5 % padding; from 0 to 1 without values.
    pub fn around(values: impl IntoIterator<Item = f64>) -> Self {
        let (low, high) = range(values).unwrap_or((0.0, 1.0));
        let padding = 0.05 * (high - low);
        Self::new(low - padding, high + padding)
    }

    /// A linear scale from 0 to the largest of some non-negative values, at least to 0.1; to 1 without values.
    pub fn from_zero(values: impl IntoIterator<Item = f64>) -> Self {
        Self::new(0.0, range(values).map_or(1.0, |(_, high)| high.max(0.1) * 1.05))
    }

    /// A logarithmic scale over all positive values with padding.
    pub fn around_logarithmic(values: impl IntoIterator<Item = f64>) -> Self {
        let (low, high) = range(values.into_iter().filter(|value| *value > 0.0)).unwrap_or((0.1, 10.0));
        let padding = (high / low).powf(0.06).max(1.05);
        Self { low: low / padding, high: high * padding, spacing: Spacing::Logarithmic, negated: false }
    }

    /// The steps of a training, from 0 to the last snapshot: linear, or, if the snapshots are log-spaced, logarithmic above
    /// the first one after step 0.
    pub fn of_steps(steps: &Steps) -> Self {
        let linear = Self::new(0.0, f64::from(steps.last().unwrap_or(0)));
        match steps.iter().find(|step| *step > 0) {
            Some(first) if steps.is_log_spaced() => {
                Self { spacing: Spacing::LinearThenLogarithmic { threshold: first.into() }, ..linear }
            }
            _ => linear,
        }
    }

    /// The same scale for negated values: it runs from high to low and its ticks carry a minus sign.
    #[must_use]
    pub fn negated(self) -> Self {
        Self { negated: true, ..self }
    }

    /// The lowest value.
    pub fn low(&self) -> f64 {
        self.low
    }

    /// The highest value.
    pub fn high(&self) -> f64 {
        self.high
    }

    /// The position of a value, from 0 at the start of the axis to 1 at its end.
    pub fn fraction(&self, value: f64) -> f64 {
        let fraction = match self.spacing {
            Spacing::Linear => (value - self.low) / (self.high - self.low),
            Spacing::Logarithmic => (value / self.low).ln() / (self.high / self.low).ln(),
            Spacing::LinearThenLogarithmic { threshold } => {
                let doublings =
                    |value: f64| if value < threshold { value / threshold } else { 1.0 + (value / threshold).log2() };
                doublings(value) / doublings(self.high)
            }
        };
        if self.negated { 1.0 - fraction } else { fraction }
    }

    /// About `count` round values within the range: multiples of 1, 2 or 5 times a power of ten, on a logarithmic axis these
    /// numbers themselves.
    pub fn ticks(&self, count: usize) -> Vec<f64> {
        let within =
            |value: &f64| *value >= self.low - 1e-9 * self.width() && *value <= self.high + 1e-9 * self.width();
        match self.spacing {
            Spacing::Linear => {
                let spacing = self.tick_spacing(count);
                let (first, last) = ((self.low / spacing).ceil() as i64 - 1, (self.high / spacing).floor() as i64 + 1);
                (first..=last).map(|multiple| multiple as f64 * spacing).filter(within).collect()
            }
            Spacing::LinearThenLogarithmic { threshold } => {
                let above = Self { low: threshold, spacing: Spacing::Logarithmic, ..*self };
                std::iter::once(0.0).chain(above.ticks(count)).collect()
            }
            Spacing::Logarithmic => {
                let exponents = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
                let multiples = |leading: &'static [f64]| -> Vec<f64> {
                    let all = exponents
                        .clone()
                        .flat_map(|exponent| leading.iter().map(move |digit| digit * 10f64.powi(exponent)));
                    all.filter(within).collect()
                };
                let dense = multiples(&[1.0, 2.0, 5.0]);
                if dense.len() > count + 2 { multiples(&[1.0]) } else { dense }
            }
        }
    }

    /// The label of a tick, with enough decimals to distinguish neighbours.
    pub fn label(&self, tick: f64, count: usize) -> String {
        let finest = match self.spacing {
            Spacing::Linear => self.tick_spacing(count),
            Spacing::Logarithmic => tick,
            Spacing::LinearThenLogarithmic { .. } => 1.0,
        };
        let tick = if self.negated { -tick } else { tick };
        number::decimals(tick, (-(finest * 1.000_001).log10().floor()).clamp(0.0, 12.0) as usize)
    }

    fn width(&self) -> f64 {
        self.high - self.low
    }

    fn tick_spacing(&self, count: usize) -> f64 {
        let rough = self.width() / count.max(1) as f64;
        let power = 10f64.powf(rough.log10().floor());
        let round = [0.5, 1.0, 2.0, 5.0, 10.0].map(|digit| digit * power);
        let coarse = round.iter().position(|spacing| *spacing >= rough * 0.999_999).unwrap_or(round.len() - 1);
        let within = (self.high / round[coarse]).floor() - (self.low / round[coarse]).ceil() + 1.0;
        // A single tick gives no sense of scale.
        if within < 2.0 && count > 1 { round[coarse - 1] } else { round[coarse] }
    }
}

/// The smallest and the largest of the finite values.
pub fn range(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values.into_iter().filter(|value| value.is_finite()).fold(None, |range, value| {
        let (low, high) = range.unwrap_or((value, value));
        Some((low.min(value), high.max(value)))
    })
}

/// A rectangle of a figure with a horizontal and a vertical scale.
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
    /// The horizontal scale.
    pub x: Scale,
    /// The vertical scale, upwards.
    pub y: Scale,
}

/// The text around a panel.
#[derive(Clone, Copy, Debug, Default)]
pub struct Labels<'text> {
    /// The horizontal axis label; without one, the axis has no tick labels either.
    pub x: Option<&'text str>,
    /// The vertical axis label.
    pub y: Option<&'text str>,
    /// The panel's heading.
    pub heading: Option<&'text str>,
    /// About how many ticks the horizontal axis has, if not as many as fit.
    pub ticks_x: Option<usize>,
    /// Whether the horizontal axis is categorical, without ticks.
    pub categorical_x: bool,
    /// Whether the vertical axis is categorical, without ticks.
    pub categorical_y: bool,
    /// Whether the vertical axis is that of the panel to the left, which has the tick labels.
    pub shared_y: bool,
}

/// The axis label of training steps.
pub const STEPS: &str = "training step";

/// The axis label of [`Scale::of_steps`].
pub fn steps_label(steps: &Steps) -> &'static str {
    if steps.is_log_spaced() { "training step (log scale)" } else { STEPS }
}

impl Panel {
    /// A panel between its left, top, right and bottom edge.
    pub fn within([left, top, right, bottom]: [f64; 4], x: Scale, y: Scale) -> Self {
        Self { left, top, right, bottom, x, y }
    }

    /// The point of a pair of values.
    pub fn point(&self, x: f64, y: f64) -> Point {
        (self.x_at(x), self.y_at(y))
    }

    /// The horizontal position of a value.
    pub fn x_at(&self, x: f64) -> f64 {
        self.left + self.x.fraction(x) * (self.right - self.left)
    }

    /// The vertical position of a value.
    pub fn y_at(&self, y: f64) -> f64 {
        self.bottom - self.y.fraction(y) * (self.bottom - self.top)
    }

    /// Draws grid, axes, ticks and labels; to be called before the data are drawn.
    pub fn frame(&self, figure: &mut Figure, labels: Labels<'_>) {
        let down = ((self.bottom - self.top) / 75.0).clamp(3.0, 8.0) as usize;
        let along = labels.ticks_x.unwrap_or(((self.right - self.left) / 150.0).clamp(3.0, 10.0) as usize);
        let (mut widest, gap) = (0.0_f64, 12.0);
        for tick in self.y.ticks(down).into_iter().filter(|_| !labels.categorical_y) {
            let (y, label) = (self.y_at(tick), self.y.label(tick, down));
            figure.line(vec![(self.left, y), (self.right, y)], style::GRID_LINE);
            if !labels.shared_y {
                figure.text_centred(&label, (self.left - gap, y), style::TICK, Align::End);
            }
            widest = widest.max(style::TICK.width(&label));
        }
        for tick in self.x.ticks(along).into_iter().filter(|_| !labels.categorical_x) {
            let x = self.x_at(tick);
            figure.line(vec![(x, self.top), (x, self.bottom)], style::GRID_LINE);
            if labels.x.is_some() {
                figure.line(vec![(x, self.bottom), (x, self.bottom + 7.0)], style::AXIS_LINE);
                let label = self.x.label(tick, along);
                figure.text_centred(&label, (x, self.bottom + 24.0), style::TICK, Align::Middle);
            }
        }
        figure.line(vec![(self.left, self.bottom), (self.right, self.bottom)], style::AXIS_LINE);
        if let Some(label) = labels.x {
            let below = (f64::midpoint(self.left, self.right), self.bottom + 60.0);
            figure.text_centred(label, below, style::LABEL, Align::Middle);
        }
        if let Some(label) = labels.y {
            let (font, lines) = two_lines(label, self.bottom - self.top + 40.0);
            for (line, text) in lines.iter().rev().enumerate() {
                let x = self.left - gap - widest - 26.0 - line as f64 * font.size * style::LINE;
                figure.text_upwards(text, (x, f64::midpoint(self.top, self.bottom)), font, Align::Middle);
            }
        }
        if let Some(heading) = labels.heading {
            figure.text(heading, (self.left, self.top - 16.0), style::HEADING, Align::Start);
        }
    }
}

/// Breaks an axis label into at most two lines of a length, in smaller type if need be.
fn two_lines(label: &str, length: f64) -> (Font, Vec<String>) {
    let mut font = style::LABEL;
    loop {
        let lines = font.wrap(label, length);
        if lines.len() <= 2 || font.size < 12.0 {
            return (font, lines);
        }
        font.size *= 0.95;
    }
}

/// Moves heights as little as possible until neighbours are at least `gap` apart, within a range if it is long enough.
/// Returns them in the order given.
pub fn spread(heights: &[f64], gap: f64, (low, high): (f64, f64)) -> Vec<f64> {
    let mut order: Vec<usize> = (0..heights.len()).collect();
    order.sort_by(|&one, &other| heights[one].total_cmp(&heights[other]));
    // Minus the gaps, the heights need only be non-decreasing: isotonic regression by pooling adjacent violators.
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for (rank, &index) in order.iter().enumerate() {
        pools.push((heights[index] - gap * rank as f64, 1));
        while let [.., (before, many), (last, few)] = pools[..]
            && before > last
        {
            let mean = (before * many as f64 + last * few as f64) / (many + few) as f64;
            pools.truncate(pools.len() - 2);
            pools.push((mean, many + few));
        }
    }
    let room = (high - gap * heights.len().saturating_sub(1) as f64).max(low);
    let pooled = pools.iter().flat_map(|&(height, count)| std::iter::repeat_n(height.clamp(low, room), count));
    let mut moved = vec![0.0; heights.len()];
    for (rank, (&index, height)) in order.iter().zip(pooled).enumerate() {
        moved[index] = height + gap * rank as f64;
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_scale_has_at_least_two_ticks() {
        assert_eq!(Scale::new(0.9, 17.5).ticks(3), [5.0, 10.0, 15.0]);
        assert_eq!(Scale::new(0.0, 0.32).ticks(2), [0.0, 0.2]);
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(Scale::new(0.0, 2000.0).ticks(5), [0.0, 500.0, 1000.0, 1500.0, 2000.0]);
        assert_eq!(Scale::new(-0.3, 0.31).ticks(4), [-0.2, 0.0, 0.2]);
        let log = Scale { low: 0.5, high: 20.0, spacing: Spacing::Logarithmic, negated: false };
        assert_eq!(log.ticks(6), [0.5, 1.0, 2.0, 5.0, 10.0, 20.0]);
    }

    #[test]
    fn log_spaced_steps_include_0() {
        let steps: Steps = "0,1-512*2,600-2000/100".parse().expect("steps");
        let scale = Scale::of_steps(&steps);
        assert_eq!((scale.fraction(0.0), scale.fraction(2000.0)), (0.0, 1.0));
        // The linear part, 0 to 1, is as long as each doubling.
        let length = scale.fraction(1.0);
        assert!((scale.fraction(128.0) - scale.fraction(64.0) - length).abs() < 1e-12 && length > 0.08);
        let ticks = scale.ticks(6);
        assert_eq!(ticks, [0.0, 1.0, 10.0, 100.0, 1000.0]);
        assert_eq!(ticks.iter().map(|tick| scale.label(*tick, 6)).collect::<Vec<_>>(), ["0", "1", "10", "100", "1000"]);
        assert!(steps_label(&steps).contains("log scale"));
        let even: Steps = "0,50,100-2000/100".parse().expect("steps");
        assert_eq!((Scale::of_steps(&even), steps_label(&even)), (Scale::new(0.0, 2000.0), STEPS));
    }

    #[test]
    fn labels_distinguish_ticks() {
        let scale = Scale::new(1.0, 1.1);
        assert_eq!(
            scale.ticks(5).iter().map(|&tick| scale.label(tick, 5)).collect::<Vec<_>>(),
            ["1.00", "1.02", "1.04", "1.06", "1.08", "1.10"]
        );
        let scale = Scale::new(0.0, 100_000.0);
        assert_eq!(scale.label(20_000.0, 5), "20,000");
    }

    #[test]
    fn an_empty_range_is_widened() {
        let scale = Scale::around([2.0, 2.0]);
        assert!(scale.low() < 2.0 && scale.high() > 2.0);
        assert!((scale.fraction(2.0) - 0.5).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn ticks_are_few_and_within_the_range(low in -1e4..1e4, width in 1e-3..1e5) {
            let scale = Scale::new(low, low + width);
            let ticks = scale.ticks(6);
            prop_assert!((2..=8).contains(&ticks.len()), "{ticks:?}");
            prop_assert!(ticks.iter().all(|&tick| (-1e-6..=1.0 + 1e-6).contains(&scale.fraction(tick))));
        }

        #[test]
        fn spread_heights_keep_their_order_and_range(heights in prop::collection::vec(0.0..100.0, 1..9)) {
            let moved = spread(&heights, 10.0, (0.0, 100.0));
            let mut order: Vec<usize> = (0..heights.len()).collect();
            order.sort_by(|&one, &other| heights[one].total_cmp(&heights[other]));
            prop_assert!(order.windows(2).all(|pair| moved[pair[1]] - moved[pair[0]] >= 10.0 - 1e-9));
            prop_assert!(moved.iter().all(|height| (-1e-9..=100.0 + 1e-9).contains(height)));
        }
    }
}
