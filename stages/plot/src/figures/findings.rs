//! `findings`: every claim with its value, its interval over seeds and where it would hold.

use schemas::tables::Findings;

use crate::axis::Scale;
use crate::canvas::{Align, Figure};
use crate::inputs::Dataset;
use crate::number;
use crate::style::{self, Color};

/// What a verdict is called.
pub fn verdict_words(verdict: &str) -> &str {
    match verdict {
        "not_tested" => "not tested",
        other => other,
    }
}

/// A verdict's colour; the words and the marker tell it too.
fn color(verdict: &str) -> Color {
    match verdict {
        "supported" => style::GREEN,
        "refuted" => style::VERMILION,
        "inconclusive" => style::ORANGE,
        _ => style::AXIS,
    }
}

/// Draws the figure.
pub fn figure(dataset: &Dataset) -> Figure {
    let (words_width, line) = (620.0, style::NOTE.size * style::LINE);
    let statements: Vec<Vec<String>> =
        dataset.findings.iter().map(|finding| style::NOTE.wrap(&finding.statement, words_width)).collect();
    let heights: Vec<f64> = statements.iter().map(|lines| lines.len() as f64 * line + 22.0).collect();
    let top = 168.0;
    let caption = "Each row is a claim. The dot is the statistic's mean over seeds, the bar its 95 % interval; every row has \
                   its own scale. The green ground is where the claim holds: it is supported if the whole interval lies \
                   there, refuted if the whole interval lies outside, and inconclusive otherwise."
        .to_owned();
    let subtitle = format!(
        "{} · dot: mean over seeds, bar: 95 % interval, green ground: where the claim holds",
        dataset.study.name
    );
    let size = (style::WIDTH, top + heights.iter().sum::<f64>() + 28.0);
    let mut figure = Figure::new("findings", "Which claims about attention hold", &subtitle, caption, size);
    let columns = (style::MARGIN, 700.0, 1090.0, 1376.0);
    for (x, words) in [(columns.0, "claim"), (columns.2, "value [interval]"), (columns.3, "verdict")] {
        figure.text(words, (x, top - 24.0), style::TICK, Align::Start);
    }
    let mut y = top;
    for ((finding, statement), height) in dataset.findings.iter().zip(&statements).zip(heights) {
        figure.line(vec![(style::MARGIN, y), (style::WIDTH - style::MARGIN, y)], style::GRID, 1.5);
        let middle = y + height / 2.0;
        for (number, words) in statement.iter().enumerate() {
            let level = middle + (number as f64 - (statement.len() - 1) as f64 / 2.0) * line;
            figure.text_level(words, (columns.0, level), style::NOTE, Align::Start);
        }
        interval(&mut figure, finding, (columns.1, columns.2 - 30.0), (y + 9.0, y + height - 9.0));
        figure.text_level(&value(finding), (columns.2, middle), style::TICK.color(style::INK), Align::Start);
        marker(&mut figure, (columns.3 + 9.0, middle), &finding.verdict, 9.0);
        let words = verdict_words(&finding.verdict);
        figure.text_level(words, (columns.3 + 30.0, middle), style::NOTE.bold(), Align::Start);
        y += height;
    }
    figure
}

/// What is smaller or larger takes more room in decimals than there is.
const FITTING: std::ops::Range<f64> = 1e-3..1e6;

/// The statistic and its interval in words.
pub fn value(finding: &Findings) -> String {
    match (finding.value, finding.low, finding.high) {
        (Some(value), Some(low), Some(high)) => {
            let places = number::meaningful(value, Some((high - low) / 2.0));
            let largest = [value, low, high].map(f64::abs).into_iter().fold(0.0, f64::max);
            let fits = largest == 0.0 || FITTING.contains(&largest);
            let written = |value| if fits { number::decimals(value, places) } else { number::scientific(value) };
            format!("{} [{}, {}]", written(value), written(low), written(high))
        }
        (Some(value), _, _) => number::significant(value, 3),
        _ => "–".to_owned(),
    }
}

/// A claim's value and interval on a scale of its own.
fn interval(figure: &mut Figure, finding: &Findings, (left, right): (f64, f64), (top, bottom): (f64, f64)) {
    let thresholds = [finding.threshold_low, finding.threshold_high];
    let numbers = [finding.value, finding.low, finding.high].into_iter().chain(thresholds).flatten();
    let Some((low, high)) = crate::axis::range(numbers) else { return };
    let air = if high > low { 0.25 * (high - low) } else { 0.5 };
    let scale = Scale::new(low - air, high + air);
    let across = |value: f64| left + scale.share(value) * (right - left);
    let middle = f64::midpoint(top, bottom);
    let (from, to) = match thresholds {
        // Two-sided: on either side of the one value where it does not hold.
        [Some(low), Some(high)] if low == high => (left, right),
        [low, high] => (low.map_or(left, across), high.map_or(right, across)),
    };
    if thresholds.iter().any(Option::is_some) {
        figure.rectangle((left, top), (right, bottom), style::GRID, 0.55);
        figure.rectangle((from, top), (to, bottom), style::GREEN, 0.16);
    }
    for threshold in thresholds.into_iter().flatten() {
        figure.dashes(&[(across(threshold), top), (across(threshold), bottom)], (5.0, 4.0, 0.0), style::MUTED, 2.0);
    }
    let color = color(&finding.verdict);
    if let (Some(low), Some(high)) = (finding.low, finding.high) {
        figure.line(vec![(across(low), middle), (across(high), middle)], color, 4.0);
        for end in [low, high] {
            figure.line(vec![(across(end), middle - 8.0), (across(end), middle + 8.0)], color, 3.0);
        }
    }
    if let Some(value) = finding.value {
        marker(figure, (across(value), middle), &finding.verdict, 8.0);
    }
}

/// A verdict's sign: a disc, a square, a ring or a small grey disc.
fn marker(figure: &mut Figure, (x, y): (f64, f64), verdict: &str, radius: f64) {
    let color = color(verdict);
    match verdict {
        "refuted" => figure.rectangle((x - radius, y - radius), (x + radius, y + radius), color, 1.0),
        "inconclusive" => {
            figure.disc((x, y), radius, color, 1.0);
            figure.disc((x, y), radius * 0.5, style::PAPER, 1.0);
        }
        "supported" => figure.disc((x, y), radius, color, 1.0),
        _ => figure.disc((x, y), radius * 0.55, color, 1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_fits_its_column() {
        let row = |value: f64, low: f64, high: f64| Findings {
            run: "run_3".into(),
            claim: "c".into(),
            statement: "s".into(),
            statistic: "x".into(),
            value: Some(value),
            low: Some(low),
            high: Some(high),
            threshold_low: None,
            threshold_high: None,
            p_value: Some(0.001),
            p_adjusted: Some(0.01),
            verdict: "inconclusive".into(),
            reason: "r".into(),
            n: 3,
        };
        assert_eq!(value(&row(0.388, 0.061, 0.643)), "0.39 [0.06, 0.64]");
        assert_eq!(value(&row(-16321.95, -55343.394, 22699.495)), "−16,322 [−55,343, 22,699]");
        assert_eq!(value(&row(7.39e-6, -4.41e-6, 1.92e-5)), "7.4e−6 [−4.4e−6, 1.9e−5]");
        assert_eq!(value(&row(1.36e10, -3.36e10, 6.07e10)), "1.4e10 [−3.4e10, 6.1e10]");
        assert_eq!(value(&row(0.0, 0.0, 0.0)), "0 [0, 0]");
    }
}
