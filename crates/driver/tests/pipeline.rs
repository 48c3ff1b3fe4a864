//! The driver end to end, with shell scripts for stages.

mod scene;

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use scene::{Said, Scene, alive, signal, wait_until};

#[test]
fn a_second_run_has_nothing_to_do() {
    let scene = Scene::new();
    let said = scene.run_well(&["--verbose"]);
    assert_eq!(scene.ran().len(), 31);
    said.has("▸ prep shakespeare_char · run: never ran");
    said.has("  programs/prep --artifacts artifacts/smoke --dataset shakespeare_char --data data --threads");
    said.has("✓ train shakespeare_char/run_3/1338 · ");
    said.has("peak memory");
    said.has("1.7500 ± 0.2500");
    said.has("−0.50 [−0.75, −0.25]");
    said.has("Report   artifacts/smoke/report/index.html");
    let lineage = scene.lineage();
    assert_eq!(lineage.len(), 31);
    assert!(lineage.iter().all(
        |row| row.status == schemas::enums::Status::Done && row.peak_rss_bytes.is_some_and(|bytes| bytes > 100_000)
    ));

    let said = scene.run_well(&[]);
    assert_eq!(scene.ran(), [""; 0]);
    said.has("· plot · up to date");
    assert_eq!(scene.lineage().len(), 31);
    fs::write(scene.path("artifacts/smoke/report/index.html"), "another").unwrap();
    scene.run_well(&[]).has("▸ plot · run: output report/index.html changed");
    assert_eq!(scene.ran().len(), 1);
    // The number of threads is irrelevant, and without state the lineage is used.
    fs::remove_file(scene.path("artifacts/smoke/.state.json")).unwrap();
    fs::remove_file(scene.path("artifacts/smoke/.hashes.json")).unwrap();
    scene.run_well(&["--only", "plot", "--jobs", "5"]).has("· plot · up to date (by lineage)");
    assert_eq!(scene.ran(), [""; 0]);
}

#[test]
fn changed_parameters_rerun_the_jobs_that_depend_on_them_and_remove_old_outputs() {
    let scene = Scene::new();
    scene.run_well(&[]);
    scene.ran();
    let stray = "artifacts/smoke/checkpoints/dataset=shakespeare_char/run=run_1/seed=1337/step=20";
    assert!(scene.has(stray));
    let said = scene.run_well(&["--set", "train.max_iters=10", "--run", "run_1", "--seed", "1337", "--only", "train"]);
    said.has("note: the last run here had --profile smoke; this one has --profile smoke --set train.max_iters=10");
    said.has("train shakespeare_char/run_1/1337 · run: parameter max_iters changed: 20 → 10; parameter checkpoint_steps changed: 0,5,10,20 → 0,5,10\n");
    assert_eq!(scene.ran().len(), 1);
    assert!(!scene.has(stray));
    assert!(scene.has("artifacts/smoke/checkpoints/dataset=shakespeare_char/run=run_1/seed=1338/step=20"));
    assert_eq!(fs::read_to_string(scene.path("data/download")).unwrap(), "keep me");
    // With the old parameters again: the training runs, and jobs that read the same bytes do not.
    let said = scene.run_well(&[]);
    said.has("train shakespeare_char/run_1/1337 · run: parameter max_iters changed: 10 → 20");
    said.has("snapshot shakespeare_char/run_1/1337 · up to date");
    assert_eq!(scene.ran().len(), 1);
}

