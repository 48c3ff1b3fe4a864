//! `generation_quality`: quality of generated text over training, beside real text and baselines.

use cli::number;
use declarations::FigureName;
use schemas::enums::TextSource;
use schemas::tables::SampleScores;

use crate::axis::{Labels, Panel, Scale, steps_label};
use crate::canvas::{Align, Figure, Heading};
use crate::data::Cell;
use crate::figures::{EndLabel, end_label_room, end_labels, points, seeds_note};
use crate::inputs::{Dataset, QualityTables};
use crate::series::{self, Curve, Summary};
use crate::style::{self, Color, Look, Stroke};

/// The reference texts: source, label, colour.
const REFERENCES: [(TextSource, &str, Color); 3] = [
    (TextSource::Validation, "real text", style::GREEN),
    (TextSource::Trigram, "trigram model", style::ORANGE),
    (TextSource::Shuffled, "shuffled text", style::PURPLE),
];
const MODEL: Color = style::BLUE;
const AXIS: &str = "quality (standard deviations from real text, log scale)";

/// Texts of one source: their distances from real text, which are their negated qualities, in ascending order.
struct Strip {
    label: String,
    color: Color,
    distances: Vec<f64>,
}

/// What is said where no text has a quality.
const NO_QUALITY: &str = "No text has a quality, which is a distance from real texts in their standard deviations: that takes several real \
                          texts that differ, and the validation split has fewer.";

/// Draws the figure, which says so if no text has a score.
pub fn figure(dataset: &Dataset, quality: &QualityTables, look: Look) -> Figure {
    // Quality is negative: a logarithmic axis needs the distance.
    let distance = |row: &SampleScores| row.quality.map(|quality| -quality).filter(|distance| *distance > 0.0);
    let model = |row: &&SampleScores| row.source == TextSource::Model;
    let mean_quality = |rows: &Vec<SampleScores>| -> Curve {
        series::mean_by_step(rows.iter().filter(model).filter_map(|row| Some((row.step?, row.quality?))))
    };
    let curve = series::over_seeds(&quality.rows.iter().map(mean_quality).collect::<Vec<_>>());
    let references: Vec<Strip> = REFERENCES
        .into_iter()
        .map(|(source, label, color)| {
            let rows = quality.rows.first().into_iter().flatten().filter(|row| row.source == source);
            let mut distances: Vec<f64> = rows.filter_map(distance).collect();
            distances.sort_by(f64::total_cmp);
            Strip { label: label.to_owned(), color, distances }
        })
        .filter(|strip| !strip.distances.is_empty())
        .collect();
    let rows = quality.rows.iter().flatten().filter(model);
    let samples: Vec<(u32, f64)> = rows.filter_map(|row| Some((row.step?, distance(row)?))).collect();
    let last = samples.iter().map(|(step, _)| *step).max();

    let heading = Heading {
        name: FigureName::GenerationQuality,
        title: "Quality of generated text",
        subtitle: format!(
            "{} · {} · {} · light dots: single samples",
            dataset.study.name,
            quality.run,
            seeds_note(dataset)
        ),
        caption: "Quality is the negative mean distance of five text statistics from those of real text, in standard \
                  deviations of real text; higher is closer to real text. The axis is logarithmic. Over training: samples at every \
                  snapshot; shaded: interquartile range of real text, a trigram model and shuffled text. Single texts: every \
                  scored text; bars: means."
            .to_owned(),
        columns: &["panel", "source", "step", "quality", "standard_error"],
    };
    let height = look.either(662.0, 380.0);
    let (top, below) = (48.0, 48.0 + height + 150.0);
    let mut figure = Figure::new(look, heading, look.either(top, below) + height + 88.0);
    let Some(last) = last else {
        for (line, text) in style::NOTE.wrap(NO_QUALITY, look.right() - look.axis_left()).iter().enumerate() {
            let y = top + style::NOTE.size * style::LINE * line as f64;
            figure.text(text, (look.axis_left(), y), style::NOTE, Align::Start);
        }
        return figure;
    };

    let all = references.iter().flat_map(|strip| strip.distances.iter().copied());
    let y = Scale::around_logarithmic(samples.iter().map(|(_, distance)| *distance).chain(all)).negated();
    let x = Scale::of_steps(&dataset.study.steps);
    let names = references.iter().map(|strip| strip.label.as_str()).chain(["model"]);
    // Panels beside each other, or below.
    let (left, room) = (look.axis_left() + 10.0, end_label_room(names));
    let right = look.either(left + 0.48 * (look.right() - left), look.right() - room);
    let over = Panel { left, top, right, bottom: top + height, x, y };
    let labels = Labels {
        x: Some(steps_label(&dataset.study.steps)),
        y: Some(AXIS),
        heading: Some("over training"),
        ..Labels::default()
    };
    over.frame(&mut figure, labels);
    for Strip { color, distances, .. } in &references {
        let quantile = |fraction: f64| distances[((distances.len() - 1) as f64 * fraction).round() as usize];
        let (near, far) = (over.y_at(quantile(0.25)), over.y_at(quantile(0.75)));
        figure.rectangle((over.left, near), (over.right, far), *color, 0.28);
    }
    for (step, distance) in &samples {
        figure.disc(over.point(f64::from(*step), *distance), 3.6, MODEL, 0.22);
    }
    draw_means(&mut figure, &over, &curve);
    let model_end = curve.last().map(|point| -point.mean).filter(|distance| *distance > 0.0);
    let model_end = model_end.map(|value| EndLabel { text: "model".to_owned(), value, color: MODEL });
    let medians = references.iter().map(|strip| {
        let Strip { label, color, distances } = strip;
        EndLabel { text: label.clone(), value: distances[distances.len() / 2], color: *color }
    });
    end_labels(&mut figure, &over, &model_end.into_iter().chain(medians).collect::<Vec<_>>());

    let finals = samples.iter().filter(|(step, _)| *step == last).map(|(_, distance)| *distance).collect();
    let model = Strip { label: format!("model, step {}", number::integer(last)), color: MODEL, distances: finals };
    let strips: Vec<Strip> = std::iter::once(model).chain(references).collect();
    let left = look.either(over.right + room + 20.0, over.left);
    let top = look.either(top, below);
    let x = Scale::new(0.0, strips.len() as f64);
    let each = Panel { left, right: look.right(), top, bottom: top + height, x, ..over };
    let labels = Labels {
        heading: Some("single texts"),
        y: look.is_narrow().then_some(AXIS),
        categorical_x: true,
        shared_y: !look.is_narrow(),
        ..Labels::default()
    };
    each.frame(&mut figure, labels);
    for (index, strip) in strips.iter().enumerate() {
        draw_strip(&mut figure, &each, index, strip);
    }
    for (step, distance) in &samples {
        figure.data.row(["samples".into(), "model".into(), (*step).into(), (-distance).into(), Cell::Empty]);
    }
    for Summary { step, mean, stderr } in &curve {
        let (step, mean, stderr) = ((*step).into(), (*mean).into(), (*stderr).into());
        figure.data.row(["mean over seeds".into(), "model".into(), step, mean, stderr]);
    }
    for strip in &strips[1..] {
        for distance in &strip.distances {
            let source = strip.label.clone().into();
            figure.data.row(["single texts".into(), source, Cell::Empty, (-distance).into(), Cell::Empty]);
        }
    }
    figure
}

