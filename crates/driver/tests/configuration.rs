//! Errors in `pipeline.yaml` are precise, and its settings become the right commands.

use std::path::Path;

use declarations::{Kind, Part, StageName, TrainingSections};
use driver::experiment::Experiment;
use driver::plan::{Job, plan};
use driver::study::Study;
use driver::yaml;

const PIPELINE: &str = include_str!("../../../pipeline.yaml");

fn experiment() -> Experiment {
    yaml::parse(PIPELINE, "pipeline.yaml").expect("the project's own file is valid")
}

fn resolve(profile: &str, settings: &[&str]) -> Result<Study, String> {
    let settings: Vec<String> = settings.iter().map(ToString::to_string).collect();
    Study::resolve(&experiment(), profile, &settings).map_err(|fault| {
        assert_eq!(fault.kind(), Kind::Parameter);
        fault.to_string()
    })
}

fn jobs(profile: &str) -> Vec<Job> {
    plan(&resolve(profile, &[]).expect("a profile"), &format!("artifacts/{profile}"), 1).expect("valid parameters")
}

/// The message about the project's file with one text replaced.
fn wrong(old: &str, new: &str) -> String {
    assert!(PIPELINE.contains(old), "{old} is no longer in pipeline.yaml");
    let text = PIPELINE.replacen(old, new, 1);
    let resolved = yaml::parse::<Experiment>(&text, "pipeline.yaml")
        .and_then(|experiment| Study::resolve(&experiment, "laptop", &[]));
    let fault = resolved.expect_err("the text is invalid");
    assert_eq!(fault.kind(), Kind::Parameter, "{fault}");
    fault.to_string()
}

fn line_of(text: &str) -> usize {
    PIPELINE.lines().position(|line| line.contains(text)).expect("a line of the file") + 1
}

#[test]
fn an_unknown_parameter_is_named_with_its_path_line_and_a_suggestion() {
    let said = wrong("      n_layer: 2\n", "      n_layers: 2\n");
    let line = line_of("      n_layer: 2");
    assert!(
        said.starts_with(&format!(
            "pipeline.yaml, line {line}: `profiles.smoke.train.n_layers` is not known (did you mean `n_layer`?); known here: n_layer, n_head"
        )),
        "{said}"
    );
}

#[test]
fn errors_name_the_path_what_was_expected_and_what_was_found() {
    let said = |old, new| wrong(old, new).split_once(": ").map(|(_, said)| said.to_owned()).expect("a message");
    assert_eq!(
        said("  n_layer: 6\n", "  n_layer: six\n"),
        "`train.n_layer` must be a whole number from 0 to 4294967295, found `n_layer: six`"
    );
    assert_eq!(
        said("  dropout: 0.0\n", "  dropout: none\n"),
        "`train.dropout` must be a number, found `dropout: none`"
    );
    assert_eq!(
        said("  bias: false ", "  bias: perhaps "),
        "`train.bias` must be true or false, found `bias: perhaps                       # biases in linear layers and norms`"
    );
    assert_eq!(
        said("seeds: [1337, 1338]", "seeds: 1337"),
        "`profiles.smoke.seeds` must be a list such as [a, b], found `seeds: 1337`"
    );
    assert_eq!(
        said("seeds: [1337, 1338]", "seeds: [1337, x]"),
        "`profiles.smoke.seeds[1]` must be a whole number, 0 or more, found `seeds: [1337, x]`"
    );
    assert!(
        said("  context_policy: exact ", "  context_policy: exakt ")
            .starts_with("`generate.context_policy` must be one of exact, rollover, found")
    );
    assert!(
        said("  steps: 0,50,100-2000/100", "  steps: 0,5O")
            .starts_with("`snapshot.steps`: `5O` in `0,5O` is not a step: write numbers and ranges"),
    );
    assert!(said("\ncorrelate:\n  permutations: 10000", "\nx: 1 #").contains("`x` is not known"));
    assert!(said("  n_head: 4\n", "  n_head: 4\n  n_head: 4\n").contains("`n_head` occurs twice"));
    assert!(wrong("  n_head: 4\n", " n_head: 4\n").starts_with("pipeline.yaml, line "));
}

