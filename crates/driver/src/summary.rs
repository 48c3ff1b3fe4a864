//! Tables for the terminal: the results and findings of a study, and the entries of `pipeline.yaml`.

use std::fmt::Write;

use cli::number::{MISSING, estimate, integer, mean_stderr};
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width, presets};
use console::{Style, colors_enabled, measure_text_width};
use declarations::Fault;
use indexmap::IndexSet;
use schemas::enums::Verdict;
use schemas::tables::{Findings, Results, Vocabulary};
use schemas::{Alphabet, Artifacts, Error, Partition, Unit};

use crate::display;
use crate::experiment::Experiment;
use crate::study::Study;

/// Columns of a table's text where there is no terminal.
const LOG_WIDTH: u16 = 120;

/// The results, a row for each dataset and run, to fit a terminal of `width` columns if there is one.
///
/// # Errors
/// The table `results` cannot be read.
pub fn results(artifacts: &Artifacts, width: Option<u16>) -> Result<String, Fault> {
    let results = artifacts.read::<Results>(&Partition::study())?.rows;
    Ok(of_results(&results, unit(artifacts, &results), width))
}

/// A terminal of fewer columns gets no labels of runs, and no training losses.
const ENOUGH_FOR_LABELS: u16 = 120;

/// A column of results: its heading, whether there is room for it, and what it has of a row.
type Column<'results> = (&'results str, bool, &'results dyn Fn(&Results) -> Option<String>);

fn of_results(results: &[Results], unit: Unit, width: Option<u16>) -> String {
    let is_wide = width.is_none_or(|width| width >= ENOUGH_FOR_LABELS);
    let several = results.iter().any(|row| row.dataset != results[0].dataset);
    let speed = format!("{unit}s/s");
    let split = |mean: Option<f64>, stderr| mean.map(|mean| mean_stderr(mean, stderr, 4));
    let columns: [Column<'_>; 10] = [
        ("dataset", several, &|row| Some(row.dataset.clone())),
        ("run", true, &|row| Some(row.run.clone())),
        ("label", is_wide, &|row| Some(display::printable(&row.label).into_owned())),
        ("seeds", true, &|row| Some(integer(row.seeds))),
        ("train loss", is_wide, &|row| Some(mean_stderr(row.final_train_loss_mean, row.final_train_loss_stderr, 4))),
        ("best val loss", true, &|row| Some(mean_stderr(row.best_val_loss_mean, row.best_val_loss_stderr, 4))),
        ("whole val split", true, &|row| split(row.split_val_loss_mean, row.split_val_loss_stderr)),
        ("whole test split", true, &|row| split(row.split_test_loss_mean, row.split_test_loss_stderr)),
        ("train time, s", true, &|row| {
            Some(mean_stderr(row.total_train_time_secs_mean, row.total_train_time_secs_stderr, 1))
        }),
        (&speed, true, &|row| {
            Some(mean_stderr(row.inference_tokens_per_sec_mean, row.inference_tokens_per_sec_stderr, 0))
        }),
    ];
    // Columns of splits only where one has losses.
    let shown = columns.iter().filter(|(_, shown, of)| *shown && results.iter().any(|row| of(row).is_some()));
    let shown: Vec<_> = shown.collect();
    let mut rows = vec![shown.iter().map(|(heading, ..)| (*heading).to_owned()).collect::<Vec<_>>()];
    rows.extend(
        results.iter().map(|row| {
            shown.iter().map(|(_, _, of)| of(row).unwrap_or_else(|| MISSING.to_owned())).collect::<Vec<_>>()
        }),
    );
    let mut table = table(&rows, width);
    let first_number = shown.iter().position(|(heading, ..)| *heading == "seeds").unwrap_or(0);
    for number in table.column_iter_mut().skip(first_number) {
        number.set_cell_alignment(CellAlignment::Right);
    }
    let of_dataset = if several { "" } else { results.first().map_or("", |row| row.dataset.as_str()) };
    let on = if of_dataset.is_empty() { String::new() } else { format!(" on {of_dataset}") };
    let title = title(&format!("Results{on}: mean ± standard error over seeds, losses in nats"));
    format!("{title}\n{}\n{}", table.trim_fmt(), notes(results, unit, width))
}

