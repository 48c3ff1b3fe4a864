//! Jobs that fail, and records that are damaged.

use std::fs;

use crate::scene::Scene;

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
fn a_damaged_lineage_is_set_aside_and_begun_anew() {
    let scene = Scene::new();
    scene.run_well(&[]);
    scene.ran();
    let path = scene.path("artifacts/smoke/lineage/lineage.parquet");
    fs::write(&path, "damaged").unwrap();
    scene.run_well(&["--dry-run"]).has("0 of 39 jobs would run");
    scene.run_well(&["status"]);
    let said = scene.run_well(&[]);
    said.has("note: artifacts/smoke/lineage/lineage.parquet ");
    said.has("it was moved to artifacts/smoke/.damaged/lineage-1.parquet");
    assert!(scene.ran().is_empty());
    assert_eq!(fs::read(scene.path("artifacts/smoke/.damaged/lineage-1.parquet")).unwrap(), b"damaged");
    let lineage = scene.lineage();
    assert_eq!(lineage.len(), 39);
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
fn a_stage_that_does_not_write_an_output_has_a_bug() {
    let scene = Scene::new();
    let path = scene.path("programs/prep");
    fs::write(&path, "#!/bin/sh\n").unwrap();
    let said = scene.run(&["--only", "prep"]);
    assert_eq!(said.code, Some(1));
    said.has("exited 0 but did not write corpus/dataset=shakespeare_char/split=train/corpus.parquet");
}
