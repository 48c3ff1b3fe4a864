//! What there is so far of a study that still runs, or was interrupted: the study without the seeds, runs, parts and snapshots
//! whose tables are not there yet, and what these are, in words.
//!
//! Figures and views need the same runs for every seed. So the seed that is furthest along decides which runs and parts are shown,
//! and every other seed that has as much is shown with it.

use std::collections::BTreeMap;
use std::path::Path;

use declarations::plot::{Parameters, Plot};
use declarations::{Fault, Inputs as Tables, Part, Reads, Stage as _, Steps, Study, StudyDataset, StudyRun};
use schemas::tables::{
    Attention, Correlations, Evaluations, Findings, GeneratedAttention, HeadMatches, Onsets, Results, Samples,
};
use schemas::{Artifacts, Partition, Table};

/// Tables that a page can do without, in words: conclusions over all seeds, and samples, which come last.
const LATER: [(&str, &str); 7] = [
    (Samples::NAME, "generated samples"),
    (GeneratedAttention::NAME, "attention while generating"),
    (Results::NAME, "the table of results"),
    (Findings::NAME, "findings"),
    (Onsets::NAME, "onsets"),
    (HeadMatches::NAME, "matched heads"),
    (Correlations::NAME, "correlations"),
];

/// Whether a table is not there yet, which only matters to a page of what there is so far.
///
/// # Errors
/// A bug if the partition lacks one of the table's keys.
pub fn lacks<T: Table>(tables: &Tables<Plot>, partition: &Partition, parameters: &Parameters) -> Result<bool, Fault>
where
    Plot: Reads<T>,
{
    Ok(parameters.so_far == Some(true) && !tables.path::<T>(partition)?.is_file())
}

/// The rows of a table; none of one that is not there yet.
///
/// # Errors
/// If it is damaged or of another version, or is missing where the study is whole.
pub fn rows<T: Table>(tables: &Tables<Plot>, partition: &Partition, parameters: &Parameters) -> Result<Vec<T>, Fault>
where
    Plot: Reads<T>,
{
    if lacks::<T>(tables, partition, parameters)? { Ok(Vec::new()) } else { Ok(tables.read::<T>(partition)?.rows) }
}

/// The parameters with what there is of the study in a folder, and what is not there yet.
///
/// # Errors
/// If no training has written its losses.
pub fn reduced(parameters: &Parameters, root: &Path) -> Result<(Parameters, Vec<String>), Fault> {
    let folder = Folder { root, parameters };
    let study = &parameters.study;
    let found: Vec<BTreeMap<u64, Trained>> = study.datasets.iter().map(|dataset| folder.dataset(dataset)).collect();
    let best = found.iter().flat_map(BTreeMap::values).fold(None, |best: Option<&Trained>, trained| match best {
        Some(best) if trained.rank() <= best.rank() => Some(best),
        _ => Some(trained),
    });
    let Some(best) = best.filter(|best| !best.runs.is_empty()) else {
        return Err(Fault::input(format!(
            "there is nothing to show in {} yet: no training has written its losses (tables {} and training_log)",
            root.display(),
            Evaluations::NAME
        )));
    };
    let mut pending = Vec::new();
    let is_there = |run: &&StudyRun| best.runs.contains_key(&run.name);
    let names = |runs: Vec<&StudyRun>| runs.iter().map(|run| run.name.as_str()).collect::<Vec<_>>().join(", ");
    let (kept, later): (Vec<_>, Vec<_>) = study.runs.iter().partition(is_there);
    pending.extend((!later.is_empty()).then(|| format!("all of {}", names(later))));
    for part in [Part::Evaluation, Part::Snapshots, Part::Similarity, Part::Quality] {
        let lacks = |run: &&StudyRun| run.has(part) && !best.runs[&run.name].contains(&part);
        let lacking: Vec<&StudyRun> = kept.iter().copied().filter(lacks).collect();
        pending.extend((!lacking.is_empty()).then(|| format!("{} of {}", in_words(part), names(lacking))));
    }
    let runs: Vec<StudyRun> =
        kept.into_iter().map(|run| StudyRun { parts: best.runs[&run.name].clone(), ..run.clone() }).collect();
    let mut datasets = Vec::new();
    for (dataset, found) in study.datasets.iter().zip(&found) {
        let as_far = |trained: &&Trained| {
            best.runs.iter().all(|(run, parts)| {
                trained.runs.get(run).is_some_and(|found| parts.iter().all(|part| found.contains(part)))
            })
        };
        // Of those, the one with the most snapshots decides the steps.
        let snapshots = found.values().filter(as_far).map(|trained| &trained.steps).max_by_key(|steps| steps.len());
        let Some(snapshots) = snapshots else {
            pending.push(format!("the dataset {}", dataset.name));
            continue;
        };
        let is_kept = |seed: &u64| {
            found
                .get(seed)
                .filter(as_far)
                .is_some_and(|trained| snapshots.iter().all(|step| trained.steps.contains(step)))
        };
        let (seeds, others): (Vec<u64>, Vec<u64>) = dataset.seeds.iter().partition(|seed| is_kept(seed));
        if !others.is_empty() {
            let word = if others.len() == 1 { "seed" } else { "seeds" };
            let others: Vec<String> = others.iter().map(u64::to_string).collect();
            pending.push(format!("{word} {} of {}", others.join(", "), dataset.name));
        }
        let steps: Steps = match snapshots.is_empty() {
            false => snapshots.iter().copied().collect(),
            true => folder.trained_steps(dataset, &seeds, runs.first()),
        };
        if let (Some(last), Some(all)) = (steps.last(), dataset.steps.last().filter(|all| steps.last() < Some(*all))) {
            pending.push(format!("the steps of {} after {last}, up to {all}", dataset.name));
        } else if steps.count() < dataset.steps.count() {
            let lacking: Steps = dataset.steps.iter().filter(|step| !steps.contains(*step)).collect();
            pending.push(format!("the snapshots {lacking} of {}", dataset.name));
        }
        datasets.push(StudyDataset { seeds, steps, ..dataset.clone() });
    }
    let rest = Study { datasets, runs, missing: study.missing.clone() };
    let parameters = Parameters { study: rest, ..parameters.clone() };
    pending.extend(folder.later(&parameters));
    Ok((parameters, pending))
}

