//! Tests of the study's claims and of a hypothesis from the literature.
//!
//! A claim is a function; its doc says what it claims, the statistic, and on which side of which threshold the claim holds. The
//! claims of a dataset that have a test are one family, which `verdict.rs` corrects for.

mod claim;
#[cfg(test)]
mod error_rate;
mod hypothesis;
mod layers;
mod learning;
mod plateau;
mod quality;
mod spans;
#[cfg(test)]
mod tests;
mod verdict;

use schemas::tables::Findings;

use crate::bootstrap::REPLICATES;
use crate::inputs::Dataset;
use claim::Case;

/// The dataset that some claims are about.
const SHAKESPEARE: &str = "shakespeare_char";
/// The dataset that one claim compares with it.
const ENWIK8: &str = "enwik8";

/// Every claim about a dataset, in the study's order, and then the hypothesis: decided after the correction over all of them.
pub fn findings(study: &[Dataset], dataset: &Dataset) -> Vec<Findings> {
    tested(Case { dataset, study, replicates: REPLICATES })
}

fn tested(case: Case<'_>) -> Vec<Findings> {
    let dataset = case.dataset;
    let mut evidence = vec![
        learning::tracking_is_free(case),
        learning::entropy_falls(case),
        spans::span_rises_then_settles(case),
        spans::early_local_late_global(case),
        spans::local_specialists(case),
        learning::balanced_span_helps(case),
        layers::lower_layers_alike(case),
        layers::specialisation_onset(case),
        layers::middle_most_alike(case),
        layers::last_layers_diverse(case),
        learning::similarity_tracks_loss(case),
    ];
    if dataset.name == ENWIK8 {
        evidence.push(layers::enwik8_more_uniform(case));
    }
    evidence.extend([
        quality::quality_wants_balance(case),
        quality::quality_wants_stable_heads(case),
        quality::poor_is_overfocused(case),
        quality::poor_is_dominated(case),
    ]);
    if dataset.name == SHAKESPEARE {
        evidence.push(quality::shakespeare_strongest(case));
    }
    evidence.extend([
        quality::generation_differs_slightly(case),
        quality::quality_wants_layered_spans(case),
        quality::poor_is_inconsistent(case),
        learning::val_tracks_train(case),
        plateau::plateau_repeats(case),
        plateau::attention_settles_first(case),
    ]);
    verdict::decide(evidence)
}

/// Whether a claim about this dataset needs others too.
pub fn needs_others(dataset: &Dataset) -> bool {
    [SHAKESPEARE, ENWIK8].contains(&dataset.name.as_str())
}
