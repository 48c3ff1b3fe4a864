//! `span_distribution`: the distribution of mean attention distance and 90 % span over heads: over training, and by layer at
//! the last snapshot.

use std::collections::BTreeMap;

use declarations::FigureName;
use schemas::Measure;
use schemas::tables::HeadMetrics;

use crate::axis::{Labels, Panel, Scale, steps_label};
use crate::canvas::{Align, Figure, Heading};
use crate::data::Cell;
use crate::figures::{UNIFORM, step_heading, uniform_line};
use crate::inputs::{AttentionTables, Dataset};
use crate::measures::axis_label;
use crate::style::{self, Color, Look, Stroke};

const METRICS: [&Measure<HeadMetrics>; 2] = [&HeadMetrics::mean_distance, &HeadMetrics::span_90];
/// The shares of heads below the drawn quantiles, the median in the middle.
const QUANTILES: [(f64, &str); 5] = [
    (0.05, "5 % quantile"),
    (0.25, "25 % quantile"),
    (0.5, "median"),
    (0.75, "75 % quantile"),
    (0.95, "95 % quantile"),
];

/// Draws the figure.
pub fn figure(dataset: &Dataset, attention: &AttentionTables, look: Look) -> Figure {
    let seeds = match dataset.study.seeds.len() {
        1 => "of one seed".to_owned(),
        seeds => format!("of all {seeds} seeds"),
    };
    let heading = Heading {
        name: FigureName::SpanDistribution,
        title: "How far back heads attend",
        subtitle: format!(
            "{} · {} · all heads {seeds} · line: median, bands: 25–75 % and 5–95 %, dashed: uniform attention",
            dataset.study.name, attention.run
        ),
        caption: "Distribution over heads and seeds. Over training: median, and bands from the 25 to the 75 and from the 5 to the \
                  95 % quantile. By layer: every head of every seed at the last snapshot; bars: medians. Dashed: uniform \
                  attention."
            .to_owned(),
        columns: &["panel", "metric", "step", "layer", "head", "seed", "what", "value"],
    };
    let height = look.either(360.0, 260.0);
    let row = height + 134.0;
    let panels = METRICS.len() * look.either(1, 2);
    let mut figure = Figure::new(look, heading, 46.0 + row * panels as f64 - 38.0);
    let left = look.axis_left();
    let middle = look.either(left + 0.58 * (look.right() - left), look.axis_right());
    for (place, measure) in METRICS.into_iter().enumerate() {
        let all: Vec<&HeadMetrics> = attention.head_metrics.iter().flatten().collect();
        let uniform = attention.uniform(measure);
        let y = Scale::from_zero(all.iter().filter_map(|row| (measure.get)(row)).chain(uniform));
        let label = axis_label(&measure.quantity, dataset.alphabet.unit());
        let top = 46.0 + row * (place * look.either(1, 2)) as f64;
        let x = Scale::of_steps(&dataset.study.steps);
        let over = Panel { left, top, right: middle, bottom: top + height, x, y };
        let labels = Labels {
            x: Some(steps_label(&dataset.study.steps)),
            y: Some(&label),
            heading: Some("over training"),
            ..Labels::default()
        };
        over.frame(&mut figure, labels);
        figure.data.row(uniform_row(measure, uniform));
        draw_quantiles(&mut figure, &over, measure, &all);

        let Some(last) = all.iter().map(|row| row.step).max() else { continue };
        let top = look.either(top, top + row);
        let x = Scale::new(0.0, attention.layers() as f64);
        let left = look.either(middle + 46.0, left);
        let by_layer = Panel { left, top, right: look.right(), bottom: top + height, x, y };
        let heading = format!("by layer, {}", step_heading(last));
        let labels = Labels {
            y: look.is_narrow().then_some(label.as_str()),
            heading: Some(&heading),
            categorical_x: true,
            shared_y: !look.is_narrow(),
            ..Labels::default()
        };
        by_layer.frame(&mut figure, labels);
        draw_layers(&mut figure, &by_layer, (measure, last), (dataset, attention));
        for panel in [&over, &by_layer] {
            if let Some(uniform) = uniform {
                uniform_line(&mut figure, panel, uniform);
            }
        }
    }
    figure
}

