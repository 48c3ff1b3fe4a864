//! `attention_maps`: the attention pattern of every head on one window, at chosen snapshots.

use cli::number;
use declarations::FigureName;
use schemas::attention::{Window, triangle};

use crate::canvas::{Align, Figure, Heading, Point, Raster};
use crate::figures::{ColorBar, NO_VALUE, cell, cell_palette, step_heading, viridis_palette};
use crate::inputs::{AttentionTables, Dataset};
use crate::style::{self, Look};

/// The smallest side of a map.
const LEAST: f64 = 34.0;
/// The attention weights that have a tick on the colour scale.
const TICKS: [f64; 6] = [0.0, 0.01, 0.05, 0.2, 0.5, 1.0];

/// Where the maps lie: a block for each snapshot, beside each other as far as they fit.
struct Blocks {
    left: f64,
    /// The top of the first row of blocks' maps.
    top: f64,
    /// The distance of maps.
    cell: f64,
    /// The side of a map.
    map: f64,
    columns: usize,
    rows: usize,
    heads: usize,
    layers: usize,
}

impl Blocks {
    const GAP: f64 = 40.0;
    /// Above each row of blocks.
    const HEAD: f64 = 66.0;

    fn new(look: Look, count: usize, layers: usize, heads: usize) -> Self {
        let left = look.margin() + 78.0;
        let room = look.right() - left;
        let fits = |columns: &usize| (room - Self::GAP * (columns - 1) as f64) / (columns * heads) as f64 >= LEAST;
        let columns = (1..=count.max(1)).rev().find(fits).unwrap_or(1);
        let block = (room - Self::GAP * (columns - 1) as f64) / columns as f64;
        // Whole pixels keep the edges sharp.
        let cell = (block / heads as f64).floor();
        let map = (cell - (0.06 * cell).max(3.0)).floor().max(1.0);
        let rows = count.div_ceil(columns).max(1);
        Self { left, top: 12.0 + Self::HEAD, cell, map, columns, rows, heads, layers }
    }

    /// The top left corner of a block's maps.
    fn corner(&self, block: usize) -> Point {
        let across = self.cell * self.heads as f64 + Self::GAP;
        let down = self.cell * self.layers as f64 + Self::HEAD + 14.0;
        let (column, row) = ((block % self.columns) as f64, (block / self.columns) as f64);
        ((self.left + column * across).round(), self.top + row * down)
    }

    fn bottom(&self) -> f64 {
        let (_, top) = self.corner(self.columns * (self.rows - 1));
        top + self.cell * self.layers as f64
    }
}

/// Draws the figure; none without a probe window.
pub fn figure(dataset: &Dataset, attention: &AttentionTables, look: Look) -> Option<Figure> {
    let (_, first) = attention.maps.first()?;
    let (layers, heads) = (first.layers, first.heads);
    let blocks = Blocks::new(look, attention.maps.len(), layers, heads);
    let pool = (first.queries as f64 / (blocks.map * f64::from(look.png_scale()))).ceil() as usize;

    let steps: Vec<String> = attention.maps.iter().map(|(step, _)| number::integer(*step)).collect();
    let seed = dataset.study.seeds.first().copied().unwrap_or_default();
    let mut caption = format!(
        "Attention patterns of every head on one window of validation text, at steps {}. Rows are queries, from the first \
         character at the top; columns are keys. A bright diagonal is attention to the current or previous characters, a \
         bright left edge an attention sink, an even triangle uniform attention. The colour scale is not linear: it shows the \
         square root of the weight, so that small weights are visible.",
        steps.join(", ")
    );
    if pool > 1 {
        caption.push_str(&format!(" Each pixel is the maximum of {pool} × {pool} weights."));
    }
    let heading = Heading {
        name: FigureName::AttentionMaps,
        title: "Attention patterns",
        subtitle: format!(
            "{} · {}, seed {seed} · one window of {} {}s of validation text",
            dataset.study.name,
            attention.run,
            first.queries,
            dataset.alphabet.unit()
        ),
        caption,
        columns: &["step", "layer", "head", "query", "key", "weight"],
    };
    let mut figure = Figure::new(look, heading, blocks.bottom() + 12.0 + ColorBar::HEIGHT + 6.0);
    for (index, (step, window)) in attention.maps.iter().enumerate() {
        let (x, top) = blocks.corner(index);
        let room = blocks.cell * heads as f64 + Blocks::GAP - 8.0;
        let name = step_heading(*step);
        let name = if style::HEADING.width(&name) <= room { name } else { format!("step {}", number::integer(*step)) };
        figure.text(&name, (x, top - 44.0), style::HEADING, Align::Start);
        for head in 0..window.heads {
            let middle = x + blocks.cell * head as f64 + blocks.map / 2.0;
            let full = format!("head {head}");
            let label = if style::TICK.width(&full) <= blocks.cell { full } else { head.to_string() };
            figure.text(&label, (middle, top - 14.0), style::TICK, Align::Middle);
            for layer in 0..window.layers {
                let at = (x + blocks.cell * head as f64, top + blocks.cell * layer as f64);
                let map = Map::of(window, (layer, head), pool);
                map.rows(&mut figure, *step, (layer, head));
                figure.image(at, (blocks.map, blocks.map), map.raster());
            }
        }
        if index % blocks.columns == 0 {
            if style::TICK.width("head 0") > blocks.cell {
                figure.text("head", (x - 10.0, top - 14.0), style::TICK, Align::End);
            }
            for layer in 0..layers {
                let middle = top + blocks.cell * layer as f64 + blocks.map / 2.0;
                figure.text_centred(&format!("layer {layer}"), (x - 10.0, middle), style::TICK, Align::End);
            }
        }
    }
    let top = blocks.bottom() + 12.0;
    let label = "attention weight (square-root colour scale)";
    let (left, right) = (blocks.left, blocks.left + look.either(620.0, 400.0));
    let bar = ColorBar { left, right, top, label, palette: viridis_palette() };
    bar.draw(&mut figure, &TICKS.map(|weight| (weight.sqrt(), number::shortest(weight))));
    let axes = "→ key · ↓ query";
    figure.text(axes, (look.right(), top + 18.0), style::TICK, Align::End);
    Some(figure)
}

