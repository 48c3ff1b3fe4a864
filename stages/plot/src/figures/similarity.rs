//! `layer_similarity`: similarity of attention patterns between layers, as matrices at chosen snapshots, and over training by
//! the distance between layers.

use std::collections::BTreeMap;

use cli::number;
use declarations::FigureName;
use schemas::tables::LayerSimilarity;

use crate::axis::{Labels, Panel, Scale, steps_label};
use crate::canvas::{Align, Figure, Heading, Raster};
use crate::data::Cell;
use crate::figures::{
    ColorBar, EndLabel, band, end_label_room, end_labels, points, seeds_note, step_heading, viridis_palette,
};
use crate::inputs::{Dataset, SimilarityTables};
use crate::measures::axis_label;
use crate::series::{self, Curve, Summary};
use crate::style::{self, Font, Look, Stroke};

/// Two layers, the lower first.
type Pair = (u16, u16);

/// Draws the figure.
pub fn figure(dataset: &Dataset, similarity: &SimilarityTables, look: Look) -> Figure {
    let heading = Heading {
        name: FigureName::LayerSimilarity,
        title: "Layer similarity",
        subtitle: format!("{} · {} · {}", dataset.study.name, similarity.run, seeds_note(dataset)),
        caption: "JS similarity, 1 − Jensen–Shannon divergence (base 2), between the attention patterns of two layers, each \
                  averaged over its heads: 1 if identical, 0 if disjoint. Matrices: every pair of layers at single snapshots, \
                  mean over seeds. Curves: mean over the pairs of layers that are equally far apart."
            .to_owned(),
        columns: &["panel", "step", "layer_a", "layer_b", "layers_apart", "mean", "standard_error"],
    };
    let mut pairs: BTreeMap<Pair, Vec<Curve>> = BTreeMap::new();
    for (seed, rows) in similarity.rows.iter().enumerate() {
        for row in rows {
            let seeds = pairs.entry((row.layer_a, row.layer_b)).or_default();
            seeds.resize(similarity.rows.len(), Curve::new());
            seeds[seed].insert(row.step, row.js_similarity);
        }
    }
    let pairs: BTreeMap<Pair, Vec<Summary>> =
        pairs.iter().map(|(pair, seeds)| (*pair, series::over_seeds(seeds))).collect();
    let layers = pairs.keys().map(|(_, upper)| usize::from(*upper) + 1).max().unwrap_or(1);
    let steps = dataset.matrix_steps();
    let matrices = Matrices::new(look, layers, steps.len());
    let curves_height = look.either(420.0, 300.0);
    let top = matrices.bottom() + ColorBar::HEIGHT + 34.0;
    let mut figure = Figure::new(look, heading, top + curves_height + 88.0);

    let shown = pairs.values().flatten().filter(|point| steps.contains(&point.step));
    let low = shown.map(|point| point.mean).fold(1.0_f64, f64::min);
    let scale = Scale::new((low * 20.0).floor() / 20.0, 1.0);
    for (place, step) in steps.iter().enumerate() {
        matrices.draw(&mut figure, place, *step, &pairs, &scale);
    }
    let label = axis_label(&LayerSimilarity::js_similarity.quantity, dataset.alphabet.unit());
    let bar = ColorBar {
        left: matrices.left,
        right: matrices.left + look.either(520.0, 400.0),
        top: matrices.bottom(),
        label: &label,
        palette: viridis_palette(),
    };
    let ticks = scale.ticks(4).into_iter().map(|tick| (scale.fraction(tick), scale.label(tick, 4)));
    bar.draw(&mut figure, &ticks.collect::<Vec<_>>());

    let apart = by_distance(similarity);
    let names: Vec<String> = apart
        .iter()
        .map(|(distance, _)| if *distance == 1 { "adjacent".to_owned() } else { format!("{distance} apart") })
        .collect();
    let values = apart.iter().flat_map(|(_, curve)| curve).flat_map(Summary::low_high);
    let panel = Panel {
        left: look.axis_left(),
        top,
        right: look.right() - end_label_room(names.iter().map(String::as_str)),
        bottom: top + curves_height,
        x: Scale::of_steps(&dataset.study.steps),
        y: Scale::around(values),
    };
    let x = Some(steps_label(&dataset.study.steps));
    panel.frame(&mut figure, Labels { x, y: Some(&label), ..Labels::default() });
    let color = |place| style::ordered(place, apart.len());
    for (place, (_, curve)) in apart.iter().enumerate() {
        band(&mut figure, &panel, curve, color(place));
    }
    let mut ends = Vec::new();
    for (place, ((distance, curve), name)) in apart.iter().zip(&names).enumerate() {
        figure.line(points(&panel, curve), Stroke::new(color(place), 3.4));
        for Summary { step, mean, stderr } in curve {
            let (step, mean, stderr) = ((*step).into(), (*mean).into(), (*stderr).into());
            figure.data.row(["curve".into(), step, Cell::Empty, Cell::Empty, (*distance).into(), mean, stderr]);
        }
        ends.extend(curve.last().map(|end| EndLabel { text: name.clone(), value: end.mean, color: color(place) }));
    }
    end_labels(&mut figure, &panel, &ends);
    figure
}

