//! Where in the study a file belongs.

use std::fmt;

use arrow_schema::DataType;
use serde::{Deserialize, Serialize};

use crate::enums::Split;

/// A key of a table's path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Key {
    /// The dataset.
    Dataset,
    /// The run of the study.
    Run,
    /// The seed of the run.
    Seed,
    /// Steps (optimizer updates) done.
    Step,
    /// The split of the dataset: `train`, `val` or `test`.
    Split,
    /// The stage that measured.
    Stage,
}

impl Key {
    /// All of them, in the order of a path.
    pub const ALL: [Self; 6] = [Self::Dataset, Self::Run, Self::Seed, Self::Step, Self::Split, Self::Stage];

    /// What the key is, in one line.
    pub const fn description(self) -> &'static str {
        match self {
            Key::Dataset => "The dataset.",
            Key::Run => "The run of the study; runs with equal trainings share them.",
            Key::Seed => "The seed of the training.",
            Key::Step => "Steps (optimizer updates) done.",
            Key::Split => "The split of the dataset: `train`, `val` or `test`.",
            Key::Stage => "The stage that measured.",
        }
    }

    /// The type of its values, as a column of the same name would have it.
    pub const fn data_type(self) -> DataType {
        match self {
            Key::Dataset | Key::Run | Key::Split | Key::Stage => DataType::Utf8,
            Key::Seed => DataType::UInt64,
            Key::Step => DataType::UInt32,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Key::Dataset => "dataset",
            Key::Run => "run",
            Key::Seed => "seed",
            Key::Step => "step",
            Key::Split => "split",
            Key::Stage => "stage",
        })
    }
}

/// The values of the keys of one file: `dataset=shakespeare_char/run=run_2/seed=1337`.
///
/// Built from the outside in: `Partition::dataset("text8").run("run_3").seed(1337).step(500)`. What a table is not keyed by
/// is ignored, so one partition of a node serves all its tables.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Partition {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    dataset: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    run: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    seed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    step: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    split: Option<Split>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    stage: Option<String>,
}

impl Partition {
    /// The partition of the tables that concern the whole study.
    pub fn study() -> Self {
        Self::default()
    }

    /// A dataset's partition.
    pub fn dataset(name: impl Into<String>) -> Self {
        Self { dataset: Some(name.into()), ..Self::default() }
    }

    /// The same for one run.
    #[must_use]
    pub fn run(mut self, name: impl Into<String>) -> Self {
        self.run = Some(name.into());
        self
    }

    /// The same for one seed.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The same for one step.
    #[must_use]
    pub fn step(mut self, step: u32) -> Self {
        self.step = Some(step);
        self
    }

    /// The same for one split of the text.
    #[must_use]
    pub fn split(mut self, split: Split) -> Self {
        self.split = Some(split);
        self
    }

    /// The same for one stage.
    #[must_use]
    pub fn stage(mut self, name: impl Into<String>) -> Self {
        self.stage = Some(name.into());
        self
    }

    /// The value of a key, as the path spells it.
    pub fn value(&self, key: Key) -> Option<String> {
        match key {
            Key::Dataset => self.dataset.clone(),
            Key::Run => self.run.clone(),
            Key::Seed => self.seed.map(|seed| seed.to_string()),
            Key::Step => self.step.map(|step| step.to_string()),
            Key::Split => self.split.map(|split| split.to_string()),
            Key::Stage => self.stage.clone(),
        }
    }

    /// The same with only those keys.
    #[must_use]
    pub fn only(&self, keys: &[Key]) -> Self {
        let keep = |key| keys.contains(&key);
        Self {
            dataset: self.dataset.clone().filter(|_| keep(Key::Dataset)),
            run: self.run.clone().filter(|_| keep(Key::Run)),
            seed: self.seed.filter(|_| keep(Key::Seed)),
            step: self.step.filter(|_| keep(Key::Step)),
            split: self.split.filter(|_| keep(Key::Split)),
            stage: self.stage.clone().filter(|_| keep(Key::Stage)),
        }
    }
}