/// Parameters that are left out have their declared defaults, and the project's file states these defaults.
#[test]
fn the_file_states_the_declared_defaults() {
    let short = yaml::parse::<Experiment>(
        "datasets: { shakespeare_char: {} }\nseeds: [1]\nruns: { run_0: { label: x, stages: [train, generate] } }\n\
         profiles: { p: {} }\n",
        "short.yaml",
    );
    let (short, whole) = (short.expect("sections can be left out"), experiment());
    assert_eq!(short.training_sections(), whole.training_sections());
    assert_eq!(short.study_sections(), whole.study_sections());
}

/// Invalid values are refused when jobs are planned, before anything runs; the error names the key, run and dataset.
#[test]
fn impossible_values_are_refused_before_anything_runs() {
    let refused = |settings: &[&str]| {
        let fault = plan(&resolve("laptop", settings).unwrap(), "artifacts", 1);
        let fault = fault.expect_err("the value is impossible");
        assert_eq!(fault.kind(), Kind::Parameter);
        fault.to_string()
    };
    assert_eq!(
        refused(&["train.n_head=3"]),
        "`train.n_embd` is 128: it must be a multiple of n_head, which is 3, since heads have equal shares \
         (run_0 of shakespeare_char)"
    );
    assert_eq!(
        refused(&["train.dropout=1.0"]),
        "--set train.dropout=1.0: `train.dropout` is 1: it must be at least 0 and below 1 (run_0 of shakespeare_char)"
    );
    assert_eq!(
        refused(&["train.max_iters=0"]),
        "--set train.max_iters=0: `train.max_iters` is 0: it must be at least 1 (run_0 of shakespeare_char)"
    );
    for wrong in [
        "generate.temperature=-1",
        "generate.top_k=0",
        "generate.samples=0",
        "generate.prompt=''",
        "snapshot.val_windows=0",
        "snapshot.val_windows=65535",
        "train.batch_size=0",
        "train.learning_rate=-1",
        "train.block_size=70000",
        "correlate.permutations=0",
    ] {
        let (key, _) = wrong.split_once('=').unwrap();
        let said = refused(&[wrong]);
        let near = key.replace("val_windows", "repeat_windows");
        assert!([key, near.as_str()].iter().any(|key| said.contains(&format!("`{key}` "))), "{wrong}: {said}");
    }
}

#[test]
fn inconsistent_settings_are_refused() {
    assert_eq!(
        wrong("stages: [train, evaluate, snapshot, metrics, generate]", "stages: [train, snapshot, generate]"),
        "`runs.run_1.stages` has one of snapshot and metrics: metrics measures what snapshot saved, so list both or none"
    );
    assert!(
        wrong("stages: [train, evaluate, generate]", "stages: [train]").contains("`runs.run_0.stages` lacks generate")
    );
    assert!(
        wrong("stages: [train, evaluate, generate]", "stages: [train, generate, plot]")
            .contains("plot, which has no job per run")
    );
    assert!(
        wrong("stages: [train, evaluate, generate]", "stages: [train, generat]").contains("did you mean `generate`?")
    );
    assert!(wrong("  run_0:\n", "  ../run:\n").contains("`runs.../run`: it names a folder"));
    assert!(wrong("  run_0:\n", "  007:\n").contains("`runs.007`: it starts with a digit"));
    assert!(
        wrong("seeds: [1337, 1338, 1339, 1340, 1341, 1342, 1343, 1344]", "seeds: [9223372036854775808]")
            .contains("a seed in `seeds` is 9223372036854775808: at most 9223372036854775807")
    );
    assert!(
        wrong("datasets: [shakespeare_char, enwik8, text8]", "datasets: [shakespeare, enwik8]")
            .starts_with("`profiles.paper.datasets`: there is no `shakespeare`")
    );
    let runs = wrong("\n\n  seeds:", "\n    runs: [run_4]\n\n  seeds:");
    assert!(runs.starts_with("`profiles.laptop.runs`: there is no `run_4`"), "{runs}");
    assert!(
        wrong("train: { tracking: true }               #", "train: { max_iters: 7 }               #")
            .contains("must be the same for all runs of a dataset")
    );
    assert!(wrong("\n\n  seeds:", "\n    jobs: 0\n\n  seeds:").contains("`jobs` must be at least 1"));
    assert!(
        wrong("seeds: [1337, 1338, 1339, 1340, 1341, 1342, 1343, 1344]", "seeds: [1337, 1337]")
            .contains("`seeds` has `1337` twice")
    );
}

