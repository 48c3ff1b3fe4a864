//! The tables of a training: held in memory, committed together, and loaded again to resume.

use std::fs;

use cli::Terminal;
use declarations::train::{Parameters, Train};
use declarations::{Fault, Outputs, Steps};
use model::{GptConfig, Moments, Weights};
use schemas::enums::{Activity, Moment};
use schemas::tables::{Checkpoints, Evaluations, Optimizer, Timings, Tracking, TrainingLog};
use schemas::{Partition, Provenance};

/// The tables of one training so far.
pub(crate) struct History {
    pub(crate) outputs: Outputs<Train>,
    pub(crate) partition: Partition,
    pub(crate) provenance: Provenance,
    config: GptConfig,
    pub(crate) log: Vec<TrainingLog>,
    pub(crate) evaluations: Vec<Evaluations>,
    pub(crate) tracking: Vec<Tracking>,
    pub(crate) timings: Vec<Timings>,
    committed: Option<Committed>,
    /// The rows of `optimizer` of a shorter training that this one continues.
    continued: Option<Vec<Optimizer>>,
    /// The steps of its checkpoints that are kept and still say in their footers that they are its.
    of_shorter: Vec<u32>,
}

/// The state of a training at its last commit.
pub(crate) struct Committed {
    /// Steps done.
    pub(crate) step: u32,
    pub(crate) weights: Weights,
    pub(crate) moments: Vec<Moments>,
}

impl History {
    /// A training that has not started.
    pub(crate) fn new(
        outputs: Outputs<Train>,
        partition: Partition,
        provenance: Provenance,
        config: GptConfig,
    ) -> Self {
        let (log, evaluations, tracking, timings) = Default::default();
        let (committed, continued, of_shorter) = (None, None, Vec::new());
        Self {
            outputs,
            partition,
            provenance,
            config,
            log,
            evaluations,
            tracking,
            timings,
            committed,
            continued,
            of_shorter,
        }
    }

    /// Loads the last commit if it has the same parameters and inputs, or is of a shorter training that this one continues;
    /// otherwise the training starts from scratch.
    pub(crate) fn resume(&mut self, parameters: &Parameters, terminal: &Terminal) {
        if !self.outputs.has::<Optimizer>(&self.partition) {
            return;
        }
        match self.load(parameters) {
            Ok(Some(step)) if self.continued.is_some() => {
                terminal.say(format!("continues a shorter training with the same parameters from step {step}"));
            }
            Ok(Some(step)) => terminal.say(format!("resumes from step {step}")),
            Ok(None) => terminal.say("the training here has other parameters or another text: starts from scratch"),
            Err(fault) => terminal.say(format!("the training here cannot be resumed ({fault}): starts from scratch")),
        }
    }

    /// Loads the last commit and returns its step; none if it belongs to another training. Later rows are from an interrupted
    /// commit and are dropped, and so are rows that a shorter training has only because it ended.
    ///
    /// # Errors
    /// A table that is missing or corrupt.
    fn load(&mut self, parameters: &Parameters) -> Result<Option<u32>, Fault> {
        let optimizer = self.outputs.read::<Optimizer>(&self.partition)?;
        let Provenance { producer, config, inputs, .. } = &optimizer.provenance;
        let shorter = config.as_object().is_some_and(|earlier| parameters.continues(earlier));
        let same = (*config == self.provenance.config || shorter)
            && *inputs == self.provenance.inputs
            && *producer == self.provenance.producer;
        let Some(step) = optimizer.rows.first().map(|row| row.step).filter(|_| same) else {
            return Ok(None);
        };
        let checkpoint = self.outputs.read::<Checkpoints>(&self.partition.clone().step(step))?;
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
        let mut of_shorter = Vec::new();
        for step in parameters.kept().iter().filter(|&kept| kept <= step) {
            let checkpoint = self.outputs.open::<Checkpoints>(&self.partition.clone().step(step))?;
            if *checkpoint.provenance() != self.provenance {
                of_shorter.push(step);
            }
        }
        let log = self.outputs.read::<TrainingLog>(&self.partition)?.rows;
        let evaluations = self.outputs.read::<Evaluations>(&self.partition)?.rows;
        let tracking = self.outputs.read::<Tracking>(&self.partition)?.rows;
        let timings = self.outputs.read::<Timings>(&self.partition.clone().stage("train"))?.rows;
        // Nothing fails from here on: a training that starts from scratch has no rows of the one before.
        (self.log, self.evaluations, self.tracking, self.timings) = (log, evaluations, tracking, timings);
        self.of_shorter = of_shorter;
        // Rows of steps carry the number of steps done before; those of evaluations, the number done.
        self.log.retain(|row| row.step < step && parameters.logs(row.step));
        self.tracking.retain(|row| row.step < step && parameters.logs(row.step));
        let kept = parameters.kept();
        self.evaluations.retain(|row| row.step <= step && parameters.evaluates(row.step, &kept));
        // What a training step measures of itself is timed under its own number, all else under the number done.
        let of_a_step = |row: &Timings| row.activity == Activity::Tracking;
        self.timings.retain(|row| if of_a_step(row) { row.step < step } else { row.step <= step });
        self.committed = Some(Committed { step, weights, moments });
        self.continued = shorter.then_some(optimizer.rows);
        Ok(Some(step))
    }

