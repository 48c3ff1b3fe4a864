//! Reads the tables of the study.

use declarations::plot::{Parameters, Plot};
use declarations::{Fault, Inputs as Tables, Part, Reads, Steps, StudyDataset, StudyRun};
use schemas::attention::Window;
use schemas::enums::WindowKind;
use schemas::tables::{
    Attention, Baselines, Correlations, Evaluations, Findings, HeadMatches, HeadMetrics, LayerSimilarity, Onsets,
    Results, SampleAttention, SampleScores, Samples, SplitLosses, TextNotes, TrainingLog, Vocabulary, Windows,
};
use schemas::{Alphabet, Measure, Partition, Provenance, Table, Uniform, Unit};

use crate::so_far;

/// The tables behind figures and report.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// One row per dataset and run.
    pub results: Vec<Results>,
    /// In the order of the study.
    pub datasets: Vec<Dataset>,
    /// What was to be part of the study and is not, since it failed.
    pub missing: Vec<String>,
    /// What is not there yet, of a page of what there is so far; none of a page of the whole study.
    pub pending: Option<Vec<String>>,
}

/// A dataset's tables. Runs are never pooled: each table of attention comes from one run, the last one that has it.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Its seeds and steps.
    pub study: StudyDataset,
    /// Its symbols, which label tokens.
    pub alphabet: Alphabet,
    /// What will matter of its text.
    pub notes: Vec<TextNotes>,
    /// The snapshots that attention maps and matrices of layers are asked for; none where these choose.
    pub chosen_steps: Option<Steps>,
    /// Losses of every run, in the order of the study.
    pub losses: Vec<RunLosses>,
    /// Attention on the probe windows; none without a run with snapshots.
    pub attention: Option<AttentionTables>,
    /// Similarity between layers; none without a run that measures it.
    pub similarity: Option<SimilarityTables>,
    /// Scores of generated text; none without a run that scores.
    pub quality: Option<QualityTables>,
    /// Generated samples of the first seed, from the run with scores, else from the last run.
    pub samples: Vec<Samples>,
    /// The tested claims.
    pub findings: Vec<Findings>,
    /// Correlations of the run with scores, else of the one with snapshots; empty without either.
    pub correlations: Vec<Correlations>,
    /// Whether `correlate` has concluded; not where a page shows what there is so far.
    pub concluded: bool,
    /// The provenance of every table read, of the first seed.
    pub sources: Vec<Source>,
}

/// The losses of one run, per seed.
#[derive(Clone, Debug)]
pub struct RunLosses {
    /// The run.
    pub run: StudyRun,
    /// `evaluations` of each seed.
    pub evaluations: Vec<Vec<Evaluations>>,
    /// `training_log` of each seed.
    pub training_log: Vec<Vec<TrainingLog>>,
    /// `split_losses` of each seed; empty where the run does not evaluate whole splits.
    pub splits: Vec<Vec<SplitLosses>>,
}

/// Attention tables of one run.
#[derive(Clone, Debug)]
pub struct AttentionTables {
    /// The run's name.
    pub run: String,
    /// `head_metrics` of each seed.
    pub head_metrics: Vec<Vec<HeadMetrics>>,
    /// Each metric under uniform causal attention.
    pub baselines: Vec<Baselines>,
    /// Onsets and change points.
    pub onsets: Vec<Onsets>,
    /// The heads of each seed matched with those of the first.
    pub matches: Vec<HeadMatches>,
    /// The number of probe windows of validation text.
    pub val_windows: usize,
    /// The first of them.
    pub window: Option<Windows>,
    /// Attention patterns on that window at the chosen snapshots, or the first, middle and last, of the first seed.
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

/// `sample_scores` of a run, and the attention while generating.
#[derive(Clone, Debug)]
pub struct QualityTables {
    /// The run's name.
    pub run: String,
    /// `sample_scores` of each seed.
    pub rows: Vec<Vec<SampleScores>>,
    /// `sample_attention` of each seed.
    pub attention: Vec<Vec<SampleAttention>>,
}

/// Where a table comes from.
#[derive(Clone, Debug)]
pub struct Source {
    /// The run; none for a table of the whole dataset.
    pub run: Option<String>,
    /// Its footer metadata.
    pub provenance: Provenance,
}

impl AttentionTables {
    /// The number of layers.
    pub fn layers(&self) -> usize {
        self.head_metrics.iter().flatten().map(|row| usize::from(row.layer) + 1).max().unwrap_or(0)
    }

