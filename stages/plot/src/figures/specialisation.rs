//! `head_specialisation`: every head of the first seed, one small panel per layer and metric.

use declarations::FigureName;
use schemas::Measure;
use schemas::tables::HeadMetrics;

use crate::axis::{Labels, Panel, Scale, steps_label};
use crate::canvas::{Figure, Heading};
use crate::data::Cell;
use crate::figures::{Grid, UNIFORM, head_entries, legend, legend_height, points, uniform_line};
use crate::inputs::{AttentionTables, Dataset};
use crate::measures::axis_label;
use crate::series;
use crate::style::{self, Look, Stroke};

const METRICS: [&Measure<HeadMetrics>; 3] =
    [&HeadMetrics::local_mass_3, &HeadMetrics::previous_token_score, &HeadMetrics::induction_score];

/// Draws the figure.
pub fn figure(dataset: &Dataset, attention: &AttentionTables, look: Look) -> Figure {
    let seed = dataset.study.seeds.first().copied().unwrap_or_default();
    let heading = Heading {
        name: FigureName::HeadSpecialisation,
        title: "Head specialisation",
        subtitle: format!("{} · {}, seed {seed} · one panel per layer, one line per head", dataset.study.name, attention.run),
        caption: "Heads of the first seed; head indices do not correspond between seeds. Top: attention to the last three \
                  characters, the current one included. Middle: attention to the previous character. Bottom: in a repeated \
                  random sequence, attention to the character after the earlier copy of the current one. Dashed: uniform \
                  attention."
            .to_owned(),
        columns: &["metric", "layer", "head", "step", "value"],
    };
    let entries = head_entries(attention.heads());
    let grid = Grid::new(look, 8.0 + legend_height(look, &entries) + 48.0, attention.layers(), METRICS.len());
    let mut figure = Figure::new(look, heading, grid.height());
    legend(&mut figure, 8.0, &entries);
    let Some(rows) = attention.head_metrics.first() else { return figure };
    for (metric, measure) in METRICS.into_iter().enumerate() {
        let (label, uniform) = (axis_label(&measure.quantity, dataset.alphabet.unit()), attention.uniform(measure));
        let y = Scale::from_zero(rows.iter().filter_map(measure.get).chain(uniform));
        figure.data.row([measure.name().into(), UNIFORM.into(), Cell::Empty, Cell::Empty, uniform.into()]);
        for layer in 0..attention.layers() {
            let place = grid.place(metric, layer);
            let panel = Panel::within(place.corners, Scale::of_steps(&dataset.study.steps), y);
            let heading = format!("layer {layer}");
            let labels = Labels {
                x: place.is_lowest.then_some(""),
                y: place.is_first.then_some(&label),
                heading: place.is_named.then_some(&heading),
                shared_y: !place.is_first,
                ..Labels::default()
            };
            panel.frame(&mut figure, labels);
            if let Some(uniform) = uniform {
                uniform_line(&mut figure, &panel, uniform);
            }
            for head in 0..attention.heads() {
                let of_head =
                    rows.iter().filter(|row| (usize::from(row.layer), usize::from(row.head)) == (layer, head));
                let curve: series::Curve = of_head.filter_map(|row| Some((row.step, (measure.get)(row)?))).collect();
                for (step, value) in &curve {
                    let (step, value) = ((*step).into(), (*value).into());
                    figure.data.row([measure.name().into(), layer.into(), head.into(), step, value]);
                }
                let line = points(&panel, &series::over_seeds(&[curve]));
                figure.line(line, Stroke::new(style::distinct(head), 2.8));
            }
        }
    }
    grid.label_x(&mut figure, steps_label(&dataset.study.steps));
    figure
}
