//! `train_loss` and `val_loss`: a line for every run, the whole training beside its later part magnified.

use crate::axis::{Labels, Panel, STEPS, Scale, steps_label};
use crate::canvas::{Align, Figure};
use crate::figures::{band, corners, seeds_note};
use crate::inputs::Dataset;
use crate::series::{self, Curve, Summary};
use crate::style;

/// Whose loss is drawn.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Split {
    /// Of the text that is learned.
    Train,
    /// Of text that is held back.
    Val,
}

/// Runs whose curves are the same, and that curve.
struct Group {
    members: Vec<usize>,
    curve: Vec<Summary>,
}

/// Dashes of the runs that do not coincide, so that they are told apart without colours too.
const DASHES: [(f64, f64, f64); 4] = [(1e9, 0.0, 0.0), (22.0, 9.0, 0.0), (5.0, 7.0, 0.0), (22.0, 7.0, 11.0)];
/// The length of a member's part of a striped line.
const STRIPE: f64 = 22.0;
/// More points of single batches than this are not told apart.
const MOST_BATCHES: usize = 1500;

/// Draws the figure.
pub fn figure(dataset: &Dataset, split: Split) -> Figure {
    let runs: Vec<Vec<Curve>> = dataset
        .losses
        .iter()
        .map(|run| {
            let value = |row: &schemas::tables::Evaluations| match split {
                Split::Train => row.train_loss,
                Split::Val => row.val_loss,
            };
            run.evaluations.iter().map(|rows| rows.iter().map(|row| (row.step, value(row))).collect()).collect()
        })
        .collect();
    let groups: Vec<Group> = series::coinciding(&runs)
        .into_iter()
        .map(|members| {
            let curves: Vec<_> = members.iter().map(|&member| &runs[member]).collect();
            Group { curve: series::over_seeds(&series::union(&curves)), members }
        })
        .collect();
    let batches = if split == Split::Train { batches(dataset) } else { Vec::new() };

    let (name, title, quantity) = match split {
        Split::Train => ("train_loss", "How well the model predicts the text that it learns from", "training loss"),
        Split::Val => ("val_loss", "How well the model predicts text that it has not seen", "validation loss"),
    };
    let subtitle = format!("{} · {}", dataset.study.name, seeds_note(dataset));
    let mut figure = Figure::new(name, title, &subtitle, caption(split, dataset, &groups), (style::WIDTH, 920.0));
    let rows = legend(&mut figure, dataset, &groups, !batches.is_empty());

    let last = groups.iter().flat_map(|group| &group.curve).map(|point| point.step).max().unwrap_or(0);
    let from = last / 4;
    let (top, bottom) = (166.0 + rows, figure.height - 88.0);
    let label = format!("{quantity} (nats per character)");
    let heading = format!("from step {} on, magnified", crate::number::decimals(f64::from(from), 0));
    for (left, right, first, y, heading) in
        [(160.0, 770.0, 0, Some(label.as_str()), "the whole training"), (910.0, 1556.0, from, None, heading.as_str())]
    {
        let seen = |point: &&Summary| point.step >= first;
        let low_high = |point: &Summary| <[f64; 2]>::from(point.low_high());
        let values = groups.iter().flat_map(|group| &group.curve).filter(seen).flat_map(low_high);
        let values = values.chain(batches.iter().filter(seen).map(|point| point.mean));
        let steps = &dataset.study.steps;
        // The magnified part is linear always: what the logarithm presses together is seen there.
        let (x, along) = match first {
            0 if steps.last() == Some(last) => (Scale::of_steps(steps), steps_label(steps)),
            _ => (Scale::new(f64::from(first), f64::from(last)), STEPS),
        };
        let panel = Panel { left, top, right, bottom, x, y: Scale::around(values) };
        panel.frame(&mut figure, Labels { x: Some(along), y, heading: Some(heading), ..Labels::default() });
        let batches: Vec<_> = batches.iter().filter(seen).copied().collect();
        figure.line(corners(&panel, &batches), style::FAINT, 1.5);
        for group in &groups {
            let curve: Vec<_> = group.curve.iter().filter(seen).copied().collect();
            draw(&mut figure, &panel, group, &curve);
        }
    }
    figure
}

