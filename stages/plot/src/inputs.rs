//! What is drawn, read from the tables.

use cli::{Fault, Part, Study, StudyDataset, StudyRun};
use schemas::attention::Window;
use schemas::enums::WindowKind;
use schemas::tables::{
    Attention, Baselines, Correlations, Evaluations, Findings, HeadMatches, HeadMetrics, LayerSimilarity, Onsets,
    Results, SampleScores, Samples, TrainingLog, Windows,
};
use schemas::{Artifacts, Partition, Provenance, Table};

/// All that figures and report are made from.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The table of results, a row for each dataset and run.
    pub results: Vec<Results>,
    /// The datasets, in the order of the study.
    pub datasets: Vec<Dataset>,
}

/// A dataset's tables. Runs are never pooled: what the figures show of attention is of one run each, the last that has it.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Its seeds and steps.
    pub study: StudyDataset,
    /// Every run's losses, in the order of the study.
    pub losses: Vec<RunLosses>,
    /// Attention on the probe windows, if any run has snapshots.
    pub attention: Option<AttentionTables>,
    /// Similarity of layers, if any run has it.
    pub similarity: Option<SimilarityTables>,
    /// Scores of generated text, if any run has them.
    pub quality: Option<QualityTables>,
    /// Generated texts of the first seed; of the run with scores if there is one, else of the last run.
    pub samples: Vec<Samples>,
    /// The claims, tested.
    pub findings: Vec<Findings>,
    /// Tested correlations of the run that has scores, else snapshots; none without either.
    pub correlations: Vec<Correlations>,
    /// Who made the tables: a line for each run and table that was read, for the first seed.
    pub origins: Vec<Origin>,
}

/// A run's losses by seed.
#[derive(Clone, Debug)]
pub struct RunLosses {
    /// The run.
    pub run: StudyRun,
    /// `evaluations` of each seed.
    pub evaluations: Vec<Vec<Evaluations>>,
    /// `training_log` of each seed.
    pub training_log: Vec<Vec<TrainingLog>>,
}

/// What a run's snapshots say.
#[derive(Clone, Debug)]
pub struct AttentionTables {
    /// The run's name.
    pub run: String,
    /// `head_metrics` of each seed.
    pub head_metrics: Vec<Vec<HeadMetrics>>,
    /// What uniform attention gives.
    pub baselines: Vec<Baselines>,
    /// When something happens.
    pub onsets: Vec<Onsets>,
    /// Which head of a seed is which of another.
    pub matches: Vec<HeadMatches>,
    /// The first window of validation text.
    pub window: Option<Windows>,
    /// Its attention at the first, a middle and the last step, for the first seed.
    pub maps: Vec<(u32, Window)>,
}

/// `layer_similarity` of a run.
#[derive(Clone, Debug)]
pub struct SimilarityTables {
    /// The run's name.
    pub run: String,
    /// The rows of each seed.
    pub rows: Vec<Vec<LayerSimilarity>>,
}

/// `sample_scores` of a run.
#[derive(Clone, Debug)]
pub struct QualityTables {
    /// The run's name.
    pub run: String,
    /// The rows of each seed.
    pub rows: Vec<Vec<SampleScores>>,
}

/// Who made a table, and with which parameters.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The run, if the table is of one.
    pub run: Option<String>,
    /// What its footer says.
    pub provenance: Provenance,
}

impl AttentionTables {
    /// How many layers there are.
    pub fn layers(&self) -> u16 {
        self.head_metrics.iter().flatten().map(|row| row.layer + 1).max().unwrap_or(0)
    }

    /// How many heads a layer has.
    pub fn heads(&self) -> u16 {
        self.head_metrics.iter().flatten().map(|row| row.head + 1).max().unwrap_or(0)
    }
}

impl Dataset {
    /// The end of the training.
    pub fn last_step(&self) -> u32 {
        self.study.steps.last().unwrap_or(0)
    }

    /// The first, the middle and the last snapshot step.
    pub fn telling_steps(&self) -> Vec<u32> {
        telling(self.study.steps.as_slice())
    }
}

/// The first, the middle and the last of some steps, each once.
fn telling(steps: &[u32]) -> Vec<u32> {
    let places = [0, steps.len() / 2, steps.len().saturating_sub(1)];
    let mut telling: Vec<u32> = places.iter().filter_map(|&place| steps.get(place).copied()).collect();
    telling.dedup();
    telling
}

impl Inputs {
    /// Reads what the study says there is; what is missing is an error.
    pub fn read(artifacts: &Artifacts, study: &Study) -> Result<Self, Fault> {
        let results = artifacts.read::<Results>(&Partition::study())?.rows;
        let datasets = study.datasets.iter().map(|dataset| Dataset::read(artifacts, dataset, &study.runs));
        Ok(Self { results, datasets: datasets.collect::<Result<_, _>>()? })
    }
}

