//! The JSON document of the page. Arrays over seeds, steps, layers and heads are in the study's order, the last index running
//! fastest; numbers are rounded to five significant digits.

use std::collections::BTreeMap;

use declarations::Fault;
use schemas::enums::TextSource;
use schemas::tables::{
    Correlations, Evaluations, HeadMetrics, HeadOutputs, LayerMetrics, LayerSimilarity, Onsets, SampleAttention,
    SampleScores, Windows,
};
use schemas::{Measure, Quantity, Table, Uniform, Unit};
use serde_json::{Value, json};

use super::chunk::Chunk;
use super::maps;
use super::trainings::{DatasetTrainings, Training};
use crate::inputs::{Dataset, Inputs};
use crate::series::{identical, mean_stderr};

/// Of a sample's characters, at most so many are on the page.
const SHOWN: usize = 600;

/// The whole document, of the datasets' parts.
pub fn study(inputs: &Inputs, datasets: Vec<Value>) -> Value {
    let mut units = inputs.units();
    units.dedup();
    let unit = if let [only] = units[..] { only } else { Unit::Token };
    let quantities = |of: Vec<Quantity>| of.iter().map(|of| quantity(of, unit)).collect::<Vec<_>>();
    json!({
        "datasets": datasets,
        "missing": inputs.missing,
        "pending": inputs.pending.as_ref().is_some_and(|pending| !pending.is_empty()),
        "measures": {
            "head": quantities(head_measures().into_iter().map(|(quantity, _)| quantity).collect()),
            "layer": quantities(LayerMetrics::MEASURES.iter().map(|measure| measure.quantity).collect()),
            "pair": quantities(LayerSimilarity::MEASURES.iter().map(|measure| measure.quantity).collect()),
            "score": quantities(SampleScores::MEASURES.iter().map(|measure| measure.quantity).collect()),
            "sample": quantities(SampleAttention::MEASURES.iter().map(|measure| measure.quantity).collect()),
            "loss": quantities(vec![Evaluations::val_loss.quantity, Evaluations::train_loss.quantity]),
        },
    })
}

/// One dataset; what is large is appended to `chunks`. `budget` is for the maps of each training.
///
/// # Errors
/// If a file of attention is damaged.
pub fn dataset(read: &DatasetTrainings, of: &Dataset, chunks: &mut Vec<Chunk>, budget: usize) -> Result<Value, Fault> {
    let mut trainings = Vec::new();
    for (number, training) in read.trainings.iter().enumerate() {
        let name = format!("{}-{number}", of.study.name);
        trainings.push(training_of(training, of, &name, chunks, budget)?);
    }
    Ok(json!({
        "name": of.study.name,
        // A seed can be larger than a number of JavaScript.
        "seeds": of.study.seeds.iter().map(u64::to_string).collect::<Vec<_>>(),
        "steps": of.study.steps.as_slice(),
        "logSpaced": of.study.steps.is_log_spaced(),
        // What a token is: a character, or a byte.
        "unit": of.alphabet.unit().to_string(),
        "vocabulary": read.vocabulary.iter().map(|row| row.symbol.as_str()).collect::<Vec<_>>(),
        "losses": losses(of),
        "trainings": trainings,
        "samples": samples(of),
    }))
}

/// A quantity in datasets whose tokens are these.
fn quantity(of: &Quantity, tokens: Unit) -> Value {
    let unit = tokens.in_place_of_character(of.unit);
    json!({ "name": of.name, "label": of.label, "unit": unit, "higher": of.higher })
}

