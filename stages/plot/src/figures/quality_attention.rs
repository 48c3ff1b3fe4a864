//! `quality_attention`: attention while generating against the quality of the generated text.

use std::collections::BTreeMap;

use cli::number;
use declarations::FigureName;
use schemas::Measure;
use schemas::enums::{Scope, TextSource};
use schemas::tables::{SampleAttention, SampleScores};

use crate::axis::{Labels, Panel, Scale};
use crate::canvas::{Align, Figure, Heading};
use crate::data::Cell;
use crate::figures::ColorBar;
use crate::inputs::{Dataset, QualityTables};
use crate::measures::axis_label;
use crate::series::{self, mean_stderr};
use crate::style::{self, Color, Look};

const METRICS: [&Measure<SampleAttention>; 2] = [&SampleAttention::normalized_entropy, &SampleAttention::mean_distance];
const QUALITY: &str = "quality (standard deviations)";

/// One generated text.
#[derive(Clone, Copy)]
struct Sample {
    step: u32,
    /// The position of its seed.
    seed: usize,
    number: u16,
    /// The metric's mean over all heads.
    attention: f64,
    quality: f64,
}

/// Draws the figure.
pub fn figure(dataset: &Dataset, quality: &QualityTables, look: Look) -> Figure {
    let heading = Heading {
        name: FigureName::QualityAttention,
        title: "Attention while generating and quality of the text",
        subtitle: format!("{} · {} · attention: mean over all heads", dataset.study.name, quality.run),
        caption: "Over training: one dot per snapshot and seed, the mean over its samples, coloured by the training step (darker is \
                  earlier); both sides change with the step, which confounds their correlation. Final checkpoint: one dot per \
                  sample, coloured by seed; Spearman's correlation is the mean over seeds, with its q-value. Quality is the \
                  negative mean distance of five text statistics from those of real text, in standard deviations."
            .to_owned(),
        columns: &["panel", "metric", "step", "seed", "sample", "attention", "quality"],
    };
    let height = look.either(360.0, 270.0);
    let row = height + 140.0;
    let panels = METRICS.len() * look.either(1, 2);
    let top = 46.0 + ColorBar::HEIGHT;
    let mut figure = Figure::new(look, heading, top + row * panels as f64 - 44.0);
    let left = look.axis_left();
    let middle = look.either(f64::midpoint(left, look.right()) - 60.0, look.axis_right());
    steps_bar(&mut figure, dataset, [left, look.either(left + 420.0, left + 360.0)]);
    for (place, measure) in METRICS.into_iter().enumerate() {
        let samples = samples(quality, measure);
        let last = samples.iter().map(|sample| sample.step).max();
        let finals: Vec<Sample> = samples.iter().filter(|sample| Some(sample.step) == last).copied().collect();
        let means = means(&samples);
        let label = axis_label(&measure.quantity, dataset.alphabet.unit());
        let top = top + row * (place * look.either(1, 2)) as f64;
        let panel = |left: f64, right: f64, top: f64, of: &[Sample]| Panel {
            left,
            top,
            right,
            bottom: top + height,
            x: Scale::around(of.iter().map(|sample| sample.attention)),
            y: Scale::around(of.iter().map(|sample| sample.quality)),
        };
        let over = panel(left, middle, top, &means);
        let labels =
            |heading| Labels { x: Some(&label), y: Some(QUALITY), heading: Some(heading), ..Labels::default() };
        over.frame(&mut figure, labels("over training"));
        let of_steps = Scale::of_steps(&dataset.study.steps);
        for sample in &means {
            let color = Color::Ordered(of_steps.fraction(f64::from(sample.step)));
            figure.disc(over.point(sample.attention, sample.quality), 5.0, color, 0.75);
            rows(&mut figure, ("over training", measure), dataset, sample, None);
        }
        let (left, top) = look.either((middle + 130.0, top), (left, top + row));
        let last = panel(left, look.axis_right(), top, &finals);
        let heading = match correlation(dataset, measure) {
            Some(correlation) => format!("final checkpoint: {correlation}"),
            None => "final checkpoint".to_owned(),
        };
        last.frame(&mut figure, labels(&heading));
        for sample in &finals {
            figure.disc(last.point(sample.attention, sample.quality), 5.6, style::distinct(sample.seed), 0.75);
            rows(&mut figure, ("final checkpoint", measure), dataset, sample, Some(sample.number));
        }
    }
    figure
}

