//! The section `cluster` of `pipeline.yaml`: what a job of each stage needs on a cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use declarations::Fault;
use serde::Deserialize;

use crate::pace::from_seconds;

/// The section `cluster`; what is not set is taken from the stages' own estimates, or left to the cluster.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClusterConfig {
    /// What every job needs.
    pub defaults: Resources,
    /// What the jobs of one stage need.
    pub stages: BTreeMap<String, Resources>,
    /// How often a job is started again that was killed, or lost with its node.
    pub retries: Option<u32>,
    /// Tasks of one array at most; the jobs of larger studies share tasks.
    pub array_size: Option<u32>,
    /// Seconds between two questions to the cluster.
    pub poll: Option<f64>,
}

/// What a job needs.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Resources {
    /// Cores, which are its threads.
    pub cores: Option<u32>,
    /// Memory in Slurm's notation: `500M`, `4G`.
    pub memory: Option<String>,
    /// Time limit in Slurm's notation: `90` (minutes), `12:00:00`, `2-00:00:00`.
    pub time: Option<String>,
    /// GPUs.
    pub gpus: Option<u32>,
    /// The partition.
    pub partition: Option<String>,
    /// The account that is charged.
    pub account: Option<String>,
    /// The quality of service.
    pub qos: Option<String>,
    /// More flags of `sbatch`.
    pub flags: Option<Vec<String>>,
}

impl ClusterConfig {
    /// Replaces what is set in another section.
    pub(crate) fn change(&mut self, other: &Self) {
        self.defaults.change(&other.defaults);
        for (stage, resources) in &other.stages {
            self.stages.entry(stage.clone()).or_default().change(resources);
        }
        self.retries = other.retries.or(self.retries);
        self.array_size = other.array_size.or(self.array_size);
        self.poll = other.poll.or(self.poll);
    }

    /// What a stage's jobs need, as far as it is set.
    pub(crate) fn of(&self, stage: &str) -> Resources {
        let mut resources = self.defaults.clone();
        if let Some(own) = self.stages.get(stage) {
            resources.change(own);
        }
        resources
    }

    /// How often a job that was killed is started again.
    pub(crate) fn retries(&self) -> u32 {
        self.retries.unwrap_or(5)
    }

    /// Tasks of one array at most. Slurm's own default limit is 1001, and its indices begin with 0.
    pub(crate) fn array_size(&self) -> u32 {
        self.array_size.unwrap_or(1000)
    }

    /// Seconds between two questions to the cluster.
    pub(crate) fn poll(&self) -> f64 {
        self.poll.unwrap_or(60.0)
    }

    /// How long the cluster may go on to say what the tasks' own records contradict: 90 s, or 30 polls if that is less. Slurm looks
    /// at every dependency at least once a minute, by its default `sched_interval`.
    pub(crate) fn patience(&self) -> Duration {
        from_seconds((30.0 * self.poll()).min(90.0))
    }

    /// Refuses values that no cluster understands.
    ///
    /// # Errors
    /// The first such value, with its key.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        if self.array_size == Some(0) {
            return Err(Fault::parameter("`cluster.array_size` must be at least 1"));
        }
        if self.poll.is_some_and(|seconds| !(0.1..=86_400.0).contains(&seconds)) {
            return Err(Fault::parameter("`cluster.poll` must be from 0.1 to 86400 seconds"));
        }
        self.defaults.check("cluster.defaults")?;
        self.stages.iter().try_for_each(|(stage, resources)| resources.check(&format!("cluster.stages.{stage}")))
    }
}

impl Resources {
    fn change(&mut self, other: &Self) {
        fn over<T: Clone>(value: &mut Option<T>, other: Option<&T>) {
            if let Some(other) = other {
                *value = Some(other.clone());
            }
        }
        over(&mut self.cores, other.cores.as_ref());
        over(&mut self.memory, other.memory.as_ref());
        over(&mut self.time, other.time.as_ref());
        over(&mut self.gpus, other.gpus.as_ref());
        over(&mut self.partition, other.partition.as_ref());
        over(&mut self.account, other.account.as_ref());
        over(&mut self.qos, other.qos.as_ref());
        over(&mut self.flags, other.flags.as_ref());
    }

    fn check(&self, key: &str) -> Result<(), Fault> {
        let is_number = |text: &str| !text.is_empty() && text.chars().all(|character| character.is_ascii_digit());
        if self.cores == Some(0) {
            return Err(Fault::parameter(format!("`{key}.cores` must be at least 1")));
        }
        if let Some(memory) = &self.memory
            && !is_number(memory.strip_suffix(['K', 'M', 'G', 'T']).unwrap_or(memory))
        {
            return Err(Fault::parameter(format!("`{key}.memory` is `{memory}`: write it as 500M or 4G")));
        }
        if let Some(time) = &self.time
            && !time.split(['-', ':']).all(is_number)
        {
            return Err(Fault::parameter(format!(
                "`{key}.time` is `{time}`: write minutes, or \"12:00:00\", or \"2-00:00:00\""
            )));
        }
        let words = [("partition", &self.partition), ("account", &self.account), ("qos", &self.qos)];
        for (name, word) in words.into_iter().filter_map(|(name, word)| Some((name, word.as_ref()?))) {
            if word.is_empty() || word.chars().any(|character| character.is_whitespace() || character.is_control()) {
                return Err(Fault::parameter(format!("`{key}.{name}` is `{word}`, which is no word")));
            }
        }
        match self.flags.iter().flatten().find(|flag| !flag.starts_with('-') || flag.contains('\n')) {
            Some(flag) => {
                Err(Fault::parameter(format!("`{key}.flags` has `{flag}`: write flags of sbatch, as --exclusive")))
            }
            None => Ok(()),
        }
    }
}
