//! `onsets`: onsets and change points in order of the training step.

use cli::number;
use declarations::FigureName;
use schemas::enums::Event;
use schemas::tables::Onsets;

use crate::axis::{Labels, Panel, Scale, steps_label};
use crate::canvas::{Align, Figure, Heading, Point};
use crate::inputs::{AttentionTables, Dataset};
use crate::measures::label;
use crate::style::{self, Color, Look, Stroke};

/// Not drawn, since it is 1 − `js_divergence` and changes when that does.
const COMPLEMENT: &str = "js_similarity";

/// Events of one kind, with their labels.
struct Block<'tables> {
    heading: &'static str,
    color: Color,
    rows: Vec<(String, &'tables Onsets)>,
}

/// The places of a figure's parts.
#[derive(Clone, Copy)]
struct Layout {
    /// The height of a row.
    row: f64,
    /// The edges of the panel.
    panel: [f64; 2],
    /// Whether labels and values are above each row's bar rather than beside the panel.
    above: bool,
}

impl Layout {
    const HEADING: f64 = 58.0;

    fn of(look: Look) -> Self {
        if look.is_narrow() {
            return Self { row: 58.0, panel: [look.margin() + 8.0, look.right() - 28.0], above: true };
        }
        Self { row: 38.0, panel: [look.margin() + 436.0, look.right() - 290.0], above: false }
    }

    /// Where a row's label ends or begins, where its value begins or ends, and their height in the row.
    fn text(&self, look: Look) -> ([(f64, Align); 2], f64) {
        let [left, right] = self.panel;
        if self.above {
            return ([(look.margin(), Align::Start), (look.right(), Align::End)], 13.0);
        }
        ([(left - 20.0, Align::End), (right + 26.0, Align::Start)], self.row / 2.0)
    }

    /// The height of a row's bar in the row.
    fn bar(&self) -> f64 {
        if self.above { 39.0 } else { self.row / 2.0 }
    }
}

/// Draws the figure.
pub fn figure(dataset: &Dataset, attention: &AttentionTables, look: Look) -> Figure {
    let layout = Layout::of(look);
    let blocks = blocks(&attention.onsets);
    let seeds = match dataset.study.seeds.len() {
        1 => "one seed, no interval".to_owned(),
        seeds => format!("dot: mean of {seeds} seeds, bar: 95 % interval"),
    };
    let heading = Heading {
        name: FigureName::Onsets,
        title: "Onsets and change points",
        subtitle: format!(
            "{} · {} · {seeds}, shaded: snapshots before and after, per seed",
            dataset.study.name, attention.run
        ),
        caption: "Onset: the score of the best head, or the mean divergence between layers, first reaches the midpoint between \
                  its baseline, uniform attention, and its maximum at two consecutive snapshots; none if it rises by less than \
                  a stated margin. A rise says when attention of that kind grows, not that a head does nothing else: what the \
                  field calls a previous-token or induction head has a score near 1, and the label has the rise. Change point: \
                  the split into two constant levels that fits a metric best; none if it explains less than half of the \
                  variance. A metric that drifts steadily has its change point in the middle of the axis as drawn. Means and \
                  intervals are of the logarithm of the step. Where bars overlap, the order is uncertain. The resolution is \
                  the interval between snapshots."
            .to_owned(),
        columns: &["kind", "event", "metric", "label", "step", "low", "high", "seeds_with", "seeds", "change", "reason"],
    };
    let rows: usize = blocks.iter().map(|block| block.rows.len()).sum();
    let top = 14.0;
    let bottom = top + Layout::HEADING * blocks.len() as f64 + layout.row * rows as f64 + 6.0;
    let mut figure = Figure::new(look, heading, (bottom + 96.0).max(400.0));
    let (x, y) = (Scale::of_steps(&dataset.study.steps), Scale::new(0.0, 1.0));
    let [left, right] = layout.panel;
    let panel = Panel { left, top, right, bottom, x, y };
    let x = Some(steps_label(&dataset.study.steps));
    panel.frame(&mut figure, Labels { x, categorical_y: true, ..Labels::default() });

    let mut height = top;
    let [_, (values, align)] = layout.text(look).0;
    for Block { heading, color, rows } in &blocks {
        let middle = height + Layout::HEADING / 2.0 + 4.0;
        let above = (left - 2.0, height);
        figure.rectangle(above, (right + 2.0, height + Layout::HEADING - 6.0), Color::Paper, 1.0);
        let note = "step [95 % interval]";
        let room = if layout.above { look.right() - look.margin() - style::TICK.width(note) - 16.0 } else { f64::MAX };
        figure.text_centred(heading, (look.margin(), middle), style::HEADING.fit(heading, room), Align::Start);
        figure.text_centred(note, (values, middle), style::TICK, align);
        height += Layout::HEADING;
        for (label, row) in rows {
            draw(&mut figure, &panel, (layout, height), (label, row), *color);
            figure.data.row([
                (*heading).into(),
                row.event.as_str().to_owned().into(),
                row.metric.clone().into(),
                label.clone().into(),
                row.value.into(),
                row.low.into(),
                row.high.into(),
                row.n.into(),
                row.seeds.into(),
                row.change.into(),
                row.reason.clone().into(),
            ]);
            height += layout.row;
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
            heading: "Onset: half of the rise; scores: best head",
            color: style::BLUE,
            rows: onsets.into_iter().map(|row| (event_label(row), row)).collect(),
        },
        Block {
            heading: "Change point: mean over heads or layer pairs",
            color: style::VERMILION,
            rows: changes.into_iter().map(|row| (change_label(row), row)).collect(),
        },
    ];
    blocks.into_iter().filter(|block| !block.rows.is_empty()).collect()
}