/// Reads a dataset's tables, remembering where they came from.
struct Source<'study> {
    artifacts: &'study Artifacts,
    dataset: &'study StudyDataset,
    origins: Vec<Origin>,
}

impl Source<'_> {
    /// A table of one run, for each seed.
    fn seeds<T: Table>(&mut self, run: &StudyRun) -> Result<Vec<Vec<T>>, Fault> {
        self.dataset.seeds.iter().map(|&seed| self.seed::<T>(run, seed)).collect()
    }

    /// A table of one run, over its seeds.
    fn run<T: Table>(&self, run: &StudyRun) -> Result<Vec<T>, Fault> {
        Ok(self.artifacts.read::<T>(&Partition::dataset(&self.dataset.name).run(&run.name))?.rows)
    }

    /// A table of one run and seed.
    fn seed<T: Table>(&mut self, run: &StudyRun, seed: u64) -> Result<Vec<T>, Fault> {
        let partition = Partition::dataset(&self.dataset.name).run(&run.name).seed(seed);
        let loaded = self.artifacts.read::<T>(&partition)?;
        if Some(&seed) == self.dataset.seeds.first() {
            self.origins.push(Origin { run: Some(run.name.clone()), provenance: loaded.provenance });
        }
        Ok(loaded.rows)
    }
}

impl Dataset {
    fn read(artifacts: &Artifacts, dataset: &StudyDataset, runs: &[StudyRun]) -> Result<Self, Fault> {
        let seed = *dataset.seeds.first().ok_or_else(|| Fault::parameter(format!("`{dataset}` has no seeds")))?;
        let last = |part| runs.iter().rev().find(|run| run.has(part));
        let mut source = Source { artifacts, dataset, origins: Vec::new() };
        let mut losses = Vec::new();
        for run in runs {
            let (evaluations, training_log) = (source.seeds(run)?, source.seeds(run)?);
            losses.push(RunLosses { run: run.clone(), evaluations, training_log });
        }
        let attention = last(Part::Snapshots).map(|run| AttentionTables::read(&mut source, run, seed)).transpose()?;
        let similarity = match last(Part::Similarity) {
            Some(run) => Some(SimilarityTables { run: run.name.clone(), rows: source.seeds(run)? }),
            None => None,
        };
        let quality = match last(Part::Quality) {
            Some(run) => Some(QualityTables { run: run.name.clone(), rows: source.seeds(run)? }),
            None => None,
        };
        let samples = match last(Part::Quality).or(runs.last()) {
            Some(run) => source.seed(run, seed)?,
            None => Vec::new(),
        };
        let correlations = match last(Part::Quality).or(last(Part::Snapshots)) {
            Some(run) => source.run(run)?,
            None => Vec::new(),
        };
        let findings = artifacts.read::<Findings>(&Partition::dataset(&dataset.name))?;
        let mut origins = source.origins;
        origins.push(Origin { run: None, provenance: findings.provenance });
        let (study, findings) = (dataset.clone(), findings.rows);
        Ok(Self { study, losses, attention, similarity, quality, samples, findings, correlations, origins })
    }
}

impl AttentionTables {
    fn read(source: &mut Source<'_>, run: &StudyRun, seed: u64) -> Result<Self, Fault> {
        let head_metrics = source.seeds(run)?;
        let baselines = source.seed(run, seed)?;
        let (onsets, matches) = (source.run(run)?, source.run(run)?);
        let windows: Vec<Windows> = source.seed(run, seed)?;
        let place = windows.iter().position(|window| window.kind == WindowKind::Val);
        let mut maps = Vec::new();
        for step in telling(source.dataset.steps.as_slice()) {
            let partition = Partition::dataset(&source.dataset.name).run(&run.name).seed(seed).step(step);
            let reader = source.artifacts.open::<Attention>(&partition)?;
            // A row group is a window, in the windows' order.
            if let Some(group) = place.filter(|&place| place < reader.groups()) {
                maps.push((step, reader.window(group)?));
            }
        }
        let window = place.and_then(|place| windows.into_iter().nth(place));
        Ok(Self { run: run.name.clone(), head_metrics, baselines, onsets, matches, window, maps })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn telling_steps_are_first_middle_and_last() {
        assert_eq!(telling(&[0, 50, 100, 200, 300]), [0, 100, 300]);
        assert_eq!(telling(&[0, 100]), [0, 100]);
        assert_eq!(telling(&[0]), [0]);
        assert!(telling(&[]).is_empty());
    }
}
