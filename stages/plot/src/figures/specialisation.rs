//! `head_specialisation`: every head of the first seed, one small panel per layer and metric.

use schemas::Measure;
use schemas::tables::HeadMetrics;

use crate::axis::{Labels, Panel, Scale, steps_label};
use crate::canvas::{Figure, Heading};
use crate::figures::{Grid, heads_legend, points, uniform_line};
use crate::inputs::{AttentionTables, Dataset};
use crate::measures::axis_label;
use crate::series;
use crate::style::{self, Stroke};

const METRICS: [&Measure<HeadMetrics>; 3] =
    [&HeadMetrics::local_mass_3, &HeadMetrics::previous_token_score, &HeadMetrics::induction_score];

/// Draws the figure.
pub fn figure(dataset: &Dataset, attention: &AttentionTables) -> Figure {
    let seed = dataset.study.seeds.first().copied().unwrap_or_default();
    let heading = Heading {
        name: "head_specialisation",
        title: "Head specialisation",
        subtitle: format!(
            "{} · {}, seed {seed} · one column per layer, one line per head",
            dataset.study.name, attention.run
        ),
        caption: "Heads of the first seed; head indices do not correspond between seeds. Top: attention to the last three \
                  characters, the current one included. Middle: attention to the previous character. Bottom: in a repeated \
                  random sequence, attention to the character after the earlier copy of the current one. Dashed: uniform \
                  attention."
            .to_owned(),
    };
    let mut figure = Figure::new(heading, (style::WIDTH, 1180.0));
    heads_legend(&mut figure, attention.heads());
    let Some(rows) = attention.head_metrics.first() else { return figure };
    let grid =
        Grid { left: 150.0, top: 196.0, bottom: 1092.0, gap: 48.0, columns: attention.layers(), rows: METRICS.len() };
    for (row, measure) in METRICS.into_iter().enumerate() {
        let (label, uniform) = (axis_label(&measure.quantity, dataset.alphabet.unit()), attention.uniform(measure));
        let y = Scale::from_zero(rows.iter().filter_map(measure.get).chain(uniform));
        for layer in 0..attention.layers() {
            let [left, top, right, bottom] = grid.cell(layer, row);
            let panel = Panel { left, top, right, bottom, x: Scale::of_steps(&dataset.study.steps), y };
            let heading = format!("layer {layer}");
            let labels = Labels {
                x: (row + 1 == METRICS.len()).then_some(""),
                y: (layer == 0).then_some(&label),
                heading: (row == 0).then_some(&heading),
                shared_y: layer > 0,
                ..Labels::default()
            };
            panel.frame(&mut figure, labels);
            if let Some(uniform) = uniform {
                uniform_line(&mut figure, &panel, uniform);
            }
            for head in 0..attention.heads() {
                let of_head =
                    rows.iter().filter(|row| (usize::from(row.layer), usize::from(row.head)) == (layer, head));
                let curve = of_head.filter_map(|row| Some((row.step, (measure.get)(row)?))).collect();
                let line = points(&panel, &series::over_seeds(&[curve]));
                figure.line(line, Stroke::new(style::distinct(head), 2.8));
            }
        }
    }
    grid.label_x(&mut figure, steps_label(&dataset.study.steps));
    figure
}
