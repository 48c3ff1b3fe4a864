//! `attention_metrics`: entropy and mean attention distance over training, one line per layer.

use declarations::FigureName;
use schemas::Measure;
use schemas::tables::HeadMetrics;

use crate::axis::{Labels, Panel, Scale, steps_label};
use crate::canvas::{Align, Dashes, Figure, Heading};
use crate::data::Cell;
use crate::figures::{EndLabel, UNIFORM, band, end_label_room, end_labels, points, seeds_note};
use crate::inputs::{AttentionTables, Dataset};
use crate::measures::axis_label;
use crate::series::{self, Summary};
use crate::style::{self, Color, Look, Stroke};

const METRICS: [&Measure<HeadMetrics>; 2] = [&HeadMetrics::entropy_nats, &HeadMetrics::mean_distance];

/// Draws the figure.
pub fn figure(dataset: &Dataset, attention: &AttentionTables, look: Look) -> Figure {
    let heading = Heading {
        name: FigureName::AttentionMetrics,
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
        columns: &["metric", "layer", "step", "mean", "standard_error"],
    };
    let (height, gap) = look.either((486.0, 56.0), (300.0, 44.0));
    let mut figure = Figure::new(look, heading, 24.0 + 2.0 * height + gap + 88.0);
    let names: Vec<String> = (0..attention.layers()).map(|layer| format!("layer {layer}")).collect();
    let right = look.right() - end_label_room(names.iter().map(String::as_str));
    for (index, measure) in METRICS.into_iter().enumerate() {
        let top = 24.0 + (height + gap) * index as f64;
        let layers: Vec<Vec<Summary>> = (0..attention.layers()).map(|layer| curve(attention, layer, measure)).collect();
        let uniform = attention.uniform(measure);
        let values = layers.iter().flatten().flat_map(Summary::low_high).chain(uniform);
        let x = Scale::of_steps(&dataset.study.steps);
        let y = Scale::around(values);
        let panel = Panel { left: look.axis_left(), top, right, bottom: top + height, x, y };
        let label = axis_label(&measure.quantity, dataset.alphabet.unit());
        let x = (index + 1 == METRICS.len()).then_some(steps_label(&dataset.study.steps));
        panel.frame(&mut figure, Labels { x, y: Some(&label), ..Labels::default() });
        if let Some(uniform) = uniform {
            let y = panel.y_at(uniform);
            let stroke = Stroke::new(Color::Ink, 2.2);
            figure.dashed(&[(panel.left, y), (panel.right, y)], Dashes::new(12.0, 9.0), stroke);
            figure.text(UNIFORM, (panel.right - 8.0, y - 9.0), style::NOTE, Align::End);
            figure.data.row([measure.name().into(), UNIFORM.into(), Cell::Empty, uniform.into(), Cell::Empty]);
        }
        let color = |layer| style::ordered(layer, layers.len());
        for (layer, curve) in layers.iter().enumerate() {
            band(&mut figure, &panel, curve, color(layer));
        }
        for (layer, curve) in layers.iter().enumerate() {
            figure.line(points(&panel, curve), Stroke::new(color(layer), 3.6));
            for Summary { step, mean, stderr } in curve {
                let (step, mean, stderr) = ((*step).into(), (*mean).into(), (*stderr).into());
                figure.data.row([measure.name().into(), layer.into(), step, mean, stderr]);
            }
        }
        let ends = layers.iter().zip(&names).enumerate().filter_map(|(layer, (curve, name))| {
            Some(EndLabel { text: name.clone(), value: curve.last()?.mean, color: color(layer) })
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
