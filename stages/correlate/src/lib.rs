//! The `correlate` stage: correlations, tests of the study's claims, and the table of results.
//!
//! It reads every training of the study and writes `correlations`, `onsets`, `head_matches`, `findings` and `results`. The
//! replicate is the seed: a statistic is computed once per seed, and its interval and test are over seeds.

pub mod association;
pub mod bootstrap;
pub mod claims;
pub mod fit;
pub mod generation;
pub mod inputs;
pub mod interval;
pub mod matching;
pub mod multiple_testing;
pub mod onsets;
pub mod partial;
pub mod permutation;
pub mod power;
pub mod rank;
pub mod results;
pub mod samples;
pub mod series;
#[cfg(test)]
mod synthetic;
pub mod timeline;
pub mod training;

use cli::Terminal;
use declarations::correlate::Correlate;
use declarations::{Fault, Job, Part};
use schemas::enums::Verdict;
use schemas::tables::{Correlations, Findings, Onsets};
use schemas::{Partition, Source};

use inputs::{Dataset, Run};

/// Reads the study, computes, and writes the five tables.
///
/// # Errors
/// The study is inconsistent, an input is missing or damaged, or an output cannot be written.
pub fn run(job: &Job<Correlate>, terminal: &Terminal) -> Result<(), Fault> {
    let Job { parameters, outputs, .. } = job;
    let study = inputs::read(&job.inputs, &parameters.study, terminal)?;

    let results = results::results(&study)?;
    let correlations = correlations(&study, parameters.permutations, terminal);
    let findings: Vec<_> = study.iter().map(|dataset| (dataset, claims::findings(&study, dataset))).collect();

    let provenance = job.provenance();
    for (dataset, run, rows) in &correlations {
        let family = rows.iter().filter(|row| row.p_value.is_some()).count();
        let partition = Partition::dataset(&dataset.name).run(&run.name);
        outputs.write(&partition, &provenance.from_inputs(&run.learned).with("family_size", family), rows)?;
    }
    let developed = study.iter().flat_map(|dataset| dataset.runs.iter().map(move |run| (dataset, run)));
    let mut onsets = Vec::new();
    for (dataset, run) in developed.filter(|(_, run)| run.has(Part::Snapshots)) {
        let partition = Partition::dataset(&dataset.name).run(&run.name);
        let provenance = provenance.from_inputs(&run.learned);
        outputs.write(&partition, &provenance, &matching::head_matches(run))?;
        let rows = onsets::onsets(run);
        outputs.write(&partition, &provenance, &rows)?;
        onsets.push((dataset, run, rows));
    }
    for (dataset, rows) in &findings {
        let family = rows.iter().filter(|row| row.p_value.is_some()).count();
        let partition = Partition::dataset(&dataset.name);
        let provenance = provenance.from_inputs(behind_findings(&study, dataset)).with("family_size", family);
        outputs.write(&partition, &provenance, rows)?;
    }
    let measured = study.iter().flat_map(|dataset| &dataset.runs).flat_map(|run| &run.measured);
    outputs.write(&Partition::study(), &provenance.from_inputs(measured), &results)?;

    summarise(&correlations, &onsets, &findings, terminal);
    Ok(())
}

/// The rows of each file of `correlations`: the training scope where a run has snapshots, the generation scope where it has
/// quality, and the q-values over both.
fn correlations<'study>(
    study: &'study [Dataset],
    draws: u32,
    terminal: &Terminal,
) -> Vec<(&'study Dataset, &'study Run, Vec<Correlations>)> {
    let files: Vec<_> = study
        .iter()
        .flat_map(|dataset| dataset.runs.iter().map(move |run| (dataset, run)))
        .filter(|(_, run)| run.has(Part::Snapshots) || run.has(Part::Quality))
        .collect();
    let progress = terminal.progress("correlate", files.len() as u64);
    let rows = |(dataset, run): (&'study Dataset, &'study Run)| {
        progress.note(format!("{} {}", dataset.name, run.name));
        let mut rows = Vec::new();
        if run.has(Part::Snapshots) {
            rows.extend(training::training_rows(&dataset.name, run, draws));
        }
        if run.has(Part::Quality) {
            rows.extend(generation::generation_rows(&dataset.name, run, draws));
        }
        let p_values: Vec<_> = rows.iter().map(|row| row.p_value).collect();
        rows.iter_mut()
            .zip(multiple_testing::benjamini_hochberg(&p_values))
            .for_each(|(row, q_value)| row.q_value = q_value);
        progress.advance(1);
        (dataset, run, rows)
    };
    files.into_iter().map(rows).collect()
}

/// The files that a dataset's findings are made from.
fn behind_findings<'study>(study: &'study [Dataset], dataset: &'study Dataset) -> Vec<&'study Source> {
    let others = study.iter().filter(|other| other.name == dataset.name || claims::needs_others(dataset));
    let learned = others.flat_map(|dataset| &dataset.runs).flat_map(|run| &run.learned);
    learned.chain(dataset.tracked.iter().flat_map(|tracked| &tracked.sources)).collect()
}

fn summarise(
    correlations: &[(&Dataset, &Run, Vec<Correlations>)],
    onsets: &[(&Dataset, &Run, Vec<Onsets>)],
    findings: &[(&Dataset, Vec<Findings>)],
    terminal: &Terminal,
) {
    for (dataset, run, rows) in correlations {
        let tested = rows.iter().filter(|row| row.p_value.is_some()).count();
        let found = rows.iter().filter(|row| row.q_value.is_some_and(|q_value| q_value < 0.05)).count();
        let (dataset, run, rows) = (&dataset.name, &run.name, rows.len());
        terminal.say(format!("{dataset} {run}: {rows} correlations, {tested} tested, {found} with q < 0.05"));
    }
    for (dataset, run, rows) in onsets {
        let (found, all) = (rows.iter().filter(|row| row.n > 0).count(), rows.len());
        terminal.say(format!("{} {}: {found} of {all} onsets and change points found", dataset.name, run.name));
    }
    for (dataset, rows) in findings {
        let count = |verdict: Verdict| rows.iter().filter(|row| row.verdict == verdict).count();
        let verdicts = Verdict::ALL.iter();
        let counts: Vec<_> =
            verdicts.map(|&verdict| format!("{} {}", count(verdict), verdict.as_str().replace('_', " "))).collect();
        let (name, claims, family) =
            (&dataset.name, rows.len(), rows.iter().filter(|row| row.p_value.is_some()).count());
        terminal.say(format!("{name}: {claims} claims, {family} tested with Holm's correction: {}", counts.join(", ")));
    }
}
