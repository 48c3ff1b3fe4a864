//! `attention_maps`: the attention pattern of every head on one window, at the first, middle and last snapshot.

use cli::number;
use schemas::attention::{Window, triangle};

use crate::canvas::{Align, Figure, Heading, Point, Raster};
use crate::figures::step_heading;
use crate::inputs::{AttentionTables, Dataset};
use crate::style::{self, Color};

/// The palette index of keys after the query, which are masked.
const MASKED: u8 = 255;

/// Draws the figure; none without a probe window.
pub fn figure(dataset: &Dataset, attention: &AttentionTables) -> Option<Figure> {
    let (_, first) = attention.maps.first()?;
    let (layers, heads) = (first.layers, first.heads);
    let blocks = attention.maps.len();
    let (left, gap, right) = (100.0, 44.0, 130.0);
    let block = (style::WIDTH - left - right - gap * (blocks - 1) as f64) / blocks as f64;
    // Whole pixels keep the edges sharp.
    let cell = (block / heads as f64).floor();
    let map = (cell - (0.06 * cell).max(3.0)).floor();
    let pool = (first.queries as f64 / map).ceil() as usize;
    let (top, height) = (196.0, cell * layers as f64);

    let steps: Vec<String> = attention.maps.iter().map(|(step, _)| number::integer(*step)).collect();
    let seed = dataset.study.seeds.first().copied().unwrap_or_default();
    let mut caption = format!(
        "Attention patterns of every head on one window of validation text, at steps {}. Rows are queries, from the first \
         character at the top; columns are keys. A bright diagonal is attention to the current or previous characters, a \
         bright left edge an attention sink, an even triangle uniform attention. Brightness is the square root of the weight.",
        steps.join(", ")
    );
    if pool > 1 {
        caption.push_str(&format!(" Each pixel is the maximum of {pool} × {pool} weights."));
    }
    let heading = Heading {
        name: "attention_maps",
        title: "Attention patterns",
        subtitle: format!(
            "{} · {}, seed {seed} · one window of {} {}s of validation text",
            dataset.study.name,
            attention.run,
            first.queries,
            dataset.alphabet.unit()
        ),
        caption,
    };
    let mut figure = Figure::new(heading, (style::WIDTH, top + height + 84.0));
    for (index, (step, window)) in attention.maps.iter().enumerate() {
        let x = (left + index as f64 * (block + gap)).round();
        figure.text(&step_heading(*step), (x, top - 54.0), style::HEADING, Align::Start);
        for head in 0..window.heads {
            let middle = x + cell * head as f64 + map / 2.0;
            let label = format!("head {head}");
            figure.text(&label, (middle, top - 16.0), style::TICK.fit(&label, map), Align::Middle);
            for layer in 0..window.layers {
                let at = (x + cell * head as f64, top + cell * layer as f64);
                figure.image(at, (map, map), raster(window, (layer, head), pool));
            }
        }
    }
    for layer in 0..layers {
        let middle = top + cell * layer as f64 + map / 2.0;
        figure.text_centred(&format!("layer {layer}"), (left - 12.0, middle), style::TICK, Align::End);
    }
    let axes = "→ key · ↓ query";
    figure.text_centred(axes, (left, top + height + 32.0), style::NOTE.color(style::MUTED), Align::Start);
    color_bar(&mut figure, (style::WIDTH - right + 26.0, top), (height - cell + map).min(620.0));
    Some(figure)
}

/// One head's pattern: a row per query, the square root of each weight as brightness, so that small weights are visible
/// beside large ones. On small maps a cell is the maximum of `pool` × `pool` weights, so that a diagonal stays visible.
fn raster(window: &Window, (layer, head): (usize, usize), pool: usize) -> Raster {
    let weights = window.head(layer, head);
    let size = window.queries.div_ceil(pool);
    let within = |index: usize| index * pool..((index + 1) * pool).min(window.queries);
    let cell = |row: usize, column: usize| {
        let pairs = within(row).flat_map(|query| within(column).map(move |key| (query, key)));
        let unmasked = pairs.filter(|(query, key)| key <= query).map(|(query, key)| weights[triangle(query) + key]);
        // A value of 0 to 254 fits.
        unmasked.reduce(f32::max).map_or(MASKED, |weight| (254.0 * weight.clamp(0.0, 1.0).sqrt()).round() as u8)
    };
    let cells = (0..size * size).map(|index| cell(index / size, index % size)).collect();
    Raster { columns: size, rows: size, cells, palette: palette() }
}

fn palette() -> Vec<Color> {
    (0..255).map(|entry| style::viridis(f64::from(entry) / 254.0)).chain([style::GRID]).collect()
}

fn color_bar(figure: &mut Figure, (x, top): Point, height: f64) {
    let raster = Raster { columns: 1, rows: 255, cells: (0..255).rev().collect(), palette: palette() };
    figure.text("weight", (x - 6.0, top - 16.0), style::TICK, Align::Start);
    figure.image((x, top), (26.0, height), raster);
    for weight in [0.0_f64, 0.01, 0.05, 0.2, 0.5, 1.0] {
        let y = top + height * (1.0 - weight.sqrt());
        figure.line(vec![(x + 26.0, y), (x + 33.0, y)], style::AXIS_LINE);
        figure.text_centred(&number::shortest(weight), (x + 40.0, y), style::TICK, Align::Start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_queries_and_later_keys_are_masked() {
        let window = Window { window: 0, layers: 1, heads: 1, queries: 2, weights: vec![1.0, 0.25, 0.75].into() };
        let whole = raster(&window, (0, 0), 1);
        assert_eq!(whole.cells, [254, MASKED, 127, (254.0 * 0.75_f32.sqrt()).round() as u8]);
        assert_eq!(whole.palette.len(), 256);
    }

    #[test]
    fn a_pooled_cell_is_its_maximum() {
        let weights = vec![1.0, 0.0, 1.0, 0.25, 0.0, 0.75];
        let window = Window { window: 0, layers: 1, heads: 1, queries: 3, weights: weights.into() };
        let last = (254.0 * 0.75_f32.sqrt()).round() as u8;
        assert_eq!(raster(&window, (0, 0), 2).cells, [254, MASKED, 127, last]);
    }
}
