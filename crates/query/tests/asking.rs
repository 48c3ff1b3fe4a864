//! The program `query`, asked about a small folder.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use schemas::tables::{Attention, Evaluations, HeadMetrics, Results, Samples, Vocabulary};
use schemas::{Artifacts, Partition, Provenance};
use tempfile::TempDir;

/// A folder whose name has what shells, globs and SQL treat specially, with the tables of two seeds of a dataset `007`.
struct Folder {
    root: PathBuf,
    _held: TempDir,
}

impl Folder {
    fn new() -> Self {
        let held = tempfile::tempdir().unwrap();
        let root = held.path().join("odd 'name' [1] *, run=x");
        let artifacts = Artifacts::new(&root);
        let provenance = Provenance::new("a stage", 1, serde_json::Value::Null);
        for seed in [1, 2] {
            let partition = Partition::dataset("007").run("run_0").seed(seed).step(100);
            let row = |head: u16, entropy_nats| HeadMetrics { step: 100, head, entropy_nats, ..HeadMetrics::default() };
            let entropy = seed as f64;
            artifacts.write(&partition, &provenance, &[row(0, entropy), row(1, entropy + 0.5)]).unwrap();
            let loss = Evaluations { step: 100, val_loss: 2.0 + entropy, ..Evaluations::default() };
            artifacts.write(&partition, &provenance, &[loss]).unwrap();
            let attention = Attention { query: 4, weights: vec![0.1, 0.2, 0.3, 0.25, 0.15], ..Attention::default() };
            artifacts.write(&partition, &provenance, &[attention]).unwrap();
            let sample = Samples { step: 100, text: "a,\"b\"\n\tc".to_owned(), ..Samples::default() };
            artifacts.write(&partition, &provenance, &[sample]).unwrap();
        }
        let symbols = [Vocabulary::row(0, b"\xc3".to_vec(), 3), Vocabulary::row(1, b"a".to_vec(), 4)];
        artifacts.write(&Partition::dataset("007"), &provenance, &symbols).unwrap();
        artifacts.write(&Partition::study(), &provenance, &[Results { seeds: 2, ..Results::default() }]).unwrap();
        Self { root, _held: held }
    }

    fn query(&self, arguments: &[&str]) -> Command {
        let mut command = Command::cargo_bin("query").unwrap();
        command.arg("--artifacts").arg(&self.root).args(arguments);
        command
    }

