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

use crate::axis::{Panel, apart};
use crate::canvas::{Align, Figure, Point};
use crate::inputs::Dataset;
use crate::series::Summary;
use crate::style::{self, Color};

/// Every figure of a dataset that its tables allow, in the order in which they are read.
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
    figures
}

/// How many seeds a curve is the mean of, and what its band is.
fn seeds_note(dataset: &Dataset) -> String {
    match dataset.study.seeds.len() {
        1 => "one seed, so no error band".to_owned(),
        seeds => format!("mean of {seeds} seeds, band ± one standard error"),
    }
}

/// The area a standard error above and below a curve; nothing with one seed.
fn band(figure: &mut Figure, panel: &Panel, curve: &[Summary], color: Color) {
    if curve.len() < 2 || curve.iter().any(|point| point.stderr.is_none()) {
        return;
    }
    let high = curve.iter().map(|point| panel.at(f64::from(point.step), point.low_high().1));
    let low = curve.iter().rev().map(|point| panel.at(f64::from(point.step), point.low_high().0));
    figure.area(high.chain(low).collect(), color, 0.2);
}

/// The corners of a curve on a panel.
fn corners(panel: &Panel, curve: &[Summary]) -> Vec<Point> {
    curve.iter().map(|point| panel.at(f64::from(point.step), point.mean)).collect()
}

/// The labels of curves right of where they end, moved apart, each led to from its end.
fn end_labels(figure: &mut Figure, panel: &Panel, ends: &[(String, f64, Color)]) {
    let gap = style::NOTE.size * 1.16;
    let heights: Vec<f64> = ends.iter().map(|(_, value, _)| panel.up(*value)).collect();
    let moved = apart(&heights, gap, (panel.top - 10.0, panel.bottom + 4.0));
    for (((label, _, color), height), level) in ends.iter().zip(heights).zip(moved) {
        figure.line(vec![(panel.right + 4.0, height), (panel.right + 26.0, level)], *color, 3.4);
        figure.text_level(label, (panel.right + 34.0, level), style::NOTE, Align::Start);
    }
}

/// A dashed horizontal line, labelled above its right end inside the panel.
fn reference(figure: &mut Figure, panel: &Panel, value: f64, label: &str) {
    let y = panel.up(value);
    figure.dashes(&[(panel.left, y), (panel.right, y)], (12.0, 9.0, 0.0), style::INK, 2.2);
    figure.text(label, (panel.right - 8.0, y - 9.0), style::NOTE, Align::End);
}
