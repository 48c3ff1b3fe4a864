//! What is selected, shown and cleaned, and errors of the command line.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::scene::{Said, Scene};

#[test]
fn no_parameter_moves_the_cursor() {
    let scene = Scene::new();
    let said = scene.run_well(&["--dry-run", "--set", r#"generate.prompt="\x1b[2JX""#]);
    said.has(r"--prompt '\u{1b}[2JX'");
    assert!(!said.out.contains('\u{1b}') && !said.err.contains('\u{1b}'));
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
fn view_shows_the_page_or_makes_one_of_what_there_is_so_far() {
    let scene = Scene::new();
    let said = scene.run(&["view"]);
    assert_eq!(said.code, Some(3));
    said.has("there is no page, and no folder artifacts/smoke: run the study first");
    fs::create_dir_all(scene.path("artifacts/smoke/report")).unwrap();
    fs::write(scene.path("programs/plot"), "#!/bin/sh\necho \"$@\" >asked; [ ! -e broken ]\n").unwrap();
    scene.run_well(&["view"]).has("artifacts/smoke/report/so_far.html");
    let asked = fs::read_to_string(scene.path("asked")).unwrap();
    assert!(asked.contains("--artifacts artifacts/smoke --study {") && asked.ends_with(" --so-far true\n"), "{asked}");
    fs::write(scene.path("artifacts/smoke/report/index.html"), "of an earlier run").unwrap();
    scene.run_well(&["view"]).has("artifacts/smoke/report/index.html");
    scene.run_well(&["view", "--so-far"]).has("artifacts/smoke/report/so_far.html");
    fs::write(scene.path("broken"), "").unwrap();
    let said = scene.run(&["view", "--so-far"]);
    assert_eq!(said.code, Some(3));
    said.has("there is no page of what there is so far");
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
    let said = scene.run_well(&["clean"]);
    said.has(stray);
    said.has("1 entry does not belong to this study (1 MB); --yes removes what is listed");
    assert!(scene.has(stray) && !said.out.contains("short") && !said.out.contains(".replaced"));
    scene.run_well(&["clean", "--yes"]);
    assert!(!scene.has("artifacts/smoke/checkpoints/dataset=shakespeare_char/run=gone"));
    assert!(scene.has("artifacts/short/.state.json") && scene.has("artifacts/smoke/.replaced/train/record.json"));
    scene.run_well(&[]).has("· plot · up to date");
}

#[test]
fn tables_of_another_study_are_noted() {
    let scene = Scene::new();
    let said = scene.run_well(&[]);
    assert!(!said.out.contains("of another study"));
    let said = scene.run_well(&["--set", "seeds=[1338]", "--only", "prep"]);
    said.has("note: the folder also has tables of another study (evaluate shakespeare_char/run_0/1337 and 17 more)");
}

#[test]
fn a_dry_run_runs_and_writes_nothing() {
    let scene = Scene::new();
    let said = scene.run_well(&["--dry-run"]);
    assert!(!scene.has("artifacts") && scene.ran().is_empty());
    said.has("prep shakespeare_char · run: never ran\n  programs/prep --artifacts artifacts/smoke");
    said.has("train shakespeare_char/run_0/1337 · run: prep shakespeare_char runs first");
    said.has("1 of 39 jobs would run, and up to 19 that depend on them");
    assert_eq!(said.out.matches(" · linked to ").count(), 19, "what does the same for another run");
    scene.run_well(&[]);
    scene.ran();
    scene.run_well(&["--dry-run"]).has("0 of 39 jobs would run");
    let said = scene.run_well(&["--dry-run", "--set", "train.max_iters=10", "--run", "run_0", "--seed", "1337"]);
    said.has("train shakespeare_char/run_0/1337 · run: parameter max_iters changed: 20 → 10; parameter checkpoint_steps changed: 0,20 → 0,10\n");
    said.has("generate shakespeare_char/run_0/1337 · run if the output of train shakespeare_char/run_0/1337 changes");
    said.has("1 of 6 jobs would run, and up to 4 that depend on them");
    assert!(scene.ran().is_empty());
    // A closed standard output is no failure.
    let mut child = scene.command(&["--dry-run"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let said = Said::of(child.wait_with_output().unwrap());
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
}

#[test]
fn what_hardly_anyone_means_is_said_once() {
    let scene = Scene::new();
    let settings =
        ["--set", "train.min_lr=1", "--set", "train.eval_interval=30", "--set", "generate.prompt=To be, or not to be"];
    let said = scene.run_well(&[&["--dry-run"], &settings[..]].concat());
    said.has(
        "warning: --set train.min_lr=1: `train.min_lr` is 1, above learning_rate 0.001: the learning rate rises after the \
         warm-up (shakespeare_char)\n",
    );
    said.has("`train.eval_interval` is 30, and the training ends at max_iters 20: only kept checkpoints are evaluated");
    said.has("`generate.prompt` is longer than block_size, which is 16: the model sees its last 16 tokens at most");
    assert_eq!(said.out.matches("warning: ").count(), 3, "each once, whatever the runs and seeds");
    assert!(!scene.run_well(&["--dry-run"]).out.contains("warning"));
}

#[test]
fn a_text_of_ones_own_is_a_dataset_in_a_folder_of_its_own() {
    let scene = Scene::new();
    fs::write(scene.path("my novel.txt"), "a text").unwrap();
    let said = scene.run_well(&["--dry-run", "--text", "my novel.txt", "--text-encoding", "bytes"]);
    said.has("prep my_novel · run: never ran\n  programs/prep --artifacts artifacts/smoke_my_novel --dataset my_novel");
    said.has("--source 'my novel.txt' --encoding bytes");
    said.has("1 of 39 jobs would run");
    assert!(!said.out.contains("shakespeare_char"));
    let said = scene.run(&["--dry-run", "--text", "none.txt"]);
    assert_eq!(said.code, Some(3));
    said.has("--text none.txt: there is no such file");
    assert_eq!(scene.run(&["--text-encoding", "bytes"]).code, Some(2), "of which text");
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
    assert_eq!(scene.ran().len(), 4);
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
    wrong(&["--only", "metric"], "--only metric: there is no stage `metric` (did you mean `metrics`?)");
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
    scene.run_well(&["--list"]).has("run_3  Generation quality (train, evaluate, snapshot, metrics, generate)");
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
