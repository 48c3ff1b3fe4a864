//! The figures: each a pure function from tables to marks.

pub mod attention;
pub mod findings;
pub mod loss;
pub mod maps;
pub mod onsets;
pub mod quality;
pub mod similarity;
pub mod specialisation;
pub mod trajectories;

use crate::axis::{Panel, spread};
use crate::canvas::{Align, Dashes, Figure, Point};
use crate::inputs::Dataset;
use crate::series::Summary;
use crate::style::{self, Color, Stroke};

/// Every figure that a dataset's tables allow, in the order of the report.
pub fn all(dataset: &Dataset) -> Vec<Figure> {
    let mut figures = vec![loss::figure(dataset, loss::Split::Val), loss::figure(dataset, loss::Split::Train)];
    if let Some(attention) = &dataset.attention {
        figures.push(attention::figure(dataset, attention));
        figures.extend(maps::figure(dataset, attention));
        figures.push(specialisation::figure(dataset, attention));
        figures.push(trajectories::figure(dataset, attention));
        figures.push(onsets::figure(dataset, attention));
    }
    figures.extend(dataset.similarity.as_ref().map(|similarity| similarity::figure(dataset, similarity)));
    figures.extend(dataset.quality.as_ref().and_then(|quality| quality::figure(dataset, quality)));
    figures.push(findings::figure(dataset));
    // Captions speak of characters, which in a dataset of bytes are none.
    let unit = dataset.alphabet.unit();
    figures.iter_mut().for_each(|figure| figure.caption = unit.in_place_of_character(&figure.caption));
    figures
}

/// A step in a panel's heading.
pub(crate) fn step_heading(step: u32) -> String {
    match step {
        0 => "step 0 (untrained)".to_owned(),
        step => format!("step {}", cli::number::integer(step)),
    }
}

/// The note that explains curves and bands.
fn seeds_note(dataset: &Dataset) -> String {
    match dataset.study.seeds.len() {
        1 => "one seed, no error band".to_owned(),
        seeds => format!("mean of {seeds} seeds, band: ± 1 standard error"),
    }
}

/// The band of one standard error around a curve; nothing with one seed.
fn band(figure: &mut Figure, panel: &Panel, curve: &[Summary], color: Color) {
    if curve.len() < 2 || curve.iter().any(|point| point.stderr.is_none()) {
        return;
    }
    let edge = |point: &Summary, end: usize| panel.point(f64::from(point.step), point.low_high()[end]);
    let high = curve.iter().map(|point| edge(point, 1));
    let low = curve.iter().rev().map(|point| edge(point, 0));
    figure.area(high.chain(low).collect(), color, 0.2);
}

/// The points of a curve's means on a panel.
fn points(panel: &Panel, curve: &[Summary]) -> Vec<Point> {
    curve.iter().map(|point| panel.point(f64::from(point.step), point.mean)).collect()
}

/// The label at the end of a curve.
struct EndLabel {
    text: String,
    /// The curve's last value.
    value: f64,
    color: Color,
}

/// Draws the labels of curves to the right of their ends, moved apart.
fn end_labels(figure: &mut Figure, panel: &Panel, labels: &[EndLabel]) {
    let gap = style::NOTE.size * 1.16;
    let ends: Vec<f64> = labels.iter().map(|label| panel.y_at(label.value)).collect();
    let moved = spread(&ends, gap, (panel.top - 10.0, panel.bottom + 4.0));
    for ((label, end), level) in labels.iter().zip(ends).zip(moved) {
        figure.line(vec![(panel.right + 4.0, end), (panel.right + 26.0, level)], Stroke::new(label.color, 3.4));
        figure.text_centred(&label.text, (panel.right + 34.0, level), style::NOTE, Align::Start);
    }
}

const UNIFORM: &str = "uniform attention";

/// The dashed line of the value under uniform attention, in small panels.
fn uniform_line(figure: &mut Figure, panel: &Panel, value: f64) {
    let y = panel.y_at(value);
    figure.dashed(&[(panel.left, y), (panel.right, y)], Dashes::new(8.0, 7.0), Stroke::new(style::INK, 1.8));
}

/// The legend of figures with one colour per head.
fn heads_legend(figure: &mut Figure, heads: usize) {
    let (mut x, y) = (style::MARGIN, 124.0);
    for head in 0..heads {
        figure.line(vec![(x, y), (x + 40.0, y)], Stroke::new(style::distinct(head), 4.0));
        figure.text_centred(&format!("head {head}"), (x + 50.0, y), style::NOTE, Align::Start);
        x += 54.0 + style::NOTE.width("head 00") + 24.0;
    }
    figure.dashed(&[(x, y), (x + 40.0, y)], Dashes::new(8.0, 7.0), Stroke::new(style::INK, 1.8));
    figure.text_centred(UNIFORM, (x + 50.0, y), style::NOTE, Align::Start);
}

/// Small panels: a column per layer, a row per metric.
struct Grid {
    left: f64,
    top: f64,
    bottom: f64,
    /// The distance between panels.
    gap: f64,
    columns: usize,
    rows: usize,
}

impl Grid {
    /// The corners of a panel: left, top, right, bottom.
    fn cell(&self, column: usize, row: usize) -> [f64; 4] {
        let width = (style::WIDTH - style::MARGIN - self.left + self.gap) / self.columns.max(1) as f64;
        let height = (self.bottom - self.top + self.gap) / self.rows.max(1) as f64;
        let (left, top) = (self.left + width * column as f64, self.top + height * row as f64);
        [left, top, left + width - self.gap, top + height - self.gap]
    }

    /// Draws the common horizontal axis label.
    fn label_x(&self, figure: &mut Figure, label: &str) {
        let middle = f64::midpoint(self.left, style::WIDTH - style::MARGIN);
        figure.text_centred(label, (middle, self.bottom + 56.0), style::LABEL, Align::Middle);
    }
}
