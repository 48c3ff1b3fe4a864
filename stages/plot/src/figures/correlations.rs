//! `correlations`: correlations of attention with loss and scores of generated text, as heat maps: over training raw and
//! partial, and over the final checkpoint's samples.

use declarations::FigureName;
use schemas::enums::Scope;
use schemas::tables::Correlations;

use crate::canvas::{Align, Figure, Heading, Raster};
use crate::figures::ColorBar;
use crate::inputs::Dataset;
use crate::measures::label;
use crate::style::{self, Color, Look};

/// A correlation with at most this q-value is marked.
const LEVEL: f64 = 0.05;
/// The palette's entries: −1 to 1, and one for cells without a correlation.
const ENTRIES: u8 = 200;

/// One heat map: of which scope, and which of its correlations.
struct Part {
    name: &'static str,
    heading: &'static str,
    scope: Scope,
    value: fn(&Correlations) -> Option<f64>,
    /// Whether the q-value is of this correlation.
    is_tested: bool,
}

const PARTS: [Part; 3] = [
    Part {
        name: "raw",
        heading: "over training, raw",
        scope: Scope::Training,
        value: |row| row.spearman,
        is_tested: false,
    },
    Part {
        name: "partial",
        heading: "over training, partial",
        scope: Scope::Training,
        value: |row| row.partial_spearman,
        is_tested: true,
    },
    Part {
        name: "samples",
        heading: "over samples",
        scope: Scope::Generation,
        value: |row| row.spearman,
        is_tested: true,
    },
];

