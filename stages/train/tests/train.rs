//! The program `train` on small tables: uninterrupted, evaluated more or less often, and killed.

mod cycle;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cycle::SYMBOLS;
use schemas::damage::{Damage, damage};
use schemas::enums::Split;
use schemas::tables::{Checkpoints, Corpus, Evaluations, Optimizer, Timings, Tracking, TrainingLog, Vocabulary};
use schemas::{Artifacts, Partition};

/// A study with that text.
fn study() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    cycle::write(folder.path());
    folder
}

fn command(folder: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_train"));
    let size = ["--n-layer", "2", "--n-head", "2", "--n-embd", "16", "--block-size", "12", "--batch-size", "6"];
    let length = [
        "--max-iters",
        "60",
        "--warmup-iters",
        "5",
        "--eval-interval",
        "20",
        "--eval-iters",
        "3",
        "--log-interval",
        "4",
    ];
    let rate = ["--learning-rate", "1e-2", "--dropout", "0.1", "--gradient-accumulation-steps", "2"];
    command.args(["--dataset", "cycle", "--run", "run_1", "--seed", "7", "--artifacts"]).arg(folder);
    command.args(size).args(length).args(rate).args(more).stdin(Stdio::null());
    command
}

fn train(folder: &Path, more: &[&str]) -> std::process::Output {
    command(folder, more).output().expect("train starts")
}

fn trained(folder: &Path, more: &[&str]) {
    let output = train(folder, more);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn partition() -> Partition {
    Partition::dataset("cycle").run("run_1").seed(7)
}

fn weights(folder: &Path, step: u32) -> Vec<Checkpoints> {
    Artifacts::new(folder).read::<Checkpoints>(&partition().step(step)).expect("a checkpoint").rows
}

/// Every file but the timings, which differ from run to run.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("timings.parquet") {
                let bytes = std::fs::read(&path).expect("a file");
                files.insert(path.strip_prefix(folder).expect("below the folder").to_owned(), bytes);
            }
        }
    }
    files
}

#[test]
fn learns_and_writes_every_table() {
    let folder = study();
    trained(folder.path(), &["--tracking", "true", "--checkpoint-steps", "0,30,60"]);
    let artifacts = Artifacts::new(folder.path());
    let evaluations = artifacts.read::<Evaluations>(&partition()).expect("evaluations").rows;
    assert_eq!(evaluations.iter().map(|row| row.step).collect::<Vec<_>>(), [0, 20, 30, 40, 60]);
    let (first, last) = (evaluations[0].val_loss, evaluations[4].val_loss);
    assert!((first - f64::from(SYMBOLS).ln()).abs() < 0.1, "an untrained model predicts uniformly: {first}");
    assert!(last < 1.2, "it approaches ln 2, the entropy rate: {last}");
    let log = artifacts.read::<TrainingLog>(&partition()).expect("a log").rows;
    assert_eq!(log.iter().map(|row| row.step).collect::<Vec<_>>(), (0..60).step_by(4).chain([59]).collect::<Vec<_>>());
    assert!(log.iter().all(|row| row.grad_norm > 0.0 && row.learning_rate > 0.0));
    let tracking = artifacts.read::<Tracking>(&partition()).expect("tracking").rows;
    assert_eq!(tracking.len(), log.len() * 2 * 2, "a row a head and logged step");
    let uniform = (2..=12).map(|keys| f64::from(keys).ln()).sum::<f64>() / 11.0;
    assert!(tracking.iter().take(4).all(|row| (row.entropy_nats - uniform).abs() < 0.01), "attention starts uniform");
    assert_eq!(weights(folder.path(), 30).len(), 2 + 2 * 6 + 1);
    assert!(!artifacts.has::<Checkpoints>(&partition().step(20)), "only the listed checkpoints are kept");
}