    /// The last commit, if one was loaded; none after the first call.
    pub(crate) fn take_committed(&mut self) -> Option<Committed> {
        self.committed.take()
    }

    /// Makes the files of a shorter training those of this one, which continues it: the commit point first, so that from then
    /// on they are resumed as this training's. Its logs follow with the next commit. What was interrupted in this is finished.
    ///
    /// # Errors
    /// An input fault for a checkpoint that is missing or corrupt, or a table that cannot be written.
    pub(crate) fn take_on(&mut self) -> Result<(), Fault> {
        if let Some(rows) = self.continued.take() {
            self.outputs.write(&self.partition, &self.provenance, &rows)?;
        }
        for step in std::mem::take(&mut self.of_shorter) {
            let partition = self.partition.clone().step(step);
            let rows = self.outputs.read::<Checkpoints>(&partition)?.rows;
            self.outputs.write(&partition, &self.provenance, &rows)?;
        }
        Ok(())
    }

    /// Removes the tables of another training, the commit point first, so that nothing half-removed can be resumed.
    ///
    /// # Errors
    /// An input fault for a file that cannot be removed.
    pub(crate) fn clear(&self) -> Result<(), Fault> {
        let paths = [
            self.outputs.path::<Optimizer>(&self.partition)?,
            self.outputs.path::<TrainingLog>(&self.partition)?,
            self.outputs.path::<Evaluations>(&self.partition)?,
            self.outputs.path::<Tracking>(&self.partition)?,
            self.outputs.path::<Timings>(&self.partition.clone().stage("train"))?,
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

    /// Writes the tables, then the checkpoint, then the optimizer, which is the commit point: killed between any two writes, the
    /// training resumes from the commit before.
    ///
    /// # Errors
    /// An input fault for a table that cannot be written.
    pub(crate) fn commit(&self, step: u32, weights: &Weights, moments: &[Moments]) -> Result<(), Fault> {
        let Self { outputs, partition, provenance, .. } = self;
        outputs.write(partition, provenance, &self.log)?;
        outputs.write(partition, provenance, &self.evaluations)?;
        outputs.write(partition, provenance, &self.tracking)?;
        self.write_timings()?;
        outputs.write(&partition.clone().step(step), provenance, &weights.to_rows())?;
        let row = |(tensor, moments): (&model::Tensor, &Moments)| {
            let size =
                |&size: &usize| u32::try_from(size).expect("a matrix with so long a side would not be in memory");
            let shape: Vec<u32> = tensor.shape.iter().map(size).collect();
            [(Moment::First, &moments.first), (Moment::Second, &moments.second)].map(|(moment, values)| Optimizer {
                step,
                tensor: tensor.name.clone(),
                moment,
                shape: shape.clone(),
                values: values.clone(),
            })
        };
        let rows: Vec<Optimizer> = weights.tensors.iter().zip(moments).flat_map(row).collect();
        Ok(outputs.write(partition, provenance, &rows)?)
    }

    /// Writes the timings.
    ///
    /// # Errors
    /// An input fault if the table cannot be written.
    pub(crate) fn write_timings(&self) -> Result<(), Fault> {
        Ok(self.outputs.write(&self.partition.clone().stage("train"), &self.provenance, &self.timings)?)
    }

    /// Removes the checkpoints of this training but the kept ones and the newest, which resuming needs.
    ///
    /// # Errors
    /// An input fault for a folder that cannot be removed.
    pub(crate) fn keep_only(&self, kept: &Steps, newest: u32) -> Result<(), Fault> {
        self.keep_checkpoints(|step| step <= newest && (step == newest || kept.contains(step)))
    }

    fn keep_checkpoints(&self, keep: impl Fn(u32) -> bool) -> Result<(), Fault> {
        let any = self.outputs.path::<Checkpoints>(&self.partition.clone().step(0))?;
        let steps = any.ancestors().nth(2).expect("the path ends in <training>/step=<step>/checkpoints.parquet");
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
