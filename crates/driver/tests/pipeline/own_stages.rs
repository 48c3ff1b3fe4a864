//! Stages of the user's own, which are shell scripts here.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::scene::{PIPELINE, Scene, wait_until};

/// A stage with a job per training, and one that reads what it writes.
const STAGES: &str = "
own_stages:
  total:
    about: How much was counted
    command: [mine/count.sh]
    per: study
    reads: [counted, results]
    writes: [totals]
  count:
    about: Counts its inputs
    command: [bash, mine/count.sh, --fast]
    per: training
    reads: [head_metrics, vocabulary]
    writes: [counted, counted.svg]
    parameters: { word: \"a,b\", limit: 3, log_scale: false, device: cpu }
";

/// Writes what it was told, and how many inputs it has, in something that looks like a table.
const SCRIPT: &str = r#"#!/bin/bash
set -e
[ "$1" = --fast ] && shift
words=
while [ $# -gt 0 ]; do
    case $1 in
    --output) output=$2 ;;
    --inputs) inputs=$2 ;;
    --artifacts | --threads) ;;
    *) words+=" $1 $2" ;;
    esac
    shift 2
done
echo "count$words" >>own_log
cut -f2 "$inputs" | xargs cat >/dev/null
[ ! -e fail_own ] || { echo 'one' >&2; echo 'no such word' >&2; exit 7; }
name=counted
[[ "$words" == *--run* ]] || name=totals
[ -e lazy_own ] || printf 'PAR1 %s inputs%s PAR1' "$(wc -l <"$inputs")" "$words" >"$output/$name.parquet"
[ ! -e damaged_own ] || printf 'PAR1' >"$output/$name.parquet"
if [ -e slow_own ]; then echo $$ >slow_pid; exec sleep 60; fi
[ $name = totals ] || echo '<svg></svg>' >"$output/counted.svg"
[ ! -e chatty_own ] || echo note >"$output/notes.txt"
"#;

const TABLE: &str = "artifacts/smoke/counted/dataset=shakespeare_char/run=run_2/seed=1338/counted.parquet";
const FIGURE: &str = "artifacts/smoke/files/count/dataset=shakespeare_char/run=run_2/seed=1338/counted.svg";
const TOTALS: &str = "artifacts/smoke/totals/totals.parquet";
/// Trainings with metrics: three runs with two seeds.
const TRAININGS: usize = 6;

impl Scene {
    /// A scene with these stages.
    pub(crate) fn with_own_stages() -> Self {
        let scene = Self::new();
        fs::create_dir(scene.path("mine")).unwrap();
        fs::write(scene.path("mine/count.sh"), SCRIPT).unwrap();
        fs::set_permissions(scene.path("mine/count.sh"), fs::Permissions::from_mode(0o755)).unwrap();
        scene.declare(STAGES);
        scene
    }

    /// Replaces the stages.
    fn declare(&self, stages: &str) {
        fs::write(self.path("pipeline.yaml"), format!("{PIPELINE}{stages}")).unwrap();
    }

    /// The commands of the user's own that were run since the last time, sorted.
    pub(crate) fn own_ran(&self) -> Vec<String> {
        let log = fs::read_to_string(self.path("own_log")).unwrap_or_default();
        let _ = fs::remove_file(self.path("own_log"));
        let mut lines: Vec<String> = log.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }
}

