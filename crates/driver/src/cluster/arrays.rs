//! Which jobs go to a cluster together: one array for each stage and each set of arrays that it waits for.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::Job;
use crate::runner::After;
use crate::stage::Stage;

/// An array to submit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Planned {
    /// Its stage.
    pub(crate) stage: Stage,
    /// The jobs of each task, in the order in which the task runs them.
    pub(crate) tasks: BTreeMap<u32, Vec<usize>>,
    /// What it waits for.
    pub(crate) after: Vec<After>,
    /// How many jobs of the same stage come before each of its jobs.
    depth: usize,
}

/// The index of each job's task in its array, the same for all stages: jobs of different runs and seeds that depend on each
/// other, or do the same, have the same index, so that Slurm can start a task as soon as that of the same index is done. Jobs
/// share indices where there are more than `array_size`.
pub(crate) fn indices(jobs: &[Job], array_size: u32) -> Vec<u32> {
    let mut first: Vec<usize> = (0..jobs.len()).collect();
    let of_training = |job: usize| jobs[job].run.is_some();
    for (position, job) in jobs.iter().enumerate().filter(|(position, _)| of_training(*position)) {
        for other in job.dependencies.iter().chain(&job.duplicates).copied().filter(|other| of_training(*other)) {
            let (one, other) = (root(&mut first, position), root(&mut first, other));
            first[one.max(other)] = one.min(other);
        }
    }
    // Trainings, datasets and the study are counted each for themselves.
    let mut numbers: BTreeMap<(bool, bool, usize), usize> = BTreeMap::new();
    let mut counts: BTreeMap<(bool, bool), usize> = BTreeMap::new();
    let mut units = Vec::new();
    for (position, job) in jobs.iter().enumerate() {
        let kind = (job.run.is_some(), job.dataset.is_some());
        let unit = if job.dataset.is_none() { 0 } else { root(&mut first, position) };
        let count = counts.entry(kind).or_default();
        let number = *numbers.entry((kind.0, kind.1, unit)).or_insert_with(|| {
            *count += 1;
            *count - 1
        });
        units.push((kind, number));
    }
    let limit = array_size.max(1) as usize;
    let index = |(kind, number): ((bool, bool), usize)| {
        let shared = counts[&kind].div_ceil(limit).max(1);
        u32::try_from(number / shared).unwrap_or(u32::MAX)
    };
    units.into_iter().map(index).collect()
}

fn root(first: &mut [usize], mut of: usize) -> usize {
    while first[of] != of {
        first[of] = first[first[of]];
        of = first[of];
    }
    of
}

/// The arrays for some jobs, in the order in which they are to be submitted. `active` tells in which array, with which index, a
/// job is that waits or runs already; `next_key` is the key of the first new array, and the others follow.
pub(crate) fn arrays(
    jobs: &[Job],
    indices: &[u32],
    wanted: &BTreeSet<usize>,
    active: &BTreeMap<usize, (usize, u32)>,
    next_key: usize,
) -> Vec<Planned> {
    // A task is of one stage; where a stage's jobs depend on others of it, those come first.
    let mut depths: BTreeMap<usize, usize> = BTreeMap::new();
    let mut tasks: BTreeMap<(usize, Stage, u32), Vec<usize>> = BTreeMap::new();
    for &job in wanted {
        let same = jobs[job].dependencies.iter().filter(|dependency| jobs[**dependency].stage == jobs[job].stage);
        let depth = same.filter_map(|dependency| depths.get(dependency)).max().map_or(0, |depth| depth + 1);
        depths.insert(job, depth);
        tasks.entry((depth, jobs[job].stage.clone(), indices[job])).or_default().push(job);
    }
    let mut in_order: Vec<_> = tasks.into_iter().collect();
    in_order.sort_by_key(|((depth, stage, index), _)| (stage.clone(), *depth, *index));
    let mut planned: Vec<Planned> = Vec::new();
    let mut placed = active.clone();
    for ((depth, stage, index), members) in in_order {
        let mut waits: BTreeMap<usize, bool> = BTreeMap::new();
        for dependency in members.iter().flat_map(|job| &jobs[*job].dependencies) {
            if let Some((array, of)) = placed.get(dependency) {
                let of_trainings = jobs[*dependency].run.is_some() && jobs[members[0]].run.is_some();
                let corresponding = of_trainings && *of == index;
                waits.entry(*array).and_modify(|all| *all &= corresponding).or_insert(corresponding);
            }
        }
        let after: Vec<After> =
            waits.into_iter().map(|(array, corresponding)| After { array, corresponding }).collect();
        let same = |planned: &Planned| (&planned.stage, planned.depth) == (&stage, depth) && planned.after == after;
        let position = planned.iter().position(same).unwrap_or_else(|| {
            planned.push(Planned { stage: stage.clone(), tasks: BTreeMap::new(), after: after.clone(), depth });
            planned.len() - 1
        });
        placed.extend(members.iter().map(|job| (*job, (next_key + position, index))));
        planned[position].tasks.insert(index, members);
    }
    planned
}
