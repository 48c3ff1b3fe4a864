//! The stage on small tables: what is imported is the model of the file, and what cannot be imported is refused.

mod letters;

use std::path::Path;

use declarations::import::Import;
use declarations::{Device, Fault, Job, Kind};
use letters::{CONFIG, flags, tensors, write, write_ckpt};
use model::{GptConfig, Model, Weights};
use nanogpt_files::Tensor;
use schemas::tables::{Checkpoints, Evaluations, TrainingLog};
use schemas::{Artifacts, Partition};

fn run(root: &Path, steps: &str) -> Result<(), Fault> {
    let artifacts = ["import".to_owned(), "--artifacts".to_owned(), root.display().to_string()];
    let job = Job::<Import>::parse(artifacts.into_iter().chain(flags(root, steps)))?;
    import::run(&job, &cli::Terminal::silent())
}

fn partition() -> Partition {
    Partition::dataset("letters").run("run_1").seed(3)
}

fn study(config: GptConfig, tensors: &[Tensor]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path());
    write_ckpt(folder.path(), config, 10, tensors);
    folder
}

/// The mean loss of the model on windows from every one of these starts.
fn loss(weights: &Weights, text: &[u16], starts: impl Iterator<Item = usize>) -> f64 {
    let model = Model::new(Device::Cpu, weights.clone()).expect("a model");
    let (block, symbols) = (weights.config.block_size, weights.config.vocab_size);
    let losses: Vec<f64> = starts
        .flat_map(|start| {
            let logits = model.logits(&text[start..start + block], 1);
            let rows = logits.chunks_exact(symbols).zip(&text[start + 1..]).map(|(row, target)| {
                let sum: f64 = row.iter().map(|logit| f64::from(*logit).exp()).sum();
                sum.ln() - f64::from(row[usize::from(*target)])
            });
            rows.collect::<Vec<_>>()
        })
        .collect();
    losses.iter().sum::<f64>() / losses.len() as f64
}

#[test]
fn the_weights_and_the_loss_are_the_models() {
    let weights = Weights::initial(CONFIG, 7);
    let folder = study(CONFIG, &tensors(&weights));
    run(folder.path(), "10").expect("it imports");
    let artifacts = Artifacts::new(folder.path());
    let checkpoint = artifacts.read::<Checkpoints>(&partition().step(10)).expect("a checkpoint");
    assert_eq!(Weights::from_checkpoint(&checkpoint).expect("a model"), weights);
    let names: Vec<&str> = checkpoint.provenance.inputs.iter().map(|source| source.path.as_str()).collect();
    assert!(names.contains(&"ckpt_10.pt"), "{names:?}");
    assert!(artifacts.read::<TrainingLog>(&partition()).expect("a log").rows.is_empty());
    let evaluations = artifacts.read::<Evaluations>(&partition()).expect("evaluations").rows;
    let [evaluation] = evaluations.as_slice() else { panic!("one evaluation") };
    let text: Vec<u16> = (0..200).map(|at| at * at % 5).collect();
    let expected = loss(&weights, &text, (0..12).map(|number| number * 191 / 12));
    assert!((evaluation.val_loss - expected).abs() < 1e-5, "{} is not {expected}", evaluation.val_loss);
    assert!((evaluation.val_bits_per_char - expected / 2f64.ln()).abs() < 1e-5);
}

#[test]
fn of_a_padded_vocabulary_the_first_rows_are_used() {
    let padded = Weights::initial(GptConfig { vocab_size: 8, ..CONFIG }, 7);
    let folder = study(padded.config, &tensors(&padded));
    run(folder.path(), "10").expect("it imports");
    let checkpoint = Artifacts::new(folder.path()).read::<Checkpoints>(&partition().step(10)).expect("a checkpoint");
    let weights = Weights::from_checkpoint(&checkpoint).expect("a model");
    assert_eq!(weights.config, CONFIG);
    assert_eq!(weights.tensors[0].values, padded.tensors[0].values[..5 * 12]);
}

#[test]
fn what_cannot_be_imported_is_refused() {
    let refused = |config: GptConfig, change: &dyn Fn(&mut Vec<Tensor>), steps: &str, said: &str| {
        let mut tensors = tensors(&Weights::initial(config, 7));
        change(&mut tensors);
        let folder = study(config, &tensors);
        let fault = run(folder.path(), steps).expect_err(said);
        assert!(fault.to_string().contains(said), "{fault}");
        assert_eq!(fault.kind(), Kind::Input);
        assert!(!Artifacts::new(folder.path()).has::<Evaluations>(&partition()));
    };
    refused(GptConfig { vocab_size: 4, ..CONFIG }, &|_| {}, "10", "give the alphabet that it was trained with");
    refused(CONFIG, &|_| {}, "20", "correct import.checkpoints");
    refused(CONFIG, &|tensors| drop(tensors.remove(5)), "10", "has no tensor `transformer.h.0");
    refused(CONFIG, &|tensors| tensors[7].values[0] = f32::NAN, "10", "NaN or infinite");
    let more = Tensor { name: "transformer.h.0.rotary.weight".to_owned(), shape: vec![1], values: vec![0.0] };
    refused(CONFIG, &|tensors| tensors.push(more.clone()), "10", "which nanoGPT's model has not");
    refused(GptConfig { block_size: 250, ..CONFIG }, &|_| {}, "10", "use a longer text");
    let folder = study(CONFIG, &tensors(&Weights::initial(CONFIG, 7)));
    std::fs::rename(folder.path().join("ckpt_10.pt"), folder.path().join("ckpt_30.pt")).expect("a file");
    let said = run(folder.path(), "30").expect_err("another step").to_string();
    assert!(said.contains("is of step 10, and step 30 was asked for"), "{said}");
}
