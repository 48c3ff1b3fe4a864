//! Taking over a training that is the same but for the run's name: what it learned is what this one would learn, bit for
//! bit, so it is copied and not computed again.

use cli::Terminal;
use declarations::train::Train;
use declarations::{Fault, Outputs, Steps, Writes};
use schemas::tables::{Checkpoints, Evaluations, Optimizer, Timings, Tracking, TrainingLog};
use schemas::{Key, Partition, Provenance, Table};

use crate::history::History;

/// What the footer of `timings`, the one table that two computations do not share, says of where they were measured.
const SAME_AS: &str = "same_as";

/// Writes every table of this training from those of `other`, in the order of a commit. The tables have the bytes that
/// computing them would have given; the timings are the other's, and their footer says whose.
///
/// # Errors
/// An input fault if the other training is not there, not at its end, or not the same.
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
            "{} is of another training ({what}): train {other} with the same parameters first, or leave out --same-as",
            optimizer.source.path
        ))
    };
    if optimizer.provenance.config != provenance.config {
        return Err(differs("its parameters are others"));
    }
    if optimizer.provenance.inputs != provenance.inputs || optimizer.provenance.producer != provenance.producer {
        return Err(differs("its text or its program is another"));
    }
    if optimizer.rows.first().is_none_or(|row| row.step != max_iters) {
        return Err(differs("it has not ended"));
    }
    history.clear()?;
    let copy = Copy { outputs, from: &theirs, to: partition, provenance };
    copy.table::<TrainingLog>()?;
    copy.table::<Evaluations>()?;
    copy.table::<Tracking>()?;
    let clocks = outputs.read::<Timings>(&theirs.clone().stage("train"))?.provenance;
    // Where the other's were copied too, they are of whoever measured them: perhaps of this very training, before it was lost.
    let measured_by = clocks.extra.get(SAME_AS).map_or(other, String::as_str);
    let own = partition.value(Key::Run).as_deref() == Some(measured_by);
    let from_clocks = if own { provenance.clone() } else { provenance.clone().with(SAME_AS, measured_by) };
    Copy {
        from: &theirs.clone().stage("train"),
        to: &partition.clone().stage("train"),
        provenance: &from_clocks,
        ..copy
    }
    .table::<Timings>()?;
    let progress = terminal.progress("take over", kept.iter().len() as u64);
    for step in kept.iter() {
        Copy { from: &theirs.clone().step(step), to: &partition.clone().step(step), ..copy }.table::<Checkpoints>()?;
        progress.advance(1);
    }
    outputs.write(partition, provenance, &optimizer.rows)?;
    drop(progress);
    terminal.say(format!("took over the training of {other}, which is the same but for the run's name"));
    Ok(())
}

/// Where tables come from and where they go.
#[derive(Clone, Copy)]
struct Copy<'all> {
    outputs: &'all Outputs<Train>,
    from: &'all Partition,
    to: &'all Partition,
    provenance: &'all Provenance,
}

impl Copy<'_> {
    fn table<T: Table>(self) -> Result<(), Fault>
    where
        Train: Writes<T>,
    {
        let rows = self.outputs.read::<T>(self.from)?.rows;
        Ok(self.outputs.write(self.to, self.provenance, &rows)?)
    }
}
