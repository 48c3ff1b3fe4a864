//! `layer_similarity`: similarity of attention patterns between layers over training, one line per pair.

use std::collections::BTreeSet;

use schemas::tables::LayerSimilarity;

use crate::axis::{Labels, Panel, Scale, steps_label};
use crate::canvas::{Align, Figure, Heading};
use crate::figures::{EndLabel, band, end_labels, points, seeds_note};
use crate::inputs::{Dataset, SimilarityTables};
use crate::measures::axis_label;
use crate::series::{self, Summary};
use crate::style::{self, Stroke};

/// Two layers, the lower first.
type Pair = (u16, u16);

/// Draws the figure.
pub fn figure(dataset: &Dataset, similarity: &SimilarityTables) -> Figure {
    let heading = Heading {
        name: "layer_similarity",
        title: "Layer similarity",
        subtitle: format!("{} · {} · {}", dataset.study.name, similarity.run, seeds_note(dataset)),
        caption: "JS similarity, 1 − Jensen–Shannon divergence (base 2), between the attention patterns of two layers, each \
                  averaged over its heads: 1 if identical, 0 if disjoint. One line per pair of layers; darker pairs are closer \
                  in the model."
            .to_owned(),
    };
    let mut figure = Figure::new(heading, (style::WIDTH, 1000.0));

    let rows = || similarity.rows.iter().flatten();
    let pairs: BTreeSet<Pair> = rows().map(|row| (row.layer_a, row.layer_b)).collect();
    let distance = |(a, b): Pair| usize::from(b.abs_diff(a));
    let most = pairs.iter().map(|pair| distance(*pair)).max().unwrap_or(1);
    let color = |pair: Pair| style::ordered(distance(pair).saturating_sub(1), most);
    let of_pair = |pair: Pair, rows: &Vec<LayerSimilarity>| {
        let rows = rows.iter().filter(|row| (row.layer_a, row.layer_b) == pair);
        rows.map(|row| (row.step, row.js_similarity)).collect()
    };
    let curve = |pair: Pair| -> Vec<Summary> {
        series::over_seeds(&similarity.rows.iter().map(|rows| of_pair(pair, rows)).collect::<Vec<_>>())
    };
    let curves: Vec<(Pair, Vec<Summary>)> = pairs.into_iter().map(|pair| (pair, curve(pair))).collect();

    legend(&mut figure, most);
    let values = curves.iter().flat_map(|(_, curve)| curve).flat_map(Summary::low_high);
    let x = Scale::of_steps(&dataset.study.steps);
    let panel = Panel { left: 170.0, top: 160.0, right: 1400.0, bottom: 912.0, x, y: Scale::around(values) };
    let label = axis_label(&LayerSimilarity::js_similarity.quantity, dataset.alphabet.unit());
    let x = Some(steps_label(&dataset.study.steps));
    panel.frame(&mut figure, Labels { x, y: Some(&label), ..Labels::default() });
    for (pair, curve) in &curves {
        band(&mut figure, &panel, curve, color(*pair));
    }
    for (pair, curve) in &curves {
        figure.line(points(&panel, curve), Stroke::new(color(*pair), 3.4));
    }
    let ends = curves.iter().filter_map(|(pair, curve)| {
        let text = format!("layers {}–{}", pair.0, pair.1);
        Some(EndLabel { text, value: curve.last()?.mean, color: color(*pair) })
    });
    end_labels(&mut figure, &panel, &ends.collect::<Vec<_>>());
    figure
}

/// A colour per distance between layers.
fn legend(figure: &mut Figure, most: usize) {
    let (mut x, y) = (style::MARGIN, 124.0);
    for distance in 1..=most {
        let label = match distance {
            1 => "adjacent layers".to_owned(),
            _ => format!("{distance} layers apart"),
        };
        figure.line(vec![(x, y), (x + 44.0, y)], Stroke::new(style::ordered(distance - 1, most), 5.0));
        figure.text_centred(&label, (x + 54.0, y), style::NOTE, Align::Start);
        x += 54.0 + style::NOTE.width(&label) + 34.0;
    }
}