#[test]
fn evaluating_and_tracking_do_not_change_the_weights() {
    let often = study();
    trained(
        often.path(),
        &["--tracking", "true", "--checkpoint-steps", "0-60/5", "--eval-interval", "3", "--log-interval", "1"],
    );
    let seldom = study();
    trained(seldom.path(), &["--eval-interval", "60", "--log-interval", "50"]);
    assert_eq!(weights(often.path(), 60), weights(seldom.path(), 60));
}

#[test]
fn tables_do_not_depend_on_the_number_of_threads() {
    for precision in ["float32", "bf16", "int16"] {
        let [one, two] = [study(), study()];
        trained(one.path(), &["--tracking", "true", "--precision", precision, "--threads", "1"]);
        trained(two.path(), &["--tracking", "true", "--precision", precision, "--threads", "2"]);
        assert_eq!(files(one.path()), files(two.path()), "{precision}");
    }
}

#[test]
fn a_killed_training_resumes_and_ends_with_the_same_bytes() {
    let more = ["--tracking", "true", "--checkpoint-steps", "0-60/4"];
    let whole = study();
    trained(whole.path(), &more);
    let killed = study();
    let mut kills = 0;
    for delay in (0..).map(|time| Duration::from_millis(40 + 25 * time)) {
        let mut child = command(killed.path(), &more).stderr(Stdio::null()).spawn().expect("train starts");
        std::thread::sleep(delay);
        if child.try_wait().expect("a child").is_some_and(|status| status.success()) {
            break;
        }
        child.kill().expect("it can be killed");
        child.wait().expect("it exits");
        kills += 1;
    }
    assert!(kills > 0, "it was killed at least once");
    assert_eq!(files(whole.path()), files(killed.path()));
}

/// Waits until a condition holds, at most a minute.
fn wait_until(holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(60), "it never came to hold");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().expect("kill starts").success());
}

/// Starts a training that lasts for minutes, and waits until it has begun.
fn endless(folder: &Path) -> Child {
    let child = command(folder, &["--max-iters", "1000000", "--eval-interval", "1000000", "--tracking", "true"])
        .stderr(Stdio::piped())
        .spawn()
        .expect("train starts");
    wait_until(|| Artifacts::new(folder).has::<Optimizer>(&partition()));
    child
}

#[test]
fn a_signal_saves_the_training_at_the_next_step_and_ends_it() {
    for (name, code, said) in [("-INT", 130, "stopped by SIGINT"), ("-TERM", 143, "stopped by SIGTERM")] {
        let folder = study();
        let child = endless(folder.path());
        std::thread::sleep(Duration::from_millis(300));
        signal(&child, name);
        let output = child.wait_with_output().expect("it ends");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{text}");
        let saved = text.lines().find_map(|line| line.strip_prefix(&format!("{said}: saved at step ")));
        let step = saved.and_then(|line| line.split(' ').next()?.parse::<u32>().ok());
        let committed = Artifacts::new(folder.path()).read::<Optimizer>(&partition()).expect("a commit").rows[0].step;
        assert_eq!(step, Some(committed), "{text}");
        assert!(committed > 1, "it trained on after the first commit");
        let log = Artifacts::new(folder.path()).read::<TrainingLog>(&partition()).expect("a log").rows;
        let logged: Vec<u32> = log.iter().map(|row| row.step).collect();
        assert_eq!(logged, (0..committed).step_by(4).collect::<Vec<_>>(), "no step before the commit is lost");
    }
}

#[test]
fn a_training_stopped_by_signals_ends_with_the_same_bytes() {
    let more = ["--tracking", "true", "--checkpoint-steps", "0,60"];
    let whole = study();
    trained(whole.path(), &more);
    let stopped = study();
    let mut steps = BTreeSet::new();
    // Loading takes about as long as training; each attempt lets it train a little longer.
    for delay in (0..).map(|time| Duration::from_millis(20 + 10 * time)) {
        let child = command(stopped.path(), &more).stderr(Stdio::piped()).spawn().expect("train starts");
        std::thread::sleep(delay);
        signal(&child, "-TERM");
        let output = child.wait_with_output().expect("it ends");
        match output.status.code() {
            Some(0) => break,
            // It did not listen yet.
            None => {}
            Some(code) => {
                assert_eq!(code, 143, "{}", String::from_utf8_lossy(&output.stderr));
                let artifacts = Artifacts::new(stopped.path());
                steps.insert(artifacts.read::<Optimizer>(&partition()).expect("a commit").rows[0].step);
            }
        }
    }
    assert!(steps.len() > 1, "it was stopped at several steps: {steps:?}");
    assert_eq!(files(whole.path()), files(stopped.path()));
}

