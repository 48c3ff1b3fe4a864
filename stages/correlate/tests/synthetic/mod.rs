//! A synthetic study: the tables that the stage reads.

use std::path::Path;

use declarations::{Part, Study, StudyDataset, StudyRun};
use random_streams::{ChaCha8Rng, RngExt, stream};
use schemas::enums::{Activity, Split, TextSource};
use schemas::tables::{
    Baselines, Checkpoints, Evaluations, HeadMetrics, LayerMetrics, LayerSimilarity, SampleAttention, SampleLayers,
    SampleScores, SplitLosses, Timings, TrainingLog,
};
use schemas::{Artifacts, Partition, Provenance, Table};

pub(crate) const LAYERS: u16 = 3;
const SAMPLES: u16 = 6;

/// Four runs of two datasets; each run has all parts of the one before and more.
pub(crate) fn study() -> Study {
    let dataset = |name: &str| StudyDataset {
        name: name.to_owned(),
        seeds: vec![1, 2, 3],
        steps: "0-120/10".parse().expect("steps"),
        eval_interval: 20,
    };
    let parts = [Part::Evaluation, Part::Tracking, Part::Snapshots, Part::Similarity, Part::Quality];
    let runs = [
        ("run_0", "Baseline", 1),
        ("run_1", "Tracking", 3),
        ("run_2", "Similarity", 4),
        ("run_3", "Generation quality", 5),
    ];
    let run = |(name, label, count): (&str, &str, usize)| StudyRun {
        name: name.to_owned(),
        label: label.to_owned(),
        parts: parts[..count].to_vec(),
    };
    Study {
        datasets: ["shakespeare_char", "enwik8"].map(dataset).to_vec(),
        runs: runs.map(run).to_vec(),
        missing: vec![],
    }
}

/// Writes the tables of the stages before.
pub(crate) fn write(root: &Path, study: &Study) {
    let artifacts = Artifacts::new(root);
    for dataset in &study.datasets {
        for run in &study.runs {
            for seed in &dataset.seeds {
                let noise = stream("study", &[&dataset.name.as_str(), &run.name.as_str(), seed]);
                let partition = Partition::dataset(&dataset.name).run(&run.name).seed(*seed);
                let study = Training { artifacts: &artifacts, partition, steps: dataset.steps.as_slice(), noise };
                study.write(&run.parts);
            }
        }
    }
}

struct Training<'study> {
    artifacts: &'study Artifacts,
    partition: Partition,
    steps: &'study [u32],
    noise: ChaCha8Rng,
}

