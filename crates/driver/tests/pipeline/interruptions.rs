//! Signals, kills and locks.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::scene::{Said, Scene, alive, signal, wait_until};

#[test]
fn an_interrupted_training_resumes_unless_its_parameters_changed() {
    for (name, code) in [("-INT", 130), ("-TERM", 143)] {
        let scene = Scene::new();
        let child = scene.start_slow("train");
        let pid = fs::read_to_string(scene.path("slow_pid")).unwrap();
        signal(&child, name);
        let said = Said::of(child.wait_with_output().unwrap());
        assert_eq!(said.code, Some(code), "{}", said.err);
        said.has("interrupted after");
        said.has("to resume: ./scripts/run_pipeline.sh --profile smoke");
        assert!(!alive(&pid));
        let job = scene.ran().pop().unwrap();
        let run = |key: &str| job.split(key).nth(1).unwrap().split(' ').next().unwrap().to_owned();
        let (run, seed) = (run("--run "), run("--seed "));
        let half = format!("artifacts/smoke/checkpoints/dataset=shakespeare_char/run={run}/seed={seed}/half");
        fs::create_dir_all(scene.path(&half)).unwrap();

        let narrow = ["--run", &run, "--seed", &seed];
        let same = scene.run_well(&narrow);
        same.has(&format!("train shakespeare_char/{run}/{seed} · run: was interrupted, resumes"));
        assert!(scene.has(&half), "it resumes from what it had written");

        let other = [&narrow[..], &["--set", "train.max_iters=10", "--only", "train"]].concat();
        scene.run_well(&other);
        assert!(!scene.has(&half), "another training starts from scratch");
    }
}

#[test]
fn jobs_that_force_did_not_reach_are_rerun_without_it() {
    let scene = Scene::new();
    scene.run_well(&[]);
    scene.ran();
    let child = scene.start_slow_by("generate", scene.command(&["--jobs", "1", "--force", "--seed", "1337"]));
    signal(&child, "-TERM");
    let said = Said::of(child.wait_with_output().unwrap());
    said.has("to resume: ./scripts/run_pipeline.sh --profile smoke --programs programs --jobs 1 --seed 1337\n");
    let before = scene.ran().len();
    let said = scene.run_well(&["--seed", "1337"]);
    said.has("run: was interrupted, resumes");
    said.has("run: --force of an interrupted run");
    let chosen = said.err.matches(" · up to date").count() + said.err.matches(" · run: ").count();
    assert_eq!(before + scene.ran().len(), chosen + 1, "each once, except the interrupted one");
}

#[test]
fn a_hangup_stops_nothing_under_nohup() {
    let scene = Scene::new();
    let driver = scene.command(&["--jobs", "1"]);
    let mut command = Command::new("nohup");
    command.arg(driver.get_program()).args(driver.get_args()).current_dir(driver.get_current_dir().unwrap());
    let child = scene.start_slow_by("prep", command);
    signal(&child, "-HUP");
    std::thread::sleep(Duration::from_millis(300));
    assert!(alive(&fs::read_to_string(scene.path("slow_pid")).unwrap()), "the stage still works");
    signal(&child, "-TERM");
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(143));
}

#[test]
fn a_killed_driver_kills_its_stages_and_leaves_complete_files() {
    let scene = Scene::new();
    let mut child = scene.start_slow("generate");
    let pid = fs::read_to_string(scene.path("slow_pid")).unwrap();
    signal(&child, "-KILL");
    child.wait().unwrap();
    wait_until(|| !alive(&pid));
    for name in [".state.json", ".hashes.json"] {
        let text = fs::read(scene.path("artifacts/smoke").join(name)).unwrap();
        serde_json::from_slice::<serde_json::Value>(&text).expect("the file is whole");
    }
    let said = scene.run_well(&[]);
    said.has("· run: was interrupted, resumes");
    let before = scene.lineage();
    scene.run_well(&[]).has("· plot · up to date");
    assert_eq!(scene.lineage(), before);
}

#[test]
fn killed_at_any_moment_the_same_command_finishes() {
    let scene = Scene::new();
    for milliseconds in [10, 40, 80, 120, 200, 300, 400] {
        let mut child = scene.command(&[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(milliseconds));
        let _ = child.kill();
        child.wait().unwrap();
    }
    scene.run_well(&[]);
    scene.run_well(&[]).has("· plot · up to date");
}

#[test]
fn two_drivers_cannot_use_the_same_folder() {
    let scene = Scene::new();
    let child = scene.start_slow("prep");
    let said = scene.run(&[]);
    assert_eq!(said.code, Some(3));
    said.has(&format!("another run of the pipeline (process {}) has locked artifacts/smoke", child.id()));
    signal(&child, "-TERM");
    child.wait_with_output().unwrap();
    scene.run_well(&["--only", "prep"]);
}

#[test]
fn exits_are_seen_where_the_parent_ignored_them() {
    let scene = Scene::new();
    let mut command = scene.command(&["--only", "prep"]);
    // SAFETY: signal is async-signal-safe, and ignoring a signal runs no code.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGCHLD, libc::SIG_IGN);
            Ok(())
        })
    };
    let said = Said::of(command.output().unwrap());
    assert_eq!(said.code, Some(0), "{}", said.err);
    said.has("✓ prep shakespeare_char");
}