#[test]
fn timings_of_an_interrupted_commit_are_not_counted_twice() {
    let more = ["--tracking", "true", "--log-interval", "1"];
    let whole = study();
    trained(whole.path(), &more);
    let folder = study();
    let artifacts = Artifacts::new(folder.path());
    let at = || artifacts.read::<Optimizer>(&partition()).map_or(0, |optimizer| optimizer.rows[0].step);
    for delay in (0..).map(|time| Duration::from_millis(20 + 10 * time)) {
        let child = command(folder.path(), &more).stderr(Stdio::null()).spawn().expect("train starts");
        std::thread::sleep(delay);
        signal(&child, "-TERM");
        child.wait_with_output().expect("it ends");
        if at() > 0 {
            break;
        }
    }
    assert!((1..60).contains(&at()), "it was stopped midway");
    // Killed in its last commit, it leaves the tables of the end and the commit point of the middle.
    let timings = |root: &Path| Artifacts::new(root).path::<Timings>(&partition().stage("train")).expect("the keys");
    std::fs::copy(timings(whole.path()), timings(folder.path())).expect("a copy");
    trained(folder.path(), &more);
    let tracked = |root: &Path| {
        let rows = Artifacts::new(root).read::<Timings>(&partition().stage("train")).expect("timings").rows;
        let tracked = rows.iter().filter(|row| row.activity == schemas::enums::Activity::Tracking);
        tracked.map(|row| (row.step, row.characters)).collect::<Vec<_>>()
    };
    assert_eq!(tracked(folder.path()), tracked(whole.path()));
}

#[test]
fn the_same_signal_again_ends_the_training_at_once() {
    let folder = study();
    let more = ["--max-iters", "1000000", "--eval-iters", "100000000"];
    let mut child = command(folder.path(), &more).stderr(Stdio::null()).spawn().expect("train starts");
    // It evaluates for hours, and there is no step's end to save at.
    std::thread::sleep(Duration::from_millis(1500));
    signal(&child, "-INT");
    std::thread::sleep(Duration::from_millis(500));
    assert!(child.try_wait().expect("a child").is_none(), "the first is only noted");
    signal(&child, "-TERM");
    std::thread::sleep(Duration::from_millis(500));
    assert!(child.try_wait().expect("a child").is_none(), "so is another signal, which the driver may add to Ctrl-C");
    signal(&child, "-INT");
    assert_eq!(child.wait().expect("it ends").signal(), Some(2));
}

#[test]
fn a_training_whose_own_files_are_damaged_is_not_resumed() {
    let whole = study();
    trained(whole.path(), &[]);
    let artifacts = |folder: &Path| Artifacts::new(folder);
    let folder = study();
    trained(folder.path(), &[]);
    let own = [
        artifacts(folder.path()).path::<Optimizer>(&partition()).expect("a path"),
        artifacts(folder.path()).path::<Checkpoints>(&partition().step(60)).expect("a path"),
        artifacts(folder.path()).path::<Checkpoints>(&partition().step(0)).expect("a path"),
        artifacts(folder.path()).path::<TrainingLog>(&partition()).expect("a path"),
        artifacts(folder.path()).path::<Evaluations>(&partition()).expect("a path"),
    ];
    for (path, how) in own.iter().zip([
        Damage::ByteInPages,
        Damage::NotFinite,
        Damage::Truncated,
        Damage::ByteInFooter,
        Damage::OtherPlace,
    ]) {
        damage(path, how).expect("it can be damaged");
        let output = train(folder.path(), &[]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && !said.contains("panicked"), "{said}");
        let name = path.strip_prefix(folder.path()).expect("below the folder").to_string_lossy().into_owned();
        assert!(said.contains("cannot be resumed") && said.contains(&name), "{name}: {said}");
        assert!(files(whole.path()) == files(folder.path()), "{name} is what it was");
    }
}

