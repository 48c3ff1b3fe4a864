//! `head_trajectories`: every head over training, matched across seeds, one small panel per layer and metric.

use std::collections::BTreeMap;

use cli::number;
use declarations::FigureName;
use schemas::Measure;
use schemas::tables::{HeadMatches, HeadMetrics};

use crate::axis::{Labels, Panel, Scale, steps_label};
use crate::canvas::{Align, Figure, Heading};
use crate::data::Cell;
use crate::figures::{Grid, UNIFORM, head_entries, legend, legend_height, points, uniform_line};
use crate::inputs::{AttentionTables, Dataset};
use crate::measures::axis_label;
use crate::series::{self, Curve};
use crate::style::{self, Look, Stroke};

/// The metrics, and whether their axes start at 0.
const METRICS: [(&Measure<HeadMetrics>, bool); 4] = [
    (&HeadMetrics::entropy_nats, false),
    (&HeadMetrics::mean_distance, false),
    (&HeadMetrics::previous_token_score, true),
    (&HeadMetrics::induction_score, true),
];

/// Heads have counterparts in other seeds if matched heads are so near by chance with at most this probability.
const LEVEL: f64 = 0.05;

/// Draws the figure.
pub fn figure(dataset: &Dataset, attention: &AttentionTables, look: Look) -> Figure {
    let seeds = dataset.study.seeds.len();
    let lines = match seeds {
        1 => "one seed, nothing to match".to_owned(),
        _ => format!("thin: single seeds, thick: mean of {seeds} seeds, where matching is better than chance"),
    };
    let mut caption =
        "One panel per layer and metric, one line per head. Head indices do not correspond between seeds, so the \
                       heads of each layer are matched with those of the first seed by the distance between their \
                       trajectories. Dashed: uniform attention."
            .to_owned();
    if seeds > 1 {
        caption.push_str(
            " Thick: means over matched heads. Above each column: the mean distance of matched heads, and what matching gives \
             where the heads of all seeds are dealt to the seeds at random, in standard deviations between heads. Where a \
             permutation test does not tell the two apart (p > 0.05), heads have no clear counterparts in other seeds, and \
             single seeds are drawn alone: their mean would be of unrelated heads.",
        );
    }
    let heading = Heading {
        name: FigureName::HeadTrajectories,
        title: "Head trajectories, matched across seeds",
        subtitle: format!("{} · {} · {lines}", dataset.study.name, attention.run),
        caption,
        columns: &["metric", "layer", "head", "seed", "step", "value"],
    };
    let entries = head_entries(attention.heads());
    // Two lines on how well heads are matched, above every layer's first panel.
    let notes = if seeds > 1 { 52.0 } else { 0.0 };
    let top = 8.0 + legend_height(look, &entries) + 48.0 + notes;
    let grid = Grid { notes, ..Grid::new(look, top, attention.layers(), METRICS.len()) };
    let mut figure = Figure::new(look, heading, grid.height());
    legend(&mut figure, 8.0, &entries);
    let matches: Vec<Option<Matching>> = (0..attention.layers()).map(|layer| Matching::of(attention, layer)).collect();
    for (metric, (measure, from_zero)) in METRICS.into_iter().enumerate() {
        let (label, uniform) = (axis_label(&measure.quantity, dataset.alphabet.unit()), attention.uniform(measure));
        let values = attention.head_metrics.iter().flatten().filter_map(measure.get).chain(uniform);
        let y = if from_zero { Scale::from_zero(values) } else { Scale::around(values) };
        let empty = || Cell::Empty;
        figure.data.row([measure.name().into(), UNIFORM.into(), empty(), empty(), empty(), uniform.into()]);
        for (layer, matching) in matches.iter().enumerate() {
            let place = grid.place(metric, layer);
            let panel = Panel::within(place.corners, Scale::of_steps(&dataset.study.steps), y);
            let labels = Labels {
                x: place.is_lowest.then_some(""),
                y: place.is_first.then_some(&label),
                shared_y: !place.is_first,
                ..Labels::default()
            };
            panel.frame(&mut figure, labels);
            if place.is_named {
                name(&mut figure, &panel, layer, matching.filter(|_| metric == 0));
            }
            if let Some(uniform) = uniform {
                uniform_line(&mut figure, &panel, uniform);
            }
            let curves = matched_curves(dataset, attention, layer, measure);
            let means = matching.is_none_or(|matching| matching.is_clear());
            draw(&mut figure, &panel, &curves, means);
            rows(&mut figure, measure.name(), layer, &curves, means);
        }
    }
    grid.label_x(&mut figure, steps_label(&dataset.study.steps));
    figure
}