#[test]
fn a_stage_of_ones_own_runs_once_after_what_it_reads() {
    let scene = Scene::with_own_stages();
    let said = scene.run_well(&["--verbose"]);
    said.has(
        "  bash mine/count.sh --fast --artifacts artifacts/smoke --dataset shakespeare_char --run run_2 --seed 1338 --word a,b \
         --limit 3 --log-scale false --device cpu \
         --inputs artifacts/smoke/.tmp/own/count/shakespeare_char/run_2/1338/inputs.tsv \
         --output artifacts/smoke/.tmp/own/count/shakespeare_char/run_2/1338/output --threads",
    );
    said.has("✓ count shakespeare_char/run_2/1338 · ");
    said.has("Files    artifacts/smoke/files/count\n");
    let ran = scene.own_ran();
    assert_eq!(ran.len(), TRAININGS + 1, "{ran:?}");
    let words =
        "--dataset shakespeare_char --run run_2 --seed 1338 --word a,b --limit 3 --log-scale false --device cpu";
    assert_eq!(scene.read(TABLE), format!("PAR1 2 inputs {words} PAR1"), "head_metrics and vocabulary");
    assert_eq!(scene.read(FIGURE), "<svg></svg>\n");
    assert_eq!(scene.read(TOTALS), "PAR1 7 inputs PAR1", "six trainings and the results");
    assert!(!scene.has("artifacts/smoke/.tmp/own/count/shakespeare_char/run_2/1338"));
    let lineage = scene.lineage();
    let row = lineage.iter().find(|row| row.node == "count shakespeare_char/run_2/1338").unwrap();
    assert!(row.stage == "count" && row.command.starts_with("bash mine/count.sh --fast --artifacts"), "{row:?}");
    let views = scene.read("artifacts/smoke/artifacts.sql");
    assert!(views.contains("CREATE OR REPLACE VIEW \"counted\" AS FROM read_parquet('counted/dataset=*/run=*/seed=*/"));
    assert!(views.contains("COMMENT ON VIEW \"totals\" IS 'How much was counted';"), "{views}");

    scene.ran();
    scene.run_well(&[]).has("· total · up to date");
    assert!(scene.ran().is_empty() && scene.own_ran().is_empty());
    // Without records the lineage is used.
    fs::remove_file(scene.path("artifacts/smoke/.state.json")).unwrap();
    scene.run_well(&["--from", "count"]).has("· total · up to date (by lineage)");
    assert!(scene.own_ran().is_empty());
}

#[test]
fn parameters_of_ones_own_follow_profile_dataset_run_and_set() {
    let scene = Scene::with_own_stages();
    let own = |value: &str| format!("own_stages: {{ count: {{ parameters: {{ {value} }} }} }}");
    let text = PIPELINE
        .replace(
            "seeds: [1337, 1338]\n    train:",
            &format!("seeds: [1337, 1338]\n    {}\n    train:", own("word: profile, limit: 7")),
        )
        .replace(
            "train: { tracking: true }               #",
            &format!("train: {{ tracking: true }}\n    {} #", own("word: run")),
        );
    fs::write(scene.path("pipeline.yaml"), text + STAGES).unwrap();
    let only = ["--seed", "1338", "--until", "count"];
    scene.run_well(
        &[&only[..], &["--set", "per_dataset.shakespeare_char.own_stages.count.parameters.limit=null"]].concat(),
    );
    let ran = scene.own_ran();
    assert!(ran[0].ends_with("--run run_1 --seed 1338 --word run --log-scale false --device cpu"), "{ran:?}");
    assert!(ran[1].ends_with("--run run_2 --seed 1338 --word profile --log-scale false --device cpu"), "{ran:?}");
    // Where it computes changes nothing.
    let set = |value: &str| format!("own_stages.count.parameters.{value}");
    let said = scene.run_well(&[&only[..], &["--set", &set("device=cuda")]].concat());
    said.has("count shakespeare_char/run_2/1338 · run: parameter limit changed: unset → 7\n");
    let said = scene.run_well(&[&only[..], &["--set", &set("device=vulkan"), "--set", &set("word=set")]].concat());
    said.has("count shakespeare_char/run_1/1338 · run: parameter word changed: run → set\n");
    assert_eq!(scene.own_ran().len(), 6);
}