#[test]
fn a_checkpoint_of_an_interrupted_commit_is_removed() {
    let folder = study();
    trained(folder.path(), &[]);
    let before = files(folder.path());
    let checkpoint = |step: u32| {
        Artifacts::new(folder.path()).path::<Checkpoints>(&partition().step(step)).expect("the keys of a checkpoint")
    };
    std::fs::create_dir_all(checkpoint(13).parent().expect("a folder")).expect("a folder");
    std::fs::copy(checkpoint(0), checkpoint(13)).expect("a copy");
    trained(folder.path(), &[]);
    assert_eq!(before, files(folder.path()));
}

#[test]
fn the_tables_of_a_training_stand_for_the_runs_that_share_it() {
    let folder = study();
    trained(folder.path(), &["--tracking", "true", "--shared-by", "run_2,run_3"]);
    let artifacts = Artifacts::new(folder.path());
    let of = |run: &str| Partition::dataset("cycle").run(run).seed(7).stage("train");
    for run in ["run_2", "run_4"] {
        let link = artifacts.path::<Timings>(&of(run)).expect("a path");
        std::fs::create_dir_all(link.parent().expect("a folder")).expect("a folder");
        std::fs::hard_link(artifacts.path::<Timings>(&of("run_1")).expect("a path"), link).expect("a link");
    }
    assert_eq!(artifacts.read::<Timings>(&of("run_2")).expect("timings").written_for, of("run_1"));
    assert!(artifacts.read::<Timings>(&of("run_4")).is_err(), "another run's table");
}

/// The shorter training ends, interrupted or not, at steps that are and are not logged, evaluated and kept by the longer one.
#[test]
fn a_longer_training_goes_on_from_a_shorter_one_and_ends_with_the_same_bytes() {
    let longer = ["--tracking", "true", "--lr-decay-iters", "60", "--checkpoint-steps", "0,10,60"];
    let whole = study();
    trained(whole.path(), &longer);
    for (end, kept) in [("10", "0,10"), ("20", "0,5,10"), ("31", "0-31/10")] {
        let folder = study();
        let shorter = [&longer[..4], &["--checkpoint-steps", kept, "--max-iters", end]].concat();
        trained(folder.path(), &shorter);
        let first = weights(folder.path(), 10);
        let output = train(folder.path(), &longer);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            said.contains(&format!("continues a shorter training with the same parameters from step {end}")),
            "{said}"
        );
        assert_eq!(files(whole.path()), files(folder.path()), "from step {end}");
        assert_eq!(first, weights(folder.path(), 10));
        // The shorter one is another training, as before.
        let output = train(folder.path(), &shorter);
        assert!(String::from_utf8_lossy(&output.stderr).contains("starts from scratch"));
    }
}

#[test]
fn a_continued_training_that_is_killed_resumes_and_ends_with_the_same_bytes() {
    let longer = ["--lr-decay-iters", "60", "--checkpoint-steps", "0-60/2"];
    let whole = study();
    trained(whole.path(), &longer);
    let killed = study();
    trained(killed.path(), &["--lr-decay-iters", "60", "--checkpoint-steps", "0-30/2", "--max-iters", "30"]);
    let mut kills = 0;
    for delay in (0..).map(|time| Duration::from_millis(5 + 7 * time)) {
        let mut child = command(killed.path(), &longer).stderr(Stdio::null()).spawn().expect("train starts");
        std::thread::sleep(delay);
        if child.try_wait().expect("a child").is_some_and(|status| status.success()) {
            break;
        }
        child.kill().expect("it can be killed");
        child.wait().expect("it exits");
        kills += 1;
    }
    assert!(kills > 0, "it was killed at least once");
    assert_eq!(files(whole.path()), files(killed.path()));
}