    /// The number of heads per layer.
    pub fn heads(&self) -> usize {
        self.head_metrics.iter().flatten().map(|row| usize::from(row.head) + 1).max().unwrap_or(0)
    }

    /// A metric under uniform causal attention, if that is known.
    pub fn uniform(&self, measure: &Measure<HeadMetrics>) -> Option<f64> {
        match measure.quantity.uniform {
            Uniform::Baselines => self.baselines.iter().find(|row| row.metric == measure.name()).map(|row| row.value),
            Uniform::Value(value) => Some(value),
            Uniform::Unknown => None,
        }
    }
}

impl Dataset {
    /// Whether its models were trained elsewhere.
    pub fn is_imported(&self) -> bool {
        self.sources.iter().any(|source| source.provenance.producer.starts_with("import "))
    }

    /// The first, middle and last snapshot step.
    pub fn sample_steps(&self) -> Vec<u32> {
        self.study.steps.first_middle_last().iter().collect()
    }

    /// The snapshots that matrices of layers are drawn of: the chosen ones, or four from the first to the last.
    pub fn matrix_steps(&self) -> Vec<u32> {
        if let Some(chosen) = &self.chosen_steps {
            return chosen.iter().collect();
        }
        let all = self.study.steps.as_slice();
        let mut steps: Vec<u32> =
            (0..4).filter_map(|part| all.get(part * (all.len().max(1) - 1) / 3).copied()).collect();
        steps.dedup();
        steps
    }
}

impl Inputs {
    /// Reads every table that the study's runs should have.
    ///
    /// # Errors
    /// If a table is missing, damaged or of another version, or a dataset has no seeds.
    pub fn read(tables: &Tables<Plot>, parameters: &Parameters) -> Result<Self, Fault> {
        let results = so_far::rows::<Results>(tables, &Partition::study(), parameters)?;
        let datasets = parameters.study.datasets.iter().map(|dataset| Dataset::read(tables, dataset, parameters));
        let datasets = datasets.collect::<Result<_, _>>()?;
        Ok(Self { results, datasets, missing: parameters.study.missing.clone(), pending: None })
    }

    /// What a token is in each dataset.
    pub fn units(&self) -> Vec<Unit> {
        self.datasets.iter().map(|dataset| dataset.alphabet.unit()).collect()
    }
}

/// Reads a dataset's tables and collects their provenance.
struct Reader<'study> {
    tables: &'study Tables<Plot>,
    dataset: &'study StudyDataset,
    parameters: &'study Parameters,
    sources: Vec<Source>,
}

impl Reader<'_> {
    /// A table of one run, per seed.
    fn seeds<T: Table>(&mut self, run: &StudyRun) -> Result<Vec<Vec<T>>, Fault>
    where
        Plot: Reads<T>,
    {
        self.dataset.seeds.iter().map(|&seed| self.seed::<T>(run, seed)).collect()
    }

    /// A table of one run, over its seeds.
    fn run<T: Table>(&self, run: &StudyRun) -> Result<Vec<T>, Fault>
    where
        Plot: Reads<T>,
    {
        so_far::rows(self.tables, &Partition::dataset(&self.dataset.name).run(&run.name), self.parameters)
    }

    /// The samples of one run and seed, which a study that runs may not have yet.
    fn samples(&mut self, run: &StudyRun, seed: u64) -> Result<Vec<Samples>, Fault> {
        let partition = Partition::dataset(&self.dataset.name).run(&run.name).seed(seed);
        if so_far::lacks::<Samples>(self.tables, &partition, self.parameters)? {
            return Ok(Vec::new());
        }
        self.seed(run, seed)
    }

    /// A table of one run and seed.
    fn seed<T: Table>(&mut self, run: &StudyRun, seed: u64) -> Result<Vec<T>, Fault>
    where
        Plot: Reads<T>,
    {
        let partition = Partition::dataset(&self.dataset.name).run(&run.name).seed(seed);
        let loaded = self.tables.read::<T>(&partition)?;
        if Some(&seed) == self.dataset.seeds.first() {
            self.sources.push(Source { run: Some(run.name.clone()), provenance: loaded.provenance });
        }
        Ok(loaded.rows)
    }
}

