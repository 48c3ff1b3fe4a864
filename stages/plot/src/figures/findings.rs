//! `findings`: every claim with its statistic, the interval over seeds and the region where it holds, on one axis.

use cli::number;
use declarations::FigureName;
use schemas::enums::Verdict;
use schemas::tables::Findings;

use crate::axis::{Labels, Panel, Scale};
use crate::canvas::{Align, Dashes, Figure, Heading, Point};
use crate::data::Cell;
use crate::inputs::Dataset;
use crate::style::{self, Color, Look, Stroke};

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
        Verdict::NotTested => Color::Axis,
    }
}

/// The horizontal places of a figure's columns.
struct Columns {
    /// The left edge and the width of the claims.
    claim: [f64; 2],
    /// The edges of the axis.
    axis: [f64; 2],
    /// The left edges of value, adjusted p-value and verdict; none where there is no room.
    text: Option<[f64; 3]>,
}

impl Columns {
    fn of(look: Look) -> Self {
        let (left, right) = (look.margin(), look.right());
        if look.is_narrow() {
            return Self { claim: [left, 350.0], axis: [left + 384.0, right - 20.0], text: None };
        }
        let text = [right - 596.0, right - 312.0, right - 178.0];
        Self { claim: [left, 470.0], axis: [left + 500.0, text[0] - 36.0], text: Some(text) }
    }
}

/// Draws the figure.
pub fn figure(dataset: &Dataset, look: Look) -> Figure {
    let columns = Columns::of(look);
    let line = style::NOTE.size * style::LINE;
    let statements: Vec<Vec<String>> =
        dataset.findings.iter().map(|finding| style::NOTE.wrap(&finding.statement, columns.claim[1])).collect();
    let heights: Vec<f64> = statements.iter().map(|lines| lines.len() as f64 * line + look.either(18.0, 8.0)).collect();
    let top = look.either(88.0, 46.0);
    let heading = Heading {
        name: FigureName::Findings,
        title: "Findings",
        subtitle: format!(
            "{} · mark: mean over seeds, bar: 95 % interval, green: region where the claim holds",
            dataset.study.name
        ),
        caption: "One row per claim: the statistic's mean over seeds and its 95 % interval, all on one axis from −1 to 1, to which \
                  correlations and shares are bound; an arrow leads to what lies beyond. Statistics in steps are not drawn. \
                  Green: the region where the claim holds. Supported or refuted: p ≤ 0.05 after Holm's correction for multiple \
                  testing, or an exact result. Inconclusive: otherwise."
            .to_owned(),
        columns: &[
            "claim",
            "statement",
            "statistic",
            "value",
            "low",
            "high",
            "holds_above",
            "holds_below",
            "p_adjusted",
            "verdict",
            "seeds",
        ],
    };
    let bottom = top + heights.iter().sum::<f64>();
    let mut figure = Figure::new(look, heading, bottom + 84.0);
    legend(&mut figure);
    if let Some([value, p_value, verdict]) = columns.text {
        for (x, text) in
            [(columns.claim[0], "claim"), (value, "value [interval]"), (p_value, "adjusted p"), (verdict, "verdict")]
        {
            figure.text(text, (x, top - 18.0), style::TICK, Align::Start);
        }
    }
    let panel = Panel {
        left: columns.axis[0],
        top,
        right: columns.axis[1],
        bottom,
        x: Scale::new(-1.0, 1.0),
        y: Scale::new(0.0, 1.0),
    };
    let mut y = top;
    for (finding, height) in dataset.findings.iter().zip(&heights) {
        draw_region(&mut figure, &panel, finding, (y + 1.5, y + height - 1.5));
        y += height;
    }
    let labels = Labels { x: Some("statistic"), ticks_x: Some(5), categorical_y: true, ..Labels::default() };
    panel.frame(&mut figure, labels);
    let zero = panel.x_at(0.0);
    figure.line(vec![(zero, top), (zero, bottom)], style::AXIS_LINE);
    y = top;
    for ((finding, statement), height) in dataset.findings.iter().zip(&statements).zip(heights) {
        figure.line(vec![(look.margin(), y), (look.right(), y)], style::GRID_LINE);
        let middle = y + height / 2.0;
        for (number, text) in statement.iter().enumerate() {
            let level = middle + (number as f64 - (statement.len() - 1) as f64 / 2.0) * line;
            figure.text_centred(text, (columns.claim[0], level), style::NOTE, Align::Start);
        }
        draw_interval(&mut figure, &panel, finding, middle);
        if let Some([value, p_value, verdict]) = columns.text {
            let font = style::TICK.color(Color::Ink);
            let (text, room) = (value_text(finding), p_value - value - 12.0);
            figure.text_centred(&text, (value, middle), font.fit(&text, room), Align::Start);
            figure.text_centred(&number::p_value(finding.p_adjusted), (p_value, middle), font, Align::Start);
            draw_marker(&mut figure, (verdict + 9.0, middle), finding.verdict, 9.0);
            let label = verdict_label(finding.verdict);
            figure.text_centred(label, (verdict + 30.0, middle), style::NOTE.bold(), Align::Start);
        }
        row(&mut figure, finding);
        y += height;
    }
    figure
}

