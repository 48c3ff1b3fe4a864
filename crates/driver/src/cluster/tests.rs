//! The coordinator on a cluster that fails in every way.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use declarations::StageName;

use super::arrays::{arrays, indices};
use super::coordinator::{Coordinator, Invocation};
use super::mock::{Fate, Mock};
use super::{ClusterConfig, Journal};
use crate::display::Display;
use crate::executor::{Executor, Options};
use crate::experiment::Experiment;
use crate::lineage::History;
use crate::machine::Machine;
use crate::plan::{Job, plan};
use crate::runner::Cancel;
use crate::runner::Runner;
use crate::scheduler::Outcome;
use crate::state::State;
use crate::study::Study;
use crate::yaml;

/// A folder with programs that are never run, and the study of the profile `smoke`.
struct Scene {
    folder: tempfile::TempDir,
    study: Study,
    jobs: Vec<Job>,
    config: ClusterConfig,
}

impl Scene {
    fn new(settings: &[&str]) -> Self {
        let experiment: Experiment = yaml::parse(include_str!("../../../../pipeline.yaml"), "pipeline.yaml").unwrap();
        let settings: Vec<String> = settings.iter().map(ToString::to_string).collect();
        let study = Study::resolve(&experiment, "smoke", &settings).unwrap();
        // In memory, where there is such a folder: there are many small files, each synchronised.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        for stage in StageName::ALL {
            std::fs::write(folder.path().join(stage.word()), "").unwrap();
        }
        let jobs = plan(&study, &folder.path().join("artifacts").display().to_string(), 1).unwrap();
        let config = ClusterConfig { poll: Some(0.001), retries: Some(2), ..ClusterConfig::default() };
        Self { folder, study, jobs, config }
    }

    fn root(&self) -> std::path::PathBuf {
        self.folder.path().join("artifacts")
    }

    fn mock<'test>(&'test self, fate: impl Fn(&str, u32) -> Fate + 'test) -> Mock<'test> {
        Mock::new(&self.jobs, &self.root(), fate)
    }

    /// A driver, from its start to its end.
    fn run(&self, mock: &mut Mock<'_>) -> Outcome {
        let executor = Executor {
            study: &self.study,
            jobs: &self.jobs,
            selected: vec![true; self.jobs.len()],
            partial: false,
            root: self.root().display().to_string(),
            programs: self.folder.path().display().to_string(),
            machine: Machine::new(Some(1)),
            options: Options::default(),
        };
        let root = Path::new(&executor.root);
        let (mut state, mut history) = (State::open(root, true), History::open(schemas::Artifacts::new(root)));
        let journal = Journal::read(root).unwrap();
        super::take_over(root, &mut state, &mut history, &journal);
        mock.attach(&journal);
        let forecasts = executor.forecast(&mut state, &history);
        let mut display = Display::silent();
        let invocation = Invocation { program: "driver".into(), flags: vec![] };
        let seen = (&mut state, &mut history, &mut display);
        let coordinator =
            Coordinator::new(&executor, &self.config, invocation, mock, seen, (journal, &forecasts)).unwrap();
        coordinator.run().unwrap()
    }

    fn is_done(&self, outcome: &Outcome) -> bool {
        outcome.done.iter().all(|done| *done) && !Journal::read(&self.root()).unwrap().is_active()
    }
}

fn stages(mock: &Mock<'_>) -> Vec<String> {
    mock.taken.iter().map(|(name, ..)| name.split('-').next().unwrap().to_owned()).collect()
}

/// The stages of the study, each of which is one array.
const STAGES: [&str; 8] = ["prep", "train", "evaluate", "snapshot", "metrics", "generate", "correlate", "plot"];

