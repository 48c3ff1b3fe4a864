//! The `correlate` stage: correlations, tests of the study's claims, and the table of results.
//!
//! It reads every training of the study and writes `correlations`, `onsets`, `head_matches`, `findings` and `results`. The
//! replicate is the seed: a statistic is computed once per seed, and its interval and test are over seeds.

pub mod association;
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
pub mod rank;
pub mod results;
pub mod samples;
pub mod series;
#[cfg(test)]
mod synthetic;
pub mod timeline;
pub mod training;

use clap::{Args, Parser};
use cli::{Fault, Part, Place, Study, Terminal, Threads, Verbosity};
use schemas::tables::{Correlations, Findings, Onsets};
use schemas::{Artifacts, Partition, Provenance, Source};
use serde::Serialize;

use inputs::{Dataset, Run};

/// Correlates attention with learning and generated text, and tests the study's claims
///
/// Reads the whole study as --dataset and --run describe it and writes the tables correlations (one file a dataset and
/// run that has snapshots or quality), onsets and head_matches (one file a dataset and run that has snapshots), findings (one
/// file a dataset) and results (one file).
#[derive(Clone, Debug, Parser)]
#[command(
    version,
    after_help = "Example:\n  correlate --artifacts artifacts/laptop \\\n    \
    --dataset 'shakespeare_char seeds=1337,1338,1339 steps=0,50,100-2000/100 eval_interval=100' \\\n    \
    --run 'run_0 parts= label=Baseline' \\\n    \
    --run 'run_3 parts=tracking,snapshots,similarity,quality label=Generation quality'"
)]
pub struct Arguments {
    /// Where the tables lie.
    #[command(flatten)]
    pub place: Place,
    /// What decides the content.
    #[command(flatten)]
    pub parameters: Parameters,
    /// Threads.
    #[command(flatten)]
    pub threads: Threads,
    /// Verbosity.
    #[command(flatten)]
    pub verbosity: Verbosity,
}

/// What decides the content of the tables.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Parameters {
    /// The study.
    #[command(flatten)]
    #[serde(flatten)]
    pub study: Study,

    /// Random rearrangements behind each p-value; where there are no more in all, all are looked at instead
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000), help_heading = "What")]
    pub permutations: u32,
}

/// Reads the study, computes, and writes the five tables.
///
/// # Errors
/// A study that contradicts itself, inputs that are missing or damaged, outputs that cannot be written.
pub fn run(arguments: &Arguments, terminal: &Terminal) -> Result<(), Fault> {
    arguments.threads.install();
    let artifacts = Artifacts::new(&arguments.place.artifacts);
    let parameters = &arguments.parameters;
    let study = inputs::read(&artifacts, &parameters.study, terminal)?;

    let results = results::results(&study)?;
    let correlations = correlations(&study, parameters.permutations, terminal);
    let findings: Vec<_> = study.iter().map(|dataset| (dataset, claims::findings(&study, dataset))).collect();

    let config = serde_json::to_value(parameters)
        .map_err(|error| Fault::defect(format!("the parameters cannot be written as JSON: {error}")))?;
    let provenance = Provenance::new("correlate", config);
    for (dataset, run, rows) in &correlations {
        let family = rows.iter().filter(|row| row.p_value.is_some()).count();
        let partition = Partition::dataset(&dataset.name).run(&run.name);
        artifacts.write(&partition, &provenance.from_inputs(&run.learned).with("family_size", family), rows)?;
    }
    let developed = study.iter().flat_map(|dataset| dataset.runs.iter().map(move |run| (dataset, run)));
    let mut onsets = Vec::new();
    for (dataset, run) in developed.filter(|(_, run)| run.has(Part::Snapshots)) {
        let partition = Partition::dataset(&dataset.name).run(&run.name);
        let provenance = provenance.from_inputs(&run.learned);
        artifacts.write(&partition, &provenance, &matching::head_matches(run))?;
        let rows = onsets::onsets(run);
        artifacts.write(&partition, &provenance, &rows)?;
        onsets.push((dataset, run, rows));
    }
    for (dataset, rows) in &findings {
        let family = rows.iter().filter(|row| row.p_value.is_some()).count();
        let partition = Partition::dataset(&dataset.name);
        let provenance = provenance.from_inputs(behind_findings(&study, dataset)).with("family_size", family);
        artifacts.write(&partition, &provenance, rows)?;
    }
    let measured = study.iter().flat_map(|dataset| &dataset.runs).flat_map(|run| &run.measured);
    artifacts.write(&Partition::study(), &provenance.from_inputs(measured), &results)?;

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
        let count = |verdict: &str| rows.iter().filter(|row| row.verdict == verdict).count();
        let verdicts = ["supported", "refuted", "inconclusive", "not_tested"];
        let counts = verdicts.map(|verdict| format!("{} {}", count(verdict), verdict.replace('_', " ")));
        let (name, claims, family) =
            (&dataset.name, rows.len(), rows.iter().filter(|row| row.p_value.is_some()).count());
        terminal.say(format!("{name}: {claims} claims, {family} tested with Holm's correction: {}", counts.join(", ")));
    }
}
