//! `head_specialisation`: what single heads become, a small panel for each layer and role.

use schemas::tables::HeadMetrics;

use crate::axis::{Labels, Panel, Scale, steps_label};
use crate::canvas::{Align, Figure};
use crate::figures::corners;
use crate::inputs::{AttentionTables, Dataset};
use crate::series;
use crate::style;

/// Draws the figure.
pub fn figure(dataset: &Dataset, attention: &AttentionTables) -> Figure {
    let (layers, heads) = (attention.layers(), attention.heads());
    let seed = dataset.study.seeds.first().copied().unwrap_or_default();
    let subtitle = format!(
        "{} · {}, seed {seed} · a panel for each layer, a line for each head",
        dataset.study.name, attention.run
    );
    let caption = "Single heads of the first seed, since head 0 of one seed has nothing to do with head 0 of another. Top: \
                   the share of attention on the last three characters. Middle: on the previous character. Bottom: in a \
                   repeated random text, on what followed the same character before (induction). Dashed: uniform attention."
        .to_owned();
    let mut figure =
        Figure::new("head_specialisation", "What single heads become", &subtitle, caption, (style::WIDTH, 1180.0));

    let mut x = style::MARGIN;
    for head in 0..heads {
        let color = style::DISTINCT[usize::from(head) % style::DISTINCT.len()];
        figure.line(vec![(x, 124.0), (x + 40.0, 124.0)], color, 4.0);
        figure.text_level(&format!("head {head}"), (x + 50.0, 124.0), style::NOTE, Align::Start);
        x += 54.0 + style::NOTE.width("head 00") + 24.0;
    }
    figure.dashes(&[(x, 124.0), (x + 40.0, 124.0)], (8.0, 7.0, 0.0), style::INK, 1.8);
    figure.text_level("uniform attention", (x + 50.0, 124.0), style::NOTE, Align::Start);
    type Metric = (&'static str, &'static str, fn(&HeadMetrics) -> Option<f64>);
    let metrics: [Metric; 3] = [
        ("local_mass_3", "share on last three", |row| Some(row.local_mass_3)),
        ("previous_token_score", "share on previous", |row| Some(row.previous_token_score)),
        ("induction_score", "induction score", |row| row.induction_score),
    ];
    let Some(rows) = attention.head_metrics.first() else { return figure };
    let (left, top, bottom, gap) = (136.0, 196.0, 1092.0, 48.0);
    let width = (style::WIDTH - style::MARGIN - left + gap) / f64::from(layers.max(1));
    let height = (bottom - top + gap) / 3.0;
    for (row, (metric, label, value)) in metrics.into_iter().enumerate() {
        let all = crate::axis::range(rows.iter().filter_map(value));
        let y = Scale::new(0.0, all.map_or(1.0, |(_, high)| high.max(0.1) * 1.05));
        for layer in 0..layers {
            let left = left + width * f64::from(layer);
            let top = top + height * row as f64;
            let x = Scale::of_steps(&dataset.study.steps);
            let panel = Panel { left, top, right: left + width - gap, bottom: top + height - gap, x, y };
            let heading = format!("layer {layer}");
            panel.frame(
                &mut figure,
                Labels {
                    x: (row == 2).then_some(""),
                    y: (layer == 0).then_some(label),
                    heading: (row == 0).then_some(&heading),
                    shared: layer > 0,
                    ..Labels::default()
                },
            );
            if let Some(baseline) = attention.baselines.iter().find(|row| row.metric == metric) {
                let y = panel.up(baseline.value);
                figure.dashes(&[(panel.left, y), (panel.right, y)], (8.0, 7.0, 0.0), style::INK, 1.8);
            }
            for head in 0..heads {
                let of_head = rows.iter().filter(|row| (row.layer, row.head) == (layer, head));
                let curve = of_head.filter_map(|row| Some((row.step, value(row)?))).collect();
                let color = style::DISTINCT[usize::from(head) % style::DISTINCT.len()];
                figure.line(corners(&panel, &series::over_seeds(&[curve])), color, 2.8);
            }
        }
    }
    figure.text_level(
        steps_label(&dataset.study.steps),
        (f64::midpoint(left, style::WIDTH - style::MARGIN), bottom + 56.0),
        style::LABEL,
        Align::Middle,
    );
    figure
}