#[test]
fn the_reason_to_run_is_what_changed() {
    let scene = Scene::new();
    scene.run_well(&[]);
    scene.ran();
    fs::remove_file(scene.path("artifacts/smoke/windows/dataset=shakespeare_char/run=run_2/seed=1337/windows.parquet"))
        .unwrap();
    let metrics = "artifacts/smoke/baselines/dataset=shakespeare_char/run=run_1/seed=1337/baselines.parquet";
    fs::write(scene.path(metrics), "edited").unwrap();
    let mut script = fs::read_to_string(scene.path("programs/plot")).unwrap();
    script.push('\n');
    fs::write(scene.path("programs/plot"), script).unwrap();
    scene.run_well(&["--dry-run"]).has("\nplot · run if the output of ");
    let said = scene.run_well(&["--rerun-triggers", "program"]);
    said.has("snapshot shakespeare_char/run_2/1337 · run: output windows/dataset=shakespeare_char/run=run_2/seed=1337/windows.parquet is missing");
    said.has("metrics shakespeare_char/run_1/1337 · run: output baselines/dataset=shakespeare_char/run=run_1/seed=1337/baselines.parquet changed");
    said.has("plot · run: program changed");
    assert_eq!(scene.ran().len(), 3);
    scene.run_well(&["--force", "--only", "metrics", "--run", "run_2"]).has("run: --force");
    assert_eq!(scene.ran().len(), 2);
    // A forced training is not copied from an earlier one.
    let said = scene.run_well(&["--force", "--only", "train", "--run", "run_2"]);
    said.has("train shakespeare_char/run_2/1337 · run: --force\n");
}

#[test]
fn a_custom_dataset_is_an_input() {
    let scene = Scene::new();
    let flags = ["--set", "datasets=[mine]", "--only", "prep"];
    fs::write(scene.path("min.txt"), "").unwrap();
    let said = scene.run(&flags);
    assert_eq!(said.code, Some(3));
    said.has("datasets.mine.source: mine.txt is missing (did you mean `min.txt`?); give the text's path");
    fs::write(scene.path("mine.txt"), "one").unwrap();
    scene.run_well(&flags).has("run: never ran");
    fs::write(scene.path("mine.txt"), "other").unwrap();
    scene.run_well(&flags).has("prep mine · run: input source changed");
    // The same text elsewhere is the same input.
    fs::create_dir(scene.path("texts")).unwrap();
    fs::rename(scene.path("mine.txt"), scene.path("texts/mine.txt")).unwrap();
    let moved = fs::read_to_string(scene.path("pipeline.yaml")).unwrap().replace(" mine.txt ", " texts/mine.txt ");
    fs::write(scene.path("pipeline.yaml"), moved).unwrap();
    scene.run_well(&flags).has("prep mine · up to date");
}

#[test]
fn what_does_not_depend_on_a_failure_is_finished_and_the_failure_is_retried_last() {
    let scene = Scene::new();
    fs::write(scene.path("fail_snapshot"), "").unwrap();
    let said = scene.run(&["--jobs", "1"]);
    assert_eq!(said.code, Some(3));
    said.has(
        "✗ snapshot shakespeare_char/run_1/1337: no luck\n  command: programs/snapshot --artifacts artifacts/smoke",
    );
    said.has("\n  log: artifacts/smoke/.logs/snapshot/shakespeare_char/run_1/1337.log");
    said.has("2 failed, 10 not run because of that");
    said.has("finished jobs are kept; to resume: ./scripts/run_pipeline.sh --profile smoke");
    let ran = scene.ran();
    assert!(!ran.iter().any(|line| line.starts_with("metrics")));
    assert_eq!(ran.iter().filter(|line| line.starts_with("generate")).count(), 8);
    assert_eq!(scene.lineage().iter().filter(|row| row.status == schemas::enums::Status::Failed).count(), 2);

    fs::remove_file(scene.path("fail_snapshot")).unwrap();
    scene.run_well(&[]).has("run: failed before");
    let ran = scene.ran();
    assert!(ran.iter().any(|line| line.starts_with("plot")) && !ran.iter().any(|line| line.starts_with("prep")));
}

#[test]
fn a_job_that_failed_before_comes_after_those_that_did_not() {
    let scene = Scene::new();
    fs::write(scene.path("fail_train"), "").unwrap();
    scene.run(&["--jobs", "1", "--run", "run_3", "--seed", "1337"]);
    fs::remove_file(scene.path("fail_train")).unwrap();
    scene.ran();
    scene.run_well(&["--jobs", "1", "--only", "train"]);
    let ran = scene.ran();
    assert!(ran.last().unwrap().contains("--run run_3 --seed 1337"), "{ran:#?}");
}