/// Runs with the same losses are one entry.
fn losses(of: &Dataset) -> Vec<Value> {
    let runs: Vec<_> = of
        .losses
        .iter()
        .map(|run| {
            let seeds = run.evaluations.iter();
            seeds.map(|rows| rows.iter().map(|row| (row.step, row.val_loss)).collect()).collect()
        })
        .collect();
    let group = |members: Vec<usize>| {
        let names: Vec<&str> = members.iter().map(|&run| of.losses[run].run.name.as_str()).collect();
        // A run without snapshots is evaluated at fewer steps.
        let count = |run: usize| of.losses[run].evaluations.first().map_or(0, Vec::len);
        let evaluations = members.iter().copied().max_by_key(|&run| count(run)).map(|run| &of.losses[run].evaluations);
        let seeds = |value: fn(&Evaluations) -> f64| -> Vec<Vec<Value>> {
            let seeds = evaluations.into_iter().flatten();
            seeds.map(|rows| rows.iter().map(|row| number(Some(value(row)))).collect()).collect()
        };
        // While a study runs, one seed is further along than another.
        let longest = evaluations.and_then(|seeds| seeds.iter().max_by_key(|rows| rows.len()));
        let steps: Vec<u32> = longest.into_iter().flatten().map(|row| row.step).collect();
        json!({ "runs": names, "steps": steps, "val": seeds(|row| row.val_loss), "train": seeds(|row| row.train_loss) })
    };
    identical(&runs).into_iter().map(group).collect()
}

fn training_of(
    training: &Training,
    of: &Dataset,
    name: &str,
    chunks: &mut Vec<Chunk>,
    budget: usize,
) -> Result<Value, Fault> {
    let tables = &training.tables;
    let (steps, layers, heads) = (of.study.steps.as_slice(), training.layers(), training.heads());
    let at = |step: u32| steps.binary_search(&step).ok();
    let head = Grid { of: vec![steps.len(), layers, heads] };
    let mut of_heads = serde_json::Map::new();
    for (quantity, source) in head_measures() {
        let seeds: Vec<Value> =
            (0..of.study.seeds.len())
                .map(|seed| match source {
                    Head::Metric(measure) => head.fill(tables.heads[seed].iter().map(|row| {
                        ([at(row.step), Some(row.layer.into()), Some(row.head.into())], (measure.get)(row))
                    })),
                    Head::Output(measure) => head.fill(tables.outputs[seed].iter().map(|row| {
                        ([at(row.step), Some(row.layer.into()), Some(row.head.into())], (measure.get)(row))
                    })),
                })
                .collect();
        of_heads.insert(quantity.name.to_owned(), seeds.into());
    }
    let layer = Grid { of: vec![steps.len(), layers] };
    let of_layers = measured(LayerMetrics::MEASURES, &tables.layers, |measure, rows| {
        layer.fill(rows.iter().map(|row| ([at(row.step), Some(row.layer.into())], (measure.get)(row))))
    });
    let pair = Grid { of: vec![steps.len(), layers, layers] };
    let of_pairs = measured(LayerSimilarity::MEASURES, &tables.pairs, |measure, rows| {
        pair.fill(
            rows.iter()
                .map(|row| ([at(row.step), Some(row.layer_a.into()), Some(row.layer_b.into())], (measure.get)(row))),
        )
    });
    let maps = maps::maps(training, name, budget)?;
    let listed: Vec<Value> = maps
        .iter()
        .map(|map| json!({ "seed": map.seed, "window": map.window, "block": map.block, "chunk": map.chunk.id }))
        .collect();
    chunks.extend(maps.into_iter().map(|map| map.chunk));
    let attended = attended_characters(training, steps, name, chunks);
    let quality = quality(training, of, name, chunks);
    Ok(json!({
        "runs": training.runs.iter().map(|(run, label)| json!({ "name": run, "label": label })).collect::<Vec<_>>(),
        "layers": layers,
        "heads": heads,
        "windows": training.windows.iter().map(window).collect::<Vec<_>>(),
        "head": of_heads,
        "layer": of_layers,
        "pair": if tables.pairs.is_empty() { Value::Null } else { of_pairs },
        "uniform": uniform(training),
        "attended": attended,
        "onsets": tables.onsets.iter().map(onset).collect::<Vec<_>>(),
        "matches": tables.matches.iter().map(|row| {
            json!([row.seed.to_string(), row.layer, row.head, row.slot, number(row.distance), number(row.random_distance)])
        }).collect::<Vec<_>>(),
        "correlations": tables.correlations.iter().map(correlation).collect::<Vec<_>>(),
        "maps": listed,
        "quality": quality,
    }))
}

