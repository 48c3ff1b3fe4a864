//! What lies on the disk: where a file is, what its footer says, and that it is whole or absent.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use parquet::file::reader::{FileReader, SerializedFileReader};
use schemas::enums::Split;
use schemas::tables::{Attention, Corpus, SampleScores, TrainingLog, Vocabulary};
use schemas::{Artifacts, Partition, Provenance, Source, Table};
use serde_json::{Value, json};

fn node() -> Partition {
    Partition::dataset("shakespeare_char").run("run_2").seed(1337)
}

fn log(step: u32) -> TrainingLog {
    TrainingLog { step, loss: 1.5, learning_rate: 1e-3, grad_norm: 0.5 }
}

fn footer(path: &Path) -> BTreeMap<String, String> {
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let pairs = reader.metadata().file_metadata().key_value_metadata().unwrap();
    pairs.iter().map(|pair| (pair.key.clone(), pair.value.clone().unwrap())).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn a_file_lies_where_the_contract_says() {
    let path = |table: &str| PathBuf::from(table);
    assert_eq!(
        Artifacts::relative::<Attention>(&node().step(500)).unwrap(),
        path("attention/dataset=shakespeare_char/run=run_2/seed=1337/step=500/attention.parquet")
    );
    assert_eq!(
        Artifacts::relative::<Corpus>(&node().split(Split::Val)).unwrap(),
        path("corpus/dataset=shakespeare_char/split=val/corpus.parquet")
    );
    assert_eq!(Artifacts::relative::<schemas::tables::Results>(&node()).unwrap(), path("results/results.parquet"));
    let unkeyed = Artifacts::relative::<Corpus>(&node()).unwrap_err();
    assert_eq!(unkeyed.to_string(), "the table `corpus` is keyed by `split`, and the partition has none");
}

#[test]
fn the_footer_says_what_who_from_what_and_in_which_units() {
    let folder = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::new(folder.path());
    let sources = ["b", "a", "b"].map(|name| Source { path: name.to_owned(), blake3: "00".to_owned() });
    let config = json!({"max_iters": 500, "learning_rate": 1e-3});
    let provenance = Provenance::new("train", 7, config.clone()).from_inputs(&sources).with("family_size", 12);
    // The partition holds more than the table is keyed by: a node's partition serves all its tables.
    artifacts.write(&node().step(7), &provenance, &[log(0)]).unwrap();

    let said = footer(&artifacts.path::<TrainingLog>(&node()).unwrap());
    let parsed = |key: &str| serde_json::from_str::<Value>(&said[key]).unwrap();
    assert_eq!(said["schema.name"], "training_log");
    assert_eq!(said["schema.version"], TrainingLog::VERSION.to_string());
    assert_eq!(said["producer"], "train 7");
    assert_eq!(said["config"], r#"{"max_iters":500,"learning_rate":0.001}"#);
    assert_eq!(said["partition"], r#"{"dataset":"shakespeare_char","run":"run_2","seed":1337}"#);
    assert_eq!(parsed("inputs"), json!([{"path": "a", "blake3": "00"}, {"path": "b", "blake3": "00"}]));
    assert_eq!(parsed("columns")["loss"]["unit"], "nats per character");
    assert_eq!(parsed("columns").as_object().unwrap().len(), TrainingLog::columns().len());
    assert_eq!(said["family_size"], "12");

    let loaded = artifacts.read::<TrainingLog>(&node()).unwrap();
    assert_eq!(loaded.provenance, provenance);
    assert_eq!(loaded.source.path, "training_log/dataset=shakespeare_char/run=run_2/seed=1337/training_log.parquet");
    let bytes = fs::read(artifacts.path::<TrainingLog>(&node()).unwrap()).unwrap();
    assert_eq!(loaded.source.blake3, blake3::hash(&bytes).to_hex().as_str());
}

#[test]
fn every_table_says_what_its_rows_and_columns_are() {
    for table in schemas::tables::all() {
        assert!(!table.description.is_empty() && !table.producer.is_empty() && table.version > 0, "{}", table.name);
        for column in &table.columns {
            assert!(!column.description.is_empty() && !column.unit.is_empty(), "{}.{}", table.name, column.name);
            assert!(table.keys.iter().all(|key| key.to_string() != column.name), "{}.{}", table.name, column.name);
        }
    }
}

#[test]
fn nulls_are_nulls_and_not_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::new(folder.path());
    let score = |step, coherence| SampleScores { step, distinct_1: Some(0.0), coherence, ..SampleScores::default() };
    let rows = [score(Some(0), None), score(None, Some(0.0))];
    artifacts.write(&node(), &Provenance::default(), &rows).unwrap();
    assert_eq!(artifacts.read::<SampleScores>(&node()).unwrap().rows, rows);
    let reader = SerializedFileReader::new(File::open(artifacts.path::<SampleScores>(&node()).unwrap()).unwrap());
    let group = reader.unwrap().metadata().row_group(0).clone();
    let nulls = |name: &str| {
        let column = group.columns().iter().find(|column| column.column_path().string() == name).unwrap();
        column.statistics().unwrap().null_count_opt()
    };
    assert_eq!(
        [nulls("step"), nulls("distinct_1"), nulls("distinct_2"), nulls("coherence")],
        [Some(1), Some(0), Some(2), Some(1)]
    );
}

#[test]
fn a_dropped_writer_leaves_no_file_and_the_one_before_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::new(folder.path());
    let mut writer = artifacts.create::<TrainingLog>(&node(), &Provenance::default()).unwrap();
    writer.write(&[log(0)]).unwrap();
    drop(writer);
    assert!(!artifacts.has::<TrainingLog>(&node()));

    artifacts.write(&node(), &Provenance::default(), &[log(1)]).unwrap();
    let path = artifacts.path::<TrainingLog>(&node()).unwrap();
    let before = fs::read(&path).unwrap();
    let mut writer = artifacts.create::<TrainingLog>(&node(), &Provenance::default()).unwrap();
    writer.write(&[log(2)]).unwrap();
    assert_eq!(fs::read(&path).unwrap(), before, "the file is replaced by the finished one only");
    let of_table = files(&folder.path().join("training_log"));
    assert_eq!(of_table, std::slice::from_ref(&path), "no other file is in the table's folder while one is written");
    writer.finish().unwrap();
    assert_eq!(artifacts.read::<TrainingLog>(&node()).unwrap().rows, [log(2)]);
    assert_eq!(files(folder.path()), [path], "the temporary file has become the file");
}

/// Set for the process that is to be killed: the folder that it writes to.
const VICTIM: &str = "SCHEMAS_TEST_VICTIM";

#[test]
fn a_killed_process_leaves_no_file_and_the_next_one_finishes() {
    if let Some(folder) = std::env::var_os(VICTIM) {
        let mut writer = Artifacts::new(folder).create::<TrainingLog>(&node(), &Provenance::default()).unwrap();
        for step in 0.. {
            writer.write(&[log(step)]).unwrap();
            println!("\nwritten {step}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_killed_process_leaves_no_file_and_the_next_one_finishes", "--nocapture"])
        .env(VICTIM, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(victim.stdout.take().unwrap());
    assert!(output.lines().any(|line| line.unwrap() == "written 20"));
    victim.kill().unwrap();
    victim.wait().unwrap();

    let artifacts = Artifacts::new(folder.path());
    let left = files(folder.path());
    assert_eq!(left.len(), 1, "the writer had begun");
    assert!(left.iter().all(|path| path.starts_with(folder.path().join(".tmp"))), "{left:?}");
    artifacts.write(&node(), &Provenance::default(), &[log(3)]).unwrap();
    assert_eq!(artifacts.read::<TrainingLog>(&node()).unwrap().rows, [log(3)]);
    assert_eq!(files(folder.path()).len(), 1, "what the killed process left is gone");
}

/// `/dev/full` is a disk without room.
#[cfg(target_os = "linux")]
#[test]
fn a_write_that_fails_names_the_file_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::new(folder.path());
    fs::create_dir(folder.path().join(".tmp")).unwrap();
    let temporary = ".tmp/training_log,dataset=shakespeare_char,run=run_2,seed=1337,training_log.parquet";
    std::os::unix::fs::symlink("/dev/full", folder.path().join(temporary)).unwrap();
    let path = artifacts.path::<TrainingLog>(&node()).unwrap();
    let refused = artifacts.write(&node(), &Provenance::default(), &[log(0)]).unwrap_err().to_string();
    assert!(refused.starts_with(&format!("cannot write {}: ", path.display())), "{refused}");
    assert!(!folder.path().join(temporary).is_symlink() && !path.exists());
    artifacts.write(&node(), &Provenance::default(), &[log(0)]).unwrap();
}

#[test]
fn an_empty_table_is_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::new(folder.path());
    artifacts.write::<Vocabulary>(&node(), &Provenance::default(), &[]).unwrap();
    assert!(artifacts.read::<Vocabulary>(&node()).unwrap().rows.is_empty());
}

#[test]
fn a_disk_that_refuses_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("a_file");
    fs::write(&root, "in the way").unwrap();
    let refused = Artifacts::new(&root).write(&node(), &Provenance::default(), &[log(0)]).unwrap_err().to_string();
    assert!(refused.starts_with(&format!("cannot create {}", root.display())), "{refused}");
}