#[test]
fn the_first_failure_stops_the_run_where_that_is_asked_for() {
    let scene = Scene::new();
    fs::write(scene.path("fail_snapshot"), "").unwrap();
    let said = scene.run(&["--jobs", "1", "--fail-fast"]);
    assert_eq!(said.code, Some(3));
    said.has("1 failed, after ");
    assert_eq!(scene.ran().iter().filter(|line| line.starts_with("snapshot")).count(), 1);
}

#[test]
fn results_are_made_of_what_there_is_and_say_what_is_missing() {
    let scene = Scene::new();
    fs::write(scene.path("fail_train_1338"), "").unwrap();
    let said = scene.run(&[]);
    assert_eq!(said.code, Some(3));
    said.has("correlate: without seed 1338 of shakespeare_char");
    said.has("the results are without seed 1338 of shakespeare_char");
    said.has("Report   artifacts/smoke/report/index.html");
    fs::remove_file(scene.path("fail_train_1338")).unwrap();
    let said = scene.run_well(&[]);
    said.has("correlate · run: ");
    said.has("▸ plot · run: ");
    assert!(!said.err.contains("without"));
}

#[test]
fn outputs_come_back_if_the_job_that_replaces_them_is_refused_or_their_parameters_return() {
    let scene = Scene::new();
    scene.run_well(&[]);
    scene.ran();
    let path = "artifacts/smoke/checkpoints/dataset=shakespeare_char/run=run_1/seed=1337/step=20/checkpoints.parquet";
    let before = fs::read_to_string(scene.path(path)).unwrap();
    let narrow = ["--run", "run_1", "--seed", "1337", "--only", "train"];
    // Refused before it wrote anything: nothing has changed.
    fs::write(scene.path("fail_train"), "").unwrap();
    let other = [&narrow[..], &["--set", "train.max_iters=10"]].concat();
    assert_eq!(scene.run(&other).code, Some(3));
    assert_eq!(fs::read_to_string(scene.path(path)).unwrap(), before);
    fs::remove_file(scene.path("fail_train")).unwrap();
    scene.ran();
    scene.run_well(&narrow).has("train shakespeare_char/run_1/1337 · up to date");
    // Interrupted while it was replaced: with the old parameters, the old tables come back.
    let child = scene.start_slow_by("train", scene.command(&[&other[..], &["--jobs", "1"]].concat()));
    signal(&child, "-TERM");
    child.wait_with_output().unwrap();
    assert!(!scene.has(path), "no table of other parameters lies beside the new ones");
    scene.ran();
    scene.run_well(&narrow).has("train shakespeare_char/run_1/1337 · earlier outputs with these parameters come back");
    assert_eq!(fs::read_to_string(scene.path(path)).unwrap(), before);
    // And with the new ones, the interrupted training goes on.
    scene.run_well(&other).has("train shakespeare_char/run_1/1337 · earlier outputs with these parameters come back");
    assert_eq!(scene.ran().len(), 1);
    assert!(
        !scene.has("artifacts/smoke/.replaced/train/shakespeare_char/run_1/1337"),
        "complete, so the old is removed"
    );
}

#[test]
fn work_of_more_than_a_minute_is_replaced_only_where_the_user_agrees() {
    let scene = Scene::new();
    scene.run_well(&[]);
    scene.took("train shakespeare_char/run_1/1337", 7200.0);
    scene.ran();
    for flags in [&["--set", "train.max_iters=10"][..], &["--force"]] {
        let flags = [&["--only", "train"], flags].concat();
        let said = scene.run(&flags);
        assert_eq!(said.code, Some(2), "{}", said.err);
        said.has("this replaces the work of 2 h 00 min");
        said.has("\n  train shakespeare_char/run_1/1337 · 2 h 00 min · ");
        said.has("to go on, add --yes; to keep what is there, use another folder (--artifacts)");
        assert!(scene.ran().is_empty());
        scene.run_well(&[&flags[..], &["--dry-run"]].concat()).has("a run would ask before, or needs --yes");
    }
    scene.run_well(&["--only", "train", "--set", "train.max_iters=10", "--yes"]);
    assert_eq!(scene.ran().len(), 8);
}

