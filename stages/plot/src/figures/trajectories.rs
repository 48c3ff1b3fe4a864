//! `head_trajectories`: how every head develops, a small panel for each layer and metric, heads matched across seeds.

use std::collections::BTreeMap;

use schemas::tables::{HeadMatches, HeadMetrics};

use crate::axis::{Labels, Panel, Scale, range, steps_label};
use crate::canvas::{Align, Figure};
use crate::figures::corners;
use crate::inputs::{AttentionTables, Dataset};
use crate::number;
use crate::series::{self, Curve};
use crate::style;

/// A metric: its column, its name on the axis, its value in a row, and whether its axis starts at 0.
type Metric = (&'static str, &'static str, fn(&HeadMetrics) -> Option<f64>, bool);

const METRICS: [Metric; 4] = [
    ("entropy_nats", "entropy (nats)", |row| Some(row.entropy_nats), false),
    ("mean_distance", "distance (characters)", |row| Some(row.mean_distance), false),
    ("previous_token_score", "share on previous", |row| Some(row.previous_token_score), true),
    ("induction_score", "induction score", |row| row.induction_score, true),
];

/// Draws the figure.
pub fn figure(dataset: &Dataset, attention: &AttentionTables) -> Figure {
    let (layers, heads) = (attention.layers(), attention.heads());
    let seeds = dataset.study.seeds.len();
    let matched = match seeds {
        1 => "one seed, so nothing is matched".to_owned(),
        _ => format!("thick: mean of {seeds} seeds over matched heads, thin: each seed"),
    };
    let subtitle = format!("{} · {} · {matched}", dataset.study.name, attention.run);
    let mut caption = "A column for each layer, a line for each head. The heads of a layer are exchangeable, so each seed's are \
                       matched with the first seed's, as near as their whole development comes; a colour is a head of the \
                       first seed with those matched to it. Dashed: uniform attention."
        .to_owned();
    if seeds > 1 {
        caption.push_str(
            " Above each column: how far matched heads are apart on average, and how far heads matched at random would be, in \
             standard deviations between heads. The best matching is nearer than a random one by its nature; where the two are \
             close, the layer's heads have no counterparts in other seeds, and the thick lines are means of unlike heads. The \
             thin lines hold always.",
        );
    }
    let size = (style::WIDTH, 1440.0);
    let mut figure =
        Figure::new("head_trajectories", "How every head develops, layer by layer", &subtitle, caption, size);
    legend(&mut figure, heads);

    let (left, top, bottom, gap) = (136.0, 252.0, 1352.0, 52.0);
    let width = (style::WIDTH - style::MARGIN - left + gap) / f64::from(layers.max(1));
    let height = (bottom - top + gap) / METRICS.len() as f64;
    for layer in 0..layers {
        let left = left + width * f64::from(layer);
        figure.text(&format!("layer {layer}"), (left, top - 72.0), style::HEADING, Align::Start);
        for (line, words) in nearness(attention, layer).into_iter().flatten().enumerate() {
            figure.text(&words, (left, top - 42.0 + 26.0 * line as f64), style::TICK, Align::Start);
        }
        for (place, (metric, label, value, from_zero)) in METRICS.into_iter().enumerate() {
            let baseline = attention.baselines.iter().find(|row| row.metric == metric).map(|row| row.value);
            let values = attention.head_metrics.iter().flatten().filter_map(value).chain(baseline);
            let y = match range(values) {
                Some((_, high)) if from_zero => Scale::new(0.0, high.max(0.1) * 1.05),
                Some((low, high)) => Scale::around([low, high]),
                None => Scale::new(0.0, 1.0),
            };
            let top = top + height * place as f64;
            let x = Scale::of_steps(&dataset.study.steps);
            let panel = Panel { left, top, right: left + width - gap, bottom: top + height - gap, x, y };
            let last = place + 1 == METRICS.len();
            panel.frame(
                &mut figure,
                Labels {
                    x: last.then_some(""),
                    y: (layer == 0).then_some(label),
                    shared: layer > 0,
                    ..Labels::default()
                },
            );
            if let Some(baseline) = baseline {
                let y = panel.up(baseline);
                figure.dashes(&[(panel.left, y), (panel.right, y)], (8.0, 7.0, 0.0), style::INK, 1.8);
            }
            lines(&mut figure, &panel, &slots(dataset, attention, layer, value));
        }
    }
    let middle = f64::midpoint(left, style::WIDTH - style::MARGIN);
    figure.text_level(steps_label(&dataset.study.steps), (middle, bottom + 56.0), style::LABEL, Align::Middle);
    figure
}

/// What the colours and the dashes mean.
fn legend(figure: &mut Figure, heads: u16) {
    let mut x = style::MARGIN;
    for head in 0..heads {
        let color = style::DISTINCT[usize::from(head) % style::DISTINCT.len()];
        figure.line(vec![(x, 124.0), (x + 40.0, 124.0)], color, 4.0);
        figure.text_level(&format!("head {head}"), (x + 50.0, 124.0), style::NOTE, Align::Start);
        x += 54.0 + style::NOTE.width("head 00") + 24.0;
    }
    figure.dashes(&[(x, 124.0), (x + 40.0, 124.0)], (8.0, 7.0, 0.0), style::INK, 1.8);
    figure.text_level("uniform attention", (x + 50.0, 124.0), style::NOTE, Align::Start);
}

/// How far a layer's matched heads are apart, and how far at random, a line each; none with one seed.
fn nearness(attention: &AttentionTables, layer: u16) -> Option<[String; 2]> {
    let mean = |distance: fn(&HeadMatches) -> Option<f64>| {
        let of_layer = attention.matches.iter().filter(|row| row.layer == layer);
        series::mean_stderr(&of_layer.filter_map(distance).collect::<Vec<_>>())
            .map(|(mean, _)| number::decimals(mean, 2))
    };
    let (matched, random) = (mean(|row| row.distance)?, mean(|row| row.random_distance)?);
    Some([format!("{matched} apart"), format!("{random} at random")])
}

/// The curves of each slot of a layer, a curve for each seed.
fn slots(
    dataset: &Dataset,
    attention: &AttentionTables,
    layer: u16,
    value: fn(&HeadMetrics) -> Option<f64>,
) -> BTreeMap<u16, Vec<Curve>> {
    let mut slots: BTreeMap<u16, Vec<Curve>> = BTreeMap::new();
    for (seed, rows) in dataset.study.seeds.iter().zip(&attention.head_metrics) {
        for matched in attention.matches.iter().filter(|row| row.seed == *seed && row.layer == layer) {
            let of_head = rows.iter().filter(|row| (row.layer, row.head) == (layer, matched.head));
            let curve = of_head.filter_map(|row| Some((row.step, value(row)?))).collect();
            slots.entry(matched.slot).or_default().push(curve);
        }
    }
    slots
}

/// The seeds' lines thin and pale, and the means before all of them.
fn lines(figure: &mut Figure, panel: &Panel, slots: &BTreeMap<u16, Vec<Curve>>) {
    let color = |slot: &u16| style::DISTINCT[usize::from(*slot) % style::DISTINCT.len()];
    for (slot, curves) in slots.iter().filter(|(_, curves)| curves.len() > 1) {
        for curve in curves {
            let line = corners(panel, &series::over_seeds(std::slice::from_ref(curve)));
            figure.line(line, color(slot).pale(0.5), 1.6);
        }
    }
    for (slot, curves) in slots {
        figure.line(corners(panel, &series::over_seeds(curves)), color(slot), 3.2);
    }
}