/// What the losses are, and which runs share trainings with which.
fn notes(results: &[Results], unit: Unit, width: Option<u16>) -> String {
    let shared = results.iter().filter_map(|row| {
        let others: Vec<&str> = row.training_of.split(", ").filter(|run| *run != row.run).collect();
        (!others.is_empty()).then(|| format!("{} with {}", row.run, others.join(" and ")))
    });
    let shared: IndexSet<String> = shared.collect();
    let mut note = format!(
        "losses are per {unit}; the best val loss is the lowest during training, on random windows: compare models by whole splits"
    );
    if !shared.is_empty() {
        note += &format!("; trainings are shared: {}", Vec::from_iter(shared).join(", "));
    }
    format!("{}\n", table(&[[note]], width).trim_fmt())
}

/// What a loss is per: what a token is in every dataset of the results, or a token where they differ.
fn unit(artifacts: &Artifacts, results: &[Results]) -> Unit {
    let of = |row: &Results| {
        let vocabulary = artifacts.read::<Vocabulary>(&Partition::dataset(&row.dataset));
        vocabulary.map_or(Unit::Character, |loaded| Alphabet::new(&loaded.rows).unit())
    };
    let mut units: Vec<Unit> = results.iter().map(of).collect();
    units.dedup();
    match units[..] {
        [unit] => unit,
        _ => Unit::Token,
    }
}

/// The findings on each dataset, to fit a terminal of `width` columns if there is one: those that are decided with value and
/// reason, of the others the names, and how many there are of each verdict.
///
/// # Errors
/// A table `findings` cannot be read.
pub fn findings(artifacts: &Artifacts, study: &Study, width: Option<u16>) -> Result<String, Fault> {
    let mut text = String::new();
    for name in study.datasets.iter().map(|dataset| &dataset.name) {
        let findings = match artifacts.read::<Findings>(&Partition::dataset(name)) {
            // The dataset failed.
            Err(Error::Missing { .. }) => continue,
            read => read?.rows,
        };
        let title = title(&format!("Findings on {name} (value [95 % interval over seeds])"));
        // Writing to a string does not fail.
        let _ = write!(text, "{title}\n{}", verdicts(&findings, width.unwrap_or(LOG_WIDTH), colors_enabled()));
    }
    Ok(text)
}

/// In the order of the summary.
const VERDICTS: [Verdict; 4] = [Verdict::Supported, Verdict::Refuted, Verdict::Inconclusive, Verdict::NotTested];

/// The findings of one dataset, a row for each that is decided and for each other verdict.
fn verdicts(findings: &[Findings], width: u16, colored: bool) -> String {
    let (mut rows, mut counts) = (Vec::new(), Vec::new());
    for verdict in VERDICTS {
        let found: Vec<&Findings> = findings.iter().filter(|finding| finding.verdict == verdict).collect();
        if found.is_empty() {
            continue;
        }
        counts.push(format!("{} {}", integer(found.len()), in_words(verdict)));
        let row = |content: String| [label(verdict), content];
        if matches!(verdict, Verdict::Supported | Verdict::Refuted) {
            rows.extend(found.into_iter().map(|finding| {
                let value = estimate(finding.value, finding.low.zip(finding.high));
                row(format!("{}  {value}\n{}: {}", finding.claim, finding.statement, finding.reason))
            }));
        } else {
            let claims: Vec<String> = found.into_iter().map(with_seeds_needed).collect();
            rows.push(row(claims.join(", ")));
        }
    }
    let counts = if counts.is_empty() { "no claims".to_owned() } else { counts.join(", ") };
    let needed = if findings.iter().any(|finding| finding.seeds_needed.is_some()) {
        "; in brackets the seeds that would decide, if the effect is as here"
    } else {
        ""
    };
    let closing =
        format!("{counts}{needed}; the values and reasons of all claims are in the report and in the table `findings`");
    // Colours come after the layout, which would count their codes as text.
    let lines = table(&rows, Some(width)).trim_fmt();
    let lines = lines.lines().map(|line| colored_line(line, colored)).collect::<Vec<_>>().join("\n");
    format!("{lines}\n{}\n", table(&[[closing]], Some(width)).trim_fmt())
}

/// A claim and, if it is known, how many seeds would decide it.
fn with_seeds_needed(finding: &Findings) -> String {
    match finding.seeds_needed {
        None => finding.claim.clone(),
        Some(seeds) => format!("{} ({})", finding.claim, integer(seeds)),
    }
}

