//! `attention_metrics`: entropy above span, a line for every layer.

use schemas::tables::HeadMetrics;

use crate::axis::{Labels, Panel, Scale, steps_label};
use crate::canvas::Figure;
use crate::figures::{band, corners, end_labels, reference, seeds_note};
use crate::inputs::{AttentionTables, Dataset};
use crate::series::{self, Summary};
use crate::style;

/// How a column is read off a row.
type Column = fn(&HeadMetrics) -> f64;

/// Draws the figure.
pub fn figure(dataset: &Dataset, attention: &AttentionTables) -> Figure {
    let subtitle = format!(
        "{} · {} · each line is a layer, averaged over its heads · {}",
        dataset.study.name,
        attention.run,
        seeds_note(dataset)
    );
    let caption = "Top: the entropy of the attention rows; low is focused on few characters. Bottom: the mean distance of \
                   the attended characters; high is a long view. Each line is a layer, dark for the lowest; the dashed \
                   line is what attending to all earlier characters alike would give.";
    let title = "How focused each layer attends, and how far back, as it trains";
    let size = (style::WIDTH, 1240.0);
    let mut figure = Figure::new("attention_metrics", title, &subtitle, caption.to_owned(), size);
    let metrics: [(&str, &str, Column); 2] = [
        ("entropy_nats", "attention entropy (nats)", |row| row.entropy_nats),
        ("mean_distance", "mean attention distance (characters)", |row| row.mean_distance),
    ];
    for ((metric, label, value), (top, bottom)) in metrics.into_iter().zip([(124.0, 610.0), (666.0, 1152.0)]) {
        let layers: Vec<Vec<Summary>> = (0..attention.layers()).map(|layer| curve(attention, layer, value)).collect();
        let baseline = attention.baselines.iter().find(|row| row.metric == metric).map(|row| row.value);
        let points = layers.iter().flatten();
        let values = points.flat_map(|point| <[f64; 2]>::from(point.low_high())).chain(baseline);
        let x = Scale::of_steps(&dataset.study.steps);
        let panel = Panel { left: 160.0, top, right: 1420.0, bottom, x, y: Scale::around(values) };
        let x = (metric == "mean_distance").then_some(steps_label(&dataset.study.steps));
        panel.frame(&mut figure, Labels { x, y: Some(label), ..Labels::default() });
        if let Some(baseline) = baseline {
            reference(&mut figure, &panel, baseline, "uniform attention");
        }
        for (layer, curve) in layers.iter().enumerate() {
            band(&mut figure, &panel, curve, style::ordered(layer, layers.len()));
        }
        for (layer, curve) in layers.iter().enumerate() {
            figure.line(corners(&panel, curve), style::ordered(layer, layers.len()), 3.6);
        }
        let ends: Vec<_> = layers
            .iter()
            .enumerate()
            .filter_map(|(layer, curve)| {
                Some((format!("layer {layer}"), curve.last()?.mean, style::ordered(layer, layers.len())))
            })
            .collect();
        end_labels(&mut figure, &panel, &ends);
    }
    figure
}

/// A layer's metric over steps: the mean over heads, then mean and standard error over seeds.
fn curve(attention: &AttentionTables, layer: u16, value: fn(&HeadMetrics) -> f64) -> Vec<Summary> {
    let of_layer = |rows: &Vec<HeadMetrics>| {
        series::mean_by_step(rows.iter().filter(|row| row.layer == layer).map(|row| (row.step, value(row))))
    };
    series::over_seeds(&attention.head_metrics.iter().map(of_layer).collect::<Vec<_>>())
}