#[test]
fn a_training_that_diverges_stops_and_keeps_the_last_good_checkpoint() {
    let folder = study();
    let wild = ["--learning-rate", "1e20", "--warmup-iters", "0", "--grad-clip", "0", "--checkpoint-steps", "0-60/1"];
    let output = train(folder.path(), &wild);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    let last = said.split("The checkpoint of step ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a step");
    let last: u32 = last.parse().expect("a step");
    assert!(said.contains(" at step "), "{said}");
    assert!(
        (0..=last)
            .all(|step| weights(folder.path(), step).iter().flat_map(|row| &row.values).all(|value| value.is_finite()))
    );
    let none = Artifacts::new(folder.path());
    assert!((last + 1..=60).all(|step| !none.has::<Checkpoints>(&partition().step(step))));
}

#[test]
fn other_parameters_start_from_scratch() {
    let folder = study();
    trained(folder.path(), &["--checkpoint-steps", "0-60/10"]);
    let output = train(folder.path(), &["--max-iters", "20"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("starts from scratch"));
    let fresh = study();
    trained(fresh.path(), &["--max-iters", "20"]);
    assert_eq!(files(folder.path()), files(fresh.path()), "the longer training leaves nothing");
}

#[test]
fn errors_say_what_is_wrong() {
    let folder = study();
    let fails = |more: &[&str], code: i32, words: &[&str]| {
        let output = train(folder.path(), more);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
        assert!(!said.contains("panicked"), "{said}");
    };
    fails(&["--n-head", "3"], 2, &["--n-embd is 16", "n_head, which is 3"]);
    fails(&["--n-layer", "65537"], 2, &["65537", "65536"]);
    fails(&["--block-size", "65537"], 2, &["65537", "65536"]);
    fails(&["--block-size", "400"], 2, &["val split has 300", "--block-size 400"]);
    fails(&["--checkpoint-steps", "0-90/10"], 2, &["--checkpoint-steps", "90", "max_iters 60"]);
    fails(&["--eval-iters", "0"], 2, &["--eval-iters"]);
    fails(&["--device", "cuda"], 2, &["cuda"]);
    fails(&["--dropout", "1"], 2, &["dropout"]);
    fails(&["--run", "../evil"], 2, &["--run", "names a folder"]);
    fails(&["--n-embd", "65536", "--n-layer", "999"], 2, &["needs about", "GB of memory", "--n-embd"]);
    fails(&["--n-embd", "4294967292"], 2, &["--n-embd", "at most 65536"]);
    fails(&["--batch-size", "4294967295"], 2, &["GB of memory", "--batch-size"]);
    let wild = ["--learning-rate", "1e20", "--warmup-iters", "0", "--grad-clip", "0"];
    fails(&wild, 2, &["diverged", "a lower learning_rate"]);
    let vocabulary = Artifacts::new(folder.path());
    let letters = vocabulary.read::<Vocabulary>(&Partition::dataset("cycle")).expect("a vocabulary");
    vocabulary.write(&Partition::dataset("cycle"), &letters.provenance, &letters.rows[..3]).expect("it is written");
    fails(&[], 3, &["split=train/corpus.parquet", "tokens below 3, the size of the vocabulary, found 3", "prep"]);
    vocabulary.write(&Partition::dataset("cycle"), &letters.provenance, &letters.rows).expect("it is written");
    let corpus =
        Artifacts::new(folder.path()).path::<Corpus>(&Partition::dataset("cycle").split(Split::Val)).expect("a path");
    std::fs::write(&corpus, b"not a table").expect("overwritten");
    fails(&[], 3, &["corpus.parquet", "damaged", "prep"]);
    std::fs::remove_file(&corpus).expect("removed");
    fails(&[], 3, &["corpus.parquet", "missing", "prep"]);
}
