//! The stage on small tables: its losses are those of every character, predicted one by one.

mod letters;

use declarations::evaluate::Evaluate;
use declarations::{Fault, Job, Kind};
use letters::{CONFIG, partition, tokens};
use model::{Device, Model, Weights};
use schemas::enums::Split;
use schemas::tables::{Checkpoints, Corpus, SplitLosses};
use schemas::{Artifacts, Provenance};

fn study(test: u16) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    letters::write(folder.path(), test);
    folder
}

fn run(folder: &tempfile::TempDir, more: &[&str]) -> Result<(), Fault> {
    let line = ["evaluate", "--dataset", "letters", "--run", "run_1", "--seed", "3", "--artifacts"];
    let folder = folder.path().to_str().expect("a path of letters");
    let job = Job::<Evaluate>::parse(line.iter().copied().chain([folder]).chain(more.iter().copied()))?;
    evaluate::run(&job, &cli::Terminal::silent())
}

fn rows(folder: &tempfile::TempDir) -> Vec<SplitLosses> {
    Artifacts::new(folder.path()).read::<SplitLosses>(&partition()).expect("losses").rows
}

/// The loss of one token after a context, in nats.
fn surprise(model: &Model, context: &[u16], next: u16) -> f64 {
    let logits = model.logits(context, 1);
    let last: Vec<f64> = logits[logits.len() - CONFIG.vocab_size..].iter().map(|&logit| f64::from(logit)).collect();
    last.iter().map(|logit| logit.exp()).sum::<f64>().ln() - last[usize::from(next)]
}

#[test]
fn every_character_is_predicted_from_the_context_that_is_said() {
    let folder = study(150);
    // A window moves on by one character: every position but the first few sees a whole block.
    run(&folder, &["--steps", "0,10", "--stride", "1"]).expect("it runs");
    let rows = rows(&folder);
    let keys: Vec<_> = rows.iter().map(|row| (row.step, row.split, row.window, row.stride, row.tokens)).collect();
    assert_eq!(
        keys,
        [
            (0, Split::Val, 9, 1, 199),
            (0, Split::Test, 9, 1, 149),
            (10, Split::Val, 9, 1, 199),
            (10, Split::Test, 9, 1, 149)
        ]
    );
    for row in &rows {
        let model = Model::new(Device::Cpu, Weights::initial(CONFIG, 3 + u64::from(row.step))).expect("a model");
        let text = tokens(row.split, if row.split == Split::Val { 200 } else { 150 });
        let losses = (1..text.len()).map(|at| surprise(&model, &text[at.saturating_sub(9)..at], text[at]));
        let expected = losses.sum::<f64>() / (text.len() - 1) as f64;
        assert!((row.loss_nats - expected).abs() < 1e-5, "{} {expected}", row.loss_nats);
        assert!((row.bits_per_symbol - expected / 2_f64.ln()).abs() < 1e-5);
        let bytes = text[1..].iter().map(|&token| if token == 4 { 2 } else { 1 }).sum::<u64>();
        assert_eq!(row.bytes, bytes);
        assert!((row.bits_per_byte * bytes as f64 / row.tokens as f64 - row.bits_per_symbol).abs() < 1e-12);
    }
}

#[test]
fn the_window_moves_on_by_three_quarters_of_itself() {
    let folder = study(0);
    run(&folder, &["--steps", "10"]).expect("it runs");
    let [row] = &rows(&folder)[..] else { panic!("the test split is empty") };
    assert_eq!((row.split, row.window, row.stride), (Split::Val, 9, 7));
    // The first nine positions, then seven at a time, each from what is before it in the window.
    let model = Model::new(Device::Cpu, Weights::initial(CONFIG, 13)).expect("a model");
    let text = tokens(Split::Val, 200);
    let (mut sum, mut start) = (0.0, 0);
    for position in 0..199_usize {
        if position >= 9 && (position - 9) % 7 == 0 {
            start = (position + 7).min(199) - 9;
        }
        sum += surprise(&model, &text[start..=position], text[position + 1]);
    }
    assert!((row.loss_nats - sum / 199.0).abs() < 1e-5, "{} {}", row.loss_nats, sum / 199.0);
    // A stride beyond the block leaves out nothing.
    run(&folder, &["--steps", "10", "--stride", "50"]).expect("it runs");
    let [row] = &rows(&folder)[..] else { panic!("one split") };
    assert_eq!((row.stride, row.tokens), (9, 199));
}

#[test]
fn a_split_shorter_than_a_block_is_one_window() {
    let folder = study(6);
    run(&folder, &["--steps", "10"]).expect("it runs");
    let rows = rows(&folder);
    assert_eq!((rows[1].split, rows[1].window, rows[1].tokens), (Split::Test, 5, 5));
}

#[test]
fn faults_name_what_is_wrong() {
    let fault = |change: &dyn Fn(&Artifacts), more: &[&str]| {
        let folder = study(0);
        change(&Artifacts::new(folder.path()));
        let fault = run(&folder, more).expect_err("a fault");
        (fault.kind(), fault.to_string())
    };
    let made = |stage| Provenance::new(stage, 1, serde_json::to_value(CONFIG).expect("a configuration"));
    assert_eq!(fault(&|_| (), &["--steps", ""]).0, Kind::Parameter);
    assert!(fault(&|_| (), &["--steps", "10", "--stride", "0"]).1.contains("at least 1"));
    assert!(fault(&|_| (), &["--steps", "0,20"]).1.contains("step=20"));
    let unknown = |artifacts: &Artifacts| {
        let split = partition().split(Split::Val);
        artifacts.write(&split, &made("prep"), &[Corpus { token: 0 }, Corpus { token: 5 }]).expect("a text");
    };
    assert!(
        fault(&unknown, &["--steps", "10"]).1.contains("expected tokens below 5, the size of the vocabulary, found 5")
    );
    let diverged = |artifacts: &Artifacts| {
        let mut rows = Weights::initial(CONFIG, 3).to_rows();
        rows[0].values[0] = f32::NAN;
        artifacts.write::<Checkpoints>(&partition().step(10), &made("train"), &rows).expect("a checkpoint");
    };
    assert!(fault(&diverged, &["--steps", "10"]).1.contains("diverged"));
}
