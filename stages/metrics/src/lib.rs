//! The `metrics` stage: attention metrics at every snapshot of a training.
//!
//! Reads `attention`, `windows` and `head_outputs`; writes `head_metrics` ([`heads`]), `layer_metrics` ([`layers`]),
//! `attended_characters` ([`characters`]), `baselines` ([`baselines`]) and, optionally, `layer_similarity` ([`similarity`]); each of these modules begins with its
//! formulas. All metrics are measured on `val` windows, except `induction_score`, which is measured on `repeat` windows. Each mean
//! over windows has its standard error over them ([`means`]). Windows of one token, or no `val` windows, leave nothing to average:
//! the tables then have no rows.
//!
//! Memory is bounded by one window's attention per thread. The windows of all steps are measured in parallel, each by one
//! thread, and their sums are added in the order of the windows: the tables do not depend on the number of threads.

pub mod baselines;
pub mod characters;
pub mod heads;
pub mod inputs;
pub mod layers;
pub mod means;
pub mod similarity;
pub mod window;

use std::sync::mpsc;
use std::thread;

use cli::Terminal;
use declarations::metrics::{Metrics, Parameters};
use declarations::{Fault, Job};
use rayon::prelude::*;
use schemas::tables::{AttendedCharacters, Attention, Baselines, HeadMetrics, LayerMetrics, LayerSimilarity};
use schemas::{Error, Reader, Source};

use characters::Attended;
use heads::HeadSums;
use inputs::{OutputNorms, Probes, damaged, open_attention, read_window};
use layers::{LayerSums, dominant_head_share};
use similarity::PairSums;
use window::WindowSums;

/// Reads, measures, writes.
///
/// # Errors
/// An input fault if a table is missing, damaged, or does not fit the others.
pub fn run(job: &Job<Metrics>, terminal: &Terminal) -> Result<(), Fault> {
    let Job { partition, parameters, inputs, outputs, .. } = job;
    let probes = Probes::read(inputs, partition)?;
    let norms = OutputNorms::read(inputs, partition)?;
    // Missing files are reported before any work is done.
    let open = |&step: &u32| open_attention(inputs, partition, step, &probes);
    let opened: Vec<_> = parameters.steps.as_slice().par_iter().map(open).collect();
    // In order, so that of several errors it is always the same one.
    let readers = opened.into_iter().collect::<Result<Vec<_>, _>>()?;
    let sources: Vec<&Source> = readers.iter().map(Reader::source).collect();
    let measured = measure(&readers, &probes, parameters, terminal)?;
    if probes.val_length() < 2 {
        terminal.say("no `val` window has two characters: there is nothing to average, and the tables have no rows");
    }

    let (heads, layers, pairs) = (head_rows(&measured), layer_rows(&measured, &norms)?, pair_rows(&measured));
    let characters = character_rows(&measured, &probes);
    let baselines = baselines::baselines(probes.val_length(), &probes.blocks());
    let provenance = job.provenance();
    let attention = provenance.from_inputs(sources.iter().copied().chain([&probes.source]));
    let with_norms = provenance.from_inputs(sources.iter().copied().chain([&probes.source, &norms.source]));
    let baselines_from = provenance.from_inputs([&probes.source]);
    // In parallel, since even a small file waits for the disk.
    let (by_head, by_layer) = rayon::join(
        || {
            outputs.write::<HeadMetrics>(partition, &attention, &heads)?;
            outputs.write::<AttendedCharacters>(partition, &attention, &characters)?;
            outputs.write::<Baselines>(partition, &baselines_from, &baselines)
        },
        || {
            outputs.write::<LayerMetrics>(partition, &with_norms, &layers)?;
            match parameters.layer_similarity {
                true => outputs.write::<LayerSimilarity>(partition, &attention, &pairs),
                false => Ok(()),
            }
        },
    );
    Ok(by_head.and(by_layer)?)
}

/// The sums of every window of every step.
struct Measured<'steps> {
    steps: &'steps [u32],
    /// By step, then window.
    windows: Vec<WindowSums>,
    windows_per_step: usize,
    /// Layers, and heads in each.
    shape: (usize, usize),
}

impl Measured<'_> {
    fn by_step(&self) -> impl Iterator<Item = (u32, &[WindowSums])> {
        self.steps.iter().copied().zip(self.windows.chunks(self.windows_per_step))
    }
}

