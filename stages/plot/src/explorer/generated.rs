//! Attention while samples were generated, for every token, in 8 bits as that of [`maps`](super::maps).

use std::collections::BTreeMap;

use declarations::plot::{Parameters, Plot};
use declarations::{Fault, Inputs as Tables, Part};
use schemas::Partition;
use schemas::tables::{GeneratedAttention, Samples};
use serde_json::{Value, json};

use super::chunk::Chunk;
use super::maps::byte;
use crate::inputs::Dataset;
use crate::so_far;

/// Weights of all samples of a dataset at most. Where there are more, each sample's first tokens are taken along.
const BUDGET: usize = 2_000_000;

/// The samples whose attention was kept, the cells of each as a chunk.
///
/// # Errors
/// If the table is missing, damaged or of another version, or its rows are not those of tokens of `samples`.
pub fn generated(
    tables: &Tables<Plot>,
    parameters: &Parameters,
    of: &Dataset,
    chunks: &mut Vec<Chunk>,
) -> Result<Vec<Value>, Fault> {
    let run = parameters.study.run_of_samples().filter(|run| run.has(Part::Quality));
    let Some((run, &seed)) = run.zip(of.study.seeds.first()) else { return Ok(Vec::new()) };
    let partition = Partition::dataset(&of.study.name).run(&run.name).seed(seed);
    if of.samples.is_empty() || so_far::lacks::<GeneratedAttention>(tables, &partition, parameters)? {
        return Ok(Vec::new());
    }
    let reader = tables.open::<GeneratedAttention>(&partition)?;
    let (budget, mut packed) = (BUDGET / reader.groups().max(1), Vec::new());
    for group in 0..reader.groups() {
        let rows = reader.group(group)?;
        let Some((step, sample)) = rows.first().map(|row| (row.step, row.sample)) else { continue };
        let of_sample = of.samples.iter().find(|row| (row.step, row.sample) == (step, sample));
        let text = Text::of(rows, step, sample).zip(of_sample).and_then(|(text, row)| text.pack(row, budget));
        let text = text.ok_or_else(|| {
            Fault::input(format!(
                "{}: row group {group} is not one row for each token, layer and head of one sample in `samples`: rerun `generate`",
                reader.path().display()
            ))
        })?;
        let chunk = Chunk::new(format!("generated-{}-{step}-{sample}", of.study.name), &text.cells);
        packed.push(json!({
            "step": step, "sample": sample, "layers": text.layers, "heads": text.heads, "prompt": text.prompt,
            "tokens": text.tokens, "contexts": text.contexts, "length": text.length, "chunk": chunk.id,
        }));
        chunks.push(chunk);
    }
    Ok(packed)
}

/// The rows of one sample by position, layer and head.
#[derive(Default)]
struct Text {
    tokens: BTreeMap<u32, BTreeMap<(u16, u16), Vec<u8>>>,
}

/// A sample's first tokens.
#[derive(Debug, PartialEq)]
struct Packed {
    layers: u16,
    heads: u16,
    /// Tokens of the prompt.
    prompt: usize,
    /// The prompt's tokens and the sample's.
    tokens: Vec<u16>,
    /// For each token of the sample, the size of the context.
    contexts: Vec<usize>,
    /// For each token of the sample, layer and head, the attention to the context.
    cells: Vec<u8>,
    /// Tokens of the whole sample.
    length: usize,
}

impl Text {
    /// The rows of a sample; none if a row is of another one, or is there twice.
    fn of(rows: Vec<GeneratedAttention>, step: u32, sample: u16) -> Option<Self> {
        let mut text = Self::default();
        for row in rows {
            let cells = row.weights.into_iter().map(byte).collect();
            let places = text.tokens.entry(row.position).or_default();
            if (row.step, row.sample) != (step, sample) || places.insert((row.layer, row.head), cells).is_some() {
                return None;
            }
        }
        Some(text)
    }

