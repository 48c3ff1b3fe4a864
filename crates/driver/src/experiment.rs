//! The experiment as `pipeline.yaml` states it: datasets, runs, seeds, profiles, and a section of parameters per stage.
//!
//! The stages' sections, and the changes that profiles, datasets and runs make to them, come from the stages' declarations.

use std::path::Path;

use declarations::{StageName, prep, with_stages};
use indexmap::IndexMap;
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
        /// Named sets of changes.
        pub profiles: IndexMap<String, Profile>,
    }
}

with_stages! {
    changes
    /// What is changed together under one name; `--set` makes the same changes.
    #[derive(Clone, Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct Profile {
        /// What it is for.
        pub about: Option<String>,
        /// The datasets that are trained on.
        pub datasets: Option<Vec<String>>,
        /// The seeds of every run.
        pub seeds: Option<Vec<u64>>,
        /// The runs; all of them by default.
        pub runs: Option<Vec<String>>,
        /// How many jobs run at once.
        pub jobs: Option<usize>,
        /// Changes for one dataset alone.
        pub per_dataset: IndexMap<String, DatasetChanges>,
    }
}

with_stages! {
    training changes
    /// What a profile changes for one dataset alone.
    #[derive(Clone, Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct DatasetChanges {
        /// The seeds of every run.
        pub seeds: Option<Vec<u64>>,
    }
}

with_stages! {
    training changes
    /// A way to train and to measure what was trained.
    #[derive(Clone, Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct RunConfig {
        /// Its name for people.
        pub label: String,
        /// The stages that it goes through.
        pub stages: Vec<StageName>,
    }
}

impl Experiment {
    /// Resolves the paths of texts against the folder of the experiment's file.
    pub fn place_sources(&mut self, folder: &Path) {
        for source in self.datasets.values_mut().filter_map(|dataset| dataset.source.as_mut()) {
            *source = folder.join(&*source).display().to_string();
        }
    }
}
