//! `attention_metrics`: entropy and mean attention distance over training, one line per layer.

use schemas::Measure;
use schemas::tables::HeadMetrics;

use crate::axis::{Labels, Panel, Scale, steps_label};
use crate::canvas::{Align, Dashes, Figure, Heading};
use crate::figures::{EndLabel, UNIFORM, band, end_labels, points, seeds_note};
use crate::inputs::{AttentionTables, Dataset};
use crate::measures::axis_label;
use crate::series::{self, Summary};
use crate::style::{self, Stroke};

/// The metrics and the top and bottom of their panels.
const PANELS: [(&Measure<HeadMetrics>, f64, f64); 2] =
    [(&HeadMetrics::entropy_nats, 124.0, 610.0), (&HeadMetrics::mean_distance, 666.0, 1152.0)];

/// Draws the figure.
pub fn figure(dataset: &Dataset, attention: &AttentionTables) -> Figure {
    let heading = Heading {
        name: "attention_metrics",
        title: "Attention entropy and mean attention distance",
        subtitle: format!(
            "{} · {} · one line per layer, mean over its heads · {}",
            dataset.study.name,
            attention.run,
            seeds_note(dataset)
        ),
        caption: "Top: entropy of the attention distribution; lower is more focused. Bottom: mean attention distance; \
                  higher is further back. One line per layer, mean over heads and seeds, dark for the lowest layer. \
                  Dashed: uniform attention over all previous characters."
            .to_owned(),
    };
    let mut figure = Figure::new(heading, (style::WIDTH, 1240.0));
    for (index, (measure, top, bottom)) in PANELS.into_iter().enumerate() {
        let layers: Vec<Vec<Summary>> = (0..attention.layers()).map(|layer| curve(attention, layer, measure)).collect();
        let uniform = attention.uniform(measure);
        let values = layers.iter().flatten().flat_map(Summary::low_high).chain(uniform);
        let x = Scale::of_steps(&dataset.study.steps);
        let panel = Panel { left: 160.0, top, right: 1420.0, bottom, x, y: Scale::around(values) };
        let label = axis_label(&measure.quantity, dataset.alphabet.unit());
        let x = (index + 1 == PANELS.len()).then_some(steps_label(&dataset.study.steps));
        panel.frame(&mut figure, Labels { x, y: Some(&label), ..Labels::default() });
        if let Some(uniform) = uniform {
            let y = panel.y_at(uniform);
            let stroke = Stroke::new(style::INK, 2.2);
            figure.dashed(&[(panel.left, y), (panel.right, y)], Dashes::new(12.0, 9.0), stroke);
            figure.text(UNIFORM, (panel.right - 8.0, y - 9.0), style::NOTE, Align::End);
        }
        let color = |layer| style::ordered(layer, layers.len());
        for (layer, curve) in layers.iter().enumerate() {
            band(&mut figure, &panel, curve, color(layer));
        }
        for (layer, curve) in layers.iter().enumerate() {
            figure.line(points(&panel, curve), Stroke::new(color(layer), 3.6));
        }
        let ends = layers.iter().enumerate().filter_map(|(layer, curve)| {
            Some(EndLabel { text: format!("layer {layer}"), value: curve.last()?.mean, color: color(layer) })
        });
        end_labels(&mut figure, &panel, &ends.collect::<Vec<_>>());
    }
    figure
}

/// A layer's metric over steps: the mean over heads, then mean and standard error over seeds.
fn curve(attention: &AttentionTables, layer: usize, measure: &Measure<HeadMetrics>) -> Vec<Summary> {
    let of_layer = |rows: &Vec<HeadMetrics>| {
        let rows = rows.iter().filter(|row| usize::from(row.layer) == layer);
        series::mean_by_step(rows.filter_map(|row| Some((row.step, (measure.get)(row)?))))
    };
    series::over_seeds(&attention.head_metrics.iter().map(of_layer).collect::<Vec<_>>())
}