/// What rises at an onset, and by how much. The criterion is a rise of the best head's score, which makes no kind of head yet.
fn event_label(row: &Onsets) -> String {
    let what = match row.event {
        Event::ChangePoint => return change_label(row),
        _ => label(&row.metric),
    };
    match (row.n, row.change) {
        (1.., Some(change)) => format!("{what}, +{}", number::decimals(change, 2)),
        _ => what.to_owned(),
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

/// Draws one event in its row, which begins at a height.
fn draw(figure: &mut Figure, panel: &Panel, (layout, top): (Layout, f64), (label, row): (&str, &Onsets), color: Color) {
    let ([(labels, label_align), (values, value_align)], height) = layout.text(figure.look);
    let (line, y) = (top + height, top + layout.bar());
    let ink = if row.n > 0 { Color::Ink } else { Color::Muted };
    let step = step_text(row);
    let room = match layout.above {
        true => figure.look.right() - figure.look.margin() - style::TICK.width(&step) - 16.0,
        false => panel.left - 20.0 - figure.look.margin(),
    };
    if layout.above {
        // Grid lines do not cross text.
        figure.rectangle((panel.left - 2.0, line - 14.0), (panel.right + 2.0, line + 14.0), Color::Paper, 1.0);
    }
    figure.text_centred(label, (labels, line), style::NOTE.color(ink).fit(label, room), label_align);
    let Some(value) = row.value else {
        let reason = row.reason.as_deref().unwrap_or("no reason given");
        let from = panel.left + 12.0;
        let lines = style::TICK.wrap(&format!("none: {reason}"), figure.look.right() - from - 30.0);
        let rest = if lines.len() > 1 { " …" } else { "" };
        let text = format!("{}{rest}", lines.first().map_or("", String::as_str));
        let to = from + style::TICK.width(&text);
        figure.rectangle((from - 4.0, y - 16.0), (to + 4.0, y + 16.0), Color::Paper, 1.0);
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
    figure.text_centred(&step, (values, line), style::TICK.color(Color::Ink), value_align);
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