/// Runs a driver that is killed when every array is submitted.
fn run_killed_after_submitting<'test>(scene: &'test Scene, mock: &mut Mock<'test>) {
    mock.kill_at = Some((STAGES.len() as u32 + 1, false));
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let killed = catch_unwind(AssertUnwindSafe(|| scene.run(mock))).is_err();
    std::panic::set_hook(hook);
    assert!(killed);
    assert_eq!(stages(mock), STAGES);
    mock.kill_at = None;
}

#[test]
fn a_study_is_one_array_a_stage_however_many_seeds_there_are() {
    for seeds in ["seeds=[1]", "seeds=[1,2,3]", "seeds=[1,2,3,4,5,6,7,8,9,10]"] {
        let scene = Scene::new(&[seeds, "datasets=[shakespeare_char, control_lag]"]);
        let mut mock = scene.mock(|_, _| Fate::Succeeds);
        let outcome = scene.run(&mut mock);
        assert!(scene.is_done(&outcome));
        assert_eq!(stages(&mock), STAGES);
        assert!(mock.executed.values().all(|times| *times == 1));
        assert_eq!(mock.executed.len(), scene.jobs.len());
        // A second driver finds nothing to do.
        assert!(scene.is_done(&scene.run(&mut mock)));
        assert_eq!(mock.taken.len(), STAGES.len());
    }
}

#[test]
fn more_trainings_than_an_array_may_have_share_its_tasks() {
    let scene = Scene::new(&["seeds=[1,2,3,4,5]"]);
    let of = |array_size| {
        let indices = indices(&scene.jobs, array_size);
        let every_job = (0..scene.jobs.len()).collect();
        arrays(&scene.jobs, &indices, &every_job, &BTreeMap::new(), 0)
    };
    for array_size in [1000, 4, 3, 1] {
        let planned = of(array_size);
        assert_eq!(planned.len(), STAGES.len(), "{array_size}");
        let largest = planned.iter().map(|array| array.tasks.len()).max().unwrap();
        assert!(largest <= array_size as usize, "{largest} tasks of {array_size}");
        assert_eq!(planned.iter().flat_map(|array| array.tasks.values()).flatten().count(), scene.jobs.len());
    }
    // A task of metrics waits for its own snapshot, the study for everything.
    let planned = of(1000);
    let metrics = planned.iter().find(|array| array.stage == StageName::Metrics).unwrap();
    assert!(metrics.after.iter().all(|after| after.corresponding));
    let correlate = planned.iter().find(|array| array.stage == StageName::Correlate).unwrap();
    assert!(correlate.after.iter().all(|after| !after.corresponding) && correlate.after.len() > 2);
}

#[test]
fn what_is_killed_or_lost_is_submitted_again_and_nothing_else_is() {
    for first in [Fate::IsKilled, Fate::IsLost] {
        let scene = Scene::new(&[]);
        let unlucky = "train shakespeare_char/run_1/1337";
        let mut mock = scene.mock(|job, time| if job == unlucky && time == 1 { first } else { Fate::Succeeds });
        assert!(scene.is_done(&scene.run(&mut mock)));
        assert_eq!(mock.executed[unlucky], 2);
        for (job, times) in mock.executed.iter().filter(|(job, _)| !job.starts_with("train")) {
            assert_eq!(*times, 1, "{job}");
        }
    }
}

#[test]
fn a_job_that_is_killed_again_and_again_fails_and_the_study_does_without_its_seed() {
    let scene = Scene::new(&[]);
    let unlucky = "train shakespeare_char/run_1/1337";
    let mut mock = scene.mock(|job, _| if job == unlucky { Fate::IsKilled } else { Fate::Succeeds });
    let outcome = scene.run(&mut mock);
    assert_eq!(mock.executed[unlucky], 3, "once, and two retries");
    assert_eq!(outcome.failures.len(), 1);
    assert!(outcome.failures[0].message.contains("started 3 times"), "{}", outcome.failures[0].message);
    assert_eq!(outcome.missing, ["seed 1337 of shakespeare_char"]);
    assert!(outcome.blocked > 0);
    let correlate = mock.commands.iter().rfind(|command| command.contains(" correlate")).unwrap();
    assert!(
        correlate.contains(&format!("--failed '{unlucky}'")) && correlate.contains("--failed 'metrics"),
        "{correlate}"
    );
    assert_eq!((mock.executed["correlate"], mock.executed["plot"]), (1, 1));
}

