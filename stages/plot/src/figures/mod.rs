//! The figures: each a pure function from tables to marks, laid out for the width of a [`Look`].

pub mod attention;
pub mod correlations;
pub mod findings;
pub mod heat_maps;
pub mod loss;
pub mod maps;
pub mod onsets;
pub mod quality;
pub mod quality_attention;
pub mod similarity;
pub mod spans;
pub mod specialisation;
pub mod trajectories;

use declarations::FigureName;

use crate::axis::{Panel, spread};
use crate::canvas::{Align, Dashes, Figure, Point};
use crate::inputs::Dataset;
use crate::series::Summary;
use crate::style::{self, Color, Look, Stroke};

/// Every figure that a dataset's tables allow, in the order of the report and for its page.
pub fn all(dataset: &Dataset) -> Vec<Figure> {
    FigureName::ALL.iter().filter_map(|name| figure(*name, dataset, Look::default())).collect()
}

/// A figure; none without the tables that it needs.
pub fn figure(name: FigureName, dataset: &Dataset, look: Look) -> Option<Figure> {
    let mut figure = draw(name, dataset, look)?;
    // Captions speak of characters, which in a dataset of bytes are none.
    figure.caption = dataset.alphabet.unit().in_place_of_character(&figure.caption);
    Some(figure)
}

fn draw(name: FigureName, dataset: &Dataset, look: Look) -> Option<Figure> {
    let attention = dataset.attention.as_ref();
    let quality = dataset.quality.as_ref();
    // Of what `correlate` concludes, nothing is drawn before it has.
    let concluded = attention.filter(|_| dataset.concluded);
    match name {
        FigureName::ValLoss => Some(loss::figure(dataset, look, loss::Split::Val)),
        FigureName::TrainLoss => Some(loss::figure(dataset, look, loss::Split::Train)),
        FigureName::AttentionMetrics => attention.map(|attention| attention::figure(dataset, attention, look)),
        FigureName::AttentionMaps => attention.and_then(|attention| maps::figure(dataset, attention, look)),
        FigureName::HeadHeatMaps => attention.map(|attention| heat_maps::figure(dataset, attention, look)),
        FigureName::HeadSpecialisation => attention.map(|attention| specialisation::figure(dataset, attention, look)),
        FigureName::HeadTrajectories => concluded.map(|attention| trajectories::figure(dataset, attention, look)),
        FigureName::SpanDistribution => attention.map(|attention| spans::figure(dataset, attention, look)),
        FigureName::Onsets => concluded.map(|attention| onsets::figure(dataset, attention, look)),
        FigureName::LayerSimilarity => {
            dataset.similarity.as_ref().map(|similarity| similarity::figure(dataset, similarity, look))
        }
        FigureName::GenerationQuality => quality.map(|quality| quality::figure(dataset, quality, look)),
        FigureName::QualityAttention => quality.map(|quality| quality_attention::figure(dataset, quality, look)),
        FigureName::Correlations => concluded.map(|_| correlations::figure(dataset, look)),
        FigureName::Findings => dataset.concluded.then(|| findings::figure(dataset, look)),
    }
}

/// A step in a panel's heading.
pub(crate) fn step_heading(step: u32) -> String {
    match step {
        0 => "step 0 (untrained)".to_owned(),
        step => format!("step {}", cli::number::integer(step)),
    }
}

/// The note that explains curves and bands.
fn seeds_note(dataset: &Dataset) -> String {
    match dataset.study.seeds.len() {
        1 => "one seed, no error band".to_owned(),
        seeds => format!("mean of {seeds} seeds, band: ± 1 standard error"),
    }
}

/// The band of one standard error around a curve; nothing with one seed.
fn band(figure: &mut Figure, panel: &Panel, curve: &[Summary], color: Color) {
    if curve.len() < 2 || curve.iter().any(|point| point.stderr.is_none()) {
        return;
    }
    let edge = |point: &Summary, end: usize| panel.point(f64::from(point.step), point.low_high()[end]);
    let high = curve.iter().map(|point| edge(point, 1));
    let low = curve.iter().rev().map(|point| edge(point, 0));
    figure.area(high.chain(low).collect(), color, 0.2);
}

/// The points of a curve's means on a panel.
fn points(panel: &Panel, curve: &[Summary]) -> Vec<Point> {
    curve.iter().map(|point| panel.point(f64::from(point.step), point.mean)).collect()
}

/// The label at the end of a curve.
struct EndLabel {
    text: String,
    /// The curve's last value.
    value: f64,
    color: Color,
}