/// The marks of the verdicts.
fn legend(figure: &mut Figure) {
    let (mut x, y) = (figure.look.margin() + 9.0, 20.0);
    for &verdict in Verdict::ALL {
        draw_marker(figure, (x, y), verdict, 9.0);
        let label = verdict_label(verdict);
        figure.text_centred(label, (x + 18.0, y), style::NOTE, Align::Start);
        x += 18.0 + style::NOTE.width(label) + figure.look.either(40.0, 26.0);
    }
}

fn row(figure: &mut Figure, finding: &Findings) {
    figure.data.row([
        finding.claim.clone().into(),
        finding.statement.clone().into(),
        finding.statistic.clone().into(),
        finding.value.into(),
        finding.low.into(),
        finding.high.into(),
        finding.threshold_low.into(),
        finding.threshold_high.into(),
        finding.p_adjusted.into(),
        Cell::from(verdict_label(finding.verdict)),
        finding.n.into(),
    ]);
}

/// A finding's value and interval.
pub fn value_text(finding: &Findings) -> String {
    number::estimate(finding.value, finding.low.zip(finding.high))
}

/// Whether a statistic has its place on the axis from −1 to 1.
fn is_on_axis(finding: &Findings) -> bool {
    let numbers = [finding.value, finding.threshold_low, finding.threshold_high];
    numbers.into_iter().flatten().all(|number| (-1.0..=1.0).contains(&number))
}

/// Shades where a claim holds.
fn draw_region(figure: &mut Figure, panel: &Panel, finding: &Findings, (top, bottom): (f64, f64)) {
    let thresholds = [finding.threshold_low, finding.threshold_high];
    if !is_on_axis(finding) || thresholds.iter().all(Option::is_none) {
        return;
    }
    let (from, to) = match thresholds {
        // Two-sided: everywhere but at the null value.
        [Some(low), Some(high)] if low == high => (panel.left, panel.right),
        [low, high] => {
            (low.map_or(panel.left, |low| panel.x_at(low)), high.map_or(panel.right, |high| panel.x_at(high)))
        }
    };
    figure.rectangle((from, top), (to, bottom), style::GREEN, 0.14);
    for threshold in thresholds.into_iter().flatten() {
        let line = [(panel.x_at(threshold), top), (panel.x_at(threshold), bottom)];
        figure.dashed(&line, Dashes::new(5.0, 4.0), Stroke::new(Color::Muted, 2.0));
    }
}

/// Draws a finding's value and interval.
fn draw_interval(figure: &mut Figure, panel: &Panel, finding: &Findings, middle: f64) {
    let color = color(finding.verdict);
    if !is_on_axis(finding) {
        let text = if finding.value.is_some() { "in steps, not drawn" } else { "" };
        figure.text_centred(text, (panel.x_at(0.0) + 10.0, middle), style::TICK, Align::Start);
        return;
    }
    if let (Some(low), Some(high)) = (finding.low, finding.high) {
        let (from, to) = (panel.x_at(low.max(-1.0)), panel.x_at(high.min(1.0)));
        figure.line(vec![(from, middle), (to, middle)], Stroke::new(color, 4.0));
        for (x, direction, beyond) in [(from, -1.0, low < -1.0), (to, 1.0, high > 1.0)] {
            if beyond {
                let back = x - 13.0 * direction;
                figure.area(vec![(x, middle), (back, middle - 8.0), (back, middle + 8.0)], color, 1.0);
            } else {
                figure.line(vec![(x, middle - 8.0), (x, middle + 8.0)], Stroke::new(color, 3.0));
            }
        }
    }
    if let Some(value) = finding.value {
        draw_marker(figure, (panel.x_at(value), middle), finding.verdict, 8.0);
    }
}

/// Draws a verdict's marker: disc, square, ring or small grey disc, distinguishable without colour.
fn draw_marker(figure: &mut Figure, (x, y): Point, verdict: Verdict, radius: f64) {
    let color = color(verdict);
    match verdict {
        Verdict::Refuted => figure.rectangle((x - radius, y - radius), (x + radius, y + radius), color, 1.0),
        Verdict::Inconclusive => {
            figure.disc((x, y), radius, color, 1.0);
            figure.disc((x, y), radius * 0.5, Color::Paper, 1.0);
        }
        Verdict::Supported => figure.disc((x, y), radius, color, 1.0),
        Verdict::NotTested => figure.disc((x, y), radius * 0.55, color, 1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(value: f64, low: f64, high: f64) -> Findings {
        Findings {
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
        }
    }

    #[test]
    fn a_value_fits_its_column() {
        assert_eq!(value_text(&row(0.388, 0.061, 0.643)), "0.39 [0.06, 0.64]");
        assert_eq!(value_text(&row(-16321.95, -55343.394, 22699.495)), "−16,322 [−55,343, 22,699]");
        assert_eq!(value_text(&row(7.39e-6, -4.41e-6, 1.92e-5)), "7.4e−6 [−4.4e−6, 1.9e−5]");
        assert_eq!(value_text(&row(1.36e10, -3.36e10, 6.07e10)), "1.4e10 [−3.4e10, 6.1e10]");
        assert_eq!(value_text(&row(0.0, 0.0, 0.0)), "0 [0, 0]");
    }

    #[test]
    fn steps_have_no_place_on_the_axis_and_intervals_may_leave_it() {
        assert!(is_on_axis(&row(0.9, -1.5, 1.2)) && !is_on_axis(&row(1800.0, 1500.0, 2000.0)));
        assert!(!is_on_axis(&Findings { value: None, threshold_low: Some(1500.0), ..row(0.0, 0.0, 0.0) }));
    }
}