fn window(row: &Windows) -> Value {
    json!({ "number": row.window, "kind": row.kind.as_str(), "start": row.start, "tokens": row.tokens })
}

/// A measure of heads and the table that has it.
#[derive(Clone, Copy)]
enum Head {
    Metric(Measure<HeadMetrics>),
    Output(Measure<HeadOutputs>),
}

fn head_measures() -> Vec<(Quantity, Head)> {
    let metrics = HeadMetrics::MEASURES.iter().map(|measure| (measure.quantity, Head::Metric(*measure)));
    metrics.chain(HeadOutputs::MEASURES.iter().map(|measure| (measure.quantity, Head::Output(*measure)))).collect()
}

/// Each measure's values, of each seed's rows.
fn measured<T: Table>(measures: &[Measure<T>], seeds: &[Vec<T>], fill: impl Fn(&Measure<T>, &[T]) -> Value) -> Value {
    let of = |measure: &Measure<T>| {
        let seeds: Vec<Value> = seeds.iter().map(|rows| fill(measure, rows)).collect();
        (measure.name().to_owned(), Value::from(seeds))
    };
    Value::Object(measures.iter().map(of).collect())
}

/// A dense array of these sizes.
struct Grid {
    of: Vec<usize>,
}

impl Grid {
    /// The array, null where there is no value; a place outside it is left out.
    fn fill<const N: usize>(&self, values: impl Iterator<Item = ([Option<usize>; N], Option<f64>)>) -> Value {
        let mut cells = vec![Value::Null; self.of.iter().product()];
        for (place, value) in values {
            let at = place
                .iter()
                .zip(&self.of)
                .try_fold(0, |at, (&index, &size)| index.filter(|&index| index < size).map(|index| at * size + index));
            if let Some(cell) = at.and_then(|at| cells.get_mut(at)) {
                *cell = number(value);
            }
        }
        cells.into()
    }
}

/// Values under uniform attention, by measure.
fn uniform(training: &Training) -> Value {
    let baselines = &training.tables.baselines;
    let value = |quantity: &Quantity| match quantity.uniform {
        Uniform::Baselines => baselines.iter().find(|row| row.metric == quantity.name).map(|row| row.value),
        Uniform::Value(value) => Some(value),
        Uniform::Unknown => None,
    };
    let heads = HeadMetrics::MEASURES.iter().map(|measure| measure.quantity);
    let layers = LayerMetrics::MEASURES.iter().map(|measure| measure.quantity);
    let pairs = LayerSimilarity::MEASURES.iter().map(|measure| measure.quantity);
    let known = heads.chain(layers).chain(pairs).filter_map(|quantity| Some((quantity.name, value(&quantity)?)));
    Value::Object(known.map(|(name, value)| (name.to_owned(), number(Some(value)))).collect())
}

/// The attended tokens and their shares under uniform attention; each seed's shares, by step, layer, head and token, are a chunk
/// of little-endian integers of two bytes, 65,535 being 1.
fn attended_characters(training: &Training, steps: &[u32], name: &str, chunks: &mut Vec<Chunk>) -> Value {
    let mut uniform = BTreeMap::new();
    for row in training.tables.characters.iter().flatten() {
        uniform.insert(row.token, row.uniform_share);
    }
    let tokens: Vec<u16> = uniform.keys().copied().collect();
    let (layers, heads) = (training.layers(), training.heads());
    let mut listed = Vec::new();
    for (seed, rows) in training.tables.characters.iter().enumerate() {
        let mut shares = vec![0_u16; steps.len() * layers * heads * tokens.len()];
        for row in rows {
            let place = (steps.binary_search(&row.step), tokens.binary_search(&row.token));
            if let (Ok(step), Ok(token)) = place {
                let of_head = (step * layers + usize::from(row.layer)) * heads + usize::from(row.head);
                if let Some(share) = shares.get_mut(of_head * tokens.len() + token) {
                    *share = (row.share.clamp(0.0, 1.0) * 65535.0).round() as u16;
                }
            }
        }
        let bytes: Vec<u8> = shares.into_iter().flat_map(u16::to_le_bytes).collect();
        let chunk = Chunk::new(format!("attended-{name}-{seed}"), &bytes);
        listed.push(chunk.id.clone());
        chunks.push(chunk);
    }
    let uniform: Vec<Value> = uniform.values().map(|&share| number(Some(share))).collect();
    json!({ "tokens": tokens, "uniform": uniform, "chunks": listed })
}

