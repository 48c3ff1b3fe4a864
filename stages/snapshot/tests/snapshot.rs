//! The stage on small tables: the recorded attention is the model's.

mod letters;

use declarations::snapshot::Snapshot;
use declarations::{Fault, Job, Kind};
use letters::{CONFIG, partition};
use model::{Device, GptConfig, Model, Weights};
use schemas::tables::{Attention, Checkpoints, HeadOutputs, Windows};
use schemas::{Artifacts, Provenance};

fn study(symbols: u32) -> tempfile::TempDir {
    study_of(CONFIG, symbols)
}

fn study_of(config: GptConfig, symbols: u32) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    letters::write(folder.path(), config, symbols);
    folder
}

fn run(folder: &tempfile::TempDir, more: &[&str]) -> Result<(), Fault> {
    let line = ["snapshot", "--dataset", "letters", "--run", "run_1", "--seed", "3", "--steps", "0,10", "--artifacts"];
    let folder = folder.path().to_str().expect("a path of letters");
    let words = line.iter().copied().chain([folder]).chain(more.iter().copied());
    let job = Job::<Snapshot>::parse(words)?;
    snapshot::run(&job, &cli::Terminal::silent())
}

#[test]
fn writes_what_the_model_attends_to() {
    let folder = study(5);
    run(&folder, &["--val-windows", "3", "--repeat-windows", "2"]).expect("it runs");
    let artifacts = Artifacts::new(folder.path());
    let windows = artifacts.read::<Windows>(&partition()).expect("windows").rows;
    assert_eq!(
        windows.iter().map(|row| row.kind.as_str()).collect::<Vec<_>>(),
        ["val", "val", "val", "repeat", "repeat"]
    );
    let outputs = artifacts.read::<HeadOutputs>(&partition()).expect("head outputs").rows;
    assert_eq!(outputs.len(), 2 * 2 * 3, "a row a step, layer and head");
    for step in [0, 10] {
        let model = Model::new(Device::Cpu, Weights::initial(CONFIG, 3 + u64::from(step))).expect("a model");
        let reader = artifacts.open::<Attention>(&partition().step(step)).expect("attention");
        assert_eq!(reader.groups(), windows.len(), "a row group is a window");
        let mut norms = [0.0; 6];
        for window in &windows {
            let seen = model.observe(&window.tokens);
            let written = reader.window(window.window.into()).expect("a window");
            assert_eq!((written.window, written.weights), (window.window, seen.weights.into()));
            if window.kind == schemas::enums::WindowKind::Val {
                for (norm, norms) in norms.iter_mut().zip(seen.output_norms.chunks(9)) {
                    *norm += norms[1..].iter().map(|&norm| f64::from(norm)).sum::<f64>() / 24.0;
                }
            }
        }
        let of_step: Vec<_> = outputs.iter().filter(|row| row.step == step).collect();
        assert!(of_step.iter().zip(norms).all(|(row, norm)| (row.output_norm - norm).abs() < 1e-12 && norm > 0.0));
        let rows = reader.group(0).expect("rows");
        assert!(rows.iter().all(|row| (row.weights.iter().sum::<f32>() - 1.0).abs() < 1e-5));
    }
}

#[test]
fn a_model_that_diverged_has_no_attention() {
    let folder = study(5);
    let artifacts = Artifacts::new(folder.path());
    let provenance = Provenance::new("train", 1, serde_json::to_value(CONFIG).expect("a configuration"));
    let mut rows = Weights::initial(CONFIG, 3).to_rows();
    rows[0].values[0] = f32::NAN;
    artifacts.write::<Checkpoints>(&partition().step(10), &provenance, &rows).expect("a checkpoint");
    let said = run(&folder, &[]).expect_err("it diverged").to_string();
    assert!(said.contains("step=10") && said.contains("diverged"), "{said}");
    assert!(!artifacts.has::<Attention>(&partition().step(10)) && !artifacts.has::<HeadOutputs>(&partition()));
}

#[test]
fn checkpoints_of_different_shapes_are_refused() {
    let folder = study(5);
    let other = GptConfig { block_size: 4, ..CONFIG };
    let provenance = Provenance::new("train", 1, serde_json::to_value(other).expect("a configuration"));
    let rows = Weights::initial(other, 3).to_rows();
    Artifacts::new(folder.path())
        .write::<Checkpoints>(&partition().step(10), &provenance, &rows)
        .expect("a checkpoint");
    let said = run(&folder, &[]).expect_err("two shapes").to_string();
    assert!(said.contains("step=10") && said.contains("block_size 4, and") && said.contains("block_size 9"), "{said}");
}

/// `prep` allows 65,536 symbols, all that a token can number.
#[test]
fn a_vocabulary_of_65536_symbols_has_windows_and_attention() {
    let folder = study_of(GptConfig { vocab_size: 1 << 16, ..CONFIG }, 1 << 16);
    run(&folder, &["--val-windows", "1", "--repeat-windows", "1"]).expect("it runs");
    let artifacts = Artifacts::new(folder.path());
    let windows = artifacts.read::<Windows>(&partition()).expect("windows").rows;
    assert_eq!((windows[1].kind.as_str(), windows[1].tokens.len()), ("repeat", 8));
    let reader = artifacts.open::<Attention>(&partition().step(10)).expect("attention");
    assert_eq!(reader.window(1).expect("a window").queries, 8);
}

#[test]
fn is_the_same_every_time() {
    let [one, two] = [study(5), study(5)];
    run(&one, &["--threads", "1"]).expect("it runs");
    run(&two, &["--threads", "2"]).expect("it runs");
    run(&two, &[]).expect("it runs again");
    let bytes = |folder: &tempfile::TempDir| {
        let artifacts = Artifacts::new(folder.path());
        let paths = [
            artifacts.path::<Attention>(&partition().step(10)),
            artifacts.path::<Windows>(&partition()),
            artifacts.path::<HeadOutputs>(&partition()),
        ];
        paths.map(|path| std::fs::read(path.expect("a path")).expect("a file"))
    };
    assert_eq!(bytes(&one), bytes(&two));
}

#[test]
fn faults_name_what_is_wrong() {
    let fault = |symbols, more: &[&str]| run(&study(symbols), more).expect_err("a fault");
    let missing = fault(5, &["--steps", "0,20"]);
    assert_eq!(missing.kind(), Kind::Input);
    assert!(missing.to_string().contains("step=20") && missing.to_string().contains("train"), "{missing}");
    assert_eq!(fault(5, &["--val-windows", "0"]).kind(), Kind::Parameter);
    assert_eq!(fault(5, &["--steps", ""]).kind(), Kind::Parameter);
    let many = fault(5, &["--val-windows", "40000", "--repeat-windows", "40000"]);
    assert_eq!(many.kind(), Kind::Parameter);
    assert!(many.to_string().contains("80000 windows") && many.to_string().contains("at most 65536"), "{many}");
    assert!(fault(6, &[]).to_string().contains("5 symbols"));
}