/// Measures every window of every step.
fn measure<'steps>(
    readers: &[Reader<Attention>],
    probes: &Probes,
    parameters: &'steps Parameters,
    terminal: &Terminal,
) -> Result<Measured<'steps>, Error> {
    let steps = parameters.steps.as_slice();
    let windows_per_step = probes.probes.len();
    let tasks = steps.len() * windows_per_step;
    let progress = terminal.progress("metrics", tasks as u64);
    let (done, doing) = mpsc::channel();
    let windows = thread::scope(|scope| {
        scope.spawn(move || doing.iter().for_each(|()| progress.advance(1)));
        let task = |done: &mut mpsc::Sender<()>, task: usize| {
            let (reader, group) = (&readers[task / windows_per_step], task % windows_per_step);
            let probe = &probes.probes[group];
            let window = read_window(reader, group, probe)?;
            let sums = window::measure(&window, probe, parameters.layer_similarity)
                .map_err(|reason| damaged::<Attention>(reader.path(), reason))?;
            // It fails only if the progress bar has already ended.
            let _ = done.send(());
            Ok(sums)
        };
        // A window per task, so that no thread has several left when the others are done.
        (0..tasks).into_par_iter().with_max_len(1).map_with(done, task).collect::<Result<Vec<WindowSums>, Error>>()
    })?;
    let shape = windows[0].shape();
    if let Some(other) = windows.iter().position(|sums| sums.shape() != shape) {
        let ((layers, heads), (layers_here, heads_here)) = (shape, windows[other].shape());
        let reason = format!(
            "window {} has {layers_here} layers of {heads_here} heads where the first step's first window has {layers} of {heads}",
            probes.probes[other % windows_per_step].window
        );
        return Err(damaged::<Attention>(readers[other / windows_per_step].path(), reason));
    }
    Ok(Measured { steps, windows, windows_per_step, shape })
}

fn head_rows(measured: &Measured) -> Vec<HeadMetrics> {
    let mut rows = Vec::new();
    for (step, windows) in measured.by_step() {
        for layer in 0..measured.shape.0 {
            rows.extend((0..measured.shape.1).filter_map(|head| {
                let sums = windows.iter().map(|window| &window.heads[layer][head]);
                HeadSums::row(sums, (step, index(layer), index(head)))
            }));
        }
    }
    rows
}

fn layer_rows(measured: &Measured, norms: &OutputNorms) -> Result<Vec<LayerMetrics>, Error> {
    let mut rows = Vec::new();
    for (step, windows) in measured.by_step() {
        for layer in 0..measured.shape.0 {
            let sums = windows.iter().map(|window| &window.layers[layer]);
            let Some(mut row) = LayerSums::row(sums, (step, index(layer))) else { continue };
            row.dominant_head_share = dominant_head_share(&norms.layer(step, row.layer, measured.shape.1)?);
            rows.push(row);
        }
    }
    Ok(rows)
}

fn pair_rows(measured: &Measured) -> Vec<LayerSimilarity> {
    let mut rows = Vec::new();
    for (step, windows) in measured.by_step() {
        rows.extend(similarity::pairs(measured.shape.0).enumerate().filter_map(|(pair, (a, b))| {
            let sums = windows.iter().filter_map(|window| window.pairs.get(pair));
            PairSums::row(sums, (step, index(a), index(b)))
        }));
    }
    rows
}

fn character_rows(measured: &Measured, probes: &Probes) -> Vec<AttendedCharacters> {
    // Positions of `repeat` windows receive nothing that counts.
    let val: Vec<(usize, &[u16])> = probes.val().collect();
    let attended = Attended::new(val.iter().map(|(_, tokens)| *tokens));
    let mut rows = Vec::new();
    for (step, windows) in measured.by_step() {
        for layer in 0..measured.shape.0 {
            for head in 0..measured.shape.1 {
                let received = val.iter().map(|&(group, tokens)| (&windows[group].received[layer][head], tokens));
                rows.extend(attended.rows(received, (step, index(layer), index(head))));
            }
        }
    }
    rows
}

/// The number of a layer or head, which is read from a column of `u16`.
fn index(position: usize) -> u16 {
    u16::try_from(position).expect("layers and heads are numbered in u16")
}