fn onset(row: &Onsets) -> Value {
    json!({
        "event": row.event.as_str(), "metric": row.metric, "layer": row.layer, "value": number(row.value),
        "low": number(row.low), "high": number(row.high), "n": row.n, "seeds": row.seeds,
        "inSeeds": row.in_seeds.iter().map(u64::to_string).collect::<Vec<_>>(), "steps": row.steps,
    })
}

fn correlation(row: &Correlations) -> Value {
    json!([
        row.scope.as_str(),
        row.x,
        row.layer,
        row.y,
        row.n,
        number(row.spearman),
        number(row.spearman_low),
        number(row.spearman_high),
        number(row.partial_spearman),
        number(row.p_value),
        number(row.q_value),
        row.reason,
    ])
}

/// Scores of generated text and attention during generation, as one chunk of JSON; null without them.
fn quality(training: &Training, of: &Dataset, name: &str, chunks: &mut Vec<Chunk>) -> Value {
    let tables = &training.tables;
    if tables.scores.is_empty() {
        return Value::Null;
    }
    let mut texts = Vec::new();
    for (seed, rows) in tables.scores.iter().enumerate() {
        let mut attention: BTreeMap<(u32, u16, u16), Vec<&SampleAttention>> = BTreeMap::new();
        let during = tables.samples.get(seed).into_iter().flatten().filter(|row| row.source == TextSource::Model);
        for row in during {
            attention.entry((row.step, row.sample, row.layer)).or_default().push(row);
        }
        for row in rows.iter().filter(|row| row.source == TextSource::Model) {
            let Some(step) = row.step else { continue };
            let scores: Vec<Value> = SampleScores::MEASURES.iter().map(|measure| number((measure.get)(row))).collect();
            // Of each layer, the mean over its heads.
            let layers: Vec<Value> = (0..training.layers())
                .map(|layer| {
                    let heads = u16::try_from(layer).ok().and_then(|layer| attention.get(&(step, row.sample, layer)));
                    let mean = |measure: &Measure<SampleAttention>| {
                        let values: Vec<f64> =
                            heads.into_iter().flatten().filter_map(|row| (measure.get)(row)).collect();
                        number(mean_stderr(&values).map(|(mean, _)| mean))
                    };
                    SampleAttention::MEASURES.iter().map(mean).collect::<Vec<_>>().into()
                })
                .collect();
            // The texts on the page are the first seed's: of these, every head.
            let heads = if seed == 0 {
                of_heads(training, |layer| attention.get(&(step, row.sample, layer)))
            } else {
                Value::Null
            };
            texts.push(json!([seed, step, row.sample, scores, layers, heads]));
        }
    }
    let chunk = Chunk::new(format!("quality-{name}"), json!(texts).to_string().as_bytes());
    let id = chunk.id.clone();
    chunks.push(chunk);
    // The references are drawn from the dataset alone: those of the first seed are everyone's.
    let reference = |source: TextSource| {
        let rows: Vec<_> = tables.scores[0].iter().filter(|row| row.source == source).collect();
        let of = |measure: &Measure<SampleScores>| {
            let values: Vec<f64> = rows.iter().filter_map(|row| (measure.get)(row)).collect();
            let (mean, stderr) = mean_stderr(&values).map_or((None, None), |(mean, stderr)| (Some(mean), stderr));
            json!([number(mean), number(stderr)])
        };
        json!({ "source": source.as_str(), "texts": rows.len(), "scores": SampleScores::MEASURES.iter().map(of).collect::<Vec<_>>() })
    };
    let references = [TextSource::Validation, TextSource::Trigram, TextSource::Shuffled].map(reference);
    let validation: Vec<Value> = (0..training.layers())
        .map(|layer| {
            let rows = tables.samples.iter().flatten();
            let rows = rows.filter(|row| row.source == TextSource::Validation && usize::from(row.layer) == layer);
            let rows: Vec<_> = rows.collect();
            let mean = |measure: &Measure<SampleAttention>| {
                let values: Vec<f64> = rows.iter().filter_map(|row| (measure.get)(row)).collect();
                number(mean_stderr(&values).map(|(mean, _)| mean))
            };
            SampleAttention::MEASURES.iter().map(mean).collect::<Vec<_>>().into()
        })
        .collect();
    let mut real: BTreeMap<u16, Vec<&SampleAttention>> = BTreeMap::new();
    for row in tables.samples.iter().flatten().filter(|row| row.source == TextSource::Validation) {
        real.entry(row.layer).or_default().push(row);
    }
    let real = of_heads(training, |layer| real.get(&layer));
    json!({
        "chunk": id, "references": references, "validation": validation, "validationHeads": real,
        "samplesOf": of.study.seeds.first().map(u64::to_string),
    })
}