impl Dataset {
    fn read(tables: &Tables<Plot>, dataset: &StudyDataset, parameters: &Parameters) -> Result<Self, Fault> {
        let study = &parameters.study;
        let seed = *dataset.seeds.first().ok_or_else(|| Fault::parameter(format!("{} has no seeds", dataset.name)))?;
        let last = |part| study.last_with(part);
        let mut reader = Reader { tables, dataset, parameters, sources: Vec::new() };
        let mut losses = Vec::new();
        for run in &study.runs {
            let (evaluations, training_log) = (reader.seeds(run)?, reader.seeds(run)?);
            let splits = if run.has(Part::Evaluation) { reader.seeds(run)? } else { Vec::new() };
            losses.push(RunLosses { run: run.clone(), evaluations, training_log, splits });
        }
        let map_steps = parameters.map_steps(&dataset.steps);
        let attention = match last(Part::Snapshots) {
            Some(run) => Some(AttentionTables::read(&mut reader, run, seed, &map_steps)?),
            None => None,
        };
        let similarity = match last(Part::Similarity) {
            Some(run) => Some(SimilarityTables { run: run.name.clone(), rows: reader.seeds(run)? }),
            None => None,
        };
        let quality = match last(Part::Quality) {
            Some(run) => {
                let (rows, attention) = (reader.seeds(run)?, reader.seeds(run)?);
                Some(QualityTables { run: run.name.clone(), rows, attention })
            }
            None => None,
        };
        let samples = match study.run_of_samples() {
            Some(run) => reader.samples(run, seed)?,
            None => Vec::new(),
        };
        let correlations = match study.run_of_correlations() {
            Some(run) => reader.run(run)?,
            None => Vec::new(),
        };
        let whole = Partition::dataset(&dataset.name);
        let alphabet = Alphabet::new(&tables.read::<Vocabulary>(&whole)?.rows);
        let notes = tables.read::<TextNotes>(&whole)?;
        let mut sources = reader.sources;
        sources.push(Source { run: None, provenance: notes.provenance });
        let concluded = !so_far::lacks::<Findings>(tables, &whole, parameters)?;
        let mut findings = Vec::new();
        if concluded {
            let read = tables.read::<Findings>(&whole)?;
            sources.push(Source { run: None, provenance: read.provenance });
            findings = read.rows;
        }
        let (study, notes) = (dataset.clone(), notes.rows);
        let chosen_steps = parameters.steps.is_some().then_some(map_steps);
        Ok(Self {
            study,
            alphabet,
            notes,
            chosen_steps,
            losses,
            attention,
            similarity,
            quality,
            samples,
            findings,
            correlations,
            concluded,
            sources,
        })
    }
}

impl AttentionTables {
    fn read(reader: &mut Reader<'_>, run: &StudyRun, seed: u64, steps: &Steps) -> Result<Self, Fault> {
        let head_metrics = reader.seeds(run)?;
        let baselines = reader.seed(run, seed)?;
        let (onsets, matches) = (reader.run(run)?, reader.run(run)?);
        let windows: Vec<Windows> = reader.seed(run, seed)?;
        let is_val = |window: &Windows| window.kind == WindowKind::Val;
        let val_windows = windows.iter().filter(|window| is_val(window)).count();
        let first = windows.iter().position(is_val);
        let mut maps = Vec::new();
        for step in steps.iter() {
            let partition = Partition::dataset(&reader.dataset.name).run(&run.name).seed(seed).step(step);
            let file = reader.tables.open::<Attention>(&partition)?;
            // One row group per window, in the order of `windows`.
            if let Some(group) = first.filter(|&group| group < file.groups()) {
                maps.push((step, file.window(group)?));
            }
        }
        let window = first.and_then(|index| windows.into_iter().nth(index));
        Ok(Self { run: run.name.clone(), head_metrics, baselines, onsets, matches, val_windows, window, maps })
    }
}
