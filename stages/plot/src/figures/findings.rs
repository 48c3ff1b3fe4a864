//! `findings`: every claim with its statistic, the interval over seeds and the region where it holds.

use cli::number;
use schemas::enums::Verdict;
use schemas::tables::Findings;

use crate::axis::{Scale, range};
use crate::canvas::{Align, Dashes, Figure, Heading, Point};
use crate::inputs::Dataset;
use crate::style::{self, Color, Stroke};

/// The label of a verdict.
pub fn verdict_label(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::NotTested => "not tested",
        other => other.as_str(),
    }
}

fn color(verdict: Verdict) -> Color {
    match verdict {
        Verdict::Supported => style::GREEN,
        Verdict::Refuted => style::VERMILION,
        Verdict::Inconclusive => style::ORANGE,
        Verdict::NotTested => style::AXIS,
    }
}

/// The left edges of the columns: claim, interval, value, adjusted p-value, verdict.
const COLUMNS: [f64; 5] = [style::MARGIN, 620.0, 930.0, 1220.0, 1376.0];

/// Draws the figure.
pub fn figure(dataset: &Dataset) -> Figure {
    let [claim, interval, value, p_value, verdict] = COLUMNS;
    let line = style::NOTE.size * style::LINE;
    let statements: Vec<Vec<String>> =
        dataset.findings.iter().map(|finding| style::NOTE.wrap(&finding.statement, interval - claim - 36.0)).collect();
    let heights: Vec<f64> = statements.iter().map(|lines| lines.len() as f64 * line + 22.0).collect();
    let top = 168.0;
    let heading = Heading {
        name: "findings",
        title: "Findings",
        subtitle: format!(
            "{} · dot: mean over seeds, bar: 95 % interval, green: region where the claim holds",
            dataset.study.name
        ),
        caption: "One row per claim, each on its own scale: the statistic's mean over seeds and its 95 % interval. Green: the \
                  region where the claim holds. Supported or refuted: p ≤ 0.05 after Holm's correction for multiple testing, or \
                  an exact result. Inconclusive: otherwise."
            .to_owned(),
    };
    let mut figure = Figure::new(heading, (style::WIDTH, top + heights.iter().sum::<f64>() + 28.0));
    for (x, text) in [(claim, "claim"), (value, "value [interval]"), (p_value, "adjusted p"), (verdict, "verdict")] {
        figure.text(text, (x, top - 24.0), style::TICK, Align::Start);
    }
    let mut y = top;
    for ((finding, statement), height) in dataset.findings.iter().zip(&statements).zip(heights) {
        figure.line(vec![(style::MARGIN, y), (style::WIDTH - style::MARGIN, y)], style::GRID_LINE);
        let middle = y + height / 2.0;
        for (number, text) in statement.iter().enumerate() {
            let level = middle + (number as f64 - (statement.len() - 1) as f64 / 2.0) * line;
            figure.text_centred(text, (claim, level), style::NOTE, Align::Start);
        }
        draw_interval(&mut figure, finding, (interval, y + 9.0), (value - 30.0, y + height - 9.0));
        figure.text_centred(&value_text(finding), (value, middle), style::TICK.color(style::INK), Align::Start);
        let p = number::p_value(finding.p_adjusted);
        figure.text_centred(&p, (p_value, middle), style::TICK.color(style::INK), Align::Start);
        draw_marker(&mut figure, (verdict + 9.0, middle), finding.verdict, 9.0);
        let label = verdict_label(finding.verdict);
        figure.text_centred(label, (verdict + 30.0, middle), style::NOTE.bold(), Align::Start);
        y += height;
    }
    figure
}

/// A finding's value and interval.
pub fn value_text(finding: &Findings) -> String {
    number::estimate(finding.value, finding.low.zip(finding.high))
}

/// Draws a finding's value and interval on a scale of its own.
fn draw_interval(figure: &mut Figure, finding: &Findings, (left, top): Point, (right, bottom): Point) {
    let thresholds = [finding.threshold_low, finding.threshold_high];
    let numbers = [finding.value, finding.low, finding.high].into_iter().chain(thresholds).flatten();
    let Some((low, high)) = range(numbers) else { return };
    let padding = if high > low { 0.25 * (high - low) } else { 0.5 };
    let scale = Scale::new(low - padding, high + padding);
    let x_at = |value: f64| left + scale.fraction(value) * (right - left);
    let middle = f64::midpoint(top, bottom);
    let (from, to) = match thresholds {
        // Two-sided: everywhere but at the null value.
        [Some(low), Some(high)] if low == high => (left, right),
        [low, high] => (low.map_or(left, x_at), high.map_or(right, x_at)),
    };
    if thresholds.iter().any(Option::is_some) {
        figure.rectangle((left, top), (right, bottom), style::GRID, 0.55);
        figure.rectangle((from, top), (to, bottom), style::GREEN, 0.16);
    }
    for threshold in thresholds.into_iter().flatten() {
        let line = [(x_at(threshold), top), (x_at(threshold), bottom)];
        figure.dashed(&line, Dashes::new(5.0, 4.0), Stroke::new(style::MUTED, 2.0));
    }
    let color = color(finding.verdict);
    if let (Some(low), Some(high)) = (finding.low, finding.high) {
        figure.line(vec![(x_at(low), middle), (x_at(high), middle)], Stroke::new(color, 4.0));
        for end in [low, high] {
            let cap = vec![(x_at(end), middle - 8.0), (x_at(end), middle + 8.0)];
            figure.line(cap, Stroke::new(color, 3.0));
        }
    }
    if let Some(value) = finding.value {
        draw_marker(figure, (x_at(value), middle), finding.verdict, 8.0);
    }
}

/// Draws a verdict's marker: disc, square, ring or small grey disc, distinguishable without colour.
fn draw_marker(figure: &mut Figure, (x, y): Point, verdict: Verdict, radius: f64) {
    let color = color(verdict);
    match verdict {
        Verdict::Refuted => figure.rectangle((x - radius, y - radius), (x + radius, y + radius), color, 1.0),
        Verdict::Inconclusive => {
            figure.disc((x, y), radius, color, 1.0);
            figure.disc((x, y), radius * 0.5, style::PAPER, 1.0);
        }
        Verdict::Supported => figure.disc((x, y), radius, color, 1.0),
        Verdict::NotTested => figure.disc((x, y), radius * 0.55, color, 1.0),
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
            verdict: Verdict::Inconclusive,
            reason: "r".into(),
            n: 3,
            bootstrap_low: None,
            bootstrap_high: None,
            detectable: None,
            seeds_needed: None,
            sensitivity: None,
        };
        assert_eq!(value_text(&row(0.388, 0.061, 0.643)), "0.39 [0.06, 0.64]");
        assert_eq!(value_text(&row(-16321.95, -55343.394, 22699.495)), "−16,322 [−55,343, 22,699]");
        assert_eq!(value_text(&row(7.39e-6, -4.41e-6, 1.92e-5)), "7.4e−6 [−4.4e−6, 1.9e−5]");
        assert_eq!(value_text(&row(1.36e10, -3.36e10, 6.07e10)), "1.4e10 [−3.4e10, 6.1e10]");
        assert_eq!(value_text(&row(0.0, 0.0, 0.0)), "0 [0, 0]");
    }
}
