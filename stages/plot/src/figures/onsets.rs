//! `onsets`: what happens when while the model learns, in order, on the axis of the steps.

use schemas::enums::Event;
use schemas::tables::Onsets;

use crate::axis::{Labels, Panel, Scale, steps_label};
use crate::canvas::{Align, Figure};
use crate::inputs::{AttentionTables, Dataset};
use crate::number;
use crate::style::{self, Color};

/// What appears, in words.
const APPEARS: [(Event, &str); 4] = [
    (Event::PreviousTokenHead, "a previous-character head"),
    (Event::InductionHead, "an induction head"),
    (Event::AttentionSink, "a head that rests on the first character"),
    (Event::LayerSpecialisation, "layers that attend differently"),
];

/// What a metric is called. Of two that are each other's complement one is shown.
const CHANGES: [(&str, &str); 17] = [
    ("entropy_nats", "entropy"),
    ("normalized_entropy", "entropy over its maximum"),
    ("mean_distance", "distance of attention"),
    ("span_90", "span of 90 % of attention"),
    ("local_mass_3", "share on the last three"),
    ("first_token_mass", "share on the first character"),
    ("self_mass", "share on the character itself"),
    ("previous_token_score", "share on the previous one"),
    ("duplicate_token_score", "share on equal characters"),
    ("induction_score", "induction score"),
    ("head_variance", "variance between heads"),
    ("head_js_divergence", "divergence between heads"),
    ("dominant_head_share", "largest head's share of output"),
    ("js_divergence", "divergence between layers"),
    ("cosine_similarity", "cosine of layers"),
    ("centered_cosine_similarity", "centred cosine of layers"),
    ("val_loss", "validation loss"),
];

/// Events with what they are called.
type Named<'tables> = Vec<(String, &'tables Onsets)>;

const ROW: f64 = 38.0;
const HEADING: f64 = 58.0;
/// Where the rows' words, the panel and the values begin, and where the panel ends.
const LEFT: f64 = 480.0;
const RIGHT: f64 = 1290.0;

/// Draws the figure.
pub fn figure(dataset: &Dataset, attention: &AttentionTables) -> Figure {
    let of_all = || attention.onsets.iter().filter(|row| row.layer.is_none());
    let appear: Named<'_> = of_all()
        .filter_map(|row| Some((APPEARS.iter().find(|(event, _)| *event == row.event)?.1.to_owned(), row)))
        .collect();
    let change: Named<'_> = of_all()
        .filter(|row| row.event == Event::ChangePoint)
        .filter_map(|row| Some((direction(CHANGES.iter().find(|(metric, _)| *metric == row.metric)?.1, row), row)))
        .collect();
    let blocks: Vec<(&str, Color, Named<'_>)> = [
        ("what appears, at half of its rise", style::BLUE, in_order(appear)),
        ("when a metric's level changes, averaged over heads or pairs of layers", style::VERMILION, in_order(change)),
    ]
    .into_iter()
    .filter(|(.., rows)| !rows.is_empty())
    .collect();

    let seeds = match dataset.study.seeds.len() {
        1 => "one seed, so no interval".to_owned(),
        seeds => format!("dot: mean of {seeds} seeds, bar: 95 % interval"),
    };
    let subtitle =
        format!("{} · {} · {seeds}, pale: between which snapshots in each seed", dataset.study.name, attention.run);
    let caption = "Events in the order in which they come. A head, or layers that differ, appear where the best head's score, or \
                   the mean divergence of layers, is first half-way from its baseline to its maximum at two snapshots in a row; \
                   what rises by less than a stated margin does not appear. A level changes where two levels fit a metric best, \
                   if they explain half of its variance; a metric that drifts evenly changes in its middle, on \
                   the axis drawn here, and one that falls fastest at once later than that. Means and intervals are of the logarithm of the step. Where bars overlap, the order is not certain; no event is known better than the \
                   two snapshots that it lies between."
        .to_owned();
    let rows: usize = blocks.iter().map(|(.., rows)| rows.len()).sum();
    let top = 124.0;
    let bottom = top + HEADING * blocks.len() as f64 + ROW * rows as f64 + 6.0;
    let size = (style::WIDTH, (bottom + 96.0).max(500.0));
    let mut figure =
        Figure::new("onsets", "What happens to attention when, as the model learns", &subtitle, caption, size);
    let (x, y) = (Scale::of_steps(&dataset.study.steps), Scale::new(0.0, 1.0));
    let panel = Panel { left: LEFT, top, right: RIGHT, bottom, x, y };
    let labels = Labels { x: Some(steps_label(&dataset.study.steps)), rows: true, ..Labels::default() };
    panel.frame(&mut figure, labels);

    let mut height = top;
    for (heading, color, rows) in &blocks {
        let middle = height + HEADING / 2.0 + 4.0;
        figure.rectangle((LEFT - 2.0, height), (RIGHT + 2.0, height + HEADING - 6.0), style::PAPER, 1.0);
        figure.text_level(heading, (style::MARGIN, middle), style::HEADING, Align::Start);
        figure.text_level("step [95 % interval]", (RIGHT + 26.0, middle), style::TICK, Align::Start);
        height += HEADING;
        for (words, row) in rows {
            event(&mut figure, &panel, height + ROW / 2.0, (words, row), *color);
            height += ROW;
        }
    }
    figure
}