/// The room that [`end_labels`] need beside a panel.
fn end_label_room<'text>(texts: impl IntoIterator<Item = &'text str>) -> f64 {
    38.0 + texts.into_iter().map(|text| style::NOTE.width(text)).fold(0.0, f64::max)
}

/// Draws the labels of curves to the right of their ends, moved apart.
fn end_labels(figure: &mut Figure, panel: &Panel, labels: &[EndLabel]) {
    let gap = style::NOTE.size * 1.16;
    let ends: Vec<f64> = labels.iter().map(|label| panel.y_at(label.value)).collect();
    let moved = spread(&ends, gap, (panel.top - 10.0, panel.bottom + 4.0));
    for ((label, end), level) in labels.iter().zip(ends).zip(moved) {
        figure.line(vec![(panel.right + 4.0, end), (panel.right + 26.0, level)], Stroke::new(label.color, 3.4));
        figure.text_centred(&label.text, (panel.right + 34.0, level), style::NOTE, Align::Start);
    }
}

const UNIFORM: &str = "uniform attention";
const UNIFORM_DASHES: Dashes = Dashes::new(8.0, 7.0);
const UNIFORM_STROKE: Stroke = Stroke::new(Color::Ink, 1.8);

/// The dashed line of the value under uniform attention, in small panels.
fn uniform_line(figure: &mut Figure, panel: &Panel, value: f64) {
    let y = panel.y_at(value);
    figure.dashed(&[(panel.left, y), (panel.right, y)], UNIFORM_DASHES, UNIFORM_STROKE);
}

/// An entry of a legend: a line of a pattern, or a mark.
struct Entry {
    label: String,
    stroke: Stroke,
    dashes: Dashes,
}

impl Entry {
    fn line(label: impl Into<String>, color: Color) -> Self {
        Self { label: label.into(), stroke: Stroke::new(color, 4.2), dashes: Dashes::SOLID }
    }

    fn uniform() -> Self {
        Self { label: UNIFORM.to_owned(), stroke: UNIFORM_STROKE, dashes: UNIFORM_DASHES }
    }
}

/// The height of a row of a legend.
const LEGEND_ROW: f64 = 32.0;
/// The length of a legend's lines, and the distance from there to its text and from there to the next entry.
const LEGEND_LINE: [f64; 3] = [40.0, 10.0, 28.0];

/// Draws a legend, in as many rows as it needs; returns the height below it.
fn legend(figure: &mut Figure, top: f64, entries: &[Entry]) -> f64 {
    let [length, gap, space] = LEGEND_LINE;
    let (left, right) = (figure.look.margin(), figure.look.right());
    let (mut x, mut y) = (left, top + LEGEND_ROW / 2.0);
    for Entry { label, stroke, dashes } in entries {
        let width = length + gap + style::NOTE.width(label);
        if x > left && x + width > right {
            (x, y) = (left, y + LEGEND_ROW);
        }
        figure.dashed(&[(x, y), (x + length, y)], *dashes, *stroke);
        let font = style::NOTE.fit(label, right - x - length - gap);
        figure.text_centred(label, (x + length + gap, y), font, Align::Start);
        x += width + space;
    }
    y + LEGEND_ROW / 2.0
}

/// The height that [`legend`] needs at a look.
fn legend_height(look: Look, entries: &[Entry]) -> f64 {
    let [length, gap, space] = LEGEND_LINE;
    let (left, right) = (look.margin(), look.right());
    let (mut x, mut rows) = (left, 1);
    for entry in entries {
        let width = length + gap + style::NOTE.width(&entry.label);
        if x > left && x + width > right {
            (x, rows) = (left, rows + 1);
        }
        x += width + space;
    }
    LEGEND_ROW * f64::from(rows)
}

/// The entries of figures with one colour per head.
fn head_entries(heads: usize) -> Vec<Entry> {
    (0..heads)
        .map(|head| Entry::line(format!("head {head}"), style::distinct(head)))
        .chain([Entry::uniform()])
        .collect()
}

/// Small panels: for each metric a row with a column per layer, wrapped where a figure is too narrow for all layers.
struct Grid {
    left: f64,
    right: f64,
    top: f64,
    columns: usize,
    layers: usize,
    metrics: usize,
    /// The height of a panel.
    panel: f64,
    /// Room above each row of the first metric, beyond the layers' names; the first row's is part of `top`.
    notes: f64,
}

/// One panel of a [`Grid`].
struct Place {
    /// Its corners: left, top, right, bottom.
    corners: [f64; 4],
    /// Whether it is the first of its row.
    is_first: bool,
    /// Whether it is in the lowest row.
    is_lowest: bool,
    /// Whether it is under the figure's head, or follows a row of other layers: it needs its layer's name.
    is_named: bool,
}