#[test]
fn equal_work_is_done_once_and_linked() {
    use std::os::unix::fs::MetadataExt;
    let scene = Scene::new();
    scene.writes_tables();
    let said = scene.run_well(&["--until", "train"]);
    said.has("· train shakespeare_char/run_2/1337 · linked to run_1, which does the same");
    said.has("· train shakespeare_char/run_0/1338 · linked to run_1, which does the same");
    let ran = scene.ran();
    let trained = ran.iter().filter(|line| line.starts_with("train")).count();
    assert_eq!(trained, 3, "with and without tracking for the first seed, with it for the second: {ran:#?}");
    let inode = |run: &str| {
        let path =
            format!("artifacts/smoke/training_log/dataset=shakespeare_char/run={run}/seed=1337/training_log.parquet");
        fs::metadata(scene.path(&path)).unwrap().ino()
    };
    assert_eq!(inode("run_1"), inode("run_3"));
    assert_ne!(inode("run_0"), inode("run_1"));
    let linked = |row: &&schemas::tables::Lineage| row.status == schemas::enums::Status::Linked;
    assert_eq!(scene.lineage().iter().filter(linked).count(), 5);
    // What was there before is replaced by a link, too, and a link that is lost is made again.
    fs::remove_dir_all(scene.path("artifacts/smoke/training_log/dataset=shakespeare_char/run=run_3")).unwrap();
    scene
        .run_well(&["--until", "train"])
        .has("· train shakespeare_char/run_3/1337 · linked to run_1, which does the same");
    assert_eq!((scene.ran().len(), inode("run_1")), (0, inode("run_3")));
    // A job that is to be rerun is not linked to an earlier execution.
    scene.run_well(&["--only", "train", "--run", "run_2", "--force"]);
    assert_eq!(scene.ran().len(), 2);
}

