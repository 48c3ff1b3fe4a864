//! `onsets`: onsets and change points in order of the training step.

use cli::number;
use schemas::enums::Event;
use schemas::tables::Onsets;

use crate::axis::{Labels, Panel, Scale, steps_label};
use crate::canvas::{Align, Figure, Heading, Point};
use crate::inputs::{AttentionTables, Dataset};
use crate::measures::label;
use crate::style::{self, Color, Stroke};

/// Not drawn, since it is 1 − `js_divergence` and changes when that does.
const COMPLEMENT: &str = "js_similarity";

/// Events of one kind, with their labels.
struct Block<'tables> {
    heading: &'static str,
    color: Color,
    rows: Vec<(String, &'tables Onsets)>,
}

const ROW: f64 = 38.0;
const HEADING: f64 = 58.0;
/// The left and right edge of the panel, between labels and values.
const LEFT: f64 = 480.0;
const RIGHT: f64 = 1290.0;

/// Draws the figure.
pub fn figure(dataset: &Dataset, attention: &AttentionTables) -> Figure {
    let blocks = blocks(&attention.onsets);
    let seeds = match dataset.study.seeds.len() {
        1 => "one seed, no interval".to_owned(),
        seeds => format!("dot: mean of {seeds} seeds, bar: 95 % interval"),
    };
    let heading = Heading {
        name: "onsets",
        title: "Onsets and change points",
        subtitle: format!(
            "{} · {} · {seeds}, shaded: snapshots before and after, per seed",
            dataset.study.name, attention.run
        ),
        caption: "Onset: the score of the best head, or the mean divergence between layers, first reaches the midpoint between \
                  its baseline and its maximum at two consecutive snapshots; none if it rises by less than a stated margin. \
                  Change point: the split into two constant levels that fits a metric best; none if it explains less than half \
                  of the variance. A metric that drifts steadily has its change point in the middle of the axis as drawn. Means \
                  and intervals are of the logarithm of the step. Where bars overlap, the order is uncertain. The resolution \
                  is the interval between snapshots."
            .to_owned(),
    };
    let rows: usize = blocks.iter().map(|block| block.rows.len()).sum();
    let top = 124.0;
    let bottom = top + HEADING * blocks.len() as f64 + ROW * rows as f64 + 6.0;
    let mut figure = Figure::new(heading, (style::WIDTH, (bottom + 96.0).max(500.0)));
    let (x, y) = (Scale::of_steps(&dataset.study.steps), Scale::new(0.0, 1.0));
    let panel = Panel { left: LEFT, top, right: RIGHT, bottom, x, y };
    let x = Some(steps_label(&dataset.study.steps));
    panel.frame(&mut figure, Labels { x, categorical_y: true, ..Labels::default() });

    let mut height = top;
    for Block { heading, color, rows } in &blocks {
        let middle = height + HEADING / 2.0 + 4.0;
        figure.rectangle((LEFT - 2.0, height), (RIGHT + 2.0, height + HEADING - 6.0), style::PAPER, 1.0);
        figure.text_centred(heading, (style::MARGIN, middle), style::HEADING, Align::Start);
        figure.text_centred("step [95 % interval]", (RIGHT + 26.0, middle), style::TICK, Align::Start);
        height += HEADING;
        for (label, row) in rows {
            draw(&mut figure, &panel, height + ROW / 2.0, (label, row), *color);
            height += ROW;
        }
    }
    figure
}

/// The events of all layers together, onsets first, each block in order of time and without events last.
fn blocks(onsets: &[Onsets]) -> Vec<Block<'_>> {
    let mut rows: Vec<&Onsets> = onsets.iter().filter(|row| row.layer.is_none() && row.metric != COMPLEMENT).collect();
    rows.sort_by_key(|row| row.rank.unwrap_or(u32::MAX));
    let (changes, onsets): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.event == Event::ChangePoint);
    let blocks = [
        Block {
            heading: "Onset (half of the rise)",
            color: style::BLUE,
            rows: onsets.into_iter().map(|row| (event_label(row.event), row)).collect(),
        },
        Block {
            heading: "Change point (mean over heads or layer pairs)",
            color: style::VERMILION,
            rows: changes.into_iter().map(|row| (change_label(row), row)).collect(),
        },
    ];
    blocks.into_iter().filter(|block| !block.rows.is_empty()).collect()
}

