//! `layer_similarity`: how alike the layers attend, a line for every pair.

use std::collections::BTreeSet;

use crate::axis::{Labels, Panel, Scale, steps_label};
use crate::canvas::{Align, Figure};
use crate::figures::{band, corners, end_labels, seeds_note};
use crate::inputs::{Dataset, SimilarityTables};
use crate::series::{self, Summary};
use crate::style::{self, Color};

/// Draws the figure.
pub fn figure(dataset: &Dataset, similarity: &SimilarityTables) -> Figure {
    let subtitle = format!("{} · {} · {}", dataset.study.name, similarity.run, seeds_note(dataset));
    let caption = "1 − Jensen–Shannon divergence (base 2) of two layers' attention rows, each layer being the mean of its \
                   heads: 1 if both attend to the same characters, 0 if to none in common. Each line is a pair of layers, \
                   named at its end; the darker, the closer the two are in the model.";
    let title = "How alike the layers attend, pair by pair, as the model trains";
    let mut figure = Figure::new("layer_similarity", title, &subtitle, caption.to_owned(), (style::WIDTH, 1000.0));

    let rows = || similarity.rows.iter().flatten();
    let pairs: BTreeSet<(u16, u16)> = rows().map(|row| (row.layer_a, row.layer_b)).collect();
    let distances = pairs.iter().map(|(a, b)| usize::from(b - a)).max().unwrap_or(1);
    let color = |(a, b): (u16, u16)| style::ordered(usize::from(b - a) - 1, distances);
    let curves: Vec<((u16, u16), Vec<Summary>)> = pairs
        .into_iter()
        .map(|pair| {
            let of_pair = |rows: &Vec<schemas::tables::LayerSimilarity>| {
                let rows = rows.iter().filter(|row| (row.layer_a, row.layer_b) == pair);
                rows.map(|row| (row.step, row.js_similarity)).collect()
            };
            (pair, series::over_seeds(&similarity.rows.iter().map(of_pair).collect::<Vec<_>>()))
        })
        .collect();

    legend(&mut figure, distances);
    let points = curves.iter().flat_map(|(_, curve)| curve);
    let values = points.flat_map(|point| <[f64; 2]>::from(point.low_high()));
    let x = Scale::of_steps(&dataset.study.steps);
    let panel = Panel { left: 170.0, top: 160.0, right: 1400.0, bottom: 912.0, x, y: Scale::around(values) };
    let labels = Labels {
        x: Some(steps_label(&dataset.study.steps)),
        y: Some("similarity (1 − Jensen–Shannon divergence)"),
        ..Labels::default()
    };
    panel.frame(&mut figure, labels);
    for (pair, curve) in &curves {
        band(&mut figure, &panel, curve, color(*pair));
    }
    for (pair, curve) in &curves {
        figure.line(corners(&panel, curve), color(*pair), 3.4);
    }
    let ends: Vec<(String, f64, Color)> = curves
        .iter()
        .filter_map(|(pair, curve)| Some((format!("layers {}–{}", pair.0, pair.1), curve.last()?.mean, color(*pair))))
        .collect();
    end_labels(&mut figure, &panel, &ends);
    figure
}

/// What the colours mean.
fn legend(figure: &mut Figure, distances: usize) {
    let mut x = style::MARGIN;
    for distance in 1..=distances {
        let label = match distance {
            1 => "neighbouring layers".to_owned(),
            _ => format!("{distance} layers apart"),
        };
        figure.line(vec![(x, 124.0), (x + 44.0, 124.0)], style::ordered(distance - 1, distances), 5.0);
        figure.text_level(&label, (x + 54.0, 124.0), style::NOTE, Align::Start);
        x += 54.0 + style::NOTE.width(&label) + 34.0;
    }
}