impl Training<'_> {
    fn put<T: Table>(&self, partition: &Partition, rows: &[T]) {
        let provenance = Provenance::new("test", 1, serde_json::Value::Null);
        self.artifacts.write(partition, &provenance, rows).expect("the table is written");
    }

    fn next(&mut self) -> f64 {
        self.noise.random()
    }

    fn write(mut self, parts: &[Part]) {
        let (partition, last) = (self.partition.clone(), self.steps[self.steps.len() - 1]);
        let log = self.steps.iter().map(|step| TrainingLog {
            step: *step,
            loss: 3.0 - f64::from(*step) / 100.0,
            learning_rate: 1e-3,
            grad_norm: 1.0,
        });
        self.put(&partition, &log.collect::<Vec<_>>());
        let evaluations: Vec<_> = self
            .steps
            .iter()
            .map(|step| {
                let train_loss = 3.0 - f64::from(*step) / 100.0;
                Evaluations {
                    step: *step,
                    train_loss,
                    val_loss: train_loss + 0.1 + 1e-3 * self.noise.random::<f64>(),
                    train_loss_stderr: 0.0,
                    val_loss_stderr: 0.0,
                    val_bits_per_char: 0.0,
                    learning_rate: 1e-3,
                }
            })
            .collect();
        self.put(&partition, &evaluations);
        let timing = |activity, sample| Timings { activity, step: last, sample, wall_secs: 2.0, characters: 500 };
        self.put(
            &partition.clone().stage("train"),
            &[timing(Activity::Steps, None), timing(Activity::Checkpoint, None)],
        );
        self.put(
            &partition.clone().stage("generate"),
            &[timing(Activity::Generation, Some(0)), timing(Activity::Generation, Some(1))],
        );
        // Every run learns the same weights, as tracking is free.
        let weights = Checkpoints { tensor: "w".to_owned(), shape: vec![2], values: vec![1.0, 2.0] };
        self.put(&partition.clone().step(last), &[weights]);
        if parts.contains(&Part::Evaluation) {
            let split = |split, loss_nats| SplitLosses { step: last, split, loss_nats, ..SplitLosses::default() };
            self.put(&partition, &[split(Split::Val, 1.75), split(Split::Test, 1.5)]);
        }
        if parts.contains(&Part::Snapshots) {
            self.snapshots();
        }
        if parts.contains(&Part::Similarity) {
            self.similarity();
        }
        if parts.contains(&Part::Quality) {
            self.quality();
        }
    }

    fn snapshots(&mut self) {
        let (mut heads, mut layers) = (Vec::new(), Vec::new());
        for &step in self.steps {
            for layer in 0..LAYERS {
                for head in 0..2 {
                    let mut row = HeadMetrics { step, layer, head, queries: 100, ..HeadMetrics::default() };
                    self.fill(&mut row);
                    row.entropy_nats = 3.0 - 0.01 * f64::from(step) + 1e-3 * row.entropy_nats;
                    row.mean_distance = 5.0 + f64::from(layer) + 0.1 * row.mean_distance;
                    (row.span_90, row.induction_score) = (10.0, None);
                    heads.push(row);
                }
                let mut row = LayerMetrics { step, layer, ..LayerMetrics::default() };
                self.fill(&mut row);
                layers.push(row);
            }
        }
        self.put(&self.partition, &heads);
        self.put(&self.partition, &layers);
        let uniform = [("previous_token_score", 0.1), ("first_token_mass", 0.1)];
        self.put(&self.partition, &uniform.map(|(metric, value)| Baselines { metric: metric.to_owned(), value }));
    }

    fn similarity(&mut self) {
        let mut rows = Vec::new();
        for &step in self.steps {
            for (layer_a, layer_b) in [(0, 1), (0, 2), (1, 2)] {
                let mut row = LayerSimilarity { step, layer_a, layer_b, ..LayerSimilarity::default() };
                self.fill(&mut row);
                row.js_similarity = 1.0 - row.js_divergence;
                rows.push(row);
            }
        }
        self.put(&self.partition, &rows);
    }

    fn quality(&mut self) {
        let (mut scores, mut attention, mut layers) = (Vec::new(), Vec::new(), Vec::new());
        for &step in self.steps {
            for sample in 0..SAMPLES {
                scores.push(self.scores(Some(step), TextSource::Model, sample));
                for layer in 0..LAYERS {
                    for source in [TextSource::Model, TextSource::Validation] {
                        let mut row = SampleAttention { step, source, sample, layer, ..SampleAttention::default() };
                        self.fill(&mut row);
                        attention.push(row);
                    }
                }
                for layer_a in 0..LAYERS - 1 {
                    layers.push(SampleLayers {
                        step,
                        sample,
                        layer_a,
                        layer_b: layer_a + 1,
                        js_divergence: self.next(),
                    });
                }
            }
        }
        scores.push(self.scores(None, TextSource::Validation, 0));
        self.put(&self.partition, &scores);
        self.put(&self.partition, &attention);
        self.put(&self.partition, &layers);
    }

    fn scores(&mut self, step: Option<u32>, source: TextSource, sample: u16) -> SampleScores {
        let mut row = SampleScores { step, source, sample, ..SampleScores::default() };
        self.fill(&mut row);
        SampleScores { word_validity: None, ..row }
    }

    /// Sets every measure of a row.
    fn fill<Row: Table>(&mut self, row: &mut Row) {
        Row::MEASURES.iter().for_each(|measure| (measure.set)(row, self.next()));
    }
}
