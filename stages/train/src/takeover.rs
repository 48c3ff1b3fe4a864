//! Copying a training of another run with the same parameters, text and seed: it would have the same weights and tables, bit
//! for bit, if it were computed again.

use cli::Terminal;
use declarations::{Fault, Steps};
use schemas::Key;
use schemas::tables::{Checkpoints, Evaluations, Optimizer, Timings, Tracking, TrainingLog};

use crate::history::History;

/// The footer key in `timings` that names the run whose training was timed.
const SAME_AS: &str = "same_as";

/// Writes every table of this training from those of the run `other`, in the order of a commit. The tables have the bytes that
/// computing them would give; the timings are those of `other`, which their footer says.
///
/// # Errors
/// An input fault if the other training is missing, corrupt, not finished or not the same; nothing is removed then.
pub(crate) fn take_over(
    other: &str,
    history: &History,
    max_iters: u32,
    kept: &Steps,
    terminal: &Terminal,
) -> Result<(), Fault> {
    let History { outputs, partition, provenance, .. } = history;
    let theirs = partition.clone().run(other);
    let optimizer = outputs.read::<Optimizer>(&theirs)?;
    let differs = |what: &str| {
        Fault::input(format!(
            "{} is not of the same training: {what}; train {other} with the same parameters first, or leave out --same-as",
            optimizer.source.path
        ))
    };
    if optimizer.provenance.config != provenance.config {
        return Err(differs("its parameters differ"));
    }
    if optimizer.provenance.inputs != provenance.inputs || optimizer.provenance.producer != provenance.producer {
        return Err(differs("its text or the version of its results differs"));
    }
    if optimizer.rows.first().is_none_or(|row| row.step != max_iters) {
        return Err(differs("it has not finished"));
    }
    let log = outputs.read::<TrainingLog>(&theirs)?.rows;
    let evaluations = outputs.read::<Evaluations>(&theirs)?.rows;
    let tracking = outputs.read::<Tracking>(&theirs)?.rows;
    let timings = outputs.read::<Timings>(&theirs.clone().stage("train"))?;
    for step in kept.iter() {
        outputs.open::<Checkpoints>(&theirs.clone().step(step))?;
    }

    history.clear()?;
    outputs.write(partition, provenance, &log)?;
    outputs.write(partition, provenance, &evaluations)?;
    outputs.write(partition, provenance, &tracking)?;
    // If the timings of `other` were copied too, their footer names the run that was timed: it may be this one.
    let timed = timings.provenance.extra.get(SAME_AS).map_or(other, String::as_str);
    let own = partition.value(Key::Run).as_deref() == Some(timed);
    let timed = if own { provenance.clone() } else { provenance.clone().with(SAME_AS, timed) };
    outputs.write(&partition.clone().stage("train"), &timed, &timings.rows)?;
    let progress = terminal.progress("copy", kept.iter().len() as u64);
    for step in kept.iter() {
        let checkpoint = outputs.read::<Checkpoints>(&theirs.clone().step(step))?;
        outputs.write(&partition.clone().step(step), provenance, &checkpoint.rows)?;
        progress.advance(1);
    }
    outputs.write(partition, provenance, &optimizer.rows)?;
    drop(progress);
    terminal.say(format!("copied the training of {other}, which has the same parameters, text and seed"));
    Ok(())
}