impl Grid {
    /// The horizontal and vertical distance between panels.
    const GAPS: [f64; 2] = [44.0, 50.0];

    /// A grid below a height.
    fn new(look: Look, top: f64, layers: usize, metrics: usize) -> Self {
        let columns = layers.clamp(1, look.either(6, 3));
        let (left, panel) = (look.axis_left(), look.either(200.0, 136.0));
        Self { left, right: look.axis_right(), top, columns, layers, metrics, panel, notes: 0.0 }
    }

    /// The rows of each metric.
    fn rows(&self) -> usize {
        self.layers.div_ceil(self.columns).max(1)
    }

    fn row_top(&self, row: usize) -> f64 {
        let notes = self.notes * row.min(self.rows() - 1) as f64;
        self.top + (self.panel + Self::GAPS[1]) * row as f64 + notes
    }

    fn bottom(&self) -> f64 {
        self.row_top((self.rows() * self.metrics).saturating_sub(1)) + self.panel
    }

    /// The height of a figure that ends with the grid.
    fn height(&self) -> f64 {
        self.bottom() + 78.0
    }

    /// The panel of a metric and layer.
    fn place(&self, metric: usize, layer: usize) -> Place {
        let [across, _] = Self::GAPS;
        let width = (self.right - self.left + across) / self.columns as f64;
        let (row, column) = (metric * self.rows() + layer / self.columns, layer % self.columns);
        let (left, top) = (self.left + width * column as f64, self.row_top(row));
        Place {
            corners: [left, top, left + width - across, top + self.panel],
            is_first: column == 0,
            is_lowest: row + 1 == self.rows() * self.metrics
                || layer + self.columns >= self.layers && metric + 1 == self.metrics,
            is_named: row == 0 || self.rows() > 1,
        }
    }

    /// Draws the common horizontal axis label.
    fn label_x(&self, figure: &mut Figure, label: &str) {
        let middle = f64::midpoint(self.left, self.right);
        figure.text_centred(label, (middle, self.bottom() + 58.0), style::LABEL, Align::Middle);
    }
}

/// A horizontal colour scale with ticks below it.
struct ColorBar<'figure> {
    left: f64,
    right: f64,
    top: f64,
    /// What it shows, with the kind of scale if that is not linear.
    label: &'figure str,
    palette: Vec<Color>,
}

impl ColorBar<'_> {
    const THICKNESS: f64 = 18.0;
    /// With its label and tick labels.
    const HEIGHT: f64 = 80.0;

    /// Draws it, with ticks: places from 0 to 1 and their labels.
    fn draw(&self, figure: &mut Figure, ticks: &[(f64, String)]) {
        let (top, size) = (self.top + 30.0, (self.right - self.left, Self::THICKNESS));
        figure.text(self.label, (self.left, self.top + 18.0), style::TICK, Align::Start);
        let columns = self.palette.len().min(256);
        // At most 256 entries.
        let cells = (0..columns).map(|cell| cell as u8).collect();
        let raster = crate::canvas::Raster { columns, rows: 1, cells, palette: self.palette.clone() };
        figure.image((self.left, top), size, raster);
        for (place, label) in ticks {
            let x = self.left + place * size.0;
            let bottom = top + Self::THICKNESS;
            figure.line(vec![(x, bottom), (x, bottom + 6.0)], style::AXIS_LINE);
            let half = style::TICK.width(label) / 2.0;
            let middle = x.clamp(figure.look.margin() + half, figure.look.right().max(half) - half);
            figure.text_centred(label, (middle, bottom + 18.0), style::TICK, Align::Middle);
        }
    }
}

/// The palette index of a cell without a value, which [`cell_palette`] has in the colour of a grid.
const NO_VALUE: u8 = 255;

/// The palette index of a share from 0 to 1.
fn cell(share: f64) -> u8 {
    (254.0 * share.clamp(0.0, 1.0)).round() as u8
}

/// Viridis for [`cell`], and a colour for [`NO_VALUE`].
fn cell_palette() -> Vec<Color> {
    let viridis = (0..NO_VALUE).map(|entry| Color::Exact(style::viridis(f64::from(entry) / 254.0)));
    viridis.chain([Color::Grid]).collect()
}

/// Viridis in 256 steps.
fn viridis_palette() -> Vec<Color> {
    (0..=255).map(|entry| Color::Exact(style::viridis(f64::from(entry) / 255.0))).collect()
}