#[test]
fn versions_inputs_and_outputs_decide_and_an_edited_program_is_noted() {
    let scene = Scene::with_own_stages();
    scene.run_well(&[]);
    scene.own_ran();
    fs::write(scene.path("mine/count.sh"), format!("{SCRIPT}\n# edited\n")).unwrap();
    let note = "note: the program of count changed since 6 jobs ran that count as up to date: raise `own_stages.count.version`";
    for flags in [&[][..], &["--dry-run"], &["status"]] {
        scene.run_well(flags).has(note);
    }
    assert!(scene.own_ran().is_empty());
    scene.run_well(&["--rerun-triggers", "program"]).has("count shakespeare_char/run_2/1338 · run: program changed");
    assert_eq!(scene.own_ran().len(), TRAININGS + 1);
    assert!(!scene.run_well(&["status"]).out.contains("note:"));

    scene.declare(&STAGES.replace("    per: training\n", "    per: training\n    version: 2\n"));
    let said = scene.run_well(&[]);
    said.has("count shakespeare_char/run_2/1338 · run: version changed: results 1 → results 2");
    assert_eq!(scene.own_ran().len(), TRAININGS, "the same bytes again, so nothing else follows");
    fs::write(scene.path(FIGURE), "edited").unwrap();
    let said = scene.run_well(&[]);
    said.has("run: output files/count/dataset=shakespeare_char/run=run_2/seed=1338/counted.svg changed");
    let input = "artifacts/smoke/head_metrics/dataset=shakespeare_char/run=run_2/seed=1338/head_metrics.parquet";
    fs::write(scene.path(input), "other").unwrap();
    scene.own_ran();
    // The stage before makes its table again, with other bytes than it has now and the same as before.
    scene.run_well(&["--dry-run"]).has("\ncount shakespeare_char/run_2/1338 · run if the output of metrics");
    scene.run_well(&["--only", "count"]).has("head_metrics.parquet changed");
    assert_eq!(scene.own_ran().len(), 1);
}

#[test]
fn what_fails_says_its_last_line_and_the_results_do_not_need_it() {
    let scene = Scene::with_own_stages();
    fs::write(scene.path("fail_own"), "").unwrap();
    let said = scene.run(&["--jobs", "1"]);
    assert_eq!(said.code, Some(3), "{}", said.err);
    said.has(
        "✗ count shakespeare_char/run_1/1337: exited with code 7: no such word\n  command: bash mine/count.sh --fast",
    );
    said.has("· total · not run: it needs count shakespeare_char/run_");
    said.has("Report   artifacts/smoke/report/index.html");
    assert!(!said.err.contains("the results are without") && !scene.has(TABLE));
    scene.run_well(&["logs", "count", "shakespeare_char/run_2/1338"]).has("one\nno such word\n✗ failed after");
    scene.run_well(&["status"]).has("count           0        0      0       6");
    fs::remove_file(scene.path("fail_own")).unwrap();
    scene.run_well(&[]).has("count shakespeare_char/run_2/1338 · run: failed before");

    // What a new version cannot replace stays.
    scene.own_ran();
    fs::write(scene.path("fail_own"), "").unwrap();
    scene.declare(&STAGES.replace("    per: training\n", "    per: training\n    version: 2\n"));
    assert_eq!(scene.run(&[]).code, Some(3));
    assert!(scene.has(TABLE) && scene.has(FIGURE));
    fs::remove_file(scene.path("fail_own")).unwrap();
    scene.declare(STAGES);
    scene.own_ran();
    scene.run_well(&[]);
    assert!(scene.own_ran().is_empty());
}

#[test]
fn a_stage_of_the_study_does_without_trainings_that_failed() {
    let scene = Scene::with_own_stages();
    fs::write(scene.path("fail_metrics_1338"), "").unwrap();
    let said = scene.run(&[]);
    assert_eq!(said.code, Some(3), "{}", said.err);
    said.has("total: without count shakespeare_char/run_");
    said.has("the results are without seed 1338 of shakespeare_char");
    assert_eq!(scene.read(TOTALS), "PAR1 4 inputs PAR1", "three trainings and the results");
    fs::remove_file(scene.path("fail_metrics_1338")).unwrap();
    scene.run_well(&[]);
    assert_eq!(scene.read(TOTALS), "PAR1 7 inputs PAR1");
}

