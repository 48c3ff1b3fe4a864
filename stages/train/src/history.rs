//! What a training has written and will write: its tables in memory, committed together, and taken up again.

use std::fs;

use cli::{Fault, Steps, Terminal};
use model::{GptConfig, Moments, Weights};
use schemas::enums::Moment;
use schemas::tables::{Checkpoints, Evaluations, Optimizer, Timings, Tracking, TrainingLog};
use schemas::{Artifacts, Partition, Provenance};

/// The tables of one training so far.
pub(crate) struct History {
    pub(crate) artifacts: Artifacts,
    pub(crate) partition: Partition,
    pub(crate) provenance: Provenance,
    config: GptConfig,
    pub(crate) log: Vec<TrainingLog>,
    pub(crate) evaluations: Vec<Evaluations>,
    pub(crate) tracking: Vec<Tracking>,
    pub(crate) timings: Vec<Timings>,
    committed: Option<Committed>,
}

/// Where a training stands that was taken up again.
pub(crate) struct Committed {
    /// Updates done.
    pub(crate) step: u32,
    pub(crate) weights: Weights,
    pub(crate) moments: Vec<Moments>,
}

impl History {
    /// A training without a past.
    pub(crate) fn new(artifacts: Artifacts, partition: Partition, provenance: Provenance, config: GptConfig) -> Self {
        let (log, evaluations, tracking, timings) = Default::default();
        Self { artifacts, partition, provenance, config, log, evaluations, tracking, timings, committed: None }
    }

    /// Takes up what the same training has committed; starts anew where there is nothing of the same parameters and inputs.
    pub(crate) fn resume(&mut self, terminal: &Terminal) {
        if !self.artifacts.has::<Optimizer>(&self.partition) {
            return;
        }
        match self.take_up() {
            Ok(Some(step)) => terminal.say(format!("going on from step {step}, the last commit")),
            Ok(None) => terminal.say("what was trained here has other parameters or another text: starting anew"),
            Err(fault) => terminal.say(format!("what was trained here cannot be taken up ({fault}): starting anew")),
        }
    }

    /// Reads the last commit; none if it belongs to another training. Rows after it were written by a commit that was cut off.
    fn take_up(&mut self) -> Result<Option<u32>, Fault> {
        let optimizer = self.artifacts.read::<Optimizer>(&self.partition)?;
        let same = optimizer.provenance.config == self.provenance.config
            && optimizer.provenance.inputs == self.provenance.inputs
            && optimizer.provenance.producer == self.provenance.producer;
        let Some(step) = optimizer.rows.first().map(|row| row.step).filter(|_| same) else {
            return Ok(None);
        };
        let checkpoint = self.artifacts.read::<Checkpoints>(&self.partition.clone().step(step))?;
        let weights = Weights::from_checkpoint(&checkpoint)?;
        let moments = weights.tensors.iter().map(|tensor| {
            let moment = |moment: Moment| {
                let of = |row: &&Optimizer| row.tensor == tensor.name && row.moment == moment;
                let row = optimizer.rows.iter().find(of).filter(|row| row.values.len() == tensor.values.len());
                row.map(|row| row.values.clone()).ok_or_else(|| {
                    Fault::input(format!("{} lacks the {moment} moment of {}", optimizer.source.path, tensor.name))
                })
            };
            Ok(Moments { first: moment(Moment::First)?, second: moment(Moment::Second)? })
        });
        let moments = moments.collect::<Result<Vec<_>, Fault>>()?;
        self.log = self.artifacts.read::<TrainingLog>(&self.partition)?.rows;
        self.evaluations = self.artifacts.read::<Evaluations>(&self.partition)?.rows;
        self.tracking = self.artifacts.read::<Tracking>(&self.partition)?.rows;
        self.timings = self.artifacts.read::<Timings>(&self.partition.clone().stage("train"))?.rows;
        // An iteration's row carries the step before its update, an evaluation's the step it looked at.
        self.log.retain(|row| row.step < step);
        self.tracking.retain(|row| row.step < step);
        self.evaluations.retain(|row| row.step <= step);
        self.timings.retain(|row| row.step <= step);
        self.committed = Some(Committed { step, weights, moments });
        Ok(Some(step))
    }

