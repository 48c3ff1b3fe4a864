//! `head_trajectories`: every head over training, matched across seeds, one small panel per layer and metric.

use std::collections::BTreeMap;

use cli::number;
use schemas::Measure;
use schemas::tables::{HeadMatches, HeadMetrics};

use crate::axis::{Labels, Panel, Scale, steps_label};
use crate::canvas::{Align, Figure, Heading};
use crate::figures::{Grid, heads_legend, points, uniform_line};
use crate::inputs::{AttentionTables, Dataset};
use crate::measures::axis_label;
use crate::series::{self, Curve};
use crate::style::{self, Stroke};

/// The metrics, and whether their axes start at 0.
const METRICS: [(&Measure<HeadMetrics>, bool); 4] = [
    (&HeadMetrics::entropy_nats, false),
    (&HeadMetrics::mean_distance, false),
    (&HeadMetrics::previous_token_score, true),
    (&HeadMetrics::induction_score, true),
];

/// Draws the figure.
pub fn figure(dataset: &Dataset, attention: &AttentionTables) -> Figure {
    let seeds = dataset.study.seeds.len();
    let lines = match seeds {
        1 => "one seed, nothing to match".to_owned(),
        _ => format!("thick: mean of {seeds} seeds over matched heads, thin: single seeds"),
    };
    let mut caption =
        "One column per layer, one line per head. Head indices do not correspond between seeds, so the heads of \
                       each layer are matched with those of the first seed by the distance between their trajectories. \
                       Dashed: uniform attention."
            .to_owned();
    if seeds > 1 {
        caption.push_str(
            " Above each column: the mean distance of matched heads and, for comparison, of randomly paired heads, in standard \
             deviations between heads. The best matching is closer than a random one by construction. Where the two distances \
             are similar, heads have no counterparts in other seeds, and the thick lines average unrelated heads.",
        );
    }
    let heading = Heading {
        name: "head_trajectories",
        title: "Head trajectories, matched across seeds",
        subtitle: format!("{} · {} · {lines}", dataset.study.name, attention.run),
        caption,
    };
    let mut figure = Figure::new(heading, (style::WIDTH, 1440.0));
    heads_legend(&mut figure, attention.heads());

    let grid =
        Grid { left: 164.0, top: 252.0, bottom: 1352.0, gap: 52.0, columns: attention.layers(), rows: METRICS.len() };
    for layer in 0..attention.layers() {
        let [left, top, ..] = grid.cell(layer, 0);
        figure.text(&format!("layer {layer}"), (left, top - 72.0), style::HEADING, Align::Start);
        for (line, text) in match_distances(attention, layer).into_iter().flatten().enumerate() {
            figure.text(&text, (left, top - 42.0 + 26.0 * line as f64), style::TICK, Align::Start);
        }
    }
    for (row, (measure, from_zero)) in METRICS.into_iter().enumerate() {
        let (label, uniform) = (axis_label(&measure.quantity, dataset.alphabet.unit()), attention.uniform(measure));
        let values = attention.head_metrics.iter().flatten().filter_map(measure.get).chain(uniform);
        let y = if from_zero { Scale::from_zero(values) } else { Scale::around(values) };
        for layer in 0..attention.layers() {
            let [left, top, right, bottom] = grid.cell(layer, row);
            let panel = Panel { left, top, right, bottom, x: Scale::of_steps(&dataset.study.steps), y };
            let labels = Labels {
                x: (row + 1 == METRICS.len()).then_some(""),
                y: (layer == 0).then_some(&label),
                shared_y: layer > 0,
                ..Labels::default()
            };
            panel.frame(&mut figure, labels);
            if let Some(uniform) = uniform {
                uniform_line(&mut figure, &panel, uniform);
            }
            draw(&mut figure, &panel, &matched_curves(dataset, attention, layer, measure));
        }
    }
    grid.label_x(&mut figure, steps_label(&dataset.study.steps));
    figure
}

/// The mean distance of a layer's matched heads and of randomly paired ones, one line each; none with one seed.
fn match_distances(attention: &AttentionTables, layer: usize) -> Option<[String; 2]> {
    let mean = |distance: fn(&HeadMatches) -> Option<f64>| {
        let of_layer = attention.matches.iter().filter(|row| usize::from(row.layer) == layer);
        let (mean, _) = series::mean_stderr(&of_layer.filter_map(distance).collect::<Vec<_>>())?;
        Some(number::decimals(mean, 2))
    };
    let (matched, random) = (mean(|row| row.distance)?, mean(|row| row.random_distance)?);
    Some([format!("matched distance {matched}"), format!("(random {random})")])
}

/// The curves of a layer's heads, one per seed, by the head of the first seed that they are matched with.
fn matched_curves(
    dataset: &Dataset,
    attention: &AttentionTables,
    layer: usize,
    measure: &Measure<HeadMetrics>,
) -> BTreeMap<u16, Vec<Curve>> {
    let mut curves: BTreeMap<u16, Vec<Curve>> = BTreeMap::new();
    for (seed, rows) in dataset.study.seeds.iter().zip(&attention.head_metrics) {
        for matched in attention.matches.iter().filter(|row| row.seed == *seed && usize::from(row.layer) == layer) {
            let of_head = rows.iter().filter(|row| (row.layer, row.head) == (matched.layer, matched.head));
            let curve = of_head.filter_map(|row| Some((row.step, (measure.get)(row)?))).collect();
            curves.entry(matched.slot).or_default().push(curve);
        }
    }
    curves
}

/// Draws single seeds thin and pale, then the means on top.
fn draw(figure: &mut Figure, panel: &Panel, curves: &BTreeMap<u16, Vec<Curve>>) {
    let color = |head: &u16| style::distinct((*head).into());
    for (head, seeds) in curves.iter().filter(|(_, seeds)| seeds.len() > 1) {
        for curve in seeds {
            let line = points(panel, &series::over_seeds(std::slice::from_ref(curve)));
            figure.line(line, Stroke::new(color(head).tint(0.5), 1.6));
        }
    }
    for (head, seeds) in curves {
        figure.line(points(panel, &series::over_seeds(seeds)), Stroke::new(color(head), 3.2));
    }
}