#[test]
fn what_is_not_complete_is_not_there() {
    let scene = Scene::with_own_stages();
    scene.run_well(&["--until", "metrics"]);
    let narrow = ["--only", "count", "--run", "run_2", "--seed", "1338"];
    for (fault, words) in [
        ("lazy_own", "exited 0 but did not write counted.parquet in the folder of --output"),
        ("damaged_own", "exited 0 but wrote counted.parquet, which is no complete Parquet file"),
    ] {
        fs::write(scene.path(fault), "").unwrap();
        let said = scene.run(&narrow);
        assert_eq!(said.code, Some(3), "{}", said.err);
        said.has(words);
        assert!(!scene.has(TABLE) && !scene.has(FIGURE));
        fs::remove_file(scene.path(fault)).unwrap();
    }
    // Killed when one of two files is written.
    fs::write(scene.path("slow_own"), "").unwrap();
    let mut driver = scene.command(&narrow).spawn().unwrap();
    wait_until(|| scene.has("slow_pid"));
    driver.kill().unwrap();
    driver.wait().unwrap();
    assert!(!scene.has(TABLE) && !scene.has(FIGURE));
    assert!(scene.has("artifacts/smoke/.tmp/own/count/shakespeare_char/run_2/1338/output/counted.parquet"));
    fs::remove_file(scene.path("slow_own")).unwrap();
    fs::write(scene.path("chatty_own"), "").unwrap();
    let said = scene.run_well(&narrow);
    said.has("count shakespeare_char/run_2/1338 · run: was interrupted");
    said.has("wrote notes.txt, too, which `writes` does not list: not kept");
    assert!(scene.has(TABLE) && scene.has(FIGURE));
    scene.own_ran();
    scene.run_well(&narrow).has("up to date");
    assert!(scene.own_ran().is_empty());
}

#[test]
fn every_command_knows_a_stage_of_ones_own() {
    let scene = Scene::with_own_stages();
    scene
        .run_well(&["--dry-run"])
        .has("\ncount shakespeare_char/run_1/1337 · run: prep shakespeare_char runs first\n  bash mine");
    scene.run_well(&["--list"]).has("own stages\n  total  How much was counted\n  count  Counts its inputs\n");
    scene.run_well(&["graph"]).has("  \"count\" -> \"total\";\n");
    scene.run_well(&["--until", "metrics", "--seed", "1338"]);
    assert!(scene.own_ran().is_empty());
    scene.run_well(&["--only", "count", "--seed", "1338"]);
    assert_eq!(scene.own_ran().len(), 3);
    scene.run_well(&[]);
    scene
        .run_well(&["explain", TABLE])
        .has("job count shakespeare_char/run_2/1338\n  command bash mine/count.sh --fast");
    scene.run_well(&["explain", TOTALS]).has("    from head_metrics/dataset=shakespeare_char/run=run_2/seed=1338/");
    scene.run_well(&["clean"]).has("every file belongs to the study");
    scene.declare("");
    scene.run_well(&["clean"]).has("totals.parquet");
    scene.declare(STAGES);
    let said = scene.run(&["--only", "cuont"]);
    assert_eq!(said.code, Some(2));
    said.has("--only cuont: there is no stage `cuont` (did you mean `count`?); there are prep, train");
}

