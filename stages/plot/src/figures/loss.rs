//! `train_loss` and `val_loss`: one line per run, the whole training beside an enlargement of its later part.

use cli::number;
use schemas::tables::Evaluations;

use crate::axis::{Labels, Panel, STEPS, Scale, steps_label};
use crate::canvas::{Align, Dashes, Figure, Heading, Point};
use crate::figures::{band, points, seeds_note};
use crate::inputs::Dataset;
use crate::measures::axis_label;
use crate::series::{self, Curve, Summary};
use crate::style::{self, Stroke};

/// Which split's loss is drawn.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Split {
    /// Training.
    Train,
    /// Validation.
    Val,
}

/// Runs with identical curves, and that curve.
struct Group {
    members: Vec<usize>,
    curve: Vec<Summary>,
}

/// Dash patterns by run, so that lines are distinguishable without colour.
const PATTERNS: [Dashes; 4] =
    [Dashes::SOLID, Dashes::new(22.0, 9.0), Dashes::new(5.0, 7.0), Dashes { phase: 11.0, ..Dashes::new(22.0, 7.0) }];
/// The dash of each run on the line of several.
const STRIPE: f64 = 22.0;
/// At most this many mini-batches are drawn.
const MOST_BATCHES: usize = 1500;
/// The legend's top and the height of its rows.
const LEGEND: (f64, f64) = (124.0, 34.0);

/// Draws the figure.
pub fn figure(dataset: &Dataset, split: Split) -> Figure {
    let (name, title, measure) = match split {
        Split::Train => ("train_loss", "Training loss", Evaluations::train_loss),
        Split::Val => ("val_loss", "Validation loss", Evaluations::val_loss),
    };
    let curve = |rows: &Vec<Evaluations>| -> Curve {
        rows.iter().filter_map(|row| Some((row.step, (measure.get)(row)?))).collect()
    };
    let runs: Vec<Vec<Curve>> = dataset.losses.iter().map(|run| run.evaluations.iter().map(curve).collect()).collect();
    let groups: Vec<Group> = series::identical(&runs)
        .into_iter()
        .map(|members| {
            let curves: Vec<_> = members.iter().map(|&member| &runs[member]).collect();
            Group { curve: series::over_seeds(&series::union(&curves)), members }
        })
        .collect();
    let batches = if split == Split::Train { batches(dataset) } else { Vec::new() };

    let subtitle = format!("{} · {}", dataset.study.name, seeds_note(dataset));
    let heading = Heading { name, title, subtitle, caption: caption(split, dataset, &groups) };
    let mut figure = Figure::new(heading, (style::WIDTH, 920.0));
    let below = legend(&mut figure, dataset, &groups, !batches.is_empty());

    let steps = &dataset.study.steps;
    let last = groups.iter().flat_map(|group| &group.curve).map(|point| point.step).max().unwrap_or(0);
    let from = last / 4;
    let label = axis_label(&measure.quantity, dataset.alphabet.unit());
    let enlarged = format!("from step {}", number::integer(from));
    for (left, right, first, y, heading) in
        [(160.0, 770.0, 0, Some(label.as_str()), "all steps"), (910.0, 1556.0, from, None, enlarged.as_str())]
    {
        let shown = |point: &&Summary| point.step >= first;
        let values = groups.iter().flat_map(|group| &group.curve).filter(shown).flat_map(Summary::low_high);
        let values = values.chain(batches.iter().filter(shown).map(|point| point.mean));
        // The enlargement is always linear: it shows what the logarithm compresses.
        let (x, x_label) = match first {
            0 if steps.last() == Some(last) => (Scale::of_steps(steps), steps_label(steps)),
            _ => (Scale::new(f64::from(first), f64::from(last)), STEPS),
        };
        let panel = Panel { left, top: below + 42.0, right, bottom: figure.height - 88.0, x, y: Scale::around(values) };
        panel.frame(&mut figure, Labels { x: Some(x_label), y, heading: Some(heading), ..Labels::default() });
        let batches: Vec<_> = batches.iter().filter(shown).copied().collect();
        figure.line(points(&panel, &batches), Stroke::new(style::FAINT, 1.5));
        for group in &groups {
            let curve: Vec<_> = group.curve.iter().filter(shown).copied().collect();
            draw(&mut figure, &panel, &group.members, &curve);
        }
    }
    figure
}

