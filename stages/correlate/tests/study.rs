//! The whole stage over a synthetic study of two datasets, four runs and three seeds.

mod synthetic;

use std::fs;
use std::path::{Path, PathBuf};

use cli::Terminal;
use declarations::correlate::{Correlate, Parameters};
use declarations::{Execution, Job, Kind, Study};
use schemas::enums::Verdict;
use schemas::tables::{
    Correlations, Findings, HeadMatches, HeadMetrics, LayerMetrics, LayerSimilarity, Onsets, Results, SampleAttention,
    SampleLayers, SampleScores,
};
use schemas::{Artifacts, Loaded, Partition, Provenance, Table};
use synthetic::{LAYERS, study};

fn job(root: &Path, study: Study) -> Job<Correlate> {
    Job::new(root, Partition::study(), Parameters { study, permutations: 200 }, Execution::default())
}

/// Runs the stage on `threads` threads and returns its files.
fn run(job: &Job<Correlate>, threads: usize) -> Vec<(PathBuf, Vec<u8>)> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
    pool.install(|| correlate::run(job, &Terminal::silent())).expect("the stage succeeds");
    let root = job.outputs.root();
    let written: Vec<PathBuf> = ["shakespeare_char", "enwik8"]
        .iter()
        .flat_map(|dataset| {
            let runs = ["run_1", "run_2", "run_3"];
            let files = runs.into_iter().flat_map(|run| {
                let partition = Partition::dataset(*dataset).run(run);
                let correlations = Artifacts::relative::<Correlations>(&partition);
                [
                    correlations,
                    Artifacts::relative::<Onsets>(&partition),
                    Artifacts::relative::<HeadMatches>(&partition),
                ]
            });
            files.chain([Artifacts::relative::<Findings>(&Partition::dataset(*dataset))])
        })
        .chain([Artifacts::relative::<Results>(&Partition::study())])
        .map(|path| path.expect("all keys are there"))
        .collect();
    written.into_iter().map(|path| (path.clone(), fs::read(root.join(path)).expect("the file is there"))).collect()
}

#[test]
fn the_stage_writes_the_same_tables_on_one_thread_and_on_two() {
    let folder = tempfile::tempdir().expect("a folder");
    let job = job(folder.path(), study());
    synthetic::write(folder.path(), &job.parameters.study);
    let first = run(&job, 1);
    assert!(first == run(&job, 2), "threads change the files");

    let artifacts = Artifacts::new(folder.path());
    let run_3 = Partition::dataset("enwik8").run("run_3");
    let correlations = artifacts.read::<Correlations>(&run_3).expect("correlations");
    // Over all of 3 layers and each: measures of snapshots with loss and scores, those of samples and a divergence with scores.
    let measures = HeadMetrics::MEASURES.len() + LayerMetrics::MEASURES.len() + LayerSimilarity::MEASURES.len();
    let (of_samples, scores) = (SampleAttention::MEASURES.len() + 1, SampleScores::MEASURES.len());
    assert_eq!(correlations.rows.len(), measures * 4 * (1 + scores) + of_samples * 4 * scores);
    let tested = correlations.rows.iter().filter(|row| row.p_value.is_some()).count();
    assert_eq!(correlations.provenance.extra["family_size"], tested.to_string());
    for row in &correlations.rows {
        assert_eq!(row.p_value.is_some(), row.q_value.is_some());
        assert!(row.q_value.is_none_or(|q_value| q_value >= row.p_value.unwrap_or(1.0) && q_value <= 1.0));
        let whole = row.partial_spearman.is_some() && row.spearman_low.is_some() && row.p_value.is_some();
        assert!(whole || row.reason.is_some(), "{row:?}");
    }
    let said = |x: &str, y: &str| {
        let row = correlations.rows.iter().find(|row| row.x == x && row.y == y).expect("the row is there");
        row.reason.clone().unwrap_or_default()
    };
    assert!(said("span_90", "val_loss").contains("constant"));
    assert!(said("entropy_nats", "word_validity").contains("fewer than 3"));
    assert_eq!(said("entropy_nats", "val_loss"), "");

    let onsets = artifacts.read::<Onsets>(&run_3).expect("onsets");
    // 3 kinds of heads, specialisation and every measure, over all of 3 layers and in each; the loss.
    assert_eq!(onsets.rows.len(), (3 + 1 + measures) * 4 + 1);
    assert_eq!(onsets.provenance.inputs, correlations.provenance.inputs);
    for row in &onsets.rows {
        let lists = [row.in_seeds.len(), row.steps.len(), row.steps_before.len()];
        assert_eq!(lists, [row.n as usize; 3]);
        assert!(row.steps.iter().zip(&row.steps_before).all(|(step, before)| before < step));
        assert_eq!((row.value.is_some(), row.rank.is_some()), (row.n > 0, row.n > 0));
        assert!(row.n == row.seeds || row.reason.is_some(), "{row:?}");
    }
    let falls = onsets.rows.iter().find(|row| row.metric == "entropy_nats" && row.layer.is_none()).expect("a row");
    // It falls evenly from step 0 to 120: the middle.
    assert!((falls.value.expect("a change") - 60.0).abs() <= 10.0 && falls.change.expect("a change") < 0.0);
    assert!((falls.explained.expect("a share") - 0.75).abs() < 0.05);

    let matches = artifacts.read::<HeadMatches>(&run_3).expect("matches").rows;
    assert_eq!(matches.len(), 3 * usize::from(LAYERS) * 2);
    for seed in matches.chunk_by(|one, other| (one.layer, one.seed) == (other.layer, other.seed)) {
        let slots: u16 = seed.iter().map(|row| row.slot).sum();
        assert_eq!((seed.len(), slots, seed[0].distance.is_none()), (2, 1, seed[0].seed == 1));
    }

    let Loaded { rows: findings, provenance, .. } =
        artifacts.read::<Findings>(&Partition::dataset("shakespeare_char")).expect("findings");
    let family = findings.iter().filter(|row| row.p_value.is_some()).count();
    assert_eq!(provenance.extra["family_size"], family.to_string());
    for row in &findings {
        assert_eq!(row.p_value.is_some(), row.p_adjusted.is_some());
        let significant = row.p_adjusted.is_none_or(|p_value| p_value <= 0.05);
        assert!(significant || row.verdict == Verdict::Inconclusive, "{row:?}");
        assert!(row.p_adjusted >= row.p_value, "{row:?}");
    }
    let verdict = |claim: &str| {
        let row = findings.iter().find(|row| row.claim == claim).expect("the claim is there");
        (row.run.as_str(), row.verdict.as_str(), row.n)
    };
    assert_eq!(findings.len(), 22);
    assert_eq!(verdict("tracking_is_free"), ("run_0, run_1", "supported", 3));
    assert_eq!(verdict("entropy_falls"), ("run_3", "inconclusive", 3));
    let falls = findings.iter().find(|row| row.claim == "entropy_falls").expect("the claim is there");
    let (p_value, adjusted) = falls.p_value.zip(falls.p_adjusted).expect("a test");
    assert!(falls.high < Some(0.0) && p_value < 0.05 && adjusted > 0.05, "significant before the correction only");
    assert_eq!(verdict("early_local_late_global"), ("run_3", "inconclusive", 3), "three layers are too few");
    assert_eq!(verdict("specialisation_onset").1, "not_tested");

    let results = artifacts.read::<Results>(&Partition::study()).expect("results").rows;
    let names: Vec<_> = results.iter().map(|row| (row.dataset.as_str(), row.run.as_str())).collect();
    assert_eq!((names.len(), names[0], names[7]), (8, ("shakespeare_char", "run_0"), ("enwik8", "run_3")));
    assert!((results[0].final_train_loss_mean - 1.8).abs() < 1e-12);
    assert_eq!((results[0].total_train_time_secs_mean, results[0].inference_tokens_per_sec_mean), (4.0, 250.0));
    assert_eq!(
        (results[3].label.as_str(), results[3].inference_tokens_per_sec_stderr),
        ("Generation quality", Some(0.0))
    );
}