/// An event's label, from its name: `induction_head`, induction head.
fn event_label(event: Event) -> String {
    match event {
        Event::PreviousTokenHead => "previous-token head".to_owned(),
        other => other.as_str().replace('_', " "),
    }
}

/// A metric and its direction.
fn change_label(row: &Onsets) -> String {
    let label = label(&row.metric);
    match (row.n, row.change) {
        (1.., Some(change)) if change < 0.0 => format!("{label} falls"),
        (1.., Some(_)) => format!("{label} rises"),
        _ => label.to_owned(),
    }
}

/// Draws one event in its row.
fn draw(figure: &mut Figure, panel: &Panel, y: f64, (label, row): (&str, &Onsets), color: Color) {
    let ink = if row.n > 0 { style::INK } else { style::MUTED };
    let font = style::NOTE.color(ink).fit(label, LEFT - 20.0 - style::MARGIN);
    figure.text_centred(label, (LEFT - 20.0, y), font, Align::End);
    let Some(value) = row.value else {
        let reason = row.reason.as_deref().unwrap_or("no reason given");
        let lines = style::TICK.wrap(&format!("none: {reason}"), figure.width - style::MARGIN - LEFT - 30.0);
        let rest = if lines.len() > 1 { " …" } else { "" };
        let text = format!("{}{rest}", lines.first().map_or("", String::as_str));
        let (from, to) = (LEFT + 12.0, LEFT + 12.0 + style::TICK.width(&text));
        figure.rectangle((from - 4.0, y - 16.0), (to + 4.0, y + 16.0), style::PAPER, 1.0);
        figure.text_centred(&text, (from, y), style::TICK, Align::Start);
        return;
    };
    for (before, step) in row.steps_before.iter().zip(&row.steps) {
        let (from, to) = (panel.x_at(f64::from(*before)), panel.x_at(f64::from(*step)));
        figure.rectangle((from, y - 11.0), (to, y + 11.0), color, 0.16);
    }
    if let (Some(low), Some(high)) = (row.low, row.high) {
        let (from, to) = (panel.x_at(low).max(panel.left), panel.x_at(high).min(panel.right));
        figure.line(vec![(from, y), (to, y)], Stroke::new(color, 4.0));
        if low < panel.x.low() {
            arrow(figure, (from, y), -1.0, color)
        } else {
            cap(figure, (from, y), color)
        }
        if high > panel.x.high() { arrow(figure, (to, y), 1.0, color) } else { cap(figure, (to, y), color) }
    }
    figure.disc((panel.x_at(value), y), 8.0, color, 1.0);
    figure.text_centred(&step_text(row), (RIGHT + 26.0, y), style::TICK.color(style::INK), Align::Start);
}

/// The end of an interval within the panel.
fn cap(figure: &mut Figure, (x, y): Point, color: Color) {
    figure.line(vec![(x, y - 7.0), (x, y + 7.0)], Stroke::new(color, 3.0));
}

/// The end of an interval that continues outside the panel, to the right (1) or left (−1).
fn arrow(figure: &mut Figure, (x, y): Point, direction: f64, color: Color) {
    let back = x - 13.0 * direction;
    figure.area(vec![(x, y), (back, y - 8.0), (back, y + 8.0)], color, 1.0);
}

/// The step with its interval, and the number of seeds if not all have the event. Where all seeds have it between the same
/// two snapshots, these: the interval would have no width.
fn step_text(row: &Onsets) -> String {
    let step = |step: f64| number::decimals(step, if step < 10.0 && step.fract() > 0.0 { 1 } else { 0 });
    if let ([first, _, ..], [before, ..]) = (&row.steps[..], &row.steps_before[..])
        && row.n == row.seeds
        && row.steps.iter().all(|step| step == first)
    {
        return format!("{}–{} in every seed", number::integer(*before), number::integer(*first));
    }
    let interval = match (row.low, row.high) {
        (Some(low), Some(high)) => format!(" [{}, {}]", step(low), step(high)),
        _ => String::new(),
    };
    let seeds = if row.n < row.seeds { format!(", {} of {} seeds", row.n, row.seeds) } else { String::new() };
    format!("{}{interval}{seeds}", row.value.map_or_else(String::new, step))
}
