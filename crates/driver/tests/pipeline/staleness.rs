//! What is run, skipped, linked, replaced and brought back.

use std::fs;

use schemas::tables::TrainingLog;
use schemas::{Artifacts, Partition};

use crate::scene::{Scene, signal};

#[test]
fn a_second_run_has_nothing_to_do() {
    let scene = Scene::new();
    let said = scene.run_well(&["--verbose"]);
    assert_eq!(scene.ran().len(), 39);
    said.has("▸ prep shakespeare_char · run: never ran");
    said.has("  programs/prep --artifacts artifacts/smoke --dataset shakespeare_char --data data --threads");
    said.has("✓ train shakespeare_char/run_3/1338 · ");
    said.has("peak memory");
    said.has("1.7500 ± 0.2500");
    said.has("−0.50 [−0.75, −0.25]");
    said.has("Report   artifacts/smoke/report/index.html");
    let lineage = scene.lineage();
    assert_eq!(lineage.len(), 39);
    assert!(lineage.iter().all(
        |row| row.status == schemas::enums::Status::Done && row.peak_rss_bytes.is_some_and(|bytes| bytes > 100_000)
    ));

    let said = scene.run_well(&[]);
    assert_eq!(scene.ran(), [""; 0]);
    said.has("· plot · up to date");
    assert_eq!(scene.lineage().len(), 39);
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
    said.has("datasets.mine.source: mine.txt is missing (did you mean `min.txt`?); give the file's path");
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
fn a_run_that_is_added_later_gets_copies_of_equal_work() {
    let scene = Scene::new();
    scene.writes_tables_of(&[("run_0", 1337, &[]), ("run_1", 1337, &[]), ("run_1", 1338, &["run_0"])]);
    scene.run_well(&["--until", "train", "--set", "runs=[run_0, run_1]"]);
    assert_eq!(scene.ran().len(), 4, "prep and three trainings");
    let said = scene.run_well(&["--until", "train", "--dry-run"]);
    said.has("train shakespeare_char/run_2/1337 · copied from train shakespeare_char/run_1/1337, which does the same");
    said.has("train shakespeare_char/run_3/1337 · linked to train shakespeare_char/run_2/1337, which does the same");
    said.has("0 of 9 jobs would run");
    let said = scene.run_well(&["--until", "train"]);
    said.has("· train shakespeare_char/run_2/1337 · copied from run_1, which does the same");
    said.has("· train shakespeare_char/run_3/1337 · linked to run_2, which does the same");
    assert!(scene.ran().is_empty());
    let artifacts = Artifacts::new(scene.path("artifacts/smoke"));
    let training = |run: &str, seed| {
        let partition = Partition::dataset("shakespeare_char").run(run).seed(seed);
        artifacts.read::<TrainingLog>(&partition).unwrap()
    };
    let (first, copy) = (training("run_1", 1337), training("run_2", 1337));
    assert_eq!((&copy.rows, &copy.written_for), (&first.rows, &first.written_for));
    assert_eq!(copy.provenance.shared_by, ["run_2", "run_3"]);
    // Of the other seed the first run that was added has a copy, too, whose footer names all runs.
    assert_eq!(training("run_3", 1338).provenance.shared_by, ["run_0", "run_2", "run_3"]);
    scene.run_well(&["--until", "train"]).has("train shakespeare_char/run_2/1337 · up to date");
    assert!(scene.ran().is_empty());
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