/// Draws the model's mean over seeds with its standard error.
fn draw_means(figure: &mut Figure, panel: &Panel, curve: &[Summary]) {
    let distances: Vec<Summary> =
        curve.iter().map(|point| Summary { mean: -point.mean, ..*point }).filter(|point| point.mean > 0.0).collect();
    if distances.len() > 1 && distances.iter().all(|point| point.stderr.is_some()) {
        // The lower end may be below 0, which a logarithmic axis does not have.
        let edge =
            |point: &Summary, end: usize| panel.point(f64::from(point.step), point.low_high()[end].max(panel.y.low()));
        let near = distances.iter().map(|point| edge(point, 0));
        let far = distances.iter().rev().map(|point| edge(point, 1));
        figure.area(near.chain(far).collect(), MODEL, 0.25);
    }
    let line = points(panel, &distances);
    for point in &line {
        figure.disc(*point, 6.0, MODEL, 1.0);
    }
    figure.line(line, Stroke::new(MODEL, 3.6));
}

/// Draws one source's texts as dots and their mean as a bar.
fn draw_strip(figure: &mut Figure, panel: &Panel, index: usize, Strip { label, color, distances }: &Strip) {
    let middle = index as f64 + 0.5;
    for (number, distance) in distances.iter().enumerate() {
        // Multiples of the golden ratio spread dots evenly, and neighbours in value far from each other.
        let offset = (number as f64 * 0.618_033_988_75).fract() - 0.5;
        figure.disc(panel.point(middle + 0.5 * offset, *distance), 4.0, *color, 0.45);
    }
    if let Some((mean, _)) = series::mean_stderr(distances) {
        let bar = vec![panel.point(middle - 0.34, mean), panel.point(middle + 0.34, mean)];
        figure.line(bar, Stroke::new(Color::Ink, 3.6));
    }
    for (line, text) in style::TICK.wrap(label, (panel.right - panel.left) / panel.x.high() - 6.0).iter().enumerate() {
        let y = panel.bottom + 24.0 + line as f64 * style::TICK.size * style::LINE;
        figure.text_centred(text, (panel.x_at(middle), y), style::TICK.color(Color::Ink), Align::Middle);
    }
}
