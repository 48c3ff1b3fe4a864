//! `train_loss` and `val_loss`: one line per run, the whole training beside an enlargement of its later part.

use cli::number;
use declarations::FigureName;
use schemas::tables::Evaluations;

use crate::axis::{Labels, Panel, STEPS, Scale, steps_label};
use crate::canvas::{Dashes, Figure, Heading};
use crate::data::Cell;
use crate::figures::{Entry, band, legend, legend_height, points, seeds_note};
use crate::inputs::Dataset;
use crate::measures::axis_label;
use crate::series::{self, Curve, Summary};
use crate::style::{self, Color, Look, Stroke};

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
/// At most this many mini-batches are drawn.
const MOST_BATCHES: usize = 1500;

/// Draws the figure.
pub fn figure(dataset: &Dataset, look: Look, split: Split) -> Figure {
    let (name, title, measure) = match split {
        Split::Train => (FigureName::TrainLoss, "Training loss", Evaluations::train_loss),
        Split::Val => (FigureName::ValLoss, "Validation loss", Evaluations::val_loss),
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
    let entries = entries(dataset, &groups, !batches.is_empty());

    let subtitle = format!("{} · {}", dataset.study.name, seeds_note(dataset));
    let columns = &["series", "step", "mean", "standard_error"];
    let heading = Heading { name, title, subtitle, caption: caption(split, dataset, &groups), columns };
    let top = 8.0 + legend_height(look, &entries) + 46.0;
    let panel_height = look.either(560.0, 300.0);
    let middle = f64::midpoint(look.margin(), look.right());
    // Beside each other, or below.
    let places = look.either(
        [(look.axis_left(), middle - 30.0, top), (middle + 110.0, look.axis_right(), top)],
        [(look.axis_left(), look.axis_right(), top), (look.axis_left(), look.axis_right(), top + panel_height + 136.0)],
    );
    let mut figure = Figure::new(look, heading, places[1].2 + panel_height + 88.0);
    legend(&mut figure, 8.0, &entries);

    let steps = &dataset.study.steps;
    let last = groups.iter().flat_map(|group| &group.curve).map(|point| point.step).max().unwrap_or(0);
    let from = last / 4;
    let label = axis_label(&measure.quantity, dataset.alphabet.unit());
    let enlarged = format!("from step {}", number::integer(from));
    for ((left, right, top), (first, heading)) in places.into_iter().zip([(0, "all steps"), (from, enlarged.as_str())])
    {
        let shown = |point: &&Summary| point.step >= first;
        let values = groups.iter().flat_map(|group| &group.curve).filter(shown).flat_map(Summary::low_high);
        let values = values.chain(batches.iter().filter(shown).map(|point| point.mean));
        // The enlargement is always linear: it shows what the logarithm compresses.
        let (x, x_label) = match first {
            0 if steps.last() == Some(last) => (Scale::of_steps(steps), steps_label(steps)),
            _ => (Scale::new(f64::from(first), f64::from(last)), STEPS),
        };
        let panel = Panel { left, top, right, bottom: top + panel_height, x, y: Scale::around(values) };
        let y = (first == 0 || look.is_narrow()).then_some(label.as_str());
        panel.frame(&mut figure, Labels { x: Some(x_label), y, heading: Some(heading), ..Labels::default() });
        let batches: Vec<_> = batches.iter().filter(shown).copied().collect();
        figure.line(points(&panel, &batches), Stroke::new(Color::Faint, 1.5));
        for (group, entry) in groups.iter().zip(&entries) {
            let curve: Vec<_> = group.curve.iter().filter(shown).copied().collect();
            draw(&mut figure, &panel, entry, &curve);
        }
    }
    for (group, entry) in groups.iter().zip(&entries) {
        rows(&mut figure, &entry.label, &group.curve);
    }
    rows(&mut figure, "mini-batches", &batches);
    figure
}

/// A line per group of identical runs, and the mini-batches.
fn entries(dataset: &Dataset, groups: &[Group], batches: bool) -> Vec<Entry> {
    let mut entries: Vec<Entry> = groups
        .iter()
        .map(|group| {
            let label = match group.members[..] {
                [run] => full_name(dataset, run),
                _ => format!("{} (bit-identical)", names(dataset, group)),
            };
            let first = group.members.first().copied().unwrap_or_default();
            Entry { dashes: PATTERNS[first % PATTERNS.len()], ..Entry::line(label, style::distinct(first)) }
        })
        .collect();
    if batches {
        let run = dataset.losses.last().map_or("", |run| run.run.name.as_str());
        let stroke = Stroke::new(Color::Faint, 3.0);
        entries.push(Entry { stroke, ..Entry::line(format!("mini-batches ({run}, mean over seeds)"), Color::Faint) });
    }
    entries
}

/// Draws one curve.
fn draw(figure: &mut Figure, panel: &Panel, entry: &Entry, curve: &[Summary]) {
    let line = points(panel, curve);
    if let [point] = line[..] {
        figure.disc(point, 5.0, entry.stroke.color, 1.0);
        return;
    }
    band(figure, panel, curve, entry.stroke.color);
    figure.dashed(&line, entry.dashes, Stroke { width: 3.6, ..entry.stroke });
}

fn rows(figure: &mut Figure, series: &str, curve: &[Summary]) {
    for Summary { step, mean, stderr } in curve {
        let stderr = stderr.map_or(Cell::Empty, Cell::from);
        figure.data.row([series.to_owned().into(), (*step).into(), (*mean).into(), stderr]);
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

/// A run's name with its label.
fn full_name(dataset: &Dataset, run: usize) -> String {
    let run = &dataset.losses[run].run;
    if run.label == run.name { run.name.clone() } else { format!("{}: {}", run.name, run.label) }
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
    let mut caption = format!("{what} One panel shows all steps, the other the last three quarters, enlarged.");
    for group in groups.iter().filter(|group| group.members.len() > 1) {
        let full: Vec<String> = group.members.iter().map(|&run| full_name(dataset, run)).collect();
        caption.push_str(&format!(
            " {} ({}) are one line, since they are bit-identical at every shared step and seed: tracking, snapshots and metrics \
             do not affect training.",
            names(dataset, group),
            full.join(", ")
        ));
    }
    caption
}