/// Draws one curve: dashed in the run's pattern, or striped in the colours of all runs that share it.
fn draw(figure: &mut Figure, panel: &Panel, members: &[usize], curve: &[Summary]) {
    let line = points(panel, curve);
    match (&line[..], members) {
        (&[point], _) => figure.disc(point, 5.0, style::MUTED, 1.0),
        (_, &[run]) => {
            band(figure, panel, curve, style::distinct(run));
            figure.dashed(&line, PATTERNS[run % PATTERNS.len()], Stroke::new(style::distinct(run), 3.6));
        }
        _ => {
            band(figure, panel, curve, style::MUTED);
            for (index, &run) in members.iter().enumerate() {
                let pattern =
                    Dashes { on: STRIPE, off: STRIPE * (members.len() - 1) as f64, phase: -STRIPE * index as f64 };
                figure.dashed(&line, pattern, Stroke::new(style::distinct(run), 4.2));
            }
        }
    }
}

/// The loss of mini-batches of the last run, mean over seeds, thinned to what can be seen.
fn batches(dataset: &Dataset) -> Vec<Summary> {
    let Some(run) = dataset.losses.last() else { return Vec::new() };
    let curves: Vec<Curve> =
        run.training_log.iter().map(|rows| rows.iter().map(|row| (row.step, row.loss)).collect()).collect();
    let all = series::over_seeds(&curves);
    let every = all.len().div_ceil(MOST_BATCHES).max(1);
    all.into_iter().step_by(every).collect()
}

/// Draws the legend, a row per group; returns the height below it.
fn legend(figure: &mut Figure, dataset: &Dataset, groups: &[Group], batches: bool) -> f64 {
    let (mut y, row) = LEGEND;
    for group in groups {
        let mut x = style::MARGIN;
        for &member in &group.members {
            let run = &dataset.losses[member].run;
            let pattern = if group.members.len() > 1 { Dashes::SOLID } else { PATTERNS[member % PATTERNS.len()] };
            let full = if run.label == run.name { run.name.clone() } else { format!("{}: {}", run.name, run.label) };
            let fits = x + 54.0 + style::NOTE.width(&full) <= figure.width - style::MARGIN;
            let label = if fits { &full } else { &run.name };
            let color = style::distinct(member);
            x = entry(figure, (x, y), label, |figure, line| figure.dashed(line, pattern, Stroke::new(color, 4.2)));
        }
        if group.members.len() > 1 {
            y += row;
            let note = format!("striped line: {} (bit-identical)", names(dataset, group));
            figure.text_centred(&note, (style::MARGIN, y), style::NOTE.bold(), Align::Start);
        }
        y += row;
    }
    if batches {
        let run = dataset.losses.last().map_or("", |run| run.run.name.as_str());
        let label = format!("mini-batches ({run}, mean over seeds)");
        entry(figure, (style::MARGIN, y), &label, |figure, line| {
            figure.line(line.to_vec(), Stroke::new(style::FAINT, 3.0));
        });
        y += row;
    }
    y
}

/// Draws a legend entry; returns where the next one starts.
fn entry(figure: &mut Figure, (x, y): Point, label: &str, draw: impl Fn(&mut Figure, &[Point])) -> f64 {
    draw(figure, &[(x, y), (x + 44.0, y)]);
    figure.text_centred(label, (x + 54.0, y), style::NOTE, Align::Start);
    x + 54.0 + style::NOTE.width(label) + 34.0
}

/// The names of a group's runs: `run_0 to run_3`.
fn names(dataset: &Dataset, group: &Group) -> String {
    let names: Vec<&str> = group.members.iter().map(|&member| dataset.losses[member].run.name.as_str()).collect();
    let consecutive = group.members.windows(2).all(|pair| pair[1] == pair[0] + 1);
    match names[..] {
        [first, .., last] if consecutive && names.len() > 2 => format!("{first} to {last}"),
        _ => names.join(" and "),
    }
}

fn caption(split: Split, dataset: &Dataset, groups: &[Group]) -> String {
    let what = match split {
        Split::Train => {
            "Cross-entropy on the training split: evaluation batches in colour, the mini-batches of training in grey."
        }
        Split::Val => "Cross-entropy on the validation split.",
    };
    let mut caption = format!("{what} Right: the last three quarters, enlarged.");
    for group in groups.iter().filter(|group| group.members.len() > 1) {
        caption.push_str(&format!(
            " {} are bit-identical at every shared step and seed: tracking, snapshots and metrics do not affect training.",
            names(dataset, group)
        ));
    }
    caption
}
