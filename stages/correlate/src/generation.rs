//! The `generation` scope of `correlations`: an observation is a sample of the final checkpoint.

use random_streams::stream;
use rayon::prelude::*;
use schemas::Table;
use schemas::enums::Scope;
use schemas::tables::{Correlations, SampleAttention, SampleLayers, SampleScores};

use crate::association::{Paired, associate};
use crate::inputs::{Run, Seed, layer_count};
use crate::permutation::sample_p_value;
use crate::rank::{snapped, unit_ranks};
use crate::samples::{BySample, adjacent_divergence, attention, score};

/// A metric of attention: its name, its layer (none: all of them), and its values by seed and sample.
type Metric<'name> = (&'name str, Option<u16>, Vec<BySample>);
/// A score of the text: its name, and its values by seed and sample.
type Score<'name> = (&'name str, Vec<BySample>);

/// Attention while sampling, over all layers and layer by layer, correlated with each score of the sample. Ranks are taken
/// within each seed, the p-value permutes samples within each seed; one stream of random numbers serves one row.
pub fn generation_rows(dataset: &str, run: &Run, draws: u32) -> Vec<Correlations> {
    let layers = layer_count(run.seeds.iter().flat_map(|seed| &seed.sample_attention).map(|row| row.layer));
    let layers: Vec<Option<u16>> = std::iter::once(None).chain((0..layers).map(Some)).collect();
    let per_seed = |values: &dyn Fn(&Seed) -> BySample| run.seeds.iter().map(values).collect::<Vec<_>>();
    let mut metrics: Vec<Metric> = Vec::new();
    for measure in SampleAttention::MEASURES {
        let values = |layer| per_seed(&|seed| attention(seed, layer, measure.get));
        metrics.extend(layers.iter().map(|layer| (measure.name(), *layer, values(*layer))));
    }
    let divergence = |layer| per_seed(&|seed| adjacent_divergence(seed, layer));
    metrics.extend(layers.iter().map(|layer| (SampleLayers::js_divergence.name(), *layer, divergence(*layer))));
    let scores: Vec<Score> = SampleScores::MEASURES
        .iter()
        .map(|measure| (measure.name(), per_seed(&|seed| score(seed, measure.get))))
        .collect();

    let tests: Vec<_> = metrics.iter().flat_map(|x| scores.iter().map(move |y| (x, y))).collect();
    let row = |((name, layer, x), (score, y)): &(&Metric, &Score)| {
        let seeds = run.seeds.iter().zip(x.iter().zip(y));
        let pairs: Vec<Paired> = seeds.map(|(seed, (x, y))| Paired::new(seed.seed, x, y)).collect();
        let number = layer.map_or(u64::MAX, u64::from);
        let stream = stream("correlate samples", &[&dataset, &run.name.as_str(), name, &number, score]);
        test(name, *layer, score, &pairs, |ranks| sample_p_value(ranks, draws, stream))
    };
    tests.par_iter().map(row).collect()
}

fn test(
    x: &str,
    layer: Option<u16>,
    y: &str,
    pairs: &[Paired],
    p_value: impl FnOnce(&[(Vec<f64>, Vec<f64>)]) -> f64,
) -> Correlations {
    let mut association = associate(pairs);
    let ranks = |position: &usize| {
        let Paired { x, y, .. } = &pairs[*position];
        (unit_ranks(&snapped(x)), unit_ranks(&snapped(y)))
    };
    let ranks: Vec<_> = association.used.iter().map(ranks).collect();
    association.reasons.push("no partial correlation: the generation scope has no steps to take out".to_owned());
    let p_value = (!ranks.is_empty()).then(|| p_value(&ranks));
    Correlations { p_value, ..association.row(Scope::Generation, x, layer, y) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::{self, Shape};

    #[test]
    fn entropy_that_makes_quality_is_found() {
        let mut dataset = synthetic::dataset("d", Shape::default());
        for seed in &mut dataset.runs[1].seeds {
            let entropy = attention(seed, None, |row| Some(row.normalized_entropy));
            let last = seed.last_step();
            for row in seed.sample_scores.iter_mut().filter(|row| row.step == Some(last)) {
                row.quality = Some(-entropy[&row.sample]);
                row.coherence = None;
            }
        }
        let rows = generation_rows("d", &dataset.runs[1], 999);
        // The measures of heads and the divergence, over all layers and in each of 4, with every score.
        assert_eq!(rows.len(), (SampleAttention::MEASURES.len() + 1) * 5 * SampleScores::MEASURES.len());
        let find =
            |x: &str, y: &str| rows.iter().find(|row| row.x == x && row.layer.is_none() && row.y == y).expect("a row");
        let found = find("normalized_entropy", "quality");
        assert_eq!((found.n, found.seeds, found.p_value), (30, 3, Some(0.001)));
        assert!((found.spearman.expect("varies") + 1.0).abs() < 1e-12);
        assert!(found.partial_spearman.is_none() && found.reason.as_ref().expect("a reason").contains("no steps"));
        let absent = find("normalized_entropy", "coherence");
        assert_eq!((absent.n, absent.seeds, absent.spearman, absent.p_value), (0, 0, None, None));
    }
}