#[test]
fn no_parameter_moves_the_cursor() {
    let scene = Scene::new();
    let said = scene.run_well(&["--dry-run", "--set", r#"generate.prompt="\x1b[2JX""#]);
    said.has(r"--prompt '\u{1b}[2JX'");
    assert!(!said.out.contains('\u{1b}') && !said.err.contains('\u{1b}'));
}

#[test]
fn a_damaged_lineage_is_set_aside_and_begun_anew() {
    let scene = Scene::new();
    scene.run_well(&[]);
    scene.ran();
    let path = scene.path("artifacts/smoke/lineage/lineage.parquet");
    fs::write(&path, "damaged").unwrap();
    scene.run_well(&["--dry-run"]).has("0 of 31 jobs would run");
    scene.run_well(&["status"]);
    let said = scene.run_well(&[]);
    said.has("note: artifacts/smoke/lineage/lineage.parquet ");
    said.has("it was moved to artifacts/smoke/.damaged/lineage-1.parquet");
    assert!(scene.ran().is_empty());
    assert_eq!(fs::read(scene.path("artifacts/smoke/.damaged/lineage-1.parquet")).unwrap(), b"damaged");
    let lineage = scene.lineage();
    assert_eq!(lineage.len(), 31);
    assert!(lineage.iter().all(|row| row.status == schemas::enums::Status::Adopted));
}

#[test]
fn records_that_cannot_be_written_stop_nothing() {
    let scene = Scene::new();
    fs::create_dir_all(scene.path("artifacts/smoke/.state.json/x")).unwrap();
    fs::create_dir_all(scene.path("artifacts/smoke/.hashes.json/x")).unwrap();
    // A folder where a file should be cannot be read as one.
    let said = scene.run(&["--only", "prep"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    said.has("note: the driver's records are not saved (");
}

#[test]
fn parts_of_the_pipeline_are_selected_by_their_first_and_last_stage() {
    let scene = Scene::new();
    scene.run_well(&["--until", "train"]);
    assert!(scene.ran().iter().all(|line| line.starts_with("prep") || line.starts_with("train")));
    scene.run_well(&[]);
    scene.ran();
    scene.run_well(&["--from", "metrics", "--force"]);
    let ran = scene.ran();
    let first = |stage: &str| ran.iter().any(|line| line.starts_with(stage));
    assert!(first("metrics") && first("generate") && first("plot") && !first("snapshot") && !first("train"));
}

#[test]
fn the_status_graph_logs_and_origin_are_shown() {
    let scene = Scene::new();
    let said = scene.run(&["status"]);
    assert_eq!(said.code, Some(3));
    said.has("nothing ran in artifacts/smoke yet");
    scene.run_well(&["--until", "train"]);
    let said = scene.run_well(&["status"]);
    said.has("train           8        0      0       0");
    said.has("  snapshot shakespeare_char/run_1/1337 · never ran");
    let said = scene.run_well(&["graph"]);
    said.has("digraph study {");
    said.has("train -> snapshot;");
    let said = scene.run_well(&["graph", "--by", "job"]);
    said.has("[label=\"train\\nshakespeare_char/run_0/1337\", style=filled");
    let said = scene.run_well(&["logs", "train", "shakespeare_char/run_1/1337"]);
    said.has("▸ run: never ran\n  programs/train --artifacts");
    said.has("✓ ");
    let said = scene.run(&["logs", "train", "shakespeare_char/run_1/133"]);
    assert_eq!(said.code, Some(2));
    said.has("did you mean `train shakespeare_char/run_1/1337`?");
    let log = "training_log/dataset=shakespeare_char/run=run_1/seed=1337/training_log.parquet";
    scene.run_well(&["explain", log]).has("job train shakespeare_char/run_1/1337");
    assert_eq!(scene.run(&["explain", "nothing.parquet"]).code, Some(3));
}

#[test]
fn files_that_the_study_does_not_refer_to_are_listed_and_removed_where_the_user_agrees() {
    let scene = Scene::new();
    let said = scene.run(&["clean", "--yes", "--artifacts", "."]);
    assert_eq!(said.code, Some(3));
    said.has("the pipeline never ran in .: nothing there is its own");
    scene.run_well(&[]);
    scene.run_well(&["clean"]).has("nothing to remove");
    let stray = "artifacts/smoke/checkpoints/dataset=shakespeare_char/run=gone/seed=1/step=0/checkpoints.parquet";
    fs::create_dir_all(scene.path(stray).parent().unwrap()).unwrap();
    fs::write(scene.path(stray), "old").unwrap();
    fs::create_dir_all(scene.path("artifacts/short")).unwrap();
    fs::write(scene.path("artifacts/short/.state.json"), "{}").unwrap();
    fs::create_dir_all(scene.path("artifacts/smoke/.replaced/train")).unwrap();
    fs::write(scene.path("artifacts/smoke/.replaced/train/record.json"), "{}").unwrap();
    let said = scene.run(&["clean"]);
    assert_eq!(said.code, Some(2));
    said.has(stray);
    assert!(scene.has(stray) && !said.out.contains("short") && !said.out.contains(".replaced"));
    scene.run_well(&["clean", "--yes"]);
    assert!(!scene.has("artifacts/smoke/checkpoints/dataset=shakespeare_char/run=gone"));
    assert!(scene.has("artifacts/short/.state.json") && scene.has("artifacts/smoke/.replaced/train/record.json"));
    scene.run_well(&[]).has("· plot · up to date");
}

#[test]
fn a_failed_dataset_hides_neither_its_failure_nor_the_results_of_others() {
    let scene = Scene::new();
    // mine.txt does not exist.
    let said = scene.run(&["--set", "datasets=[shakespeare_char, mine]", "--set", "seeds=[1337]"]);
    assert_eq!(said.code, Some(3));
    said.has("✗ prep mine: datasets.mine.source: mine.txt is missing");
    said.has("the results are without mine");
    said.has("Findings on shakespeare_char");
    said.has("Report   artifacts/smoke/report/index.html");
}

#[test]
fn what_cannot_run_is_no_work_that_would_be_replaced() {
    let scene = Scene::new();
    let flags = ["--set", "datasets=[mine]", "--only", "prep", "--only", "train"];
    fs::write(scene.path("mine.txt"), "one").unwrap();
    scene.run_well(&flags);
    scene.took("train mine/run_1/1337", 7200.0);
    fs::remove_file(scene.path("mine.txt")).unwrap();
    let said = scene.run(&flags);
    assert_eq!(said.code, Some(3), "{}", said.err);
    said.has("✗ prep mine: datasets.mine.source: mine.txt is missing");
    assert!(!said.err.contains("this replaces"));
}

#[test]
fn a_stage_that_does_not_write_an_output_has_a_bug() {
    let scene = Scene::new();
    let path = scene.path("programs/prep");
    fs::write(&path, "#!/bin/sh\n").unwrap();
    let said = scene.run(&["--only", "prep"]);
    assert_eq!(said.code, Some(1));
    said.has("exited 0 but did not write corpus/dataset=shakespeare_char/split=train/corpus.parquet");
}

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
fn tables_of_another_study_are_noted() {
    let scene = Scene::new();
    let said = scene.run_well(&[]);
    assert!(!said.out.contains("of another study"));
    let said = scene.run_well(&["--set", "seeds=[1338]", "--only", "prep"]);
    said.has("note: the folder also has tables of another study (generate shakespeare_char/run_0/1337 and 13 more)");
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
fn foreign_files_are_not_removed() {
    let scene = Scene::new();
    fs::create_dir_all(scene.path("artifacts/smoke/plots")).unwrap();
    fs::write(scene.path("artifacts/smoke/plots/mine.png"), "mine").unwrap();
    for flags in [&[][..], &["--dry-run"]] {
        let said = scene.run(flags);
        assert_eq!(said.code, Some(3));
        said.has("artifacts/smoke/plots was not written by this pipeline, which never ran in artifacts/smoke");
    }
    assert!(scene.has("artifacts/smoke/plots/mine.png") && scene.ran().is_empty());
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
fn a_dry_run_runs_and_writes_nothing() {
    let scene = Scene::new();
    let said = scene.run_well(&["--dry-run"]);
    assert!(!scene.has("artifacts") && scene.ran().is_empty());
    said.has("prep shakespeare_char · run: never ran\n  programs/prep --artifacts artifacts/smoke");
    said.has("train shakespeare_char/run_0/1337 · run: prep shakespeare_char runs first");
    said.has("1 of 31 jobs would run, and up to 16 that depend on them");
    assert_eq!(said.out.matches(" · linked to ").count(), 14, "what does the same for another run");
    scene.run_well(&[]);
    scene.ran();
    scene.run_well(&["--dry-run"]).has("0 of 31 jobs would run");
    let said = scene.run_well(&["--dry-run", "--set", "train.max_iters=10", "--run", "run_0", "--seed", "1337"]);
    said.has("train shakespeare_char/run_0/1337 · run: parameter max_iters changed: 20 → 10; parameter checkpoint_steps changed: 0,20 → 0,10\n");
    said.has("generate shakespeare_char/run_0/1337 · run if the output of train shakespeare_char/run_0/1337 changes");
    said.has("1 of 5 jobs would run, and up to 3 that depend on them");
    assert!(scene.ran().is_empty());
    // A closed standard output is no failure.
    let mut child = scene.command(&["--dry-run"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let said = Said::of(child.wait_with_output().unwrap());
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
}

#[test]
fn a_printed_command_does_the_same_when_it_is_pasted() {
    let scene = Scene::new();
    let said = scene.run_well(&["--verbose"]);
    let ran = scene.ran();
    for line in said.err.lines().filter(|line| line.starts_with("  programs/")) {
        assert!(Command::new("sh").args(["-c", line]).current_dir(scene.path("")).status().unwrap().success());
    }
    let pasted = scene.ran();
    let sorted = |mut lines: Vec<String>| {
        lines.sort();
        lines
    };
    assert_eq!(sorted(ran), sorted(pasted));
    scene.run_well(&[]).has("· plot · up to date");
    assert!(scene.ran().is_empty());
}

#[test]
fn a_part_of_the_study_runs_without_the_rest() {
    let scene = Scene::new();
    let said = scene.run(&["--only", "metrics"]);
    assert_eq!(said.code, Some(3));
    said.has("which `snapshot shakespeare_char/run_");
    said.has("run that first, or everything without --only");
    // Stages of the whole study are omitted where it is incomplete.
    let said = scene.run_well(&["--seed", "1338", "--run", "run_0"]);
    assert_eq!(scene.ran().len(), 3);
    said.has("· correlate · omitted: it needs the whole study, and `");
    said.has("· plot · omitted: it needs correlate");
    let said = scene.run(&["--only", "correlate", "--seed", "1338"]);
    assert_eq!(said.code, Some(3));
    said.has("correlate needs artifacts/smoke/");
    // A stale dependency that is not selected is noted.
    scene.run_well(&[]);
    let said = scene.run_well(&["--only", "generate", "--run", "run_0", "--seed", "1338", "--set", "train.n_embd=32"]);
    said.has("note: stale but not selected: train shakespeare_char/run_0/1338 (parameter n_embd changed: 16 → 32)");
}

#[test]
fn a_mistyped_name_gets_a_suggestion() {
    let scene = Scene::new();
    let wrong = |flags: &[&str], said: &str| {
        let output = scene.run(flags);
        assert_eq!(output.code, Some(2), "{}", output.err);
        output.has(said);
    };
    wrong(&["--dry-rum"], "'--dry-run'");
    wrong(&["--only", "metric"], "'metrics'");
    wrong(&["metrics"], "unrecognized subcommand 'metrics'");
    wrong(&["--run", "run0"], "--run run0: there is no `run0` (did you mean `run_0`?)");
    wrong(&["--dataset", "shakespear_char"], "did you mean `shakespeare_char`?");
    wrong(&["--dataset", "text8"], "--dataset text8: not in profile `smoke`; add it by --set datasets=[text8]");
    wrong(&["--seed", "7"], "--seed 7: not in profile `smoke`; add it by --set seeds=[1337,1338,7]");
    wrong(&["--jobs", "0"], "--jobs must be at least 1");
    wrong(&["--set", "train.max_iter=5"], "did you mean `max_iters`?");
    let missing = scene.run(&["--file", "other.yaml"]);
    assert_eq!(missing.code, Some(3));
    missing.has("cannot read other.yaml");
    scene.run_well(&["--list"]).has("run_3  Generation quality (train, snapshot, metrics, generate)");
}

#[test]
fn a_path_that_is_not_utf8_is_refused_before_anything_runs() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let scene = Scene::new();
    let folder = OsStr::from_bytes(b"caf\xe9");
    if fs::create_dir(scene.path("").join(folder)).is_err() {
        return; // macOS has no such names.
    }
    let file = Path::new(folder).join("pipeline.yaml");
    fs::copy(scene.path("pipeline.yaml"), scene.path("").join(&file)).unwrap();
    for (flag, path) in [("--artifacts", folder), ("--file", file.as_os_str()), ("--programs", folder)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_driver"));
        command.args(["--profile", "smoke"]).arg(flag).arg(path).current_dir(scene.path(""));
        let said = Said::of(command.output().unwrap());
        assert_eq!(said.code, Some(2), "{flag}: {}", said.err);
        said.has(&format!("error: {flag} caf\u{fffd}"));
        said.has("the path is not UTF-8; rename it");
    }
    // So is the folder of the program itself, which has the stages beside it.
    let driver = scene.path("").join(folder).join("driver");
    fs::copy(env!("CARGO_BIN_EXE_driver"), &driver).unwrap();
    let said =
        Said::of(Command::new(driver).args(["--profile", "smoke"]).current_dir(scene.path("")).output().unwrap());
    assert_eq!(said.code, Some(2), "{}", said.err);
    said.has("error: the folder of the programs caf\u{fffd}: the path is not UTF-8; rename it");
    assert!(!scene.has("artifacts") && scene.ran().is_empty());
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