/// By their place in time; what does not happen last.
fn in_order(mut rows: Named<'_>) -> Named<'_> {
    rows.sort_by_key(|(_, row)| row.rank.unwrap_or(u32::MAX));
    rows
}

/// What a metric does.
fn direction(words: &str, row: &Onsets) -> String {
    match (row.n, row.change) {
        (1.., Some(change)) if change < 0.0 => format!("{words} falls"),
        (1.., Some(_)) => format!("{words} rises"),
        _ => words.to_owned(),
    }
}

/// One event in its row.
fn event(figure: &mut Figure, panel: &Panel, y: f64, (words, row): (&str, &Onsets), color: Color) {
    let ink = if row.n > 0 { style::INK } else { style::MUTED };
    figure.text_level(words, (LEFT - 20.0, y), style::NOTE.color(ink), Align::End);
    let Some(value) = row.value else {
        let why = row.reason.as_deref().unwrap_or("it does not happen");
        let lines = style::TICK.wrap(&format!("no: {why}"), figure.width - style::MARGIN - LEFT - 30.0);
        let rest = if lines.len() > 1 { " …" } else { "" };
        let words = format!("{}{rest}", lines.first().map_or("", String::as_str));
        let from = LEFT + 12.0;
        let to = from + style::TICK.width(&words);
        figure.rectangle((from - 4.0, y - 16.0), (to + 4.0, y + 16.0), style::PAPER, 1.0);
        figure.text_level(&words, (from, y), style::TICK, Align::Start);
        return;
    };
    for (before, step) in row.steps_before.iter().zip(&row.steps) {
        let (from, to) = (panel.across(f64::from(*before)), panel.across(f64::from(*step)));
        figure.rectangle((from, y - 11.0), (to, y + 11.0), color, 0.16);
    }
    if let (Some(low), Some(high)) = (row.low, row.high) {
        let (from, to) = (panel.across(low).max(panel.left), panel.across(high).min(panel.right));
        figure.line(vec![(from, y), (to, y)], color, 4.0);
        end(figure, (from, y), (low < panel.x.low(), -1.0), color);
        end(figure, (to, y), (high > panel.x.high(), 1.0), color);
    }
    figure.disc((panel.across(value), y), 8.0, color, 1.0);
    figure.text_level(&time(row), (RIGHT + 26.0, y), style::TICK.color(style::INK), Align::Start);
}

/// The end of an interval: a stroke across, or an arrow's head where it goes on outside the panel.
fn end(figure: &mut Figure, (x, y): (f64, f64), (outside, outwards): (bool, f64), color: Color) {
    if outside {
        let back = x - 13.0 * outwards;
        figure.area(vec![(x, y), (back, y - 8.0), (back, y + 8.0)], color, 1.0);
    } else {
        figure.line(vec![(x, y - 7.0), (x, y + 7.0)], color, 3.0);
    }
}

/// The step with its interval, and how many seeds they are of if those are not all. Where the snapshots cannot tell the seeds
/// apart, the two snapshots instead: that interval would have no width.
fn time(row: &Onsets) -> String {
    let step = |step: f64| number::decimals(step, if step < 10.0 && step.fract() > 0.0 { 1 } else { 0 });
    if let ([first, _, ..], [before, ..]) = (&row.steps[..], &row.steps_before[..])
        && row.n == row.seeds
        && row.steps.iter().all(|step| step == first)
    {
        return format!("{}–{} in every seed", step(f64::from(*before)), step(f64::from(*first)));
    }
    let interval = match (row.low, row.high) {
        (Some(low), Some(high)) => format!(" [{}, {}]", step(low), step(high)),
        _ => String::new(),
    };
    let some = if row.n < row.seeds { format!(", {} of {} seeds", row.n, row.seeds) } else { String::new() };
    format!("{}{interval}{some}", row.value.map_or_else(String::new, step))
}