#[test]
fn what_is_wrong_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let fails = |study: &Study| {
        correlate::run(&job(folder.path(), study.clone()), &Terminal::silent()).expect_err("it cannot succeed")
    };
    let mut study = study();
    let missing = fails(&study);
    assert_eq!(missing.kind(), Kind::Input);
    assert!(missing.to_string().contains("training_log"), "{missing}");

    // A study that names a step without a snapshot.
    synthetic::write(folder.path(), &study);
    study.datasets[0].steps = "0-120/5".parse().expect("steps");
    let uncovered = fails(&study);
    assert_eq!(uncovered.kind(), Kind::Input);
    assert!(uncovered.to_string().contains("step 5"), "{uncovered}");
}

#[test]
fn a_table_on_attention_is_of_the_study_or_empty() {
    let folder = tempfile::tempdir().expect("a folder");
    let job = job(folder.path(), study());
    synthetic::write(folder.path(), &job.parameters.study);
    let artifacts = Artifacts::new(folder.path());
    let trainings = || {
        job.parameters.study.datasets.iter().flat_map(|dataset| {
            let of_seed = |seed: &u64| Partition::dataset(&dataset.name).seed(*seed);
            let runs = &job.parameters.study.runs;
            dataset.seeds.iter().flat_map(move |seed| runs.iter().map(move |run| of_seed(seed).run(&run.name)))
        })
    };
    for node in trainings().filter(|node| artifacts.has::<HeadMetrics>(node)) {
        let Loaded { mut rows, provenance, .. } = artifacts.read::<HeadMetrics>(&node).expect("head metrics");
        rows.iter_mut().for_each(|row| row.step += 1);
        artifacts.write(&node, &provenance, &rows).expect("written");
    }
    let other = correlate::run(&job, &Terminal::silent()).expect_err("they are of other steps").to_string();
    assert!(other.contains("head_metrics") && other.contains("has no row of step 0"), "{other}");

    let provenance = Provenance::new("metrics", 1, serde_json::json!({}));
    for node in trainings() {
        if artifacts.has::<HeadMetrics>(&node) {
            artifacts.write::<HeadMetrics>(&node, &provenance, &[]).expect("written");
            artifacts.write::<LayerMetrics>(&node, &provenance, &[]).expect("written");
        }
        if artifacts.has::<LayerSimilarity>(&node) {
            artifacts.write::<LayerSimilarity>(&node, &provenance, &[]).expect("written");
        }
        if artifacts.has::<SampleAttention>(&node) {
            artifacts.write::<SampleAttention>(&node, &provenance, &[]).expect("written");
            artifacts.write::<SampleLayers>(&node, &provenance, &[]).expect("written");
        }
    }
    correlate::run(&job, &Terminal::silent()).expect("a block of one character attends to nothing else");
}