    /// Where the training stands, to be taken once.
    pub(crate) fn take_committed(&mut self) -> Option<Committed> {
        self.committed.take()
    }

    /// Removes what another training left: its commit point first, so that nothing half-removed is ever taken up.
    pub(crate) fn clear(&self) -> Result<(), Fault> {
        let paths = [
            self.artifacts.path::<Optimizer>(&self.partition)?,
            self.artifacts.path::<TrainingLog>(&self.partition)?,
            self.artifacts.path::<Evaluations>(&self.partition)?,
            self.artifacts.path::<Tracking>(&self.partition)?,
            self.artifacts.path::<Timings>(&self.partition.clone().stage("train"))?,
        ];
        for path in paths {
            if let Err(error) = fs::remove_file(&path)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                return Err(Fault::input(format!("cannot remove {}: {error}", path.display())));
            }
        }
        self.keep_checkpoints(|_| false)
    }

    /// Writes everything in an order in which being killed between any two writes loses nothing: the tables, the checkpoint,
    /// and last the optimizer, which is the commit point.
    pub(crate) fn commit(&self, step: u32, weights: &Weights, moments: &[Moments]) -> Result<(), Fault> {
        let Self { artifacts, partition, provenance, .. } = self;
        artifacts.write(partition, provenance, &self.log)?;
        artifacts.write(partition, provenance, &self.evaluations)?;
        artifacts.write(partition, provenance, &self.tracking)?;
        self.write_timings()?;
        artifacts.write(&partition.clone().step(step), provenance, &weights.to_rows())?;
        let row = |(tensor, moments): (&model::Tensor, &Moments)| {
            let shape: Vec<u32> = tensor.shape.iter().map(|&size| size as u32).collect();
            [(Moment::First, &moments.first), (Moment::Second, &moments.second)].map(|(moment, values)| Optimizer {
                step,
                tensor: tensor.name.clone(),
                moment,
                shape: shape.clone(),
                values: values.clone(),
            })
        };
        let rows: Vec<Optimizer> = weights.tensors.iter().zip(moments).flat_map(row).collect();
        Ok(artifacts.write(partition, provenance, &rows)?)
    }

    pub(crate) fn write_timings(&self) -> Result<(), Fault> {
        Ok(self.artifacts.write(&self.partition.clone().stage("train"), &self.provenance, &self.timings)?)
    }

    /// Deletes this training's checkpoints that are neither to be kept nor the one that resuming needs.
    pub(crate) fn keep_only(&self, kept: &Steps, newest: u32) -> Result<(), Fault> {
        self.keep_checkpoints(|step| step <= newest && (step == newest || kept.contains(step)))
    }

    fn keep_checkpoints(&self, keep: impl Fn(u32) -> bool) -> Result<(), Fault> {
        let any = self.artifacts.path::<Checkpoints>(&self.partition.clone().step(0))?;
        let steps = any.ancestors().nth(2).expect("a checkpoint lies in a folder of its step, in that of its training");
        let Ok(folders) = fs::read_dir(steps) else {
            return Ok(());
        };
        for folder in folders.flatten() {
            let name = folder.file_name();
            let step =
                name.to_str().and_then(|name| name.strip_prefix("step=")).and_then(|step| step.parse::<u32>().ok());
            if step.is_some_and(|step| !keep(step)) {
                fs::remove_dir_all(folder.path())
                    .map_err(|error| Fault::input(format!("cannot remove {}: {error}", folder.path().display())))?;
            }
        }
        Ok(())
    }

    /// The model's shape.
    pub(crate) fn config(&self) -> GptConfig {
        self.config
    }
}