#[test]
fn a_study_that_is_too_large_to_plan_is_refused_at_once() {
    let set = |steps| resolve("smoke", &["train.max_iters=999999", &format!("snapshot.steps={steps}")]);
    assert!(set("0-12000").is_ok());
    let refused = set("0-999999").expect_err("eight trainings of a million snapshots");
    assert!(refused.contains("the study has 8000000 snapshots"), "{refused}");
}

#[test]
fn unknown_profiles_and_settings_are_refused_by_name() {
    assert_eq!(
        resolve("labtop", &[]).unwrap_err(),
        "--profile labtop: there is no `labtop` (did you mean `laptop`?); there are smoke, laptop, seeds, nanogpt, early, control, paper"
    );
    let setting = |setting: &str| resolve("laptop", &[setting]).unwrap_err();
    assert!(
        setting("train.max_iter=5")
            .starts_with("--set train.max_iter=5: `train.max_iter` is not known (did you mean `max_iters`?)")
    );
    assert_eq!(
        setting("train.max_iters=many"),
        "--set train.max_iters=many: `train.max_iters` must be a whole number from 0 to 4294967295, found `many`"
    );
    assert!(setting("trian.max_iters=5").contains("`trian` is not known (did you mean `train`?)"));
    assert!(setting("train.max_iters").contains("is not a setting: write --set SECTION.PARAMETER=VALUE"));
    assert!(setting("datasets=[nothing]").contains("there is no `nothing`"));
    assert!(setting("runs=[run_9]").contains("`runs`: there is no `run_9`"));
    assert!(setting("runs=[]").contains("`runs` is empty"));
    assert!(setting("seeds=5").contains("must be a list such as [a, b]"));
    for nothing in ["train.max_iters=", "generate.prompt=# a"] {
        assert!(setting(nothing).contains("the value is missing"), "{nothing}");
    }
    for no_value in ["train.max_iters=null", "jobs=~"] {
        assert!(setting(no_value).contains("must be a whole number"), "{no_value}");
    }
    let lr_decay_iters = |settings: &[&str]| {
        resolve("laptop", settings).expect("null is a value of it").datasets[0].runs[0].sections.train.lr_decay_iters
    };
    assert_eq!(lr_decay_iters(&["train.lr_decay_iters=9"]), Some(9));
    assert_eq!(lr_decay_iters(&["train.lr_decay_iters=9", "train.lr_decay_iters=null"]), None);
    assert!(setting("per_dataset.text9.train.max_iters=5").contains("`per_dataset`: there is no `text9`"));
    assert!(setting("snapshot.steps=0-4294967295").contains("more than 1000000 steps"));
}

