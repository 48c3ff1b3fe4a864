//! `attention_maps`: every head's attention on one window, early, midway and at the end.

use schemas::attention::{Window, triangle};

use crate::canvas::{Align, Figure, Raster};
use crate::inputs::{AttentionTables, Dataset};
use crate::style::{self, Color};

/// Keys that come after their query: never attended to.
const FUTURE: u8 = 255;

/// Draws the figure; nothing without a probe window.
pub fn figure(dataset: &Dataset, attention: &AttentionTables) -> Option<Figure> {
    let (_, first) = attention.maps.first()?;
    let (layers, heads) = (first.layers, first.heads);
    let blocks = attention.maps.len();
    let (left, gap, right) = (100.0, 44.0, 130.0);
    let block = (style::WIDTH - left - right - gap * (blocks - 1) as f64) / blocks as f64;
    let cell = block / heads as f64;
    let map = cell - (0.06 * cell).max(3.0);
    let pool = (first.queries as f64 / map).ceil() as usize;
    let (top, height) = (196.0, cell * layers as f64);

    let steps: Vec<String> = attention.maps.iter().map(|(step, _)| step.to_string()).collect();
    let seed = dataset.study.seeds.first().copied().unwrap_or_default();
    let subtitle = format!(
        "{} · {}, seed {seed} · one window of {} characters of validation text",
        dataset.study.name, attention.run, first.queries
    );
    let caption = format!(
        "One stretch of validation text, seen by every head at steps {}. In each square a row is a character that attends, \
         from the first at the top to the last; along the row are the characters that it attends to. A bright diagonal is a \
         head that looks at the character itself or just behind it, a bright left edge one that rests on the window's first \
         character, an even wash one that averages over everything.{}",
        steps.join(", "),
        if pool > 1 { format!(" Each pixel is the largest weight of {pool} × {pool}.") } else { String::new() }
    );
    let title = "What every head attends to, before, during and at the end of training";
    let mut figure = Figure::new("attention_maps", title, &subtitle, caption, (style::WIDTH, top + height + 84.0));

    for (number, (step, window)) in attention.maps.iter().enumerate() {
        let x = left + number as f64 * (block + gap);
        let heading = match *step {
            0 => "step 0: untrained".to_owned(),
            step => format!("step {}", crate::number::decimals(f64::from(step), 0)),
        };
        figure.text(&heading, (x, top - 54.0), style::HEADING, Align::Start);
        for head in 0..window.heads {
            let middle = x + cell * head as f64 + map / 2.0;
            figure.text(&format!("head {head}"), (middle, top - 16.0), fitting(cell), Align::Middle);
            for layer in 0..window.layers {
                let at = (x + cell * head as f64, top + cell * layer as f64);
                figure.image(at, (map, map), raster(window, (layer, head), pool));
            }
        }
    }
    for layer in 0..layers {
        let middle = top + cell * layer as f64 + map / 2.0;
        figure.text_level(&format!("layer {layer}"), (left - 12.0, middle), style::TICK, Align::End);
    }
    let below = top + height + 32.0;
    figure.text_level("→ character attended to", (left, below), style::NOTE.color(style::MUTED), Align::Start);
    let x = left + style::NOTE.width("→ character attended to") + 44.0;
    figure.text_level("↓ character that attends", (x, below), style::NOTE.color(style::MUTED), Align::Start);
    bar(&mut figure, (style::WIDTH - right + 26.0, top), (height - cell + map).min(620.0));
    Some(figure)
}

/// A head's number in the space of its map.
fn fitting(cell: f64) -> crate::canvas::Font {
    crate::canvas::Font { size: style::TICK.size.min(cell / 4.4), ..style::TICK }
}

/// One head's attention as cells: a row for each query, the square root of each weight as its brightness, so that small
/// weights are seen beside large ones. Where maps are small, a cell is the largest weight of `pool` × `pool`, so that a
/// diagonal stays visible.
fn raster(window: &Window, (layer, head): (usize, usize), pool: usize) -> Raster {
    let weights = window.head(layer, head);
    let size = window.queries.div_ceil(pool);
    let within = |place: usize| place * pool..((place + 1) * pool).min(window.queries);
    let cell = |row: usize, column: usize| {
        let pairs = within(row).flat_map(|query| within(column).map(move |key| (query, key)));
        let seen = pairs.filter(|(query, key)| key <= query).map(|(query, key)| weights[triangle(query) + key]);
        seen.reduce(f32::max).map_or(FUTURE, |weight| (254.0 * weight.clamp(0.0, 1.0).sqrt()).round() as u8)
    };
    let cells = (0..size * size).map(|number| cell(number / size, number % size)).collect();
    Raster { columns: size, rows: size, cells, palette: palette() }
}

fn palette() -> Vec<Color> {
    (0..255).map(|entry| style::viridis(f64::from(entry) / 254.0)).chain([style::GRID]).collect()
}

/// The key to the colours.
fn bar(figure: &mut Figure, (x, top): (f64, f64), height: f64) {
    let raster = Raster { columns: 1, rows: 255, cells: (0..255).rev().collect(), palette: palette() };
    figure.text("attention", (x - 6.0, top - 16.0), style::TICK, Align::Start);
    figure.image((x, top), (26.0, height), raster);
    for weight in [0.0_f64, 0.01, 0.05, 0.2, 0.5, 1.0] {
        let y = top + height * (1.0 - weight.sqrt());
        figure.line(vec![(x + 26.0, y), (x + 33.0, y)], style::AXIS, 2.0);
        figure.text_level(&weight.to_string(), (x + 40.0, y), style::TICK, Align::Start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_has_its_queries_as_rows_and_no_future() {
        let window = Window { window: 0, layers: 1, heads: 1, queries: 2, weights: vec![1.0, 0.25, 0.75].into() };
        let whole = raster(&window, (0, 0), 1);
        assert_eq!(whole.cells, [254, FUTURE, 127, (254.0 * 0.75_f32.sqrt()).round() as u8]);
        assert_eq!(whole.palette.len(), 256);
    }

    #[test]
    fn a_pooled_cell_is_its_largest_weight() {
        let weights = vec![1.0, 0.0, 1.0, 0.25, 0.0, 0.75];
        let window = Window { window: 0, layers: 1, heads: 1, queries: 3, weights: weights.into() };
        let last = (254.0 * 0.75_f32.sqrt()).round() as u8;
        assert_eq!(raster(&window, (0, 0), 2).cells, [254, FUTURE, 127, last]);
    }
}
