//! Attention maps in 8 bits: `q = round(255·√A)`, so that `A = (q/255)²` to within 0.004, and to within a tenth of its value at a
//! uniform weight of 1/64. Of a head's rows only the keys up to the query are kept.
//!
//! A window of more than [`SIDE`] tokens is reduced: a cell is then the attention of a block of queries to a block of keys, summed
//! over the keys and averaged over the queries.

use declarations::Fault;
use rayon::prelude::*;
use schemas::Reader;
use schemas::attention::{Window, triangle};
use schemas::enums::WindowKind;
use schemas::tables::Attention;

use super::chunk::Chunk;
use super::trainings::Training;

/// Bytes of all maps on the page, compressed and in base64.
pub const BUDGET: usize = 14_000_000;
/// Rows and columns of a map at most.
pub const SIDE: usize = 128;

/// Maps of one window and seed, at every step.
#[derive(Clone, Debug)]
pub struct Maps {
    /// The seed's position in the study.
    pub seed: usize,
    /// The window's position in `windows`.
    pub window: usize,
    /// Tokens to a side of a cell; 1 where maps are not reduced.
    pub block: usize,
    /// For each step, layer and head: the cells of the lower triangle by row.
    pub chunk: Chunk,
}

/// As many of a training's maps as the budget allows, one window and seed at least: first one window of every seed and one with a
/// repeated block, then the other windows of the first seed, then the rest.
///
/// # Errors
/// If a file of attention is damaged.
pub fn maps(training: &Training, name: &str, budget: usize) -> Result<Vec<Maps>, Fault> {
    let order = order(training);
    let Some((&first, rest)) = order.split_first() else { return Ok(Vec::new()) };
    let first = pack(training, name, first)?;
    // The others are about as large.
    let count = (budget / first.chunk.text.len().max(1)).saturating_sub(1);
    let rest = rest.par_iter().take(count).map(|&which| pack(training, name, which)).collect::<Vec<_>>();
    std::iter::once(Ok(first)).chain(rest).collect()
}

/// Seeds and windows, the most wanted first.
fn order(training: &Training) -> Vec<(usize, usize)> {
    let windows = 0..training.windows.len();
    let of_kind = |kind| windows.clone().find(|&window| training.windows[window].kind == kind);
    let (val, repeat) = (of_kind(WindowKind::Val), of_kind(WindowKind::Repeat));
    let rank = |&(seed, window): &(usize, usize)| match (seed, Some(window)) {
        (0, window) if window == val => 0,
        (0, window) if window == repeat => 1,
        (_, window) if window == val => 2,
        (0, _) => 3,
        (_, window) if window == repeat => 4,
        _ => 5,
    };
    let mut all: Vec<_> =
        windows.clone().flat_map(|window| (0..training.attention.len()).map(move |seed| (seed, window))).collect();
    all.sort_by_key(rank);
    all
}

/// One window of one seed, at every step.
fn pack(training: &Training, name: &str, (seed, window): (usize, usize)) -> Result<Maps, Fault> {
    let block = training.windows[window].tokens.len().div_ceil(SIDE).max(1);
    let mut cells = Vec::new();
    for reader in &training.attention[seed] {
        let attention = read(reader, window, training)?;
        for layer in 0..attention.layers {
            for head in 0..attention.heads {
                quantise(attention.head(layer, head), attention.queries, block, &mut cells);
            }
        }
    }
    Ok(Maps { seed, window, block, chunk: Chunk::new(format!("maps-{name}-{seed}-{window}"), &cells) })
}

/// A row group, which must be of the size of its window and of the heads' metrics.
fn read(reader: &Reader<Attention>, window: usize, training: &Training) -> Result<Window, Fault> {
    let expected = (training.layers(), training.heads(), training.windows[window].tokens.len());
    if window >= reader.groups() {
        return Err(Fault::input(format!("{} lacks the window in position {window}", reader.path().display())));
    }
    let attention = reader.window(window)?;
    let found = (attention.layers, attention.heads, attention.queries);
    match found == expected {
        true => Ok(attention),
        false => Err(Fault::input(format!(
            "{}: the window in position {window} has (layers, heads, queries) {found:?} where `head_metrics` and `windows` have {expected:?}",
            reader.path().display()
        ))),
    }
}

/// Appends the cells of one head.
fn quantise(weights: &[f32], queries: usize, block: usize, cells: &mut Vec<u8>) {
    if block == 1 {
        return cells.extend(weights.iter().map(|&weight| byte(weight)));
    }
    let side = queries.div_ceil(block);
    for row in 0..side {
        let rows = row * block..((row + 1) * block).min(queries);
        let mut sums = vec![0.0; row + 1];
        for query in rows.clone() {
            for (key, weight) in weights[triangle(query)..][..=query].iter().enumerate() {
                sums[key / block] += weight;
            }
        }
        cells.extend(sums.iter().map(|&sum| byte(sum / rows.len() as f32)));
    }
}

/// The level of a weight.
pub fn byte(weight: f32) -> u8 {
    (255.0 * weight.clamp(0.0, 1.0).sqrt()).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_come_back_to_within_half_a_level() {
        for weight in [0.0f32, 1e-6, 1.0 / 64.0, 0.3, 0.999, 1.0] {
            let back = (f32::from(byte(weight)) / 255.0).powi(2);
            assert!((back - weight).abs() < 0.004, "{weight} comes back as {back}");
        }
        assert_eq!([byte(-0.1), byte(1.5), byte(f32::NAN)], [0, 255, 0]);
    }

    #[test]
    fn a_reduced_map_sums_over_keys_and_averages_over_queries() {
        // Five queries in blocks of two: rows of 1, 2 and 3 cells; the last block has one query.
        let rows: [&[f32]; 5] =
            [&[1.0], &[0.5, 0.5], &[0.2, 0.2, 0.6], &[0.0, 0.0, 0.5, 0.5], &[0.1, 0.1, 0.2, 0.2, 0.4]];
        let mut cells = Vec::new();
        quantise(&rows.concat(), 5, 2, &mut cells);
        let expected = [1.0, 0.2, 0.8, 0.2, 0.4, 0.4].map(byte);
        assert_eq!(cells, expected);
    }
}