#[test]
fn the_last_override_wins() {
    // The section, the profile, the profile's dataset.
    let paper = resolve("paper", &[]).expect("a profile");
    let text = |study: &Study, name: &str| {
        study.datasets.iter().find(|dataset| dataset.name == name).cloned().expect("a text")
    };
    let (shakespeare, enwik8) = (text(&paper, "shakespeare_char"), text(&paper, "enwik8"));
    assert_eq!((shakespeare.seeds.len(), enwik8.seeds.len()), (3, 1));
    let train = |text: &driver::study::Dataset| text.runs[0].sections.train.clone();
    let (first, second) = (train(&shakespeare), train(&enwik8));
    assert_eq!((first.n_layer, first.batch_size, first.max_iters, first.beta2), (6, 64, 5000, 0.99));
    assert_eq!((second.n_layer, second.batch_size, second.max_iters, second.min_lr), (6, 32, 100_000, 5e-5));
    assert_eq!(enwik8.steps.to_string(), "0-100000/5000");
    // The run, then `--set`.
    let study = resolve("laptop", &["train.max_iters=250", "train.tracking=false", "generate.samples=3"]).unwrap();
    let text = &study.datasets[0];
    assert_eq!(text.steps.to_string(), "0,50,100,200,250");
    let changed = |sections: &TrainingSections| !sections.train.tracking && sections.generate.samples == 3;
    assert!(text.runs.iter().all(|run| changed(&run.sections)));
    let study = resolve("laptop", &["seeds=[1]", "datasets=[text8, shakespeare_char]", "jobs=7"]).unwrap();
    assert_eq!(
        (study.datasets[1].seeds.as_slice(), study.datasets[0].name.as_str(), study.parallel_jobs),
        ([1].as_slice(), "text8", Some(7))
    );
    let runs = |study: &Study| study.specification().runs.into_iter().map(|run| run.name).collect::<Vec<_>>();
    assert_eq!(runs(&resolve("laptop", &["runs=[run_3, run_1]"]).unwrap()), ["run_1", "run_3"]);
    assert_eq!(runs(&resolve("control", &[]).unwrap()), ["run_2"]);
}

#[test]
fn a_schedule_can_grow_by_a_factor() {
    let early = resolve("early", &["train.max_iters=600"]).unwrap();
    let text = &early.datasets[0];
    assert_eq!(text.steps.as_slice(), [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600]);
    assert!(text.steps.is_log_spaced() && !resolve("laptop", &[]).unwrap().datasets[0].steps.is_log_spaced());
    // The star is quoted, so that a shell does not expand it.
    let command = |job: &Job| job.command("target/release");
    let snapshot = jobs("early").iter().find(|job| job.stage == StageName::Snapshot).map(command).unwrap();
    assert!(snapshot.contains("--steps '0,1-512*2,600-2000/100'"), "{snapshot}");
}

#[test]
fn the_tables_of_correlate_and_plot_follow_from_the_runs() {
    let jobs = jobs("smoke");
    let job = |stage: StageName| jobs.iter().find(|job| job.stage == stage).expect("a job");
    let (correlate, plot) = (job(StageName::Correlate), job(StageName::Plot));
    for table in ["onsets", "head_matches"] {
        let has = |files: &[std::path::PathBuf], run: u8| {
            let path = format!("{table}/dataset=shakespeare_char/run=run_{run}/{table}.parquet");
            files.iter().any(|file| file == Path::new(&path))
        };
        for run in 0..4 {
            assert_eq!((has(&correlate.outputs, run), has(&plot.inputs, run)), (run > 0, run > 0), "{table} {run}");
        }
    }
    for figure in ["head_trajectories", "correlations", "findings"] {
        let path = format!("plots/{figure}_shakespeare_char.pdf");
        assert!(plot.outputs.iter().any(|file| file == Path::new(&path)), "{figure}");
    }
    // It depends only on the tables that it reads.
    let reads = |table: &str| plot.inputs.iter().filter(|file| file.starts_with(table)).count();
    assert_eq!([reads("timings"), reads("checkpoints"), reads("sample_layers"), reads("tracking")], [0; 4]);
    // Of three runs, two seeds and four steps; samples and their scores of one run.
    assert_eq!([reads("head_metrics"), reads("baselines"), reads("attention")], [6, 3, 24]);
    assert_eq!([reads("samples"), reads("sample_scores")], [1, 2]);
}