/// One head's pattern as it is drawn: a row per query. On small maps a cell is the maximum of `pool` × `pool` weights, so that a
/// diagonal stays visible.
struct Map {
    size: usize,
    pool: usize,
    /// Row by row; none for keys after the query, which are masked.
    weights: Vec<Option<f32>>,
}

impl Map {
    fn of(window: &Window, (layer, head): (usize, usize), pool: usize) -> Self {
        let weights = window.head(layer, head);
        let size = window.queries.div_ceil(pool);
        let within = |index: usize| index * pool..((index + 1) * pool).min(window.queries);
        let cell = |row: usize, column: usize| {
            let pairs = within(row).flat_map(|query| within(column).map(move |key| (query, key)));
            let unmasked = pairs.filter(|(query, key)| key <= query).map(|(query, key)| weights[triangle(query) + key]);
            unmasked.reduce(f32::max)
        };
        let weights = (0..size * size).map(|index| cell(index / size, index % size)).collect();
        Self { size, pool, weights }
    }

    /// The square root of each weight as brightness, so that small weights are visible beside large ones.
    fn raster(&self) -> Raster {
        let entry = |weight: &Option<f32>| weight.map_or(NO_VALUE, |weight| cell(f64::from(weight.max(0.0).sqrt())));
        let cells = self.weights.iter().map(entry).collect();
        Raster { columns: self.size, rows: self.size, cells, palette: cell_palette() }
    }

    /// The weights as numbers; where cells are maxima, with the first query and key of each.
    fn rows(&self, figure: &mut Figure, step: u32, (layer, head): (usize, usize)) {
        for (index, weight) in self.weights.iter().enumerate() {
            if let Some(weight) = weight {
                let [query, key] = [index / self.size * self.pool, index % self.size * self.pool];
                figure.data.row([step.into(), layer.into(), head.into(), query.into(), key.into(), (*weight).into()]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_queries_and_later_keys_are_masked() {
        let window = Window { window: 0, layers: 1, heads: 1, queries: 2, weights: vec![1.0, 0.25, 0.75].into() };
        let whole = Map::of(&window, (0, 0), 1).raster();
        assert_eq!(whole.cells, [254, NO_VALUE, 127, (254.0 * 0.75_f32.sqrt()).round() as u8]);
        assert_eq!(whole.palette.len(), 256);
    }

    #[test]
    fn a_pooled_cell_is_its_maximum() {
        let weights = vec![1.0, 0.0, 1.0, 0.25, 0.0, 0.75];
        let window = Window { window: 0, layers: 1, heads: 1, queries: 3, weights: weights.into() };
        let last = (254.0 * 0.75_f32.sqrt()).round() as u8;
        assert_eq!(Map::of(&window, (0, 0), 2).raster().cells, [254, NO_VALUE, 127, last]);
    }
}