#[test]
fn only_what_killed_writers_left_is_swept() {
    let folder = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::new(folder.path());
    assert_eq!(Artifacts::new(folder.path().join("none")).sweep().unwrap(), 0);
    assert!(!folder.path().join("none").exists());
    let left = [".tmp/attention,attention.parquet", ".tmp/folder/file", "checkpoints/step=5/checkpoints.parquet.tmp"];
    let more_left = [".state.json.tmp", "plots/a.png.tmp", "report/index.html.tmp"];
    let kept = ["checkpoints/step=0/checkpoints.parquet", "plots/a.png", "mine/notes.tmp", ".state.json"];
    for path in left.iter().chain(&more_left).chain(&kept).map(|path| folder.path().join(path)) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    assert_eq!(artifacts.sweep().unwrap(), left.len() + more_left.len());
    let remains = |path: &&&str| folder.path().join(path).exists();
    assert_eq!(left.iter().chain(&more_left).find(remains), None);
    assert_eq!(kept.iter().filter(remains).count(), kept.len());
    assert_eq!(artifacts.sweep().unwrap(), 0);
    fs::write(folder.path().join(".tmp/attention,attention.parquet"), "").unwrap();
    assert_eq!(artifacts.sweep().unwrap(), 1);
    assert_eq!(fs::read_dir(folder.path().join(".tmp")).unwrap().count(), 1, "but for the note");
}