fn draw(figure: &mut Figure, panel: &Panel, group: &Group, curve: &[Summary]) {
    let line = corners(panel, curve);
    if let [alone] = line[..] {
        figure.disc(alone, 5.0, style::MUTED, 1.0);
        return;
    }
    let color = |member: usize| style::DISTINCT[member % style::DISTINCT.len()];
    if let [alone] = group.members[..] {
        band(figure, panel, curve, color(alone));
        figure.dashes(&line, DASHES[alone % DASHES.len()], color(alone), 3.6);
        return;
    }
    band(figure, panel, curve, style::MUTED);
    let stripes = group.members.len() as f64;
    for (turn, &member) in group.members.iter().enumerate() {
        let pattern = (STRIPE, STRIPE * (stripes - 1.0), -STRIPE * turn as f64);
        figure.dashes(&line, pattern, color(member), 4.2);
    }
}

/// The mean over seeds of single batches' losses, thinned out to what can be seen.
fn batches(dataset: &Dataset) -> Vec<Summary> {
    let Some(run) = dataset.losses.last() else { return Vec::new() };
    let curves: Vec<Curve> =
        run.training_log.iter().map(|rows| rows.iter().map(|row| (row.step, row.loss)).collect()).collect();
    let all = series::over_seeds(&curves);
    let every = all.len().div_ceil(MOST_BATCHES).max(1);
    all.into_iter().step_by(every).collect()
}

/// Draws the legend, a row for each group; says how high it is.
fn legend(figure: &mut Figure, dataset: &Dataset, groups: &[Group], batches: bool) -> f64 {
    let line_height = 34.0;
    let mut y = 124.0;
    for group in groups {
        let mut x = style::MARGIN;
        for &member in &group.members {
            let run = &dataset.losses[member].run;
            let pattern = if group.members.len() > 1 { (1e9, 0.0, 0.0) } else { DASHES[member % DASHES.len()] };
            let color = style::DISTINCT[member % style::DISTINCT.len()];
            figure.dashes(&[(x, y), (x + 44.0, y)], pattern, color, 4.2);
            let label = if run.label == run.name { run.name.clone() } else { format!("{}: {}", run.name, run.label) };
            let width = style::NOTE.width(&label);
            if x + 54.0 + width > figure.width - style::MARGIN {
                figure.text_level(&run.name, (x + 54.0, y), style::NOTE, Align::Start);
                x += 54.0 + style::NOTE.width(&run.name) + 34.0;
            } else {
                figure.text_level(&label, (x + 54.0, y), style::NOTE, Align::Start);
                x += 54.0 + width + 34.0;
            }
        }
        if group.members.len() > 1 {
            y += line_height;
            let note = format!("{}: the striped line is all of them, {}", together(dataset, group), EQUAL);
            figure.text_level(&note, (style::MARGIN, y), style::NOTE.bold(), Align::Start);
        }
        y += line_height;
    }
    if batches {
        figure.line(vec![(style::MARGIN, y), (style::MARGIN + 44.0, y)], style::FAINT, 3.0);
        let name = dataset.losses.last().map_or("", |run| run.run.name.as_str());
        let note = format!("single training batches ({name}, mean over seeds)");
        figure.text_level(&note, (style::MARGIN + 54.0, y), style::NOTE, Align::Start);
        y += line_height;
    }
    y - 124.0
}

const EQUAL: &str = "equal bit for bit";

/// `run_0 to run_3 coincide`.
fn together(dataset: &Dataset, group: &Group) -> String {
    let names: Vec<&str> = group.members.iter().map(|&member| dataset.losses[member].run.name.as_str()).collect();
    let consecutive = group.members.windows(2).all(|pair| pair[1] == pair[0] + 1);
    match names[..] {
        [first, .., last] if consecutive && names.len() > 2 => format!("{first} to {last} coincide"),
        _ => format!("{} coincide", names.join(" and ")),
    }
}

fn caption(split: Split, dataset: &Dataset, groups: &[Group]) -> String {
    let what = match split {
        Split::Train => {
            "Cross-entropy on the training text: the coloured line over evaluation batches, the grey one over the single \
             batches that were learned from."
        }
        Split::Val => "Cross-entropy on the validation text, which training never sees.",
    };
    let reading = " Lower is better; the right panel is the later part of the left one, magnified.";
    let same = groups.iter().filter(|group| group.members.len() > 1).map(|group| {
        let parts = "tracking, snapshots and measuring change nothing that is learned";
        format!(" {}, {EQUAL} at every shared step and seed: {parts}.", together(dataset, group))
    });
    [what.to_owned(), reading.to_owned()].into_iter().chain(same).collect()
}