/// What `pipeline.yaml` has to choose from: profiles, datasets and runs, and the stages of the user's own.
pub fn entries(experiment: &Experiment) -> String {
    let profiles = experiment.profiles.iter().map(|(name, profile)| [name.clone(), text(profile.about.as_ref())]);
    let datasets = experiment.datasets.iter().map(|(name, dataset)| [name.clone(), text(dataset.source.as_ref())]);
    let runs = experiment.runs.iter().map(|(name, run)| {
        let stages: Vec<String> = run.stages.iter().map(ToString::to_string).collect();
        [name.clone(), format!("{} ({})", run.label, stages.join(", "))]
    });
    let own = experiment.own_stages.iter().map(|(name, stage)| [name.clone(), stage.about.clone()]);
    let sections: [(&str, Vec<_>); 4] = [
        ("profiles", profiles.collect()),
        ("datasets", datasets.collect()),
        ("runs", runs.collect()),
        ("own stages", own.collect()),
    ];
    let sections = sections.iter().filter(|(_, rows)| !rows.is_empty());
    let section = |(title, rows): &(&str, Vec<_>)| format!("{title}\n{}", table(rows, None).trim_fmt());
    sections.map(section).collect::<Vec<_>>().join("\n")
}

fn text(value: Option<&String>) -> String {
    value.cloned().unwrap_or_default()
}

fn title(text: &str) -> String {
    Style::new().bold().apply_to(text).to_string()
}

fn in_words(verdict: Verdict) -> String {
    verdict.as_str().replace('_', " ")
}

/// A symbol and the verdict in words, so that nothing depends on the colour.
fn label(verdict: Verdict) -> String {
    let symbol = match verdict {
        Verdict::Supported => '✓',
        Verdict::Refuted => '✗',
        Verdict::Inconclusive => '?',
        Verdict::NotTested => '–',
    };
    format!("{symbol} {}", in_words(verdict))
}

fn style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Supported => Style::new().green(),
        Verdict::Refuted => Style::new().red(),
        Verdict::Inconclusive => Style::new().yellow(),
        Verdict::NotTested => Style::new().dim(),
    }
}

/// A line with the verdict that it begins with, if any, in its colour.
fn colored_line(line: &str, colored: bool) -> String {
    let text = line.trim_start();
    let found =
        VERDICTS.into_iter().find_map(|verdict| Some((verdict, label(verdict), text.strip_prefix(&label(verdict))?)));
    match found {
        Some((verdict, label, rest)) => {
            let blanks = &line[..line.len() - text.len()];
            format!("{blanks}{}{rest}", style(verdict).force_styling(colored).apply_to(label))
        }
        None => line.to_owned(),
    }
}

