//! Snapshots of random attention, as the stage reads them.

use std::path::Path;

use cli::Terminal;
use declarations::metrics::Metrics;
use declarations::{Fault, Job};
use schemas::attention::Window;
use schemas::enums::WindowKind;
use schemas::tables::{Attention, HeadOutputs, Windows};
use schemas::{Artifacts, Partition, Provenance};

/// The attention rows of one head, by query.
pub(crate) type Head = Vec<Vec<f32>>;

/// Snapshots: sizes, probe windows, and attention rows by step, window, layer, head and query.
pub(crate) struct Snapshots {
    pub(crate) steps: Vec<u32>,
    pub(crate) layers: usize,
    pub(crate) heads: usize,
    pub(crate) windows: Vec<Windows>,
    pub(crate) attention: Vec<Vec<Vec<Vec<Head>>>>,
    pub(crate) head_outputs: Vec<HeadOutputs>,
}

/// A generator of numbers in [0, 1), the same at every run.
pub(crate) fn numbers(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    }
}

impl Snapshots {
    /// Random ones at steps 0 and 100: `val` windows of `length` characters and `repeat` windows of a block of `block`
    /// characters twice.
    pub(crate) fn random(layers: usize, heads: usize, length: usize, val: usize, block: usize, repeat: usize) -> Self {
        let mut number = numbers((layers * 31 + heads * 7 + length) as u64);
        let windows: Vec<Windows> = (0..val + repeat)
            .map(|window| {
                let kind = if window < val { WindowKind::Val } else { WindowKind::Repeat };
                let tokens: Vec<u16> = if window < val {
                    (0..length).map(|_| (number() * 5.0) as u16).collect()
                } else {
                    (0..block).chain(0..block).map(|token| (token + window) as u16).collect()
                };
                Windows { window: window as u16, kind, start: 0, tokens, text: String::new() }
            })
            .collect();
        let mut row = |keys: usize| {
            // From nearly uniform to nearly one-hot, with exact zeros.
            let sharpness = number() * 12.0;
            let weights: Vec<f64> = (0..keys)
                .map(|key| if key > 0 && number() < 0.1 { 0.0 } else { (sharpness * number()).exp() })
                .collect();
            let sum: f64 = weights.iter().sum();
            weights.iter().map(|weight| (weight / sum) as f32).collect::<Vec<f32>>()
        };
        let steps = vec![0, 100];
        let mut attention = Vec::new();
        for _ in &steps {
            let mut by_window = Vec::new();
            for window in &windows {
                let mut head = || (1..=window.tokens.len()).map(&mut row).collect::<Vec<_>>();
                let mut layer = || (0..heads).map(|_| head()).collect::<Vec<_>>();
                by_window.push((0..layers).map(|_| layer()).collect::<Vec<_>>());
            }
            attention.push(by_window);
        }
        let mut head_outputs = Vec::new();
        for &step in &steps {
            for layer in 0..layers as u16 {
                for head in 0..heads as u16 {
                    head_outputs.push(HeadOutputs { step, layer, head, output_norm: number() });
                }
            }
        }
        Self { steps, layers, heads, windows, attention, head_outputs }
    }

    /// Writes them as `snapshot` does.
    pub(crate) fn write(&self, root: &Path) {
        let (artifacts, provenance) = (Artifacts::new(root), Provenance::new("snapshot", 1, serde_json::json!({})));
        artifacts.write(&node(), &provenance, &self.windows).expect("windows");
        artifacts.write(&node(), &provenance, &self.head_outputs).expect("head_outputs");
        for (&step, by_window) in self.steps.iter().zip(&self.attention) {
            let mut writer = artifacts.create::<Attention>(&node().step(step), &provenance).expect("a file");
            for (window, by_layer) in self.windows.iter().zip(by_window) {
                let weights: Vec<f32> = by_layer.iter().flatten().flatten().flatten().copied().collect();
                let (layers, heads, queries) = (self.layers, self.heads, window.tokens.len());
                let window = Window { window: window.window, layers, heads, queries, weights: weights.into() };
                writer.write_window(window).expect("a window");
            }
            writer.finish().expect("a whole file");
        }
    }
}

/// The training whose attention it is.
pub(crate) fn node() -> Partition {
    Partition::dataset("d").run("run_2").seed(7)
}

/// The command line on these tables, with more flags.
pub(crate) fn arguments(root: &Path, flags: &[&str]) -> Job<Metrics> {
    let root = root.to_str().expect("a path in Unicode");
    let line = ["metrics", "--artifacts", root, "--dataset", "d", "--run", "run_2", "--seed", "7"];
    Job::<Metrics>::parse(line.iter().chain(flags)).expect("a command line")
}

/// Runs the stage.
pub(crate) fn run(root: &Path, flags: &[&str]) -> Result<(), Fault> {
    metrics::run(&arguments(root, flags), &Terminal::silent())
}