    /// What a question prints.
    fn answer(&self, arguments: &[&str]) -> String {
        let output = self.query(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The exit code of a question that fails, and what it says.
    fn mistake(&self, sql: &str) -> (i32, String) {
        let output = self.query(&[sql]).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    fn file(&self, table: &str, seed: u64) -> PathBuf {
        self.root.join(format!("{table}/dataset=007/run=run_0/seed={seed}/{table}.parquet"))
    }
}

const MEANS: &str = "SELECT seed, avg(entropy_nats) AS entropy FROM head_metrics GROUP BY seed ORDER BY seed";

#[test]
fn an_answer_has_the_form_that_is_asked_for() {
    let folder = Folder::new();
    assert_eq!(folder.answer(&[MEANS]), "seed  entropy\n────  ───────\n   1  1.25000\n   2  2.25000\n(2 rows)\n");
    let answer = |format| folder.answer(&["--format", format, "-c", MEANS]);
    assert_eq!(answer("csv"), "seed,entropy\n1,1.25\n2,2.25\n");
    assert_eq!(answer("tsv"), "seed\tentropy\n1\t1.25\n2\t2.25\n");
    assert_eq!(answer("ndjson"), "{\"seed\":1,\"entropy\":1.25}\n{\"seed\":2,\"entropy\":2.25}\n");
    assert_eq!(answer("json"), "[\n{\"seed\":1,\"entropy\":1.25},\n{\"seed\":2,\"entropy\":2.25}\n]\n");
    let text = "SELECT text, weights FROM samples JOIN attention USING (dataset, run, seed) WHERE seed = 1";
    assert_eq!(
        folder.answer(&["--format", "csv", text]),
        "text,weights\n\"a,\"\"b\"\"\n\tc\",\"[0.1,0.2,0.3,0.25,0.15]\"\n"
    );
    assert!(folder.answer(&[text]).contains("a,\"b\"\\n\\tc  [0.100000, 0.200000, 0.300000, 0.250000, … 1 more]\n"));
    let empty = "SELECT seed FROM head_metrics WHERE seed = 3";
    assert_eq!(folder.answer(&["--format", "json", empty]), "[\n\n]\n");
    assert_eq!(folder.answer(&["--format", "ndjson", empty]), "");
}

#[test]
fn an_answer_is_a_parquet_file() {
    let folder = Folder::new();
    let file = folder.root.join("answer.parquet");
    folder.query(&["--format", "parquet", "--output"]).arg(&file).arg(MEANS).assert().success().stdout("");
    let bytes = fs::read(file).unwrap();
    assert_eq!((&bytes[..4], &bytes[bytes.len() - 4..]), (&b"PAR1"[..], &b"PAR1"[..]));
    let piped = folder.query(&["--format", "parquet", MEANS]).output().unwrap();
    assert_eq!(piped.stdout, bytes);
}

#[test]
fn rows_that_are_left_out_are_counted() {
    let folder = Folder::new();
    let rows = "SELECT seed FROM head_metrics ORDER BY seed, head";
    assert!(folder.answer(&["--maxrows", "3", rows]).ends_with("(4 rows, 3 shown: --maxrows 0 shows all)\n"));
    assert_eq!(folder.answer(&["--maxrows", "3", "--format", "csv", rows]), "seed\n1\n1\n2\n");
}

#[test]
fn bytes_are_shown_escaped_and_written_as_numbers() {
    let folder = Folder::new();
    assert!(folder.answer(&["SELECT * FROM vocabulary"]).contains(" \\xc3 "));
    let json = folder.answer(&["--format", "ndjson", "SELECT bytes FROM vocabulary ORDER BY token"]);
    assert_eq!(json, "{\"bytes\":[195]}\n{\"bytes\":[97]}\n");
}

#[test]
fn statements_come_from_files_and_from_standard_input() {
    let folder = Folder::new();
    let text = "-- two; statements\nSELECT 1 AS a;\n\\d results\nSELECT seeds FROM results;\n";
    let file = folder.root.join("question.sql");
    fs::write(&file, text).unwrap();
    let mut of_file = folder.query(&["--format", "csv", "--file"]);
    let from_file = String::from_utf8(of_file.arg(&file).output().unwrap().stdout).unwrap();
    assert!(from_file.starts_with("a\n1\ncolumn,type,unit,meaning\n"), "{from_file}");
    assert!(from_file.ends_with("\nseeds\n2\n"), "{from_file}");
    for arguments in [&["--format", "csv"][..], &["--format", "csv", "-f", "-"]] {
        folder.query(arguments).write_stdin(text).assert().success().stdout(from_file.clone());
    }
}

#[test]
fn tables_and_columns_are_described() {
    let folder = Folder::new();
    let tables = folder.answer(&["\\d"]);
    assert!(tables.contains("head_metrics  dataset, run, seed"), "{tables}");
    assert!(!tables.contains("layer_metrics"), "a table without files: {tables}");
    for table in schemas::tables::all() {
        let described = folder.answer(&["--maxrows", "0", &format!("\\d {}", table.name)]);
        for column in &table.columns {
            assert!(described.contains(column.name) && described.contains(&column.description), "{described}");
            assert!(described.contains(column.shown_unit().unwrap_or_default()), "{described}");
        }
    }
    let (code, message) = folder.mistake("\\d head_metric");
    assert_eq!(code, 2);
    assert!(message.contains("there is no table `head_metric` (did you mean `head_metrics`?)"), "{message}");
}

#[test]
fn a_mistake_is_told_with_its_place_and_a_near_name() {
    let folder = Folder::new();
    let expect = |sql: &str, code: i32, parts: &[&str]| {
        let (found, message) = folder.mistake(sql);
        assert_eq!(found, code, "{message}");
        for part in parts {
            assert!(message.contains(part), "`{part}` is not in: {message}");
        }
    };
    let marked = "line 2, column 6:\n  FROM head_metric\n       ^\n";
    expect("SELECT layer\nFROM head_metric", 2, &["no table `head_metric` (did you mean `head_metrics`?)", marked]);
    let marked = "line 1, column 8:\n  SELECT layr FROM head_metrics\n         ^\n";
    expect("SELECT layr FROM head_metrics", 2, &["no column `layr` (did you mean `layer`?)", "entropy_nats", marked]);
    expect("SELECT avgg(layer) FROM head_metrics", 2, &["no function `avgg` (did you mean `avg`?)", "column 8"]);
    let marked = "line 2, column 19:\n  SELECT layer FORM head_metrics\n                    ^\n";
    expect("SELECT 1 AS a, ';';\nSELECT layer FORM head_metrics", 2, &["invalid SQL: Expected", marked]);
    expect("SELECT 'open", 2, &["invalid SQL", "line 1, column 8"]);
    expect("SELECT 1; \\x", 2, &["there is no `\\x`"]);
    expect("SELECT layer FROM layer_metrics", 3, &["has no `layer_metrics`, which `metrics` writes"]);
    expect("SELECT sum(text) + 1 FROM samples WHERE text > 2", 2, &[]);
}

/// Damaged files of another seed, of which neither a byte nor the footer can be read, change nothing.
#[test]
fn a_question_about_one_seed_opens_the_files_of_no_other() {
    let folder = Folder::new();
    for table in ["head_metrics", "evaluations", "samples"] {
        fs::write(folder.file(table, 1), "damaged").unwrap();
    }
    let one = "SELECT seed, max(val_loss) AS loss FROM head_metrics JOIN evaluations USING (dataset, run, seed, step) \
               WHERE seed = 2 GROUP BY seed";
    assert_eq!(folder.answer(&["--format", "csv", one]), "seed,loss\n2,4.0\n");
    let plan = folder.answer(&["--format", "csv", "EXPLAIN SELECT head FROM head_metrics WHERE seed = 2"]);
    assert!(plan.contains("seed=2/head_metrics.parquet]"), "one file and no more: {plan}");
    let (code, message) = folder.mistake("SELECT head FROM head_metrics");
    assert_eq!(code, 3, "{message}");
    assert!(message.contains("seed=1/head_metrics.parquet"), "{message}");
}

#[test]
fn keys_have_the_types_of_columns() {
    let folder = Folder::new();
    let sql = "SELECT DISTINCT dataset, step FROM attention JOIN head_metrics USING (dataset, run, seed, step) \
               WHERE dataset = '007'";
    assert_eq!(folder.answer(&["--format", "csv", sql]), "dataset,step\n007,100\n");
}

#[test]
fn a_folder_without_tables_is_an_input_error() {
    let mut command = Command::cargo_bin("query").unwrap();
    let assert = command.args(["--artifacts", "no such folder", "SELECT 1"]).assert().code(3);
    let message = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(message.contains("no such folder holds no tables"), "{message}");
    assert!(!Path::new("no such folder").exists());
}
