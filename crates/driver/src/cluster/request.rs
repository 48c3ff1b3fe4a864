//! What an array asks of a cluster for each of its tasks: what `pipeline.yaml` sets, else what its stage estimates.

use super::arrays::Planned;
use super::config::ClusterConfig;
use crate::estimate::Estimate;
use crate::executor::Executor;
use crate::machine::own_memory;
use crate::state::State;

/// How much more time is asked for than estimated, since estimates are of another machine, and minutes to start.
const TIMES: f64 = 4.0;
const MINUTES: f64 = 10.0;
/// How much more memory, and bytes for what was forgotten. A task's driver plans the same study as this one, in as much memory.
const MEMORY: f64 = 1.5;
const SPARE: f64 = 100e6;
/// Memory is asked for in multiples of so many MB.
const STEP: f64 = 50.0;

/// Requests for the jobs of a study.
pub(crate) struct Requests<'run> {
    executor: &'run Executor<'run>,
    config: &'run ClusterConfig,
    estimate: Estimate,
}

impl<'run> Requests<'run> {
    /// With estimates by what was measured in the folder.
    pub(crate) fn new(executor: &'run Executor<'run>, config: &'run ClusterConfig, state: &State) -> Self {
        Self { executor, config, estimate: Estimate::new(executor.jobs, state) }
    }

    /// The flags of sbatch for an array some of whose jobs were started again `tries` times. As a job that was killed may have
    /// lacked memory, each time asks for as much more as the first did.
    pub(crate) fn of(&self, planned: &Planned, tries: u32) -> Vec<String> {
        let resources = self.config.of(planned.stage.word());
        let cores = resources.cores.unwrap_or(1);
        let mut request = vec!["--nodes=1".to_owned(), "--ntasks=1".to_owned(), format!("--cpus-per-task={cores}")];
        let jobs = || planned.tasks.values().flatten().map(|job| &self.executor.jobs[*job]);
        let memory = resources.memory.unwrap_or_else(|| {
            let most = jobs().map(|job| job.cost.memory).fold(0.0, f64::max);
            let megabytes = (MEMORY * (most + own_memory()) + SPARE) * f64::from(tries + 1) / 1e6;
            format!("{}M", (megabytes / STEP).ceil() * STEP)
        });
        request.push(format!("--mem={memory}"));
        let time = resources.time.unwrap_or_else(|| {
            let longest = planned.tasks.values().map(|jobs| self.seconds(jobs)).fold(0.0, f64::max);
            let minutes = (TIMES * longest / f64::from(cores) / 60.0 + MINUTES).ceil();
            format!("{minutes}")
        });
        request.push(format!("--time={time}"));
        let on_gpu = u32::from(jobs().any(|job| job.on_gpu()));
        match resources.gpus.unwrap_or(on_gpu) {
            0 => {}
            gpus => request.push(format!("--gpus={gpus}")),
        }
        let words = [("partition", resources.partition), ("account", resources.account), ("qos", resources.qos)];
        request.extend(words.into_iter().filter_map(|(flag, word)| Some(format!("--{flag}={}", word?))));
        request.extend(resources.flags.into_iter().flatten());
        request
    }

    /// The seconds of a task on one core. Of jobs that do the same, one is run.
    fn seconds(&self, jobs: &[usize]) -> f64 {
        let is_first = |job: &&usize| {
            !self.executor.jobs[**job].duplicates.iter().any(|other| other < *job && jobs.contains(other))
        };
        jobs.iter().filter(is_first).map(|job| self.estimate.seconds(&self.executor.jobs[*job])).sum()
    }
}