/// How well a layer's heads are matched.
#[derive(Clone, Copy)]
struct Matching {
    /// The mean distance of matched heads.
    distance: f64,
    /// What matching gives by chance.
    chance: f64,
    p_value: f64,
}

impl Matching {
    /// None with one seed.
    fn of(attention: &AttentionTables, layer: usize) -> Option<Self> {
        let mean = |value: fn(&HeadMatches) -> Option<f64>| {
            let of_layer = attention.matches.iter().filter(|row| usize::from(row.layer) == layer);
            Some(series::mean_stderr(&of_layer.filter_map(value).collect::<Vec<_>>())?.0)
        };
        let [distance, chance] = [mean(|row| row.distance)?, mean(|row| row.chance_distance)?];
        Some(Self { distance, chance, p_value: mean(|row| row.p_value)? })
    }

    fn is_clear(self) -> bool {
        self.p_value <= LEVEL
    }
}

/// Writes a layer's name above its panel, and how well its heads are matched.
fn name(figure: &mut Figure, panel: &Panel, layer: usize, matching: Option<Matching>) {
    let (left, top) = (panel.left, panel.top);
    let rise = if matching.is_some() { 68.0 } else { 16.0 };
    figure.text(&format!("layer {layer}"), (left, top - rise), style::HEADING, Align::Start);
    if let Some(Matching { distance, chance, p_value }) = matching {
        let [distance, chance] = [distance, chance].map(|distance| number::decimals(distance, 2));
        let p_value = number::decimals(p_value, if p_value < 0.095 { 3 } else { 2 });
        for (line, text) in [format!("matched {distance}"), format!("chance {chance}, p {p_value}")].iter().enumerate()
        {
            let room = (panel.right - left + 30.0).min(figure.look.right() - left);
            let font = style::TICK.fit(text, room);
            figure.text(text, (left, top - 40.0 + 25.0 * line as f64), font, Align::Start);
        }
    }
}

/// The curves of a layer's heads, one per seed, by the head of the first seed that they are matched with.
type Matched = BTreeMap<u16, Vec<(u64, Curve)>>;

fn matched_curves(
    dataset: &Dataset,
    attention: &AttentionTables,
    layer: usize,
    measure: &Measure<HeadMetrics>,
) -> Matched {
    let mut curves = Matched::new();
    for (seed, rows) in dataset.study.seeds.iter().zip(&attention.head_metrics) {
        for matched in attention.matches.iter().filter(|row| row.seed == *seed && usize::from(row.layer) == layer) {
            let of_head = rows.iter().filter(|row| (row.layer, row.head) == (matched.layer, matched.head));
            let curve = of_head.filter_map(|row| Some((row.step, (measure.get)(row)?))).collect();
            curves.entry(matched.slot).or_default().push((*seed, curve));
        }
    }
    curves
}

/// Draws single seeds thin and pale, then, if heads have counterparts, the means on top.
fn draw(figure: &mut Figure, panel: &Panel, curves: &Matched, means: bool) {
    let color = |head: &u16| style::distinct((*head).into());
    for (head, seeds) in curves.iter().filter(|(_, seeds)| seeds.len() > 1 || !means) {
        for (_, curve) in seeds {
            let line = points(panel, &series::over_seeds(std::slice::from_ref(curve)));
            figure.line(line, Stroke::new(color(head), 1.6).opacity(if means { 0.45 } else { 0.7 }));
        }
    }
    for (head, seeds) in curves.iter().filter(|_| means) {
        let seeds: Vec<Curve> = seeds.iter().map(|(_, curve)| curve.clone()).collect();
        figure.line(points(panel, &series::over_seeds(&seeds)), Stroke::new(color(head), 3.2));
    }
}

/// The curves as numbers, and, where they are drawn, the means, which are of no seed.
fn rows(figure: &mut Figure, metric: &'static str, layer: usize, curves: &Matched, means: bool) {
    for (head, seeds) in curves {
        let all: Vec<Curve> = seeds.iter().map(|(_, curve)| curve.clone()).collect();
        for point in series::over_seeds(&all).into_iter().filter(|_| means && seeds.len() > 1) {
            let (step, mean) = (point.step.into(), point.mean.into());
            figure.data.row([metric.into(), layer.into(), (*head).into(), Cell::Empty, step, mean]);
        }
        for (seed, curve) in seeds {
            for (step, value) in curve {
                let (seed, step, value) = ((*seed).into(), (*step).into(), (*value).into());
                figure.data.row([metric.into(), layer.into(), (*head).into(), seed, step, value]);
            }
        }
    }
}