/// The colours of training steps.
fn steps_bar(figure: &mut Figure, dataset: &Dataset, [left, right]: [f64; 2]) {
    let scale = Scale::of_steps(&dataset.study.steps);
    let palette = (0..=255).map(|entry| Color::Ordered(f64::from(entry) / 255.0)).collect();
    let label = crate::axis::steps_label(&dataset.study.steps);
    let ticks: Vec<_> = scale.ticks(4).into_iter().map(|tick| (scale.fraction(tick), scale.label(tick, 4))).collect();
    ColorBar { left, right, top: 0.0, label, palette }.draw(figure, &ticks);
    let text = "final checkpoint: one colour per seed";
    let room = figure.look.right();
    if room - right > style::TICK.width(text) + 40.0 {
        figure.text(text, (room, 18.0), style::TICK, Align::End);
    }
}

/// Every scored sample of the model with its attention, the mean over heads.
fn samples(quality: &QualityTables, measure: &Measure<SampleAttention>) -> Vec<Sample> {
    let mut samples = Vec::new();
    for (seed, (scores, attention)) in quality.rows.iter().zip(&quality.attention).enumerate() {
        let mut heads: BTreeMap<(u32, u16), Vec<f64>> = BTreeMap::new();
        for row in attention.iter().filter(|row| row.source == TextSource::Model) {
            if let Some(value) = (measure.get)(row) {
                heads.entry((row.step, row.sample)).or_default().push(value);
            }
        }
        let of_model = scores.iter().filter(|row| row.source == TextSource::Model);
        samples.extend(of_model.filter_map(|row: &SampleScores| {
            let (step, number) = (row.step?, row.sample);
            let (attention, _) = mean_stderr(heads.get(&(step, number))?)?;
            Some(Sample { step, seed, number, attention, quality: row.quality? })
        }));
    }
    samples
}

/// The mean over the samples of each snapshot and seed.
fn means(samples: &[Sample]) -> Vec<Sample> {
    let seeds = samples.iter().map(|sample| sample.seed + 1).max().unwrap_or(0);
    let of_seed = |seed: usize| {
        let of = |value: fn(&Sample) -> f64| {
            let own = samples.iter().filter(|sample| sample.seed == seed);
            series::mean_by_step(own.map(|sample| (sample.step, value(sample))))
        };
        let (attention, quality) = (of(|sample| sample.attention), of(|sample| sample.quality));
        let both = attention.into_iter().zip(quality.into_values());
        both.map(move |((step, attention), quality)| Sample { step, seed, number: 0, attention, quality })
    };
    (0..seeds).flat_map(of_seed).collect()
}

/// Spearman's correlation over the final checkpoint's samples, and its q-value.
fn correlation(dataset: &Dataset, measure: &Measure<SampleAttention>) -> Option<String> {
    let row = dataset.correlations.iter().find(|row| {
        row.scope == Scope::Generation && row.x == measure.name() && row.layer.is_none() && row.y == "quality"
    })?;
    let q_value = row.q_value.map(|q_value| format!(", q = {}", number::p_value(Some(q_value)).replace("< ", "<")));
    Some(format!("ρ = {}{}", number::decimals(row.spearman?, 2), q_value.unwrap_or_default()).replace("= <", "< "))
}

fn rows(
    figure: &mut Figure,
    (panel, measure): (&'static str, &Measure<SampleAttention>),
    dataset: &Dataset,
    sample: &Sample,
    number: Option<u16>,
) {
    let seed = dataset.study.seeds.get(sample.seed).copied();
    figure.data.row([
        Cell::from(panel),
        measure.name().into(),
        sample.step.into(),
        seed.into(),
        number.into(),
        sample.attention.into(),
        sample.quality.into(),
    ]);
}