/// Rows in aligned columns without borders, wrapped to fit `width` if there is one: between words where that is wide enough.
fn table(rows: &[impl AsRef<[String]>], width: Option<u16>) -> Table {
    /// Blanks before each column.
    const GAP: u16 = 2;
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .add_rows(rows.iter().map(AsRef::as_ref));
    for column in table.column_iter_mut() {
        column.set_padding((GAP, 0));
    }
    let Some(width) = width else { return table };
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    let longest_word = |column: usize| {
        let words = rows.iter().filter_map(|row| row.as_ref().get(column)).flat_map(|cell| cell.split_whitespace());
        let longest = words.map(measure_text_width).max().unwrap_or(0);
        u16::try_from(longest).unwrap_or(u16::MAX).saturating_add(GAP)
    };
    let longest_word: Vec<u16> = (0..table.column_count()).map(longest_word).collect();
    if longest_word.iter().map(|width| u32::from(*width)).sum::<u32>() <= width.into() {
        for (column, least) in table.column_iter_mut().zip(longest_word) {
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(least)));
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows<const COLUMNS: usize>(rows: &[[&str; COLUMNS]]) -> Vec<[String; COLUMNS]> {
        rows.iter().map(|row| row.map(str::to_owned)).collect()
    }

    fn finding(claim: &str, verdict: Verdict) -> Findings {
        Findings {
            run: "run_3".to_owned(),
            claim: claim.to_owned(),
            statement: format!("{claim} in words"),
            statistic: "a statistic".to_owned(),
            value: Some(-0.994),
            low: Some(-0.999),
            high: Some(-0.970),
            threshold_low: None,
            threshold_high: Some(0.0),
            p_value: Some(0.001),
            p_adjusted: Some(0.01),
            verdict,
            reason: "the mean over three seeds and its 95 % interval are below the threshold".to_owned(),
            n: 3,
            bootstrap_low: None,
            bootstrap_high: None,
            detectable: None,
            seeds_needed: None,
            sensitivity: None,
        }
    }

    fn of_run(run: &str, training_of: &str) -> Results {
        Results {
            dataset: "shakespeare_char".to_owned(),
            run: run.to_owned(),
            label: "Generation quality".to_owned(),
            training_of: training_of.to_owned(),
            seeds: 20,
            final_train_loss_mean: 1.801_22,
            final_train_loss_stderr: Some(0.003_21),
            best_val_loss_mean: 1.9,
            best_val_loss_stderr: Some(0.004),
            best_val_loss_steps: vec![2000],
            split_val_loss_mean: Some(1.91),
            split_val_loss_stderr: Some(0.004),
            split_test_loss_mean: None,
            split_test_loss_stderr: None,
            total_train_time_secs_mean: 123.45,
            total_train_time_secs_stderr: Some(0.5),
            inference_tokens_per_sec_mean: 6900.0,
            inference_tokens_per_sec_stderr: Some(12.0),
        }
    }

    #[test]
    fn results_fit_a_terminal_of_eighty_columns() {
        let results = [of_run("run_0", "run_0, run_1"), of_run("run_1", "run_1"), of_run("run_3", "run_1")];
        let text = console::strip_ansi_codes(&of_results(&results, Unit::Byte, Some(80))).into_owned();
        assert!(text.lines().all(|line| measure_text_width(line) <= 80), "{text}");
        assert!(text.contains("losses are per byte") && text.contains("run_3 with run_1"), "{text}");
        assert!(!text.contains("Generation quality"), "{text}");
        let wide = of_results(&results, Unit::Byte, Some(120));
        assert!(
            wide.contains("Generation quality") && wide.contains("bytes/s") && !wide.contains("test split"),
            "{wide}"
        );
    }

    #[test]
    fn decided_findings_are_shown_in_full_and_others_by_name() {
        let findings = [
            finding("first_open", Verdict::Inconclusive),
            finding("falls", Verdict::Supported),
            finding("untested", Verdict::NotTested),
            finding("rises", Verdict::Refuted),
            Findings { seeds_needed: Some(31), ..finding("second_open", Verdict::Inconclusive) },
        ];
        let expected = "  ✓ supported     falls  −0.994 [−0.999, −0.970]
                  falls in words: the mean over three seeds and its 95 %
                  interval are below the threshold
  ✗ refuted       rises  −0.994 [−0.999, −0.970]
                  rises in words: the mean over three seeds and its 95 %
                  interval are below the threshold
  ? inconclusive  first_open, second_open (31)
  – not tested    untested
  1 supported, 1 refuted, 2 inconclusive, 1 not tested; in brackets the seeds
  that would decide, if the effect is as here; the values and reasons of all
  claims are in the report and in the table `findings`
";
        assert_eq!(verdicts(&findings, 80, false), expected);
        assert!(verdicts(&[], 80, false).contains("  no claims; "));
    }

    #[test]
    fn names_are_wrapped_to_the_terminal() {
        let names: Vec<_> = (0..30).map(|number| finding(&format!("claim_{number}"), Verdict::Inconclusive)).collect();
        let text = verdicts(&names, 80, false);
        assert!(text.lines().all(|line| measure_text_width(line) <= 80), "{text}");
        assert!(text.lines().count() < 10 && text.contains("30 inconclusive; "), "{text}");
        assert!((0..30).all(|number| text.contains(&format!("claim_{number}"))), "{text}");
    }

    #[test]
    fn colours_do_not_move_the_columns() {
        let all = VERDICTS.map(|verdict| finding("claim", verdict));
        let (plain, colored) = (verdicts(&all, 80, false), verdicts(&all, 80, true));
        assert_eq!(console::strip_ansi_codes(&colored), plain);
        let [green, red, yellow, dim] = ["[32m✓ supported", "[31m✗ refuted", "[33m? inconclusive", "[2m– not tested"];
        assert!([green, red, yellow, dim].iter().all(|code| colored.contains(code)), "{colored:?}");
    }

    #[test]
    fn columns_are_aligned() {
        let rows = rows(&[["dataset", "run", ""], ["x", "run_0", "Baseline"]]);
        assert_eq!(table(&rows, None).trim_fmt(), "  dataset  run\n  x        run_0  Baseline");
    }

    #[test]
    fn rows_are_wrapped_between_words_where_that_fits() {
        let rows = rows(&[["claim_of_one_word", "because it is so and so it is"]]);
        assert_eq!(
            table(&rows, Some(40)).trim_fmt(),
            "  claim_of_one_word  because it is so\n                     and so it is"
        );
        for width in 28..=29 {
            let text = table(&rows, Some(width)).trim_fmt();
            assert!(text.starts_with("  claim_of_one_word  because\n"), "{text}");
        }
        let narrow = table(&rows, Some(20)).trim_fmt();
        assert!(narrow.lines().all(|line| measure_text_width(line) <= 20), "{narrow}");
    }
}