/// Draws the figure.
pub fn figure(dataset: &Dataset, look: Look) -> Figure {
    let rows: Vec<&Correlations> = dataset.correlations.iter().filter(|row| row.layer.is_none()).collect();
    let attention = distinct(rows.iter().map(|row| row.x.as_str()));
    let outcomes = distinct(rows.iter().map(|row| row.y.as_str()));
    let heading = Heading {
        name: FigureName::Correlations,
        title: "Correlations of attention with loss and text",
        subtitle: format!("{} · Spearman's correlation, mean over seeds · dot: q ≤ 0.05", dataset.study.name),
        caption: "Rows: measures of attention, mean over all layers. Columns: validation loss and scores of generated text. Raw: over \
                  snapshots, confounded by the training step, with which everything changes. Partial: of the deviations, at each \
                  step, from the mean over seeds. Over samples: of the final checkpoint. A dot marks a Benjamini–Hochberg \
                  q-value of at most 0.05; raw correlations over training are not tested. Grey: no such correlation."
            .to_owned(),
        columns: &["panel", "attention", "outcome", "spearman", "q_value", "n", "seeds"],
    };
    // A panel of which nothing is known says nothing.
    let known = |part: &&Part| rows.iter().any(|row| row.scope == part.scope && (part.value)(row).is_some());
    let mut parts: Vec<&Part> = PARTS.iter().filter(known).collect();
    if parts.is_empty() {
        parts.push(&PARTS[0]);
    }
    let wanted = attention.iter().map(|name| style::TICK.width(label(name))).fold(0.0, f64::max) + 14.0;
    // Panels beside each other share the row labels.
    let columns = look.either(parts.len(), 1);
    let gap = 26.0;
    let labels = wanted.min(look.either(390.0, 320.0));
    let left = look.margin() + labels;
    let room = look.right() - left - gap * (columns - 1) as f64;
    // Whole pixels keep the edges sharp.
    let cell = (room / (columns * outcomes.len().max(1)) as f64).floor().clamp(8.0, 34.0);
    let above = outcomes.iter().map(|name| style::TICK.width(label(name))).fold(0.0, f64::max) + 12.0;
    let first = 44.0 + above;
    let across = cell * outcomes.len() as f64;
    // Few outcomes are narrower than the panel's heading.
    let pitch = gap + parts.iter().map(|part| style::HEADING.width(part.heading)).fold(across, f64::max);
    // The rows of each panel: all of them beside each other, those that have a correlation where each stands alone.
    let has = |part: &Part, name: &str| {
        rows.iter().any(|row| row.scope == part.scope && row.x == name && (part.value)(row).is_some())
    };
    let of_part = |part: &Part| -> Vec<&str> {
        attention.iter().copied().filter(|name| columns > 1 || has(part, name)).collect()
    };
    let panels: Vec<Vec<&str>> = parts.iter().map(|part| of_part(part)).collect();
    let mut tops = Vec::new();
    let mut bottom = first;
    for (index, measures) in panels.iter().enumerate() {
        let top = if index < columns { first } else { bottom + 60.0 };
        tops.push(top);
        bottom = top + cell * measures.len() as f64;
    }
    let mut figure = Figure::new(look, heading, bottom + 24.0 + ColorBar::HEIGHT);
    for (index, ((part, measures), y)) in parts.iter().zip(&panels).zip(tops).enumerate() {
        let x = left + pitch * (index % columns) as f64;
        let is_first_row = index < columns;
        let level = if is_first_row { 24.0 } else { y - 16.0 };
        figure.text(part.heading, (x, level), style::HEADING, Align::Start);
        for (column, name) in outcomes.iter().enumerate().filter(|_| is_first_row) {
            let middle = x + cell * (column as f64 + 0.5);
            figure.text_upwards(label(name), (middle, y - 8.0), style::TICK.fit_height(cell), Align::Start);
        }
        for (row, name) in measures.iter().enumerate().filter(|_| index % columns == 0) {
            let name = label(name);
            let font = style::TICK.fit_height(cell).fit(name, labels - 12.0);
            figure.text_centred(name, (x - 10.0, y + cell * (row as f64 + 0.5)), font, Align::End);
        }
        let mut cells = Vec::new();
        for (row, measure) in measures.iter().enumerate() {
            for (column, outcome) in outcomes.iter().enumerate() {
                let found = rows.iter().find(|row| row.scope == part.scope && row.x == *measure && row.y == *outcome);
                let value = found.and_then(|row| (part.value)(row));
                cells.push(value.map_or(ENTRIES + 1, |value| {
                    // From 0 to the last entry.
                    (f64::from(ENTRIES) * (value.clamp(-1.0, 1.0) + 1.0) / 2.0).round() as u8
                }));
                let (Some(found), Some(value)) = (found, value) else { continue };
                let q_value = found.q_value.filter(|_| part.is_tested);
                if q_value.is_some_and(|q_value| q_value <= LEVEL) {
                    let middle = (x + cell * (column as f64 + 0.5), y + cell * (row as f64 + 0.5));
                    figure.disc(middle, (cell * 0.16).max(2.0), style::ink_on(style::diverging(value)), 1.0);
                }
                figure.data.row([
                    part.name.into(),
                    (*measure).to_owned().into(),
                    (*outcome).to_owned().into(),
                    value.into(),
                    q_value.into(),
                    found.n.into(),
                    found.seeds.into(),
                ]);
            }
        }
        if !cells.is_empty() {
            let raster = Raster { columns: outcomes.len(), rows: measures.len(), cells, palette: palette() };
            figure.image((x, y), (across, cell * measures.len() as f64), raster);
        }
    }
    let bar = ColorBar {
        left,
        right: left + look.either(420.0, 300.0),
        top: bottom + 18.0,
        label: "Spearman's correlation",
        palette: palette()[..=usize::from(ENTRIES)].to_vec(),
    };
    bar.draw(&mut figure, &[(0.0, "−1".to_owned()), (0.5, "0".to_owned()), (1.0, "1".to_owned())]);
    figure
}

/// Each name once, in the order in which they come.
fn distinct<'name>(names: impl Iterator<Item = &'name str>) -> Vec<&'name str> {
    let mut all = Vec::new();
    for name in names {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all
}

fn palette() -> Vec<Color> {
    let entry = |entry: u8| Color::Exact(style::diverging(2.0 * f64::from(entry) / f64::from(ENTRIES) - 1.0));
    (0..=ENTRIES).map(entry).chain([Color::Faint]).collect()
}
