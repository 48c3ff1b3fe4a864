//! `--set` on the project's own `pipeline.yaml`.

use std::sync::OnceLock;

use driver::experiment::Experiment;
use driver::study::Study;
use driver::yaml;

use crate::{Target, names, pipeline};

/// Each line of an input is the value of one `--set`.
pub const TARGET: Target = Target { read, seeds };

fn read(data: &[u8]) {
    static EXPERIMENT: OnceLock<Experiment> = OnceLock::new();
    let experiment =
        EXPERIMENT.get_or_init(|| yaml::parse(pipeline::OWN, "pipeline.yaml").expect("the project's file"));
    let Ok(text) = std::str::from_utf8(data) else { return };
    let settings: Vec<String> = text.lines().take(4).map(str::to_owned).collect();
    if let Ok(study) = Study::resolve(experiment, "smoke", &settings) {
        names::check(&study);
    }
}

fn seeds() -> Vec<Vec<u8>> {
    [
        "train.max_iters=500\nseeds=[1,2]",
        "datasets=[shakespeare_char, control_lag]\nruns=[run_3]",
        "snapshot.steps=0-60/5\ngenerate.samples=5",
        "per_dataset.enwik8.train.n_head=3\njobs=4",
        "generate.prompt=\"\\u00e9 # no: {x}\"\ntrain.device=cuda",
        "train={n_layer: 3, learning_rate: 1e-3, precision: bf16}",
        "correlate.permutations=10\nprep.data=../elsewhere",
        "generate.context_policy=rollover\ngenerate.steps=snapshots\ntrain.lr_decay_iters=7",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