fn uniform_row(measure: &Measure<HeadMetrics>, uniform: Option<f64>) -> [Cell; 8] {
    let empty = || Cell::Empty;
    ["both".into(), measure.name().into(), empty(), empty(), empty(), empty(), UNIFORM.into(), uniform.into()]
}

fn draw_quantiles(figure: &mut Figure, panel: &Panel, measure: &Measure<HeadMetrics>, rows: &[&HeadMetrics]) {
    let mut by_step: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    for row in rows {
        if let Some(value) = (measure.get)(row) {
            by_step.entry(row.step).or_default().push(value);
        }
    }
    for values in by_step.values_mut() {
        values.sort_by(f64::total_cmp);
    }
    let at = |share: f64| {
        by_step
            .iter()
            .map(move |(step, values)| panel.point(f64::from(*step), quantile(values, share)))
            .collect::<Vec<_>>()
    };
    for (low, high, opacity) in [(0, 4, 0.16), (1, 3, 0.26)] {
        let edge = at(QUANTILES[high].0).into_iter().chain(at(QUANTILES[low].0).into_iter().rev());
        if by_step.len() > 1 {
            figure.area(edge.collect(), style::BLUE, opacity);
        }
    }
    figure.line(at(QUANTILES[2].0), Stroke::new(style::BLUE, 3.6));
    let empty = || Cell::Empty;
    for (step, values) in &by_step {
        for (share, name) in QUANTILES {
            let (step, value) = ((*step).into(), quantile(values, share).into());
            let panel = "over training".into();
            figure.data.row([panel, measure.name().into(), step, empty(), empty(), empty(), name.into(), value]);
        }
    }
}

/// A quantile of ascending values, of which there is at least one, linear between neighbours.
fn quantile(values: &[f64], share: f64) -> f64 {
    let place = share * (values.len() - 1) as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    values[below] + (values[above] - values[below]) * place.fract()
}

/// Every head at the last snapshot, a strip for each layer.
fn draw_layers(
    figure: &mut Figure,
    panel: &Panel,
    (measure, last): (&Measure<HeadMetrics>, u32),
    (dataset, attention): (&Dataset, &AttentionTables),
) {
    let layers = attention.layers();
    for layer in 0..layers {
        let (middle, color) = (layer as f64 + 0.5, style::ordered(layer, layers));
        let mut heads: Vec<(f64, u64, u16)> = Vec::new();
        for (seed, rows) in dataset.study.seeds.iter().zip(&attention.head_metrics) {
            let of_layer = rows.iter().filter(|row| row.step == last && usize::from(row.layer) == layer);
            heads.extend(of_layer.filter_map(|row| Some(((measure.get)(row)?, *seed, row.head))));
        }
        heads.sort_by(|one, other| one.0.total_cmp(&other.0));
        for (number, (value, seed, head)) in heads.iter().enumerate() {
            // Multiples of the golden ratio spread dots evenly, and neighbours in value far from each other.
            let offset = (number as f64 * 0.618_033_988_75).fract() - 0.5;
            figure.disc(panel.point(middle + 0.6 * offset, *value), 4.4, color, 0.6);
            let (step, head, seed, value) = (last.into(), (*head).into(), (*seed).into(), (*value).into());
            let name = measure.name().into();
            figure.data.row(["by layer".into(), name, step, layer.into(), head, seed, "head".into(), value]);
        }
        let values: Vec<f64> = heads.iter().map(|(value, ..)| *value).collect();
        if !values.is_empty() {
            let median = quantile(&values, 0.5);
            let bar = vec![panel.point(middle - 0.36, median), panel.point(middle + 0.36, median)];
            figure.line(bar, Stroke::new(Color::Ink, 3.6));
        }
        let x = panel.x_at(middle);
        figure.text_centred(&layer.to_string(), (x, panel.bottom + 24.0), style::TICK, Align::Middle);
    }
    let below = (f64::midpoint(panel.left, panel.right), panel.bottom + 60.0);
    figure.text_centred("layer", below, style::LABEL, Align::Middle);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_neighbours() {
        let values = [1.0, 2.0, 4.0];
        assert_eq!([0.0, 0.25, 0.5, 0.75, 1.0].map(|share| quantile(&values, share)), [1.0, 1.5, 2.0, 3.0, 4.0]);
        assert_eq!(quantile(&[7.0], 0.95), 7.0);
    }
}