/// Attention over texts of every head, in the order of layers and heads: each measure's mean over the rows.
fn of_heads<'rows>(training: &Training, rows: impl Fn(u16) -> Option<&'rows Vec<&'rows SampleAttention>>) -> Value {
    let heads = (0..training.layers()).flat_map(|layer| (0..training.heads()).map(move |head| (layer as u16, head)));
    let of_head = |(layer, head): (u16, usize)| {
        let rows = rows(layer).into_iter().flatten().filter(|row| usize::from(row.head) == head);
        let rows: Vec<&&SampleAttention> = rows.collect();
        let mean = |measure: &Measure<SampleAttention>| {
            let values: Vec<f64> = rows.iter().filter_map(|row| (measure.get)(row)).collect();
            number(mean_stderr(&values).map(|(mean, _)| mean))
        };
        SampleAttention::MEASURES.iter().map(mean).collect::<Vec<_>>()
    };
    heads.map(of_head).collect::<Vec<_>>().into()
}

/// Samples of the first seed.
fn samples(of: &Dataset) -> Value {
    let rows = of.samples.iter().map(|row| {
        let text: String = row.text.chars().take(SHOWN).collect();
        json!([row.step, row.sample, row.prompt, text])
    });
    let setting = of.samples.first().map(|row| json!({ "temperature": row.temperature, "topK": row.top_k }));
    json!({ "setting": setting, "texts": rows.collect::<Vec<_>>() })
}

/// Rounded to five significant digits; null if there is none.
fn number(value: Option<f64>) -> Value {
    let rounded = value.and_then(|value| format!("{value:.4e}").parse::<f64>().ok());
    rounded.and_then(serde_json::Number::from_f64).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_five_digits() {
        let written = |value| number(value).to_string();
        assert_eq!(written(Some(0.123_456_789)), "0.12346");
        assert_eq!([written(Some(1.0)), written(None), written(Some(f64::NAN))], ["1.0", "null", "null"]);
    }

    #[test]
    fn places_outside_a_grid_are_left_out() {
        let grid = Grid { of: vec![2, 2] };
        let filled = grid.fill(
            [([Some(1), Some(0)], Some(0.5)), ([None, Some(0)], Some(9.0)), ([Some(0), Some(2)], Some(9.0))]
                .into_iter(),
        );
        assert_eq!(filled.to_string(), "[null,null,0.5,null]");
    }
}
