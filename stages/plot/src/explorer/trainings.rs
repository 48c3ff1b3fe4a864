//! Reads the tables that the page's views show, by training.

use declarations::plot::{Parameters, Plot};
use declarations::{Fault, Inputs as Tables, Part, Reads, StudyDataset, StudyRun};
use schemas::tables::{
    AttendedCharacters, Attention, Baselines, Correlations, HeadMatches, HeadMetrics, HeadOutputs, LayerMetrics,
    LayerSimilarity, Onsets, SampleAttention, SampleScores, Vocabulary, Windows,
};
use schemas::{Partition, Reader, Table};

use crate::so_far;

/// The trainings of one dataset whose attention was recorded.
pub struct DatasetTrainings {
    /// The tokens' symbols.
    pub vocabulary: Vec<Vocabulary>,
    /// In the order of the study.
    pub trainings: Vec<Training>,
}

/// Runs that share one training for every seed, with the tables of the last of them, which measures the most.
pub struct Training {
    /// Names and labels of the runs.
    pub runs: Vec<(String, String)>,
    /// The probe windows: the same for every seed.
    pub windows: Vec<Windows>,
    /// `attention` by seed and step, opened.
    pub attention: Vec<Vec<Reader<Attention>>>,
    /// The other tables.
    pub tables: RunTables,
}

/// The tables of one run; those of each seed are in the order of the study.
#[derive(Debug)]
pub struct RunTables {
    /// `head_metrics`.
    pub heads: Vec<Vec<HeadMetrics>>,
    /// `head_outputs`.
    pub outputs: Vec<Vec<HeadOutputs>>,
    /// `layer_metrics`.
    pub layers: Vec<Vec<LayerMetrics>>,
    /// `layer_similarity`; empty where the run does not measure it.
    pub pairs: Vec<Vec<LayerSimilarity>>,
    /// `attended_characters`.
    pub characters: Vec<Vec<AttendedCharacters>>,
    /// `baselines`.
    pub baselines: Vec<Baselines>,
    /// `onsets`.
    pub onsets: Vec<Onsets>,
    /// `head_matches`.
    pub matches: Vec<HeadMatches>,
    /// `correlations`.
    pub correlations: Vec<Correlations>,
    /// `sample_scores`; empty where the run does not score.
    pub scores: Vec<Vec<SampleScores>>,
    /// `sample_attention`; empty where the run does not score.
    pub samples: Vec<Vec<SampleAttention>>,
}

impl Training {
    /// The number of layers.
    pub fn layers(&self) -> usize {
        self.tables.heads.iter().flatten().map(|row| usize::from(row.layer) + 1).max().unwrap_or(0)
    }

    /// The number of heads per layer.
    pub fn heads(&self) -> usize {
        self.tables.heads.iter().flatten().map(|row| usize::from(row.head) + 1).max().unwrap_or(0)
    }
}

impl DatasetTrainings {
    /// Reads the tables of every run with snapshots, and opens the attention of each training once.
    ///
    /// # Errors
    /// If a table is missing, damaged or of another version.
    pub fn read(tables: &Tables<Plot>, parameters: &Parameters, dataset: &StudyDataset) -> Result<Self, Fault> {
        let reader = DatasetReader { tables, dataset, parameters };
        let vocabulary = tables.read::<Vocabulary>(&Partition::dataset(&dataset.name))?.rows;
        // A run is of the training for which its windows were written: under a link, of another run.
        let mut groups: Vec<Group<'_>> = Vec::new();
        for run in parameters.study.runs.iter().filter(|run| run.has(Part::Snapshots)) {
            let windows = dataset.seeds.iter().map(|&seed| tables.read::<Windows>(&reader.partition(run, seed)));
            let windows = windows.collect::<Result<Vec<_>, _>>()?;
            let written_for: Vec<_> = windows.iter().map(|loaded| loaded.written_for.clone()).collect();
            let of_run = (run, reader.run(run)?);
            // Where a run was trained anew since, a link or copy of what it had is of another training.
            let is_same = |group: &&mut Group<'_>| {
                group.written_for == written_for && group.runs.iter().all(|(_, tables)| tables.heads == of_run.1.heads)
            };
            match groups.iter_mut().find(is_same) {
                Some(group) => group.runs.push(of_run),
                None => {
                    let first = windows.into_iter().next().map(|loaded| loaded.rows).unwrap_or_default();
                    groups.push(Group { written_for, windows: first, runs: vec![of_run] });
                }
            }
        }
        let mut trainings = Vec::new();
        for Group { windows, runs: mut group, .. } in groups {
            let runs = group.iter().map(|(run, _)| (run.name.clone(), run.label.clone())).collect();
            let Some((run, tables)) = group.pop() else { continue };
            trainings.push(Training { runs, windows, attention: reader.attention(run)?, tables });
        }
        Ok(Self { vocabulary, trainings })
    }
}

/// Runs that share a training.
struct Group<'study> {
    /// What their windows were written for, by seed.
    written_for: Vec<Partition>,
    /// The windows of the first seed.
    windows: Vec<Windows>,
    /// Each with its tables.
    runs: Vec<(&'study StudyRun, RunTables)>,
}

struct DatasetReader<'study> {
    tables: &'study Tables<Plot>,
    dataset: &'study StudyDataset,
    parameters: &'study Parameters,
}

impl DatasetReader<'_> {
    fn partition(&self, run: &StudyRun, seed: u64) -> Partition {
        Partition::dataset(&self.dataset.name).run(&run.name).seed(seed)
    }

    fn seeds<T: Table>(&self, run: &StudyRun) -> Result<Vec<Vec<T>>, Fault>
    where
        Plot: Reads<T>,
    {
        let seeds = self.dataset.seeds.iter();
        seeds.map(|&seed| Ok(self.tables.read::<T>(&self.partition(run, seed))?.rows)).collect()
    }

    /// The rows of each seed of a run that has the part; none else.
    fn seeds_with<T: Table>(&self, run: &StudyRun, part: Part) -> Result<Vec<Vec<T>>, Fault>
    where
        Plot: Reads<T>,
    {
        if run.has(part) { self.seeds(run) } else { Ok(Vec::new()) }
    }

    fn of_run<T: Table>(&self, run: &StudyRun) -> Result<Vec<T>, Fault>
    where
        Plot: Reads<T>,
    {
        so_far::rows(self.tables, &Partition::dataset(&self.dataset.name).run(&run.name), self.parameters)
    }

    fn run(&self, run: &StudyRun) -> Result<RunTables, Fault> {
        let baselines = match self.dataset.seeds.first() {
            Some(&seed) => self.tables.read::<Baselines>(&self.partition(run, seed))?.rows,
            None => Vec::new(),
        };
        Ok(RunTables {
            heads: self.seeds(run)?,
            outputs: self.seeds(run)?,
            layers: self.seeds(run)?,
            pairs: self.seeds_with(run, Part::Similarity)?,
            characters: self.seeds(run)?,
            baselines,
            onsets: self.of_run(run)?,
            matches: self.of_run(run)?,
            correlations: self.of_run(run)?,
            scores: self.seeds_with(run, Part::Quality)?,
            samples: self.seeds_with(run, Part::Quality)?,
        })
    }

    fn attention(&self, run: &StudyRun) -> Result<Vec<Vec<Reader<Attention>>>, Fault> {
        let open = |&seed: &u64| {
            let steps = self.dataset.steps.iter();
            steps.map(|step| self.tables.open::<Attention>(&self.partition(run, seed).step(step))).collect()
        };
        self.dataset.seeds.iter().map(open).collect()
    }
}