/// What one seed of a dataset has.
#[derive(Default)]
struct Trained {
    /// By run with losses, the parts whose tables are there.
    runs: BTreeMap<String, Vec<Part>>,
    /// The snapshots that all runs with attention have.
    steps: Vec<u32>,
}

impl Trained {
    /// The larger, the further along.
    fn rank(&self) -> (usize, usize) {
        (self.runs.values().map(|parts| 1 + parts.len()).sum(), self.steps.len())
    }
}

/// The folder of a study's tables.
struct Folder<'study> {
    root: &'study Path,
    parameters: &'study Parameters,
}

impl Folder<'_> {
    fn dataset(&self, dataset: &StudyDataset) -> BTreeMap<u64, Trained> {
        let mut found = BTreeMap::new();
        for &seed in &dataset.seeds {
            let mut trained = Trained::default();
            let mut snapshots: Option<Vec<u32>> = None;
            for run in &self.parameters.study.runs {
                let Some((parts, steps)) = self.run(dataset, run, seed) else { continue };
                if parts.contains(&Part::Snapshots) {
                    snapshots = Some(match snapshots {
                        None => steps,
                        Some(others) => others.into_iter().filter(|step| steps.contains(step)).collect(),
                    });
                }
                trained.runs.insert(run.name.clone(), parts);
            }
            trained.steps = snapshots.unwrap_or_default();
            found.insert(seed, trained);
        }
        found
    }

    /// The parts of a run of which all tables are there, and its snapshots; none without its losses.
    fn run(&self, dataset: &StudyDataset, run: &StudyRun, seed: u64) -> Option<(Vec<Part>, Vec<u32>)> {
        let partition = Partition::dataset(&dataset.name).run(&run.name).seed(seed);
        let has_attention = |step: &u32| {
            Artifacts::relative::<Attention>(&partition.clone().step(*step))
                .is_ok_and(|path| self.root.join(path).is_file())
        };
        let snapshots: Vec<u32> = dataset.steps.iter().filter(has_attention).collect();
        let steps: Steps = match snapshots.is_empty() {
            true => dataset.steps.clone(),
            false => snapshots.iter().copied().collect(),
        };
        let of_run = |parts: &[Part]| Study {
            datasets: vec![StudyDataset { seeds: vec![seed], steps: steps.clone(), ..dataset.clone() }],
            runs: vec![StudyRun { parts: parts.to_vec(), ..run.clone() }],
            missing: Vec::new(),
        };
        let mut parts = Vec::new();
        if !self.has(of_run(&parts)) {
            return None;
        }
        for part in &run.parts {
            parts.push(*part);
            if !self.has(of_run(&parts)) {
                parts.pop();
            }
        }
        Some((parts, snapshots))
    }

    /// Whether all tables are there that the page of a study needs.
    fn has(&self, study: Study) -> bool {
        let parameters = Parameters { study, ..self.parameters.clone() };
        let inputs = Plot::inputs(&parameters, &Partition::study());
        let mut needed = inputs.iter().filter(|path| !LATER.iter().any(|(table, _)| path.starts_with(table)));
        needed.all(|path| self.root.join(path).is_file())
    }

    /// The snapshot steps up to the last evaluation of any of these seeds, and that step.
    fn trained_steps(&self, dataset: &StudyDataset, seeds: &[u64], run: Option<&StudyRun>) -> Steps {
        let last = |seed: &u64| {
            let partition = Partition::dataset(&dataset.name).run(&run?.name).seed(*seed);
            Artifacts::new(self.root).read::<Evaluations>(&partition).ok()?.rows.last().map(|row| row.step)
        };
        let last = seeds.iter().filter_map(last).max().unwrap_or_default();
        dataset.steps.up_to(last)
    }

    /// What is concluded when all trainings are there, as far as it is not.
    fn later(&self, parameters: &Parameters) -> Vec<String> {
        let missing = Plot::inputs(parameters, &Partition::study());
        let missing: Vec<_> = missing.iter().filter(|path| !self.root.join(path).is_file()).collect();
        let lacks = |table: &str| missing.iter().any(|path| path.starts_with(table));
        LATER.into_iter().filter(|(table, _)| lacks(table)).map(|(_, words)| words.to_owned()).collect()
    }
}

fn in_words(part: Part) -> &'static str {
    match part {
        Part::Evaluation => "losses over whole splits",
        Part::Tracking => "tracked attention",
        Part::Snapshots => "attention maps and metrics",
        Part::Similarity => "similarity of layers",
        Part::Quality => "scores of generated text",
    }
}
