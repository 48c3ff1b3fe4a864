//! `generation_quality`: how near generated text comes to real text, over steps and text by text.

use schemas::enums::TextSource;
use schemas::tables::SampleScores;

use crate::axis::{Labels, Panel, Scale, steps_label};
use crate::canvas::{Align, Figure};
use crate::figures::seeds_note;
use crate::inputs::{Dataset, QualityTables};
use crate::series::{self, Summary};
use crate::style::{self, Color};

/// The references, with how they are called and coloured.
const REFERENCES: [(TextSource, &str, Color); 3] = [
    (TextSource::Validation, "real text", style::GREEN),
    (TextSource::Trigram, "trigram model", style::ORANGE),
    (TextSource::Shuffled, "shuffled text", style::PURPLE),
];
const MODEL: Color = style::BLUE;

/// Draws the figure; nothing if no text has a score.
pub fn figure(dataset: &Dataset, quality: &QualityTables) -> Option<Figure> {
    // Quality is minus a distance: the distance is what a logarithmic axis can show.
    let distance = |row: &SampleScores| row.quality.map(|quality| -quality).filter(|distance| *distance > 0.0);
    let model = |row: &&SampleScores| row.source == TextSource::Model;
    let seeds: Vec<series::Curve> = quality
        .rows
        .iter()
        .map(|rows| series::mean_by_step(rows.iter().filter(model).filter_map(|row| Some((row.step?, row.quality?)))))
        .collect();
    let curve = series::over_seeds(&seeds);
    let references: Vec<(&str, Color, Vec<f64>)> = REFERENCES
        .into_iter()
        .map(|(source, label, color)| {
            let rows = quality.rows.first().into_iter().flatten().filter(|row| row.source == source);
            let mut distances: Vec<f64> = rows.filter_map(distance).collect();
            distances.sort_by(f64::total_cmp);
            (label, color, distances)
        })
        .filter(|(_, _, distances)| !distances.is_empty())
        .collect();
    let rows = || quality.rows.iter().flatten();
    let single: Vec<(u32, f64)> = rows().filter(model).filter_map(|row| Some((row.step?, distance(row)?))).collect();
    if single.is_empty() {
        return None;
    }

    let subtitle =
        format!("{} · {} · {} · light dots: single samples", dataset.study.name, quality.run, seeds_note(dataset));
    let caption = "Quality is the mean distance of five text statistics from real text's, in standard deviations of real \
                   text, with a minus sign: higher is nearer. The axis is logarithmic. Left: samples at every snapshot, \
                   against the middle half of the scores that real text, a trigram model and shuffled text get. Right: \
                   every scored text one by one; the bar is the mean."
        .to_owned();
    let title = "How near generated text comes to real text";
    let mut figure = Figure::new("generation_quality", title, &subtitle, caption, (style::WIDTH, 900.0));

    let all = single.iter().map(|(_, distance)| *distance).chain(references.iter().flat_map(|(_, _, all)| all.clone()));
    // Nearer is better and higher: the axis runs downwards.
    let y = Scale::around_logarithmic(all).reversed();
    let x = Scale::of_steps(&dataset.study.steps);
    let over = Panel { left: 170.0, top: 150.0, right: 850.0, bottom: 812.0, x, y };
    let heading = Some("over training");
    over.frame(
        &mut figure,
        Labels {
            x: Some(steps_label(&dataset.study.steps)),
            y: Some("quality (standard deviations from real text)"),
            heading,
            ..Labels::default()
        },
    );
    for (_, color, distances) in &references {
        let quartile = |share: f64| distances[((distances.len() - 1) as f64 * share).round() as usize];
        let (near, far) = (over.up(quartile(0.25)), over.up(quartile(0.75)));
        figure.rectangle((over.left, near), (over.right, far), *color, 0.28);
    }
    for (step, distance) in &single {
        figure.disc(over.at(f64::from(*step), *distance), 3.6, MODEL, 0.22);
    }
    means(&mut figure, &over, &curve);
    let end =
        curve.last().map(|point| ("model".to_owned(), -point.mean, MODEL)).filter(|(_, distance, _)| *distance > 0.0);
    let middles = references.iter().map(|(label, color, all)| ((*label).to_owned(), all[all.len() / 2], *color));
    crate::figures::end_labels(&mut figure, &over, &end.into_iter().chain(middles).collect::<Vec<_>>());

    let last = single.iter().map(|(step, _)| *step).max().unwrap_or(0);
    let finals: Vec<f64> = single.iter().filter(|(step, _)| *step == last).map(|(_, distance)| *distance).collect();
    let label = format!("model, step {}", crate::number::decimals(f64::from(last), 0));
    let strips: Vec<(&str, Color, Vec<f64>)> =
        [(label.as_str(), MODEL, finals)].into_iter().chain(references.clone()).collect();
    let x = Scale::new(0.0, strips.len() as f64);
    let each = Panel { left: 1060.0, right: 1556.0, x, ..over };
    each.frame(
        &mut figure,
        Labels { heading: Some("text by text"), categories: true, shared: true, ..Labels::default() },
    );
    for (number, (label, color, distances)) in strips.iter().enumerate() {
        strip(&mut figure, &each, number, (label, *color), distances);
    }
    Some(figure)
}

/// The model's mean over seeds with its standard error.
fn means(figure: &mut Figure, panel: &Panel, curve: &[Summary]) {
    let mirrored: Vec<Summary> =
        curve.iter().map(|point| Summary { mean: -point.mean, ..*point }).filter(|point| point.mean > 0.0).collect();
    let within = |distance: f64| distance.max(panel.y.low().min(panel.y.high()));
    if mirrored.len() > 1 && mirrored.iter().all(|point| point.stderr.is_some()) {
        let near = mirrored.iter().map(|point| panel.at(f64::from(point.step), within(point.low_high().0)));
        let far = mirrored.iter().rev().map(|point| panel.at(f64::from(point.step), point.low_high().1));
        figure.area(near.chain(far).collect(), MODEL, 0.25);
    }
    let line = crate::figures::corners(panel, &mirrored);
    for point in &line {
        figure.disc(*point, 6.0, MODEL, 1.0);
    }
    figure.line(line, MODEL, 3.6);
}

/// One source's texts as dots around a bar at their mean.
fn strip(figure: &mut Figure, panel: &Panel, number: usize, (label, color): (&str, Color), distances: &[f64]) {
    let middle = number as f64 + 0.5;
    for (place, distance) in distances.iter().enumerate() {
        // Spread evenly by the golden ratio, so that neighbours in value are not neighbours in place.
        let spread = (place as f64 * 0.618_033_988_75).fract() - 0.5;
        figure.disc(panel.at(middle + 0.5 * spread, *distance), 4.0, color, 0.45);
    }
    if let Some((mean, _)) = series::mean_stderr(distances) {
        figure.line(vec![panel.at(middle - 0.34, mean), panel.at(middle + 0.34, mean)], style::INK, 3.6);
    }
    let lines = style::TICK.wrap(label, 120.0);
    for (line, words) in lines.iter().enumerate() {
        let y = panel.bottom + 24.0 + line as f64 * style::TICK.size * style::LINE;
        figure.text_level(words, (panel.across(middle), y), style::TICK.color(style::INK), Align::Middle);
    }
}
