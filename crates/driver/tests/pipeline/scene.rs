//! A folder for the driver, with shell scripts as stages that write the outputs that the plan states.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use declarations::StageName;
use driver::experiment::Experiment;
use driver::plan::{Job, plan};
use driver::study::Study;
use driver::yaml;
use schemas::tables::{Findings, Lineage, Results, TrainingLog};
use schemas::{Artifacts, Partition, Provenance};

pub(crate) const PIPELINE: &str = include_str!("../../../../pipeline.yaml");

/// A folder with a pipeline.yaml and scripts for the jobs of the profile `smoke`.
pub(crate) struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let scene = Self { folder: tempfile::tempdir().unwrap() };
        let text = PIPELINE.replace("  text8: {}\n", "  text8: {}\n  mine: { source: mine.txt }\n");
        fs::write(scene.path("pipeline.yaml"), &text).unwrap();
        fs::create_dir(scene.path("programs")).unwrap();
        fs::create_dir(scene.path("data")).unwrap();
        fs::write(scene.path("data/download"), "keep me").unwrap();
        let experiment: Experiment = yaml::parse(&text, "pipeline.yaml").unwrap();
        let mut jobs = Vec::new();
        let settings = [
            "",
            "datasets=[mine]",
            "train.max_iters=10",
            "seeds=[1337]",
            "runs=[run_0]",
            "datasets=[shakespeare_char, mine]",
        ];
        for settings in settings.map(|setting| if setting.is_empty() { vec![] } else { vec![setting.to_owned()] }) {
            let study = Study::resolve(&experiment, "smoke", &settings).unwrap();
            jobs.push(plan(&study, "artifacts/smoke", 1).unwrap());
        }
        let jobs: Vec<Job> = jobs.into_iter().flatten().collect();
        for stage in StageName::ALL {
            scene.program(stage.word(), &jobs);
        }
        scene.write_study();
        scene
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    /// A script that logs its command, and writes each output with the flags that decide as its content.
    fn program(&self, stage: &str, jobs: &[Job]) {
        let mut script = format!(
            "#!/bin/bash\nset -e\ncd '{}'\nall=\"$*\"\nflags=\"${{all% --threads *}}\"\n\
             flags=\"${{flags/,\\\"missing\\\":\\[*\\]\\}}/\\}}}}\"\n\
             [[ \"$flags\" == *'--source texts/mine.txt'* ]] && flags=\"${{flags/texts\\/mine.txt/mine.txt}}\"\necho \"{stage} $flags\" >>log\n\
             if [ -e fail_{stage} ] || {{ [[ \"$flags\" == *'--seed 1338'* ]] && [ -e fail_{stage}_1338 ]; }}; then echo '{{\"kind\":\"failed\",\"text\":\"no luck\"}}' >&2; exit 3; fi\n\
             echo '{{\"kind\":\"progress\",\"label\":\"working\",\"done\":1,\"total\":2,\"note\":\"loss 2.1\"}}' >&2\n\
             put() {{ mkdir -p \"$(dirname \"$1\")\"; if [ -e \"real/$1\" ]; then cp \"real/$1\" \"$1.tmp\"; \
             else echo \"$flags\" >\"$1.tmp\"; fi; mv \"$1.tmp\" \"$1\"; }}\n\
             case \"$flags\" in\n",
            self.folder.path().display()
        );
        for job in jobs.iter().filter(|job| job.stage.word() == stage) {
            let flags = job.flags().join(" ");
            let flags = flags.split(" --threads").next().unwrap();
            script += &format!("'{flags}')\n");
            for (position, output) in job.outputs.iter().enumerate() {
                let output = format!("artifacts/smoke/{}", output.display());
                script += &match stage {
                    "correlate" => {
                        format!("put {output}\ncp study/$(basename {output}) {output} 2>/dev/null || true\n")
                    }
                    _ => format!("put {output}\n"),
                };
                if position == 0 {
                    script += &format!("if [ -e slow_{stage} ]; then echo $$ >slow_pid; exec sleep 60; fi\n");
                }
            }
            script += ";;\n";
        }
        script += "*) echo \"no such job: $flags\" >&2; exit 1;;\nesac\n";
        let path = self.path("programs").join(stage);
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The tables that `correlate` copies to their places.
    fn write_study(&self) {
        let artifacts = Artifacts::new(self.path("made"));
        let provenance = Provenance::new("correlate", 1, serde_json::json!({}));
        let results = Results {
            dataset: "shakespeare_char".into(),
            run: "run_0".into(),
            label: "Baseline".into(),
            training_of: "run_0".into(),
            seeds: 2,
            final_train_loss_mean: 1.75,
            final_train_loss_stderr: Some(0.25),
            best_val_loss_mean: 1.9,
            best_val_loss_stderr: None,
            best_val_loss_steps: vec![20, 20],
            split_val_loss_mean: Some(1.95),
            split_val_loss_stderr: None,
            split_test_loss_mean: None,
            split_test_loss_stderr: None,
            total_train_time_secs_mean: 90.0,
            total_train_time_secs_stderr: Some(1.0),
            inference_tokens_per_sec_mean: 4000.0,
            inference_tokens_per_sec_stderr: None,
        };
        let findings = Findings {
            run: "run_3".into(),
            claim: "entropy_falls".into(),
            statement: "attention becomes more focused".into(),
            statistic: "spearman".into(),
            value: Some(-0.5),
            low: Some(-0.75),
            high: Some(-0.25),
            threshold_low: None,
            threshold_high: Some(0.0),
            p_value: Some(0.001),
            p_adjusted: Some(0.01),
            verdict: schemas::enums::Verdict::Supported,
            reason: "the interval lies below 0".into(),
            n: 2,
            bootstrap_low: None,
            bootstrap_high: None,
            detectable: None,
            seeds_needed: None,
            sensitivity: None,
        };
        let partition = Partition::dataset("shakespeare_char");
        artifacts.write(&Partition::study(), &provenance, &[results]).unwrap();
        artifacts.write(&partition, &provenance, &[findings]).unwrap();
        fs::create_dir(self.path("study")).unwrap();
        let made = [artifacts.path::<Results>(&partition).unwrap(), artifacts.path::<Findings>(&partition).unwrap()];
        for path in made {
            fs::rename(&path, self.path("study").join(path.file_name().unwrap())).unwrap();
        }
    }

    pub(crate) fn command(&self, flags: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_driver"));
        command.args(["--profile", "smoke", "--programs", "programs"]).args(flags).current_dir(self.folder.path());
        command
    }

    pub(crate) fn run(&self, flags: &[&str]) -> Said {
        Said::of(self.command(flags).output().unwrap())
    }

    pub(crate) fn run_well(&self, flags: &[&str]) -> Said {
        let said = self.run(flags);
        assert_eq!(said.code, Some(0), "{}\n{}", said.out, said.err);
        said
    }

    /// Starts the driver and waits until a stage sleeps.
    pub(crate) fn start_slow(&self, stage: &str) -> Child {
        self.start_slow_by(stage, self.command(&["--jobs", "1"]))
    }

    /// Starts the driver by a command and waits until a stage sleeps.
    pub(crate) fn start_slow_by(&self, stage: &str, mut command: Command) -> Child {
        fs::write(self.path(&format!("slow_{stage}")), "").unwrap();
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        wait_until(|| self.has("slow_pid"));
        fs::remove_file(self.path(&format!("slow_{stage}"))).unwrap();
        child
    }

    /// Makes trainings write a real table, whose footer names the runs that share it.
    pub(crate) fn writes_tables(&self) {
        self.writes_tables_of(&[
            ("run_0", 1337, &[]),
            ("run_1", 1337, &["run_2", "run_3"]),
            ("run_2", 1337, &["run_1", "run_3"]),
            ("run_1", 1338, &["run_0", "run_2", "run_3"]),
        ]);
    }

    /// The same with trainings of these runs and seeds, and the runs that share them.
    pub(crate) fn writes_tables_of(&self, trainings: &[(&str, u64, &[&str])]) {
        let artifacts = Artifacts::new(self.path("real/artifacts/smoke"));
        for &(run, seed, shared_by) in trainings {
            let shared_by: Vec<String> = shared_by.iter().map(|run| (*run).to_owned()).collect();
            let provenance = Provenance::new("train", 1, serde_json::json!({})).shared_by(&shared_by);
            let partition = Partition::dataset("shakespeare_char").run(run).seed(seed);
            let rows = [TrainingLog { step: 0, loss: 4.0, learning_rate: 1e-3, grad_norm: 1.0 }];
            artifacts.write(&partition, &provenance, &rows).unwrap();
        }
    }

    /// Makes the record of a job say that it took so many seconds.
    pub(crate) fn took(&self, job: &str, seconds: f64) {
        let path = self.path("artifacts/smoke/.state.json");
        let mut state: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        state[job]["seconds"] = seconds.into();
        fs::write(path, state.to_string()).unwrap();
    }

    /// The commands that were run since the last time, one a line.
    pub(crate) fn ran(&self) -> Vec<String> {
        let log = fs::read_to_string(self.path("log")).unwrap_or_default();
        let _ = fs::remove_file(self.path("log"));
        log.lines().map(str::to_owned).collect()
    }

    pub(crate) fn lineage(&self) -> Vec<Lineage> {
        Artifacts::new(self.path("artifacts/smoke")).read::<Lineage>(&Partition::study()).unwrap().rows
    }
}

pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    #[track_caller]
    pub(crate) fn has(&self, text: &str) {
        assert!(self.err.contains(text) || self.out.contains(text), "no `{text}` in\n{}\n{}", self.out, self.err);
    }
}

#[track_caller]
pub(crate) fn wait_until(holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(20), "it never happened");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

pub(crate) fn alive(pid: &str) -> bool {
    Path::new("/proc").join(pid.trim()).exists()
}