/// A label can be any text and reaches the stages unchanged.
#[test]
fn a_label_survives_the_command_line() {
    let label = "plain parts=quality  a label=b 'x' \"y\" é";
    let text = PIPELINE.replace("label: Baseline", &format!("label: \"{}\"", label.replace('"', "\\\"")));
    let experiment: Experiment = yaml::parse(&text, "pipeline.yaml").unwrap();
    let study = Study::resolve(&experiment, "smoke", &[]).unwrap();
    let jobs = plan(&study, "artifacts", 1).unwrap();
    let correlate = jobs.iter().find(|job| job.stage == StageName::Correlate).unwrap();
    let words = std::iter::once("correlate".to_owned()).chain(correlate.flags());
    let job = declarations::Job::<declarations::correlate::Correlate>::parse(words).expect("a command line");
    assert_eq!(job.parameters.study.runs[0].label, label);
}

#[test]
fn runs_have_the_parts_that_their_parameters_give() {
    use Part::{Evaluation, Quality, Similarity, Snapshots, Tracking};
    let runs = resolve("laptop", &[]).unwrap().specification().runs;
    let parts: Vec<&[Part]> = runs.iter().map(|run| run.parts.as_slice()).collect();
    let all = [Evaluation, Tracking, Snapshots, Similarity, Quality];
    assert_eq!(parts, [1, 3, 4, 5].map(|count| &all[..count]));
}

#[test]
fn every_job_comes_after_its_dependencies() {
    let counts = [
        ("smoke", 1 + 2 * 18 + 2),
        ("laptop", 1 + 8 * 18 + 2),
        ("nanogpt", 1 + 3 * 18 + 2),
        ("early", 1 + 3 * 18 + 2),
        ("control", 3 + 3 * 3 * 5 + 2),
        ("paper", 3 + 5 * 18 + 2),
    ];
    for (profile, count) in counts {
        let jobs = jobs(profile);
        assert_eq!(jobs.len(), count, "{profile}");
        for (position, job) in jobs.iter().enumerate() {
            assert!(job.dependencies.iter().all(|before| *before < position), "{}", job.name());
            // Every input is the output of one job.
            for input in &job.inputs {
                let writers = jobs.iter().filter(|writer| writer.outputs.contains(input)).count();
                assert_eq!(writers, 1, "{} reads {}", job.name(), input.display());
            }
            assert!(job.outputs.iter().all(|output| job.owned_folders.iter().any(|folder| output.starts_with(folder))));
        }
        // No two jobs write the same file, and no job removes another's files.
        for (position, job) in jobs.iter().enumerate() {
            for other in &jobs[..position] {
                let apart = |one: &Job, other: &Job| {
                    one.owned_folders
                        .iter()
                        .all(|folder| other.owned_folders.iter().all(|theirs| !theirs.starts_with(folder)))
                };
                assert!(apart(job, other) && apart(other, job), "{} and {}", job.name(), other.name());
            }
        }
    }
}

