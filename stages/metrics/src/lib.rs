//! The `metrics` stage: what attention does, in numbers, as it changes while a model learns.
//!
//! Reads `attention`, `windows` and `head_outputs`; writes `head_metrics` ([`heads`]), `layer_metrics` ([`layers`]),
//! `baselines` ([`baselines`]) and, if asked, `layer_similarity` ([`similarity`]). `val` windows decide everything but
//! `induction_score`, which `repeat` windows decide alone. Windows of one character, or no `val` windows, leave nothing to
//! average: the tables then have no rows.
//!
//! Memory is bounded by one window's attention a thread. The windows of all steps are measured in parallel, each by one
//! thread, and their sums are added in the order of the windows: the tables do not depend on the number of threads.

pub mod baselines;
pub mod heads;
pub mod inputs;
pub mod layers;
pub mod similarity;
pub mod window;

use std::sync::mpsc;
use std::thread;

use cli::Terminal;
use declarations::metrics::{Metrics, Parameters};
use declarations::{Fault, Job};
use rayon::prelude::*;
use schemas::tables::{Attention, Baselines, HeadMetrics, LayerMetrics, LayerSimilarity};
use schemas::{Error, Reader, Source};

use inputs::{OutputNorms, Probes, damaged, open_attention, read_window};
use window::Sums;

/// Reads, measures, writes.
///
/// # Errors
/// A parameter fault if no step is asked for; an input fault if a table is missing, damaged, or does not fit the others.
pub fn run(job: &Job<Metrics>, terminal: &Terminal) -> Result<(), Fault> {
    let Job { partition, parameters, inputs, outputs, .. } = job;
    let probes = Probes::read(inputs, partition)?;
    let norms = OutputNorms::read(inputs, partition)?;
    // What is missing is said before any work is done.
    let open = |&step: &u32| open_attention(inputs, partition, step, &probes);
    let readers = parameters.steps.as_slice().iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let source = |&step: &u32| inputs.source::<Attention>(&partition.clone().step(step));
    let (measured, sources) = rayon::join(
        || measure(&readers, &probes, parameters, terminal),
        || parameters.steps.as_slice().par_iter().map(source).collect::<Result<Vec<Source>, Fault>>(),
    );
    let (measured, sources) = (measured?, sources?);
    if probes.val_length() < 2 {
        terminal.say("no `val` window has two characters: there is nothing to average, and the tables have no rows");
    }

    let (heads, layers, pairs) = (head_rows(&measured), layer_rows(&measured, &norms)?, pair_rows(&measured));
    let baselines = baselines::baselines(probes.val_length(), &probes.blocks());
    let provenance = job.provenance();
    let attention = provenance.from_inputs(sources.iter().chain([&probes.source]));
    let with_norms = provenance.from_inputs(sources.iter().chain([&probes.source, &norms.source]));
    let baselines_from = provenance.from_inputs([&probes.source]);
    // Side by side: a small file waits for the disk, too.
    let (by_head, by_layer) = rayon::join(
        || {
            outputs.write::<HeadMetrics>(partition, &attention, &heads)?;
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

/// The sums of every step, whose attention the readers are of.
fn measure(
    readers: &[Reader<Attention>],
    probes: &Probes,
    parameters: &Parameters,
    terminal: &Terminal,
) -> Result<Vec<(u32, Sums)>, Error> {
    let steps = parameters.steps.as_slice();
    let windows = probes.probes.len();
    let tasks = steps.len() * windows;
    let progress = terminal.progress("metrics", tasks as u64);
    let (done, doing) = mpsc::channel();
    let by_window = thread::scope(|scope| {
        scope.spawn(move || doing.iter().for_each(|()| progress.advance(1)));
        let task = |done: &mut mpsc::Sender<()>, task: usize| {
            let (reader, group) = (&readers[task / windows], task % windows);
            let probe = &probes.probes[group];
            let window = read_window(reader, group, probe)?;
            let sums = window::measure(&window, probe, parameters.layer_similarity)
                .map_err(|reason| damaged::<Attention>(reader.path(), reason))?;
            // Nobody hears it only if the progress has ended already.
            let _ = done.send(());
            Ok(sums)
        };
        // One by one, so that no thread is left with several while the others have ended.
        (0..tasks).into_par_iter().with_max_len(1).map_with(done, task).collect::<Result<Vec<Sums>, Error>>()
    })?;
    let shape = by_window[0].shape();
    if let Some(other) = by_window.iter().position(|sums| sums.shape() != shape) {
        let ((layers, heads), (layers_here, heads_here)) = (shape, by_window[other].shape());
        let reason = format!(
            "window {} has {layers_here} layers of {heads_here} heads where the first step's first window has {layers} of {heads}",
            probes.probes[other % windows].window
        );
        return Err(damaged::<Attention>(readers[other / windows].path(), reason));
    }
    let sum = |by_window: &[Sums]| {
        let mut sums = by_window[0].clone();
        by_window[1..].iter().for_each(|window| sums.merge(window));
        sums
    };
    Ok(steps.iter().copied().zip(by_window.chunks(windows).map(sum)).collect())
}

fn head_rows(measured: &[(u32, Sums)]) -> Vec<HeadMetrics> {
    let mut rows = Vec::new();
    for (step, sums) in measured {
        for (layer, heads) in sums.heads.iter().enumerate() {
            rows.extend(
                heads.iter().enumerate().filter_map(|(head, sums)| sums.means(*step, layer as u16, head as u16)),
            );
        }
    }
    rows
}

fn layer_rows(measured: &[(u32, Sums)], norms: &OutputNorms) -> Result<Vec<LayerMetrics>, Error> {
    let mut rows = Vec::new();
    for (step, sums) in measured {
        for (layer, layer_sums) in sums.layers.iter().enumerate().filter(|(_, sums)| sums.queries > 0) {
            let norms = norms.layer(*step, layer as u16, sums.shape().1 as u16)?;
            rows.extend(layer_sums.means(*step, layer as u16, &norms));
        }
    }
    Ok(rows)
}

fn pair_rows(measured: &[(u32, Sums)]) -> Vec<LayerSimilarity> {
    let mut rows = Vec::new();
    for (step, sums) in measured {
        let pairs = similarity::pairs(sums.layers.len()).zip(&sums.pairs);
        rows.extend(pairs.filter_map(|((a, b), sums)| sums.means(*step, a as u16, b as u16)));
    }
    rows
}