#[test]
fn a_declaration_that_cannot_be_is_refused_with_its_line() {
    let scene = Scene::with_own_stages();
    let above = PIPELINE.lines().count();
    let refused = |old: &str, new: &str, line: usize, said: &str| {
        assert!(STAGES.contains(old), "{old}");
        scene.declare(&STAGES.replace(old, new));
        let output = scene.run(&["--dry-run"]);
        assert_eq!(output.code, Some(2), "{}\n{}", output.out, output.err);
        output.has(&format!("error: pipeline.yaml, line {}: {said}", above + line - 1));
    };
    let count = |key: &str| format!("`own_stages.count{key}`: ");
    let of = |key: &str, said: &str| count(key) + said;
    refused(
        "[head_metrics, ",
        "[head_metric, ",
        14,
        &of(".reads", "no stage writes a table `head_metric` (did you mean `head_metrics`?)"),
    );
    refused(
        "[counted, counted.svg]",
        "[head_metrics]",
        15,
        &of(".writes", "`head_metrics`: the pipeline has this name"),
    );
    refused("[counted, counted.svg]", "[totals]", 15, &of(".writes", "another stage writes `totals`, too"));
    refused(
        "[counted, counted.svg]",
        "[counted.parquet]",
        15,
        &of(".writes", "`counted.parquet`: a table is named without"),
    );
    refused("[counted, counted.svg]", "[../x.svg]", 15, &of(".writes", "`../x.svg`: it names a folder"));
    refused("[head_metrics, ", "[totals, ", 8, "`own_stages.total.reads`: a cycle: `total`, `count` read what");
    refused("log_scale", "threads", 16, &of(".parameters.threads", "every stage has this flag"));
    refused("[bash, mine/count.sh, --fast]", "[]", 12, &of(".command", "is empty"));
    refused(
        "    per: training",
        "    runs: [run_4]\n    per: training",
        13,
        &of(".runs", "there is no `run_4` (did you mean"),
    );
    refused(
        "    per: training",
        "    runs: [run_0]\n    per: training",
        13,
        "`own_stages.count.runs`: run_0 does not write `head_metrics`",
    );
    refused(
        "    per: training",
        "    per: run",
        13,
        "`own_stages.count.per` must be one of dataset, training, study, found `per: run`",
    );
    refused("    per: training", "    pre: training", 13, "`own_stages.count.pre` is not known (did you mean `per`?)");
    refused("  count:\n", "  metrics:\n", 11, "`own_stages.metrics`: a name has lower-case letters");
    refused(
        "mine/count.sh]",
        "mine/cuont.sh]",
        6,
        "`own_stages.total.command`: mine/cuont.sh is missing (did you mean `count.sh`?)",
    );

    scene.declare(STAGES);
    let set = |setting: &str, said: &str| {
        let output = scene.run(&["--dry-run", "--set", setting]);
        assert_eq!(output.code, Some(2), "{}", output.err);
        output.has(said);
    };
    set("own_stages.cuont.parameters.word=x", "there is no `cuont` (did you mean `count`?)");
    set("own_stages.count.parameters.wrd=x", "there is no `wrd` (did you mean `word`?)");
    set("own_stages.count.parameters.limit=x", "must be a whole number as the default is, found `x`");
    set("own_stages.count.parameters.word=[a]", "own_stages.count.parameters.word");
    set("cluster.stages.cuont.cores=2", "there is no stage `cuont` (did you mean `count`?)");
    scene.run_well(&["--dry-run", "--set", "cluster.stages.count.cores=2"]);
    let text = PIPELINE.replace("  run_1:\n", "  run_1:\n    own_stages: { total: { parameters: {} } }\n");
    fs::write(scene.path("pipeline.yaml"), text + STAGES).unwrap();
    scene.run(&["--dry-run"]).has("`runs.run_1.own_stages.total`: `total` has one job for the whole study");
}

#[test]
fn a_stage_per_dataset_reads_all_its_trainings_and_is_omitted_where_some_are_left_out() {
    let scene = Scene::with_own_stages();
    let keys = "per: dataset\n    reads: [head_metrics, corpus]\n    writes: [totals]\n    runs: [run_2, run_3]";
    scene.declare(&format!("\nown_stages:\n  all:\n    command: [mine/count.sh]\n    {keys}\n"));
    scene
        .run_well(&["--seed", "1338"])
        .has("· all shakespeare_char · omitted: it needs the whole dataset, and `metrics");
    scene.run_well(&[]);
    let totals = scene.read("artifacts/smoke/totals/dataset=shakespeare_char/totals.parquet");
    assert_eq!(totals, "PAR1 7 inputs --dataset shakespeare_char PAR1", "four trainings and three splits");
}

#[test]
fn a_stage_that_nothing_feeds_has_no_job_and_says_so() {
    let scene = Scene::with_own_stages();
    scene
        .run_well(&["--set", "runs=[run_0]"])
        .has("`own_stages.count` has no job, since nothing here writes all that it reads");
    assert!(scene.own_ran().is_empty());
}