#[test]
fn commands_can_be_pasted() {
    let jobs = jobs("laptop");
    let command = |stage: StageName, run: Option<&str>| {
        let job = jobs.iter().find(|job| job.stage == stage && job.run.as_deref() == run).expect("a job");
        job.command("target/release")
    };
    assert_eq!(
        command(StageName::Prep, None),
        "target/release/prep --artifacts artifacts/laptop --dataset shakespeare_char --data data --threads 1"
    );
    assert_eq!(
        command(StageName::Train, Some("run_0")),
        "target/release/train --artifacts artifacts/laptop --dataset shakespeare_char --run run_0 --seed 1337 \
         --checkpoint-steps 0,2000 --n-layer 6 --n-head 4 --n-embd 128 --block-size 64 --bias false --dropout 0 \
         --batch-size 12 --gradient-accumulation-steps 1 --precision float32 --max-iters 2000 --learning-rate 0.001 \
         --min-lr 0.0001 --warmup-iters 100 --weight-decay 0.1 --beta1 0.9 --beta2 0.99 --grad-clip 1 \
         --eval-interval 100 --eval-iters 20 --log-interval 10 --tracking false --device cpu --threads 1"
    );
    let tracked = command(StageName::Train, Some("run_1"));
    assert!(
        tracked.contains("--checkpoint-steps 0,50,100-2000/100") && tracked.contains("--tracking true"),
        "{tracked}"
    );
    assert_eq!(
        command(StageName::Snapshot, Some("run_1")),
        "target/release/snapshot --artifacts artifacts/laptop --dataset shakespeare_char --run run_1 --seed 1337 \
         --steps 0,50,100-2000/100 --val-windows 8 --repeat-windows 4 --device cpu --threads 1 --shared-by run_2,run_3"
    );
    assert_eq!(
        command(StageName::Metrics, Some("run_2")),
        "target/release/metrics --artifacts artifacts/laptop --dataset shakespeare_char --run run_2 --seed 1337 \
         --steps 0,50,100-2000/100 --layer-similarity true --threads 1 --shared-by run_3"
    );
    let generate = "--samples 10 --length 500 --temperature 0.8 --top-k 200 --context-policy";
    assert_eq!(
        command(StageName::Generate, Some("run_0")),
        format!(
            "target/release/generate --artifacts artifacts/laptop --dataset shakespeare_char --run run_0 --seed 1337 \
             --steps 2000 {generate} exact --score false --track false --kept-samples 1 --kept-steps last --device cpu \
             --threads 1"
        )
    );
    assert!(
        command(StageName::Generate, Some("run_3"))
            .contains(&format!("--steps 0,50,100-2000/100 {generate} rollover --score true --track true"))
    );
    let run = |number: u8, label: &str, parts: &str| {
        format!(r#"{{"name":"run_{number}","label":"{label}","parts":[{parts}]}}"#)
    };
    let study = format!(
        r#"--study '{{"datasets":[{{"name":"shakespeare_char","seeds":[1337,1338,1339,1340,1341,1342,1343,1344],"steps":"0,50,100-2000/100","eval_interval":100}}],"runs":[{}]}}'"#,
        [
            run(0, "Baseline", r#""evaluation""#),
            run(1, "Attention tracking", r#""evaluation","tracking","snapshots""#),
            run(2, "Cross-layer analysis", r#""evaluation","tracking","snapshots","similarity""#),
            run(3, "Generation quality", r#""evaluation","tracking","snapshots","similarity","quality""#),
        ]
        .join(",")
    );
    assert_eq!(
        command(StageName::Correlate, None),
        format!("target/release/correlate --artifacts artifacts/laptop {study} --permutations 10000 --threads 1")
    );
    assert_eq!(
        command(StageName::Plot, None),
        format!(
            "target/release/plot --artifacts artifacts/laptop {study} --width page --theme light --titles true --threads 1"
        )
    );
}

#[test]
fn a_custom_dataset_is_passed_to_prep() {
    let text = PIPELINE.replace(
        "  text8: {}\n",
        "  text8: {}\n  mine: { source: a b.txt, encoding: bytes, train_fraction: 0.8, val_fraction: 0.1 }\n",
    );
    let experiment: Experiment = yaml::parse(&text, "pipeline.yaml").unwrap();
    let study = Study::resolve(&experiment, "smoke", &["datasets=[mine]".to_owned()]).unwrap();
    let jobs = plan(&study, "artifacts", 1).unwrap();
    assert_eq!(
        jobs[0].command("bin"),
        "bin/prep --artifacts artifacts --dataset mine --source 'a b.txt' --encoding bytes --train-fraction 0.8 \
         --val-fraction 0.1 --data data --threads 1"
    );
    let [source] = jobs[0].external_inputs.as_slice() else { panic!("one file from outside") };
    assert_eq!((source.role.as_str(), source.path.as_path()), ("source", Path::new("a b.txt")));
    assert_eq!(source.key, "datasets.mine.source");
}

/// A file as nanoGPT saves it after 40 steps, of a model of one layer without weights but those that show its shape.
fn checkpoint(path: &Path) {
    let tensor = |(name, shape): (&str, &[usize])| nanogpt_files::Tensor {
        name: format!("transformer.{name}.weight"),
        shape: shape.to_vec(),
        values: vec![0.0; shape.iter().product()],
    };
    let shapes: [(&str, &[usize]); 3] = [("wte", &[65, 8]), ("wpe", &[12, 8]), ("h.0.mlp.c_fc", &[32, 8])];
    let tensors: Vec<nanogpt_files::Tensor> = shapes.into_iter().map(tensor).collect();
    let model = nanogpt_files::ModelArgs {
        n_layer: 1,
        n_head: 2,
        n_embd: 8,
        block_size: 12,
        vocab_size: 65,
        bias: false,
        dropout: 0.0,
    };
    let state = nanogpt_files::State { model, step: 40, best_val_loss: None, dataset: "mine".to_owned() };
    std::fs::write(path, nanogpt_files::ckpt(&tensors, &state).unwrap()).unwrap();
}

#[test]
fn a_checkpoint_from_elsewhere_takes_the_place_of_training() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ckpt.pt");
    checkpoint(&path);
    let import = format!("import.checkpoints={}", path.display());
    let refused = resolve("smoke", &[&import]).unwrap_err();
    assert!(refused.contains("{seed}") && refused.contains("--set seeds=[1337]"), "{refused}");

    let study = resolve("smoke", &[&import, "seeds=[7]"]).unwrap();
    // What the file says, and not what the profile says.
    assert_eq!(study.datasets[0].steps.as_slice(), [40]);
    assert_eq!(study.datasets[0].runs[0].sections.train.block_size, 12);
    let jobs = plan(&study, "artifacts", 1).unwrap();
    assert!(jobs.iter().all(|job| job.stage != StageName::Train));
    let imports: Vec<&Job> = jobs.iter().filter(|job| job.stage == StageName::Import).collect();
    assert_eq!(imports.len(), 4, "one for each run");
    assert!(imports.iter().all(|job| job.duplicates.len() == 3), "which are the same");
    assert_eq!(imports[0].external_inputs[0].path, path);
    assert!(!imports[0].config.contains_key("checkpoints"), "its content decides, wherever it lies");
    let flags = |stage: StageName| jobs.iter().find(|job| job.stage == stage).unwrap().flags().join(" ");
    assert!(flags(StageName::Snapshot).contains("--steps 40 ") && flags(StageName::Generate).contains("--steps 40 "));

    // A series: its steps are those of the snapshots.
    checkpoint(&folder.path().join("7_20.pt"));
    let series = format!("import.checkpoints={}/{{seed}}_{{step}}.pt", folder.path().display());
    let study = resolve("smoke", &[&series, "seeds=[7]", "snapshot.steps=0,10,20"]).unwrap();
    assert_eq!(study.datasets[0].steps.as_slice(), [0, 10, 20]);
    let jobs = plan(&study, "artifacts", 1).unwrap();
    let import = jobs.iter().find(|job| job.stage == StageName::Import).unwrap();
    assert_eq!(import.external_inputs[1].path, folder.path().join("7_10.pt"));

    let missing =
        Study::resolve(&experiment(), "smoke", &["import.checkpoints=no.pt".to_owned(), "seeds=[7]".to_owned()]);
    let fault = missing.unwrap_err();
    assert!(fault.kind() == Kind::Input && fault.to_string().contains("import.checkpoints"), "{fault}");
}