/// For each distance between layers, the mean over their pairs, then mean and standard error over seeds.
fn by_distance(similarity: &SimilarityTables) -> Vec<(u16, Vec<Summary>)> {
    let distance = |row: &&LayerSimilarity| row.layer_b.abs_diff(row.layer_a);
    let most = similarity.rows.iter().flatten().map(|row| distance(&row)).max().unwrap_or(0);
    let curve = |apart: u16| {
        let of_seed = |rows: &Vec<LayerSimilarity>| {
            let rows = rows.iter().filter(|row| distance(row) == apart);
            series::mean_by_step(rows.map(|row| (row.step, row.js_similarity)))
        };
        series::over_seeds(&similarity.rows.iter().map(of_seed).collect::<Vec<_>>())
    };
    (1..=most).map(|apart| (apart, curve(apart))).filter(|(_, curve)| !curve.is_empty()).collect()
}

/// A row of square matrices, or several.
struct Matrices {
    left: f64,
    top: f64,
    cell: f64,
    layers: usize,
    columns: usize,
    rows: usize,
}

impl Matrices {
    /// The distance between matrices, with room for headings and the numbers of layers.
    const GAPS: [f64; 2] = [56.0, 112.0];

    fn new(look: Look, layers: usize, count: usize) -> Self {
        let columns = count.clamp(1, look.either(4, 2));
        let left = look.margin() + 62.0;
        let room = look.right() - left - Self::GAPS[0] * (columns - 1) as f64;
        // Whole pixels keep the edges sharp.
        let cell = (room / (columns * layers) as f64).min(62.0).floor();
        Self { left, top: 46.0, cell, layers, columns, rows: count.div_ceil(columns).max(1) }
    }

    fn side(&self) -> f64 {
        self.cell * self.layers as f64
    }

    fn bottom(&self) -> f64 {
        self.top + self.side() * self.rows as f64 + Self::GAPS[1] * (self.rows - 1) as f64 + 76.0
    }

    /// Draws one matrix, with the value in each cell where there is room.
    fn draw(&self, figure: &mut Figure, place: usize, step: u32, pairs: &BTreeMap<Pair, Vec<Summary>>, scale: &Scale) {
        let left = self.left + (self.side() + Self::GAPS[0]) * (place % self.columns) as f64;
        let top = self.top + (self.side() + Self::GAPS[1]) * (place / self.columns) as f64;
        figure.text(&step_heading(step), (left, top - 14.0), style::HEADING, Align::Start);
        let value = |a: usize, b: usize| {
            let (a, b) = (a.min(b) as u16, a.max(b) as u16);
            let at = |curve: &Vec<Summary>| curve.iter().find(|point| point.step == step).copied();
            if a == b { None } else { pairs.get(&(a, b)).and_then(at) }
        };
        let mut cells = Vec::new();
        for row in 0..self.layers {
            for column in 0..self.layers {
                let (x, y) = (left + self.cell * column as f64, top + self.cell * row as f64);
                let found = value(row, column);
                let mean = if row == column { Some(1.0) } else { found.map(|point| point.mean) };
                // From 0 to 255.
                cells.push(mean.map_or(0, |mean| (255.0 * scale.fraction(mean).clamp(0.0, 1.0)).round() as u8));
                let Some(mean) = mean else { continue };
                let color = style::viridis(scale.fraction(mean));
                if row != column {
                    let text = number::decimals(mean, 2);
                    let font = Font { color: style::ink_on(color), ..style::TICK }.fit(&text, self.cell - 8.0);
                    if font.size >= 12.0 {
                        let middle = (x + self.cell / 2.0, y + self.cell / 2.0);
                        figure.text_centred(&text, middle, font, Align::Middle);
                    }
                }
                if let (true, Some(Summary { mean, stderr, .. })) = (row < column, found) {
                    let apart = (column - row).into();
                    figure.data.row([
                        "matrix".into(),
                        step.into(),
                        row.into(),
                        column.into(),
                        apart,
                        mean.into(),
                        stderr.into(),
                    ]);
                }
            }
        }
        let raster = Raster { columns: self.layers, rows: self.layers, cells, palette: viridis_palette() };
        figure.image((left, top), (self.side(), self.side()), raster);
        for layer in 0..self.layers {
            let middle = self.cell * (layer as f64 + 0.5);
            let label = layer.to_string();
            if place.is_multiple_of(self.columns) {
                figure.text_centred(&label, (left - 10.0, top + middle), style::TICK, Align::End);
            }
            figure.text_centred(&label, (left + middle, top + self.side() + 18.0), style::TICK, Align::Middle);
        }
        if place.is_multiple_of(self.columns) {
            figure.text_upwards("layer", (left - 46.0, top + self.side() / 2.0), style::LABEL, Align::Middle);
        }
        figure.text_centred("layer", (left + self.side() / 2.0, top + self.side() + 44.0), style::LABEL, Align::Middle);
    }
}