    /// As many tokens as have so many weights, one at least; none if there is not one row for each token, layer and head, or the
    /// context is longer than the text so far.
    fn pack(&self, of: &Samples, budget: usize) -> Option<Packed> {
        let places = self.tokens.get(&0)?;
        let (layer, head) = *places.last_key_value()?.0;
        let (layers, heads) = (layer.checked_add(1)?, head.checked_add(1)?);
        let prompt = of.prompt_tokens.len();
        let mut packed = Packed {
            layers,
            heads,
            prompt,
            tokens: of.prompt_tokens.clone(),
            contexts: Vec::new(),
            cells: Vec::new(),
            length: of.tokens.len(),
        };
        for ((position, rows), &token) in self.tokens.iter().zip(&of.tokens) {
            let context = rows.values().next()?.len();
            let is_whole =
                rows.keys().copied().eq((0..layers).flat_map(|layer| (0..heads).map(move |head| (layer, head))));
            if *position as usize != packed.contexts.len()
                || !is_whole
                || rows.values().any(|cells| cells.len() != context)
                || context > packed.tokens.len()
            {
                return None;
            }
            if !packed.contexts.is_empty() && packed.cells.len() + rows.len() * context > budget {
                break;
            }
            packed.tokens.push(token);
            packed.contexts.push(context);
            packed.cells.extend(rows.values().flatten());
        }
        (self.tokens.len() == of.tokens.len()).then_some(packed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Samples {
        Samples { prompt_tokens: vec![4], tokens: vec![1, 2, 3], ..Samples::default() }
    }

    /// Rows of two heads, each with so many cells at each token.
    fn text(contexts: &[usize]) -> Text {
        let rows = |size: usize| (0..2).map(|head| ((0, head), vec![head as u8; size])).collect();
        Text { tokens: (0..).zip(contexts.iter().map(|&size| rows(size))).collect() }
    }

    #[test]
    fn a_sample_is_packed_token_by_token() {
        let packed = text(&[1, 2, 2]).pack(&sample(), 100).expect("whole");
        assert_eq!((packed.layers, packed.heads, packed.prompt), (1, 2, 1));
        assert_eq!((packed.tokens, packed.contexts), (vec![4, 1, 2, 3], vec![1, 2, 2]));
        assert_eq!(packed.cells, [0, 1, 0, 0, 1, 1, 0, 0, 1, 1]);
        let first = text(&[1, 2, 2]).pack(&sample(), 6).expect("whole");
        assert_eq!((first.tokens, first.contexts), (vec![4, 1, 2], vec![1, 2]));
        assert_eq!(text(&[1, 2, 2]).pack(&sample(), 0).expect("whole").contexts, [1]);
    }

    #[test]
    fn rows_that_are_not_of_the_sample_are_refused() {
        let pack = |text: &Text| text.pack(&sample(), 100);
        assert_eq!(pack(&Text::default()), None);
        // A context beyond the text so far; more and fewer tokens than the sample has.
        assert_eq!(pack(&text(&[1, 3, 3])), None);
        assert_eq!(pack(&text(&[1, 2, 2, 2])), None);
        assert_eq!(pack(&text(&[1, 2])), None);
        let mut gap = text(&[1, 2, 2]);
        gap.tokens.remove(&1);
        assert_eq!(pack(&gap), None);
        let mut lacking = text(&[1, 2, 2]);
        lacking.tokens.get_mut(&1).expect("a token").remove(&(0, 1));
        assert_eq!(pack(&lacking), None);
        let mut uneven = text(&[1, 2, 2]);
        uneven.tokens.get_mut(&1).expect("a token").insert((0, 1), vec![0]);
        assert_eq!(pack(&uneven), None);
        let row = |sample| GeneratedAttention { sample, weights: vec![1.0], ..GeneratedAttention::default() };
        assert!(Text::of(vec![row(0)], 0, 0).is_some());
        assert!(Text::of(vec![row(0), row(0)], 0, 0).is_none() && Text::of(vec![row(1)], 0, 0).is_none());
    }
}
