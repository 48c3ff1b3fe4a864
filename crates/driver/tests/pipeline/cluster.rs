//! Several drivers in one folder, and a cluster of shell scripts.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::scene::{Said, Scene, wait_until};

/// The jobs of the scene's study that are executed and not linked: run_0's and run_1's trainings of the first seed, run_1's of the
/// second, and so on.
const TRAININGS: usize = 3;

impl Scene {
    /// The driver's command with commands of Slurm's that run every task at once and forget it.
    fn on_cluster(&self, flags: &[&str]) -> Command {
        let scripts = [
            // The script is the last argument.
            (
                "sbatch",
                "echo \"sbatch $*\" >>calls\n[ -e away ] && { echo 'sbatch: error: Socket timed out' >&2; exit 1; }\n\
                 script=${@: -1}\nfor index in $(sed 's/ .*//' \"${script%.sh}.commands\"); do\n\
                 SLURM_ARRAY_TASK_ID=$index bash \"$script\" >>\"${script%.sh}.$index.out\" 2>&1 || true; done\necho 42\n",
            ),
            ("squeue", "echo \"squeue $*\" >>calls\n"),
            ("sacct", "echo 'no accounts' >&2; exit 1\n"),
            ("scancel", "echo \"scancel $*\" >>calls\n"),
        ];
        fs::create_dir_all(self.path("bin")).unwrap();
        for (name, script) in scripts {
            let path = self.path("bin").join(name);
            fs::write(&path, format!("#!/bin/bash\n{script}")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let mut command = self.command(&[&["--executor", "slurm", "--set", "cluster.poll=0.1"][..], flags].concat());
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", self.path("bin").display()));
        command
    }

    fn count(&self, stage: &str) -> usize {
        let log = fs::read_to_string(self.path("log")).unwrap_or_default();
        log.lines().filter(|line| line.starts_with(&format!("{stage} "))).count()
    }

    fn calls(&self, of: &str) -> usize {
        fs::read_to_string(self.path("calls")).unwrap_or_default().lines().filter(|line| line.starts_with(of)).count()
    }
}

#[test]
fn a_study_goes_through_a_cluster_in_one_submission_a_stage() {
    let scene = Scene::new();
    scene.writes_tables();
    let said = Said::of(scene.on_cluster(&[]).output().unwrap());
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(scene.calls("sbatch"), 8);
    assert_eq!((scene.count("train"), scene.count("correlate"), scene.count("plot")), (TRAININGS, 1, 1));
    said.has("✓ train shakespeare_char/run_0/1337");
    said.has("Results on shakespeare_char: mean ± standard error over seeds");
    assert!(!scene.has("artifacts/smoke/.jobs"), "everything was taken over");
    // What was recorded on the nodes is the driver's record.
    let nodes: Vec<String> = scene.lineage().into_iter().map(|row| row.node).collect();
    assert!(
        ["prep shakespeare_char", "train shakespeare_char/run_1/1338", "plot"]
            .iter()
            .all(|job| nodes.contains(&(*job).to_owned()))
    );
    scene.ran();
    scene.run_well(&[]);
    assert!(scene.ran().is_empty());
    let again = Said::of(scene.on_cluster(&[]).output().unwrap());
    assert_eq!((again.code, scene.calls("sbatch")), (Some(0), 8));
}

#[test]
fn a_stage_of_ones_own_is_one_submission_more() {
    let scene = Scene::with_own_stages();
    let said = Said::of(scene.on_cluster(&["--set", "cluster.stages.count.cores=3"]).output().unwrap());
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(scene.calls("sbatch"), 10);
    said.has("✓ count shakespeare_char/run_2/1338");
    assert!(scene.has("artifacts/smoke/totals/totals.parquet") && !scene.has("artifacts/smoke/.jobs"));
    assert_eq!(scene.own_ran().len(), 7);
    let plan = Said::of(scene.on_cluster(&["--force", "--dry-run"]).output().unwrap());
    plan.has("  count · tasks: 2 after all of prep, metrics of the same index");
    scene.run_well(&[]).has("· total · up to date");
    assert!(scene.own_ran().is_empty());
}

#[test]
fn what_fails_on_a_cluster_is_reported_and_left_out() {
    let scene = Scene::new();
    fs::write(scene.path("fail_train_1338"), "").unwrap();
    let said = Said::of(scene.on_cluster(&[]).output().unwrap());
    assert_eq!(said.code, Some(3), "{}", said.err);
    said.has("failed: no luck");
    said.has("the results are without seed 1338 of shakespeare_char");
    let log = fs::read_to_string(scene.path("log")).unwrap();
    let correlate = log.lines().find(|line| line.starts_with("correlate")).unwrap();
    assert!(correlate.contains("\"seeds\":[1337]"), "{correlate}");
    fs::remove_file(scene.path("fail_train_1338")).unwrap();
    let said = Said::of(scene.on_cluster(&[]).output().unwrap());
    assert_eq!(said.code, Some(0), "{}", said.err);
    said.has("✓ train shakespeare_char/run_1/1338");
}

#[test]
fn a_submission_that_is_on_its_way_is_not_made_twice_and_can_be_cancelled() {
    let scene = Scene::new();
    fs::write(scene.path("away"), "").unwrap();
    let mut driver = scene.on_cluster(&[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until(|| scene.calls("squeue") > 3);
    driver.kill().unwrap();
    driver.wait().unwrap();
    assert_eq!(scene.calls("sbatch"), 1, "it may have arrived, and is looked for by its name");
    let refused = scene.run(&[]);
    assert_eq!(refused.code, Some(3));
    refused.has("1 tasks of artifacts/smoke are on a cluster");
    scene.run_well(&["status"]).has("on the cluster: 0 tasks run, 1 wait");
    // By now it would have arrived.
    let path = scene.path("artifacts/smoke/.slurm/journal.json");
    let mut journal: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    journal["arrays"]["0"]["since"] = 0.into();
    fs::write(&path, journal.to_string()).unwrap();
    let cancel = Said::of(scene.on_cluster(&["cancel"]).output().unwrap());
    assert_eq!(cancel.code, Some(0), "{}", cancel.err);
    assert_eq!(scene.calls("scancel"), 1);
    scene.run_well(&[]);
}

#[test]
fn drivers_that_share_a_folder_run_each_job_once() {
    let scene = Scene::new();
    scene.writes_tables();
    fs::write(scene.path("slow_prep"), "").unwrap();
    let of_seed = |seed: &str| {
        let mut command = scene.command(&["--shared", "--seed", seed]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let first = of_seed("1337").spawn().unwrap();
    wait_until(|| scene.has("slow_pid"));
    fs::remove_file(scene.path("slow_prep")).unwrap();
    let refused = scene.run(&["--until", "prep"]);
    refused.has("has locked artifacts/smoke");
    // A job of Slurm's shares without being told.
    let mut second = of_seed("1338");
    let second = second.env("SLURM_JOB_ID", "7").spawn().unwrap();
    let pid = fs::read_to_string(scene.path("slow_pid")).unwrap();
    assert!(Command::new("kill").args(["-KILL", pid.trim()]).status().unwrap().success());
    let first = Said::of(first.wait_with_output().unwrap());
    let second = Said::of(second.wait_with_output().unwrap());
    // The first one's prep was killed, and that of the second began from there.
    assert_eq!((first.code, second.code), (Some(3), Some(0)), "{}\n{}", first.err, second.err);
    assert!(!scene.has("artifacts/smoke/.jobs"), "the last one took over what both recorded");
    scene.ran();
    scene.run_well(&["--until", "generate"]);
    let ran = scene.ran();
    assert!(ran.iter().all(|command| command.contains("--seed 1337")), "{ran:?}");
}

#[test]
fn an_execution_that_was_taken_over_records_nothing() {
    let scene = Scene::new();
    scene.run_well(&["--until", "prep"]);
    let job = ["job", "train shakespeare_char/run_1/1337"];
    let older = scene.start_slow_by("train", scene.command(&job));
    let pid = fs::read_to_string(scene.path("slow_pid")).unwrap();
    // As the task of an array, which does not ask whether somebody else is at work.
    let newer = scene.run_well(&["job", "--array", "train-1", job[1]]);
    newer.has("✓ train shakespeare_char/run_1/1337");
    assert!(Command::new("kill").args(["-KILL", pid.trim()]).status().unwrap().success());
    let older = Said::of(older.wait_with_output().unwrap());
    assert_eq!(older.code, Some(3));
    older.has("another execution has taken this job over, so this one recorded nothing");
    scene.ran();
    scene.run_well(&["--only", "train", "--run", "run_1", "--seed", "1337"]).has("up to date");
    assert!(scene.ran().is_empty());
}

#[test]
fn a_job_that_does_not_exist_is_named() {
    let scene = Scene::new();
    let said = scene.run(&["job", "train shakespeare_char/run_1/1338x"]);
    assert_eq!(said.code, Some(2));
    said.has("the study has no such job (did you mean `train shakespeare_char/run_1/1338`?)");
    let said = scene.run(&["--set", "cluster.defaults.memory=lots"]);
    assert_eq!(said.code, Some(2));
    said.has("`cluster.defaults.memory` is `lots`: write it as 500M or 4G");
    let said = scene.run(&["--set", "cluster.stages.trian.cores=2"]);
    assert_eq!(said.code, Some(2));
    said.has("trian");
}
