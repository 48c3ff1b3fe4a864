//! The experiment as `pipeline.yaml` states it: datasets, runs, seeds, profiles, and a section of parameters per stage.
//!
//! The stages' sections, and the overrides of profiles, datasets and runs, come from the stages' declarations.

use std::path::Path;

use declarations::{StageName, prep, with_stages};
use indexmap::IndexMap;

use crate::cluster::ClusterConfig;
use crate::origin::Lines;
use crate::own::{OwnChanges, OwnConfig, place_files};
use serde::Deserialize;

with_stages! {
    sections
    /// The whole file.
    #[derive(Clone, Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Experiment {
        /// The datasets that can be trained on, each with the parameters of `prep` that are its own.
        pub datasets: IndexMap<String, prep::Derived>,
        /// The seeds of every run.
        pub seeds: Vec<u64>,
        /// The runs.
        pub runs: IndexMap<String, RunConfig>,
        /// Stages of the user's own.
        #[serde(default)]
        pub own_stages: IndexMap<String, OwnConfig>,
        /// What jobs need on a cluster.
        #[serde(default)]
        pub cluster: ClusterConfig,
        /// Named sets of overrides.
        pub profiles: IndexMap<String, Profile>,
        /// The file and the line of each of its keys.
        #[serde(skip)]
        pub lines: Lines,
    }
}

with_stages! {
    changes
    /// A named set of overrides; `--set` makes the same kind of overrides.
    #[derive(Clone, Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct Profile {
        /// Its purpose.
        #[serde(deserialize_with = "declarations::given")]
        pub about: Option<String>,
        /// The datasets that are trained on.
        #[serde(deserialize_with = "declarations::given")]
        pub datasets: Option<Vec<String>>,
        /// The seeds of every run.
        #[serde(deserialize_with = "declarations::given")]
        pub seeds: Option<Vec<u64>>,
        /// The runs; all of them by default.
        #[serde(deserialize_with = "declarations::given")]
        pub runs: Option<Vec<String>>,
        /// How many jobs run at once.
        #[serde(deserialize_with = "declarations::given")]
        pub jobs: Option<usize>,
        /// Stages of the user's own.
        pub own_stages: IndexMap<String, OwnChanges>,
        /// What jobs need on a cluster.
        pub cluster: ClusterConfig,
        /// Overrides for one dataset.
        pub per_dataset: IndexMap<String, DatasetChanges>,
    }
}

with_stages! {
    training changes
    /// A profile's overrides for one dataset.
    #[derive(Clone, Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct DatasetChanges {
        /// The seeds of every run.
        #[serde(deserialize_with = "declarations::given")]
        pub seeds: Option<Vec<u64>>,
        /// Stages of the user's own.
        pub own_stages: IndexMap<String, OwnChanges>,
    }
}

with_stages! {
    training changes
    /// A run: how it trains, and what it measures.
    #[derive(Clone, Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct RunConfig {
        /// Its label, as shown in tables and figures.
        pub label: String,
        /// Its stages.
        pub stages: Vec<StageName>,
        /// Whose trainings it takes.
        pub trained_as: Option<TrainedAs>,
        /// Stages of the user's own.
        #[serde(default)]
        pub own_stages: IndexMap<String, OwnChanges>,
    }
}

/// That a run takes the trainings of another, where both would learn the same.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct TrainedAs {
    /// The other run.
    pub run: String,
    /// The number of seeds for which it is trained itself, which shows that both learn the same.
    pub after_seeds: usize,
}

impl Experiment {
    /// Resolves the paths of datasets and of commands relative to the folder of the experiment's file.
    pub fn place_sources(&mut self, folder: &Path) {
        let files = self.datasets.values_mut().flat_map(|dataset| [&mut dataset.source, &mut dataset.vocabulary]);
        for file in files.flatten() {
            *file = folder.join(&*file).display().to_string();
        }
        self.own_stages.values_mut().for_each(|stage| place_files(&mut stage.command, folder));
    }
}
