//! Which files a job reads and writes, by its stage's declaration.

use std::collections::BTreeSet;
use std::path::PathBuf;

use schemas::enums::Split;
use schemas::{Artifacts, Error, Key, Partition, Table};

use crate::{Part, Steps, Study, StudyDataset, StudyRun};

/// A table that a stage reads: declared in its `reads`, and what [`Inputs`](crate::Inputs) may open.
pub trait Reads<T: Table> {}

/// A table that a stage writes: declared in its `writes`, and what [`Outputs`](crate::Outputs) may create.
pub trait Writes<T: Table> {}

/// One member of what a job covers: the job's own dataset or training, or one training of the study.
#[derive(Clone, Debug)]
pub struct Member<'study> {
    /// Its dataset, run and seed, as far as the job has them.
    pub partition: Partition,
    /// The study that it is a member of; none where the job covers one dataset or training.
    pub of: Option<Membership<'study>>,
}

/// A training's place in the study.
#[derive(Clone, Copy, Debug)]
pub struct Membership<'study> {
    /// The study.
    pub study: &'study Study,
    /// The dataset.
    pub dataset: &'study StudyDataset,
    /// The run.
    pub run: &'study StudyRun,
    /// The seed.
    pub seed: u64,
}

impl Member<'_> {
    /// Whether the run has a part.
    pub fn has(&self, part: Part) -> bool {
        self.of.is_some_and(|of| of.run.has(part))
    }

    /// Whether the run is among those that `pick` selects from the study.
    pub fn is_of<'run>(&'run self, pick: impl FnOnce(&'run Study) -> Option<&'run StudyRun>) -> bool {
        self.of.is_some_and(|of| pick(of.study).is_some_and(|run| run.name == of.run.name))
    }

    /// Whether the seed is the dataset's first.
    pub fn is_first_seed(&self) -> bool {
        self.of.is_some_and(|of| of.dataset.seeds.first() == Some(&of.seed))
    }

    /// The dataset's snapshot steps; none outside a study.
    pub fn steps(&self) -> Steps {
        self.of.map(|of| of.dataset.steps.clone()).unwrap_or_default()
    }
}

/// The members of a job.
pub(crate) fn members<'study>(partition: &Partition, study: Option<&'study Study>) -> Vec<Member<'study>> {
    let Some(study) = study else {
        return vec![Member { partition: partition.clone(), of: None }];
    };
    let mut members = Vec::new();
    for dataset in &study.datasets {
        for run in &study.runs {
            for &seed in &dataset.seeds {
                let partition = Partition::dataset(&dataset.name).run(&run.name).seed(seed);
                members.push(Member { partition, of: Some(Membership { study, dataset, run, seed }) });
            }
        }
    }
    members
}

/// One table in a declaration's `reads` or `writes`: which of its files, and when. `P` is the stage's parameters.
///
/// A job reads or writes one file for each of its members, and for each step, split or stage that the table is keyed by.
pub struct Usage<P> {
    /// The table's name.
    pub table: &'static str,
    /// The table's version.
    pub version: u32,
    keys: &'static [Key],
    relative: fn(&Partition) -> Result<PathBuf, Error>,
    splits: fn(&P) -> &'static [Split],
    stages: &'static [&'static str],
    steps: fn(&P, &Member<'_>) -> Steps,
    when: fn(&P, &Member<'_>) -> bool,
    only_to_resume: bool,
}

impl<P> Usage<P> {
    /// A table that is always read or written.
    pub fn of<T: Table>() -> Self {
        Self {
            table: T::NAME,
            version: T::VERSION,
            keys: T::KEYS,
            relative: Artifacts::relative::<T>,
            splits: |_| &[],
            stages: &[],
            steps: |_, _| Steps::default(),
            when: |_, _| true,
            only_to_resume: false,
        }
    }

    /// A table that a finished job needs no more: it is there to resume an interrupted one.
    #[must_use]
    pub fn only_to_resume(self) -> Self {
        Self { only_to_resume: true, ..self }
    }

    /// The files of these splits.
    #[must_use]
    pub fn splits(self, splits: fn(&P) -> &'static [Split]) -> Self {
        Self { splits, ..self }
    }

    /// The files of these stages.
    #[must_use]
    pub fn stages(self, stages: &'static [&'static str]) -> Self {
        Self { stages, ..self }
    }

    /// The files of these steps.
    #[must_use]
    pub fn at(self, steps: fn(&P, &Member<'_>) -> Steps) -> Self {
        Self { steps, ..self }
    }

    /// Only for members for which this holds.
    #[must_use]
    pub fn when(self, when: fn(&P, &Member<'_>) -> bool) -> Self {
        Self { when, ..self }
    }

    /// Whether a finished job needs the files no more.
    pub(crate) fn is_only_to_resume(&self) -> bool {
        self.only_to_resume
    }

    /// The files' partitions.
    pub(crate) fn partitions(&self, parameters: &P, members: &[Member<'_>]) -> Vec<Partition> {
        let (mut partitions, mut seen) = (Vec::new(), BTreeSet::new());
        for member in members.iter().filter(|member| (self.when)(parameters, member)) {
            let mut of_member = vec![member.partition.clone()];
            if self.keys.contains(&Key::Split) {
                of_member = each(of_member, (self.splits)(parameters), |partition, split| partition.split(*split));
            }
            if self.keys.contains(&Key::Stage) {
                of_member = each(of_member, self.stages, |partition, stage| partition.stage(*stage));
            }
            if self.keys.contains(&Key::Step) {
                let steps: Vec<u32> = (self.steps)(parameters, member).iter().collect();
                of_member = each(of_member, &steps, |partition, step| partition.step(*step));
            }
            for partition in of_member {
                let partition = partition.only(self.keys);
                // Tables of a run or a dataset appear once for each of its trainings.
                if seen.insert(partition.clone()) {
                    partitions.push(partition);
                }
            }
        }
        partitions
    }

    /// The files, relative to the root of the artifacts.
    pub(crate) fn files(&self, parameters: &P, members: &[Member<'_>]) -> Vec<PathBuf> {
        let file =
            |partition: &Partition| (self.relative)(partition).expect("a declaration gives every key of its table");
        self.partitions(parameters, members).iter().map(file).collect()
    }

    /// The folder that holds all of the table's files of a job: the table's path as far as the job's partition has its keys.
    pub(crate) fn folder(&self, partition: &Partition) -> PathBuf {
        let partition = match self.stages {
            [stage] => partition.clone().stage(*stage),
            _ => partition.clone(),
        };
        let values = self.keys.iter().map_while(|key| partition.value(*key).map(|value| format!("{key}={value}")));
        std::iter::once(self.table.to_owned()).chain(values).collect()
    }
}

fn each<T>(partitions: Vec<Partition>, values: &[T], with: impl Fn(Partition, &T) -> Partition) -> Vec<Partition> {
    partitions.iter().flat_map(|partition| values.iter().map(|value| with(partition.clone(), value))).collect()
}