#[test]
fn a_job_that_fails_by_itself_is_not_submitted_again() {
    let scene = Scene::new(&[]);
    let mut mock = scene.mock(|job, _| if job.starts_with("prep") { Fate::Fails } else { Fate::Succeeds });
    let outcome = scene.run(&mut mock);
    assert_eq!(mock.executed.len(), 1);
    assert_eq!((outcome.failures.len(), outcome.blocked), (1, scene.jobs.len() - 1));
    assert!(!Journal::read(&scene.root()).unwrap().is_active());
}

#[test]
fn a_driver_that_is_killed_anywhere_is_followed_by_one_that_runs_nothing_twice() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    for after in [false, true] {
        for kill_at in 1.. {
            let scene = Scene::new(&[]);
            let mut mock = scene.mock(|_, _| Fate::Succeeds);
            mock.kill_at = Some((kill_at, after));
            let killed = catch_unwind(AssertUnwindSafe(|| scene.run(&mut mock))).is_err();
            if !killed {
                break;
            }
            mock.kill_at = None;
            let outcome = scene.run(&mut mock);
            assert!(scene.is_done(&outcome), "{kill_at} {after}");
            assert!(mock.executed.values().all(|times| *times == 1), "{kill_at} {after}: {:?}", mock.executed);
        }
    }
    std::panic::set_hook(hook);
}

#[test]
fn a_cluster_that_does_not_answer_is_waited_for() {
    let scene = Scene::new(&[]);
    for away in [1, 3] {
        let mut mock = scene.mock(|_, _| Fate::Succeeds);
        mock.away = away;
        let outcome = scene.run(&mut mock);
        assert!(outcome.done.iter().all(|done| *done) && outcome.failures.is_empty());
        assert!(mock.executed.values().all(|times| *times == 1));
    }
}

#[test]
fn what_a_controller_that_crashed_has_forgotten_is_submitted_again() {
    let scene = Scene::new(&[]);
    let mut mock = scene.mock(|_, _| Fate::Succeeds);
    run_killed_after_submitting(&scene, &mut mock);
    mock.forget("train");
    assert!(scene.is_done(&scene.run(&mut mock)));
    assert!(mock.executed.values().all(|times| *times == 1));
    assert!(stages(&mock).iter().filter(|stage| *stage == "train").count() == 2);
}

#[test]
fn a_task_that_has_recorded_everything_is_over_whatever_the_cluster_says() {
    let scene = Scene::new(&[]);
    let stays = "snapshot shakespeare_char/run_1/1337";
    let mut mock = scene.mock(|job, _| if job == stays { Fate::Lingers } else { Fate::Succeeds });
    let outcome = scene.run(&mut mock);
    assert!(scene.is_done(&outcome), "{:?}", outcome.failures);
    assert!(mock.executed.values().all(|times| *times == 1), "{:?}", mock.executed);
    assert_eq!(stages(&mock).iter().filter(|stage| *stage == "metrics").count(), 2, "what waited for it");
}

#[test]
fn what_its_user_cancels_is_not_submitted_again() {
    let scene = Scene::new(&[]);
    let mut mock = scene.mock(|_, _| Fate::Succeeds);
    run_killed_after_submitting(&scene, &mut mock);
    for key in 0..STAGES.len() {
        mock.cancel(key, Cancel::Interrupt).unwrap();
    }
    let outcome = scene.run(&mut mock);
    assert_eq!(mock.executed.len(), 0);
    assert_eq!(outcome.failures.len(), 1, "the rest waits for it");
    assert!(outcome.failures[0].message.starts_with("cancelled on the cluster"));
}
